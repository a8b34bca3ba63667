"""`chargehand bench verdicts`: our verdicts on programs that are known to be right or wrong."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chargehand.evaluation.bench.programs import UnknownPrograms, read_programs
from chargehand.evaluation.bench.verdicts import measure_verdicts

pytestmark = pytest.mark.anyio

QUIXBUGS = {
    "task_id": "double",
    "correct_python": "def double(n):\n    return 2 * n\n",
    "buggy_python": "def double(n):\n    return n ** 2\n",
    "correct_java": "public class DOUBLE {}\n",
    "buggy_java": "public class DOUBLE {}\n",
    "json_tests": "[[3], 6]\n[[4], 8]\n",
    "pytest": "import pytest\nfrom load_testdata import load_json_testcases\n\nif pytest.use_correct:\n"
    "    from correct_python_programs.double import double\nelse:\n    from python_programs.double import double\n\n"
    "testdata = load_json_testcases(double.__name__)\n\n"
    "@pytest.mark.parametrize('given,expected', testdata)\ndef test_double(given, expected):\n"
    "    if not pytest.run_slow and given == [4]:\n        pytest.skip('slow')\n"
    "    assert double(*given) == expected\n",
}
NODE = dict.fromkeys(QUIXBUGS, "") | {"task_id": "node", "correct_python": "class Node:\n    value = 3\n"}
USES_NODE = QUIXBUGS | {
    "task_id": "value",
    "correct_python": "def value(node):\n    return node.value\n",
    "buggy_python": "def value(node):\n    return node\n",
    "json_tests": "",
    "pytest": "import pytest\nfrom node import Node\n\nif pytest.use_correct:\n"
    "    from correct_python_programs.value import value\nelse:\n    from python_programs.value import value\n\n"
    "def test1():\n    assert value(Node()) == 3\n",
}
HUMANEVAL = {
    "task_id": "own/1",
    "prompt": "def least(a, b):\n",
    "canonical_solution": "    return a if a < b else b\n",
    "entry_point": "least",
    "test": "def check(candidate):\n    assert candidate(1, 2) == 1\n    assert candidate(2, 1) == 1\n",
    "base_input": [],
}
BIGCODEBENCH = {
    "task_id": "own/2",
    "prompt": "import json\n\ndef task_func(text):\n",
    "canonical_solution": "    return json.loads(text)",
    "libs": ["json"],
    "test": "import unittest\n\nclass TestCases(unittest.TestCase):\n    def test_it(self):\n"
    "        self.assertEqual(task_func('[1]'), [1])\n",
}


def write_programs(folder: Path, *rows: Mapping[str, Any]) -> Path:
    path = folder / "own.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


async def test_right_programs_pass_and_wrong_programs_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    code = await measure_verdicts(write_programs(tmp_path, NODE, QUIXBUGS, USES_NODE))

    out = capsys.readouterr().out
    assert code == 0, out
    assert "WRONG" not in out
    assert "not run: " not in out
    assert "4 programs are only parsed" in out


@pytest.mark.parametrize("row", [HUMANEVAL, BIGCODEBENCH], ids=["humaneval", "bigcodebench"])
async def test_plain_python_agrees_with_the_labels_of_programs_derived_from_a_solution(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], row: Mapping[str, Any]
):
    code = await measure_verdicts(write_programs(tmp_path, row))

    out = capsys.readouterr().out
    assert code == 0, out
    assert "disputed: " not in out


async def test_a_wrong_verdict_is_named_and_gives_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    mislabelled = QUIXBUGS | {"buggy_python": QUIXBUGS["correct_python"], "correct_java": "", "buggy_java": ""}

    code = await measure_verdicts(write_programs(tmp_path, mislabelled))

    assert code == 1
    assert "WRONG: double (buggy): passed" in capsys.readouterr().out


async def test_programs_whose_library_is_missing_are_left_out_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    code = await measure_verdicts(write_programs(tmp_path, BIGCODEBENCH | {"libs": ["json", "no_such_library"]}))

    assert code == 0
    assert "2 programs are left out: no_such_library cannot be imported." in capsys.readouterr().out


def test_a_solution_yields_a_mutant_with_one_operator_changed(tmp_path: Path):
    mutated = [
        program.code for program in read_programs(write_programs(tmp_path, HUMANEVAL)) if program.kind == "mutated"
    ]

    assert mutated == ["def least(a, b):\n    return a if a <= b else b\n"]


async def test_a_file_without_programs_is_refused_and_a_missing_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(UnknownPrograms):
        read_programs(write_programs(tmp_path, {"task_id": "x"}))

    assert await measure_verdicts(tmp_path / "missing.jsonl.gz") == 2
    assert "missing.jsonl.gz" in capsys.readouterr().err
