"""Reads programs labelled right or wrong, each with tests, from a data set on disk.

Supported are `code_quixbugs`, `code_bigcodebench` and `code_humaneval` (gzipped JSON Lines; shared/data/README.md).
"""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..json_lines import read_rows

_USES_PYTEST = re.compile(r"^if pytest\.use_correct:\n(?:    .*\n)+else:\n(?:    .*\n)+", re.MULTILINE)
_LOADS_CASES = re.compile(r"load_json_testcases\(\w+\.__name__\)")
_HELPERS = re.compile(r"^from (?:load_testdata|node) import .*\n", re.MULTILINE)


class UnknownPrograms(ValueError):
    """A file that is none of the supported data sets."""


@dataclass(frozen=True)
class Program:
    name: str
    kind: str
    """correct, buggy, emptied (its body does nothing), or mutated (one operator or number changed)."""
    language: str
    code: str
    tests: str | None
    """None: it has none that Chargehand can run."""
    is_right: bool | None
    """Whether it should pass its tests. None: unlabelled, so running it with plain Python decides."""
    plain: str | None = None
    """A script, run in the program's namespace, that exits with 0 in plain Python if the program is right. None: the
    data set's label is final."""
    needs: tuple[str, ...] = ()
    """Third-party modules that it imports."""


def read_programs(path: Path) -> list[Program]:
    """Load a data set. Raises UnknownPrograms, or OSError when there is no such file."""
    rows = read_rows(path)
    for mark, read in _READERS.items():
        if rows and mark in rows[0]:
            helper = next((row["correct_python"] for row in rows if row.get("task_id") == "node"), "")
            return [program for row in rows for program in read(row, helper)]
    raise UnknownPrograms(f"{path}: it is none of code_quixbugs, code_bigcodebench and code_humaneval.")


def _quixbugs(row: Mapping[str, Any], node: str) -> Iterator[Program]:
    name = row["task_id"]
    if not row["pytest"]:
        return  # a class used by other programs, without its own tests
    tests = _USES_PYTEST.sub("", row["pytest"]).replace("pytest.run_slow", "False")
    if row["json_tests"]:
        cases = [json.loads(line) for line in row["json_tests"].splitlines() if line.strip()]
        tests = _LOADS_CASES.sub(lambda _: repr(cases), tests)
    tests = _HELPERS.sub("", tests).replace("pytest.use_correct", "True")
    helper = f"\n\n{node}\n" if "Node(" in tests else ""
    for kind in ("correct", "buggy"):
        code = f"{row[f'{kind}_python']}{helper}"
        yield Program(name, kind, "python", code, tests, is_right=kind == "correct")
        if row[f"{kind}_java"]:
            yield Program(name, kind, "java", row[f"{kind}_java"], None, is_right=kind == "correct")


def _bigcodebench(row: Mapping[str, Any], _: str) -> Iterator[Program]:
    libraries: set[str] = {name.split(".")[0] for name in row["libs"]}
    needs = tuple(sorted(libraries - sys.stdlib_module_names))
    bodies = {"correct": f"{row['prompt']}{row['canonical_solution']}\n", "emptied": f"{row['prompt']}    pass\n"}
    for kind, code in bodies.items():
        plain = f"{row['test']}\nimport unittest\nunittest.main()\n"
        yield Program(row["task_id"], kind, "python", code, row["test"], kind == "correct", plain, needs)


def _humaneval(row: Mapping[str, Any], _: str) -> Iterator[Program]:
    name, tests = row["task_id"], f"{row['test']}\ncheck({row['entry_point']})\n"
    right = f"{row['prompt']}{row['canonical_solution']}"

    def program(kind: str, code: str, *, is_right: bool | None) -> Program:
        return Program(name, kind, "python", code, tests, is_right, tests)

    yield program("correct", right, is_right=True)
    yield program("emptied", f"{row['prompt']}    pass\n", is_right=False)
    for code in _mutations(right, row["entry_point"]):
        yield program("mutated", code, is_right=None)


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], Iterator[Program]]] = {
    "buggy_python": _quixbugs,
    "libs": _bigcodebench,
    "base_input": _humaneval,
}
"""By a column that only the data set has."""

_OTHER_COMPARISON: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
_OTHER_OPERATOR: Mapping[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Div, ast.Mod: ast.FloorDiv,
}  # fmt: skip


def _mutations(code: str, function: str) -> Iterator[str]:
    """Variants of the code with one change in the function: its first comparison, arithmetic operator or number."""
    for change in (_mutate_comparison, _mutate_arithmetic, _mutate_number):
        tree = ast.parse(code)
        body = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
        if any(change(node) for node in ast.walk(body)):
            yield f"{ast.unparse(tree)}\n"


def _mutate_comparison(node: ast.AST) -> bool:
    if not isinstance(node, ast.Compare) or type(node.ops[0]) not in _OTHER_COMPARISON:
        return False
    node.ops[0] = _OTHER_COMPARISON[type(node.ops[0])]()
    return True


def _mutate_arithmetic(node: ast.AST) -> bool:
    if not isinstance(node, ast.BinOp) or type(node.op) not in _OTHER_OPERATOR:
        return False
    node.op = _OTHER_OPERATOR[type(node.op)]()
    return True


def _mutate_number(node: ast.AST) -> bool:
    if not isinstance(node, ast.Constant) or type(node.value) is not int:
        return False
    node.value += 1
    return True
