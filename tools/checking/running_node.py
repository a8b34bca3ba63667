"""Runs tests of a JavaScript or TypeScript answer by Node.js in a sandbox.

It takes the same care as `running.py` and has the same limitations: the verdict carries a nonce that is read before
the answer runs, and the process exits with it. An answer cannot pass by exiting early, by printing, by weakening
`assert`, by tests of its own, or by modifying prototypes.
"""

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from ..guarding.secrets import SecretSearch
from .javascript import (
    Program,
    may_continue,
    read_program,
    uses_a_test_framework,
    with_exports,
    with_imports,
    with_one_solution,
    with_tracked_exits,
)
from .javascript_unnoticed_failures import may_notice_nothing, only_tells, spoiled
from .javascript_vacuous_asserts import first_vacuous_assert
from .node import FITS_WASM, INSTALL, OLDEST, STRIPS_TYPES, Node
from .result import CheckResult
from .sandbox import Command, Limits, Sandbox, SandboxFailed
from .unnoticed_failures import TOLD, Useless, tried_on_useless_answers
from .verdict import SHIPPED, Runner, interpret_run, not_run

_RUNNER = "/checker/node.mjs"
_HAS = "the sandbox has Node.js with node:test and node:assert only"
_REMEDY = "a check of yours, `[checks.NAME]` in config.toml, can have more"
_MEMORY_MB = 3072
"""Address space that Node.js itself reserves, measured 2026-11-24: 24.19 starts within 2 GB, not within 1 GB."""
_FLAGS = ("--max-old-space-size=512", "--no-warnings")
_FOREIGN = re.compile(r"\bexpect\s*\(|\b(?:jest|vi)\.\w+\s*\(|\bcy\.\w+")
"""Globals of other test frameworks."""


_IN_PROJECT = ".chargehand"
"""The folder of the copy that contains the answer under the module names that its tests use."""


@dataclass(frozen=True)
class InProject:
    """An answer that is a file of a project, in a copy of it."""

    copy: Path
    file: Path | None
    """Relative to the copy. None: it is not a program, and the tests read it."""

    def loads_with(self, node: Node) -> bool:
        """Whether Node.js can load the file unchanged, or does not need to."""
        if self.file is None:
            return True
        if self.file.suffix in (".ts", ".mts", ".cts"):
            return node.version >= STRIPS_TYPES
        return self.file.suffix in (".js", ".mjs", ".cjs") and node.detects_modules


async def run_node_tests(
    answer: str,
    tests: str,
    sandbox: Sandbox,
    node: Node | None,
    limits: Limits | None = None,
    in_project: InProject | None = None,
    search: SecretSearch = SHIPPED,
) -> CheckResult:
    """Run tests given as text.

    Tests that call `describe`, `it` or `test` run under node:test, with the answer as the module `./solution.js`;
    others run as a script after the answer. Both see all top-level names of the answer. node: None if this machine has
    none; nothing is run. in_project: None if the answer is `answer` alone. In a project the answer finds its
    neighbouring files, and tests import files relative to the project's root. search: finds secrets in their output.
    """
    if node is None or node.version < OLDEST:
        found = "there is no Node.js" if node is None else f"{node.shown} is too old"
        return not_run(f"the tests were not run: {found}; {INSTALL}")
    typescript = any(_is_typescript(code) for code in (answer, tests))
    language = "typescript" if typescript else "javascript"
    answers, theirs = read_program(answer, language), read_program(tests, language)
    if answers.has_jsx or theirs.has_jsx:
        return not_run(f"the tests were not run: Node.js does not run JSX without a build; {_REMEDY}")
    if typescript and node.version < STRIPS_TYPES:
        return not_run(f"the tests were not run: {node.shown} cannot run TypeScript; {INSTALL}")
    is_module = uses_a_test_framework(tests)
    if (why := _why_no_test(tests, theirs, language, is_module=is_module)) is not None:
        return not_run(why)
    if in_project is not None and not in_project.loads_with(node):
        in_project = None
    folder = "." if in_project is None else f"./{_IN_PROJECT}"
    told = tests if is_module else with_tracked_exits(tests, language)
    nonce = secrets.token_hex(16)
    job = {
        "nonce": nonce,
        "kind": "module" if is_module else "script",
        "typescript": typescript,
        "answer": with_exports(answer, answers, typescript=typescript),
        "answerIs": answers.system,
        "tests": with_imports(with_one_solution(told, folder), theirs, answers, folder),
        "testsAre": theirs.system,
        "waits": may_continue(tests),
        "inProject": in_project is not None,
        "file": in_project and in_project.file and in_project.file.as_posix(),
        "folder": folder,
    }
    runner = Runner(_HAS, lambda module, _: _imports(tests, module), lacks=_REMEDY, search=search)
    copy, limits = in_project and in_project.copy, limits or Limits()
    result = await _run(job, nonce, runner, sandbox, node, limits, copy)
    if result.outcome != "passed" or (in_project is not None and in_project.file is None):
        return result
    if only_tells(tests, language, theirs.values):
        return not_run(f"nothing was tested: {TOLD}")
    if may_notice_nothing(tests, language, theirs.values):

        async def run_again(useless: Useless) -> CheckResult:
            again = {**job, "answer": spoiled(answers, useless)}
            return await _run(again, nonce, runner, sandbox, node, limits, copy)

        return await tried_on_useless_answers(result, run_again)
    return result


def _why_no_test(tests: str, read: Program, language: str, *, is_module: bool) -> str | None:
    """Why running the tests would say nothing of an answer. None: it would."""
    if not is_module and not read.can_fail:
        return "nothing was tested: there is no test in it that could fail"
    if (vacuous := first_vacuous_assert(tests, language, read.values)) is not None:
        return f"nothing was tested: {vacuous}"
    if _FOREIGN.search(tests) and not re.search(r"\b(?:function|const|let|var|import)\b[^;\n]*\bexpect\b", tests):
        return f"the tests were not run: {_HAS}; `expect` is another framework's. Use node:assert."
    return None


async def _run(
    job: Mapping[str, object],
    nonce: str,
    runner: Runner,
    sandbox: Sandbox,
    node: Node,
    limits: Limits,
    folder: Path | None,
) -> CheckResult:
    shown = {_RUNNER: Path(__file__).with_name("inside_node.mjs"), **node.shown_inside}
    flags = _flags(node)
    if job["kind"] == "module":
        flags += [f"--test-reporter={_RUNNER}", "--test-reporter-destination=stderr"]
    limits = replace(limits, memory_mb=max(limits.memory_mb, _MEMORY_MB))
    try:
        if not await _starts(node, sandbox):
            return not_run(f"the tests were not run: {node.shown} does not start in the sandbox; {INSTALL}")
        words, stdin = [node.inside, *flags, _RUNNER], json.dumps(job).encode()
        run = await sandbox.run(Command(words, folder, limits, stdin, shown))
    except SandboxFailed as failure:
        return not_run(f"the tests were not run: {failure}")
    return await anyio.to_thread.run_sync(interpret_run, run, nonce, runner, sandbox, limits)


def _flags(node: Node) -> list[str]:
    return [*_FLAGS, FITS_WASM] if node.can_fit_wasm else [*_FLAGS]


_started: set[tuple[str, Node]] = set()
"""Pairs of sandbox and Node.js that have worked; others are tried again each time."""


async def _starts(node: Node, sandbox: Sandbox) -> bool:
    """Whether Node.js starts in the sandbox; if not, the answer is not to blame."""
    key = (sandbox.name, node)
    if key not in _started:
        limits = Limits(wall_s=10.0, memory_mb=_MEMORY_MB)
        command = [node.inside, *_flags(node), "-e", "0"]
        run = await sandbox.run(Command(command, limits=limits, read_only=node.shown_inside))
        if run.exit_code != 0:
            return False
        _started.add(key)
    return True


def _is_typescript(code: str) -> bool:
    """Whether only TypeScript's grammar accepts the code."""
    from .grammar import check_grammar

    return (
        check_grammar(code, "javascript").outcome == "failed" and check_grammar(code, "typescript").outcome == "passed"
    )


def _imports(tests: str, module: str) -> bool:
    return re.search(rf"""['"]{re.escape(module)}(?:/[^'"]*)?['"]""", tests) is not None
