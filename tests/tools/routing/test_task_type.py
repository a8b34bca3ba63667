"""The task type inferred from different phrasings."""

import pytest

from chargehand.profiles.vocabulary import TASK_TYPES, TaskType
from chargehand.tools.routing.task_type import infer_task_type

PHRASINGS: dict[TaskType, tuple[str, ...]] = {
    "code_generation": (
        "Write a function that merges two sorted lists",
        "Implement a REST endpoint that returns the user's orders",
        "Create a Python script to download all images from a page",
        "Build a small CLI that counts words",
        "I need a class that models a bank account",
        "Given an integer array nums, return the maximum product of a subarray.",
        'def fizzbuzz(n):\n    """return fizz buzz"""\n    return None',
        "编写一个函数,判断一个数是否为质数",
        "Schreibe eine Funktion, die zwei Listen zusammenführt",
        "Add support for YAML config files",
        "make `Config.load` accept a pathlib.Path as well as str",
        "Encrypt the `ssn` column at rest",
        "Fill in the missing implementation in src/trie.py",
    ),
    "code_repair": (
        "Fix the bug in the pagination of the orders list",
        "The function returns the wrong result for negative numbers; correct it",
        "Make the failing test test_login pass",
        "Explain the bug in this function and fix it",
        "Repair this broken parser: it does not work with empty input",
        "Patch the off-by-one error in range_sum",
        "Behebe den Fehler in der Anmeldung",
        "修复这个函数的错误",
        "CI is red, make CI green",
        "Tests in tests/test_export.py are failing after the rename of `to_csv`. Update them.",
        "Resolve the merge conflict in config.ts",
    ),
    "debugging": (
        "Why does this loop never end?",
        "Find out why the worker hangs after an hour",
        "Debug this: the app crashes on startup with a segfault",
        "Investigate the memory leak in the image cache",
        "Diagnose the intermittent timeout in production",
        "Track down the root cause of the deadlock",
        "Pourquoi cette requête est-elle lente ?",
    ),
    "tests": (
        "Write unit tests for the Cart class",
        "Add pytest cases that cover the empty list",
        "Increase the test coverage of billing.py",
        "Create a test suite for the parser",
        "Generate property-based tests for the codec",
        "Schreibe Tests für die Klasse Warenkorb",
        "Cover `src/validators.py` with tests",
        "Parametrize the tests in test_dates.py and add cases for leap years",
        "Generate a JUnit 5 test class for com.acme.util.Strings",
    ),
    "documentation": (
        "Write a docstring for this function",
        "Document the public API of the client",
        "Update the README with installation steps",
        "Add explanatory comments to this module",
        "Write release notes for version 2.0",
        "Write a user guide for the command line tool",
        "Add an example of usage to the README",
        "Write an ADR on our job queue",
        "Update README.md: describe the new `--json` option of `tool list`",
        "Write a commit message for this diff",
    ),
    "formatting": (
        "Format this file with black",
        "Sort the imports in main.py",
        "Fix the indentation of this block",
        "Convert tabs to spaces",
        "Fix the typo in the README",
        "Reformat the JSON below with two spaces",
    ),
    "translation": (
        "Translate this Python function to Rust",
        "Convert this class from Java to Kotlin",
        "Port the module to TypeScript",
        "Rewrite this bash script in Python",
        "把这个函数翻译成 Go",
        "把下面的代码转换成 TypeScript",
        "Translate the error messages into German",
    ),
    "refactoring": (
        "Refactor the billing module",
        "Rename the variable x to count",
        "Extract the validation into its own function",
        "Simplify this nested if statement",
        "Remove the duplicated code in these two handlers",
        "Clean up this class without changing its behaviour",
        "Split this 400 line function into smaller ones",
        "Split src/app.js into routes and middleware",
        "Migrate app/models from SQLAlchemy 1.4 to 2.0 style",
    ),
    "review": (
        "Review this pull request",
        "Please look over this code and tell me what you think",
        "Audit the login handler for vulnerabilities",
        "Any problems with this function?",
        "Give me feedback on my diff",
        "Find possible issues in this code",
        "Is this implementation of `is_prime` correct?",
        "Check my migration for problems",
    ),
    "architecture": (
        "Design a microservice architecture for a shop",
        "How should we structure the plugin system?",
        "Propose an architecture for the analytics platform",
        "Architect a distributed job scheduler",
        "Plan for migrating our monolith to services: what is the migration plan?",
        "设计一个分布式系统架构",
        "System design for a chat application",
        "Create a migration plan from our monolith",
    ),
    "reasoning": (
        "Explain why quicksort is quadratic in the worst case",
        "Prove that this loop terminates",
        "Compare optimistic and pessimistic locking",
        "What is the time complexity of this algorithm?",
        "Which approach is better for our booking table, and what are the pros and cons?",
        "What does this function do?",
        "How does the cleanup work in useSocket.ts?",
        "Explain what this function does: def add(a, b): return a + b",
        "Explain this function: def add(a, b): return a + b",
        "Describe the algorithm in quicksort.py",
        "Please summarise what the class in store.py does",
    ),
    "other": (
        "hello",
        "",
        "thanks a lot",
        "2 + 2",
        "what's up",
        "order a pizza for lunch",
    ),
}


def test_there_are_at_least_four_phrasings_of_every_task_type():
    assert set(PHRASINGS) == set(TASK_TYPES)
    assert all(len(tasks) >= 4 for tasks in PHRASINGS.values())


@pytest.mark.parametrize(
    ("task", "task_type"), [(task, task_type) for task_type, tasks in PHRASINGS.items() for task in tasks]
)
def test_the_task_type_is_inferred_from_the_phrasing(task: str, task_type: TaskType):
    assert infer_task_type(task) == task_type


@pytest.mark.parametrize(
    "task", ["Fix the bug in the pagination", "Write unit tests for the cart", "Design a chat system"]
)
def test_politeness_and_pasted_code_do_not_change_the_type(task: str):
    pasted = "```python\n# refactor: rename, design, translate to rust, review\ndef document(tests):\n    return 1\n```"

    assert infer_task_type(f"Hello! Could you please help me? {task}. Thanks in advance!\n{pasted}") == infer_task_type(
        task
    )


def test_code_alone_is_inferred_as_code_generation():
    assert infer_task_type("```python\ndef add(a, b):\n    ...\n```") == "code_generation"


@pytest.mark.parametrize(
    ("task", "task_type"),
    [
        ("Fix to_ordinal and add a test and a changelog entry", "code_repair"),
        ("Implement rate limiting in src/api/limiter.py; update docs", "code_generation"),
        ("Add support for TOML in the config loader. Add a line to the changelog.", "code_generation"),
        ("Write a function with unit tests that adds two vectors", "code_generation"),
        ("Create a class Cart including docstrings and tests", "code_generation"),
        ("Rename utils.py to text.py and update the documentation", "refactoring"),
        ("Port lib/slug.rb to TypeScript. Keep its API and add JSDoc comments.", "translation"),
        ("Behebe den Fehler und schreibe Tests: test_lager.py", "code_repair"),
        ("修复 parse_csv 的错误。请同时添加单元测试。", "code_repair"),
    ],
)
def test_tests_and_documentation_beside_other_work_do_not_decide_the_type(task: str, task_type: TaskType):
    assert infer_task_type(task) == task_type


@pytest.mark.parametrize(
    ("task", "task_type"),
    [
        ("Implement `parse_semver(s)` in Python. Do not write docs. Do not write tests.", "code_generation"),
        ("Fix `Invoice#total`. Don't refactor anything else.", "code_repair"),
        ("Implement an LRU cache. No tests or documentation needed.", "code_generation"),
        ("实现一个缓存类。不需要写文档和测试。", "code_generation"),
    ],
)
def test_what_a_task_rules_out_does_not_decide_the_type(task: str, task_type: TaskType):
    assert infer_task_type(task) == task_type


@pytest.mark.parametrize(
    ("task", "task_type"),
    [
        ("Write tests for the cart and fix whatever fails", "tests"),
        ("Use pytest. Write unit tests for slugify.", "tests"),
        ("Find untested functions in src/ and write tests for them.", "tests"),
        ("I implemented a retry decorator in retry.py. Please add unit tests.", "tests"),
        ("Don't change the implementation. Write tests for the parser.", "tests"),
        ("No tests exist for src/x.py yet; please add unit tests.", "tests"),
        ("Add tests and docs for the new endpoint", "tests"),
        ("Create tests/test_cart.py with pytest tests for the cart", "tests"),
        ("We now support Python 3.13. Update the README.", "documentation"),
        ("Support for TOML was added in 2.0. Document it in the README.", "documentation"),
        ("Rewrite the docs: add docstrings to every function in src/api.py", "documentation"),
        ("Add comments and docstrings to this file; do not change code", "documentation"),
    ],
)
def test_tests_and_documentation_that_are_the_work_itself_decide_the_type(task: str, task_type: TaskType):
    assert infer_task_type(task) == task_type
