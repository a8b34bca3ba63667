"""Static checks: parsing and linting of Python, JSON and other languages."""

import re
import subprocess

import pytest
from ruff import find_ruff_bin

from chargehand.tools.checking.parse import NEWEST_PYTHON, check_parse, check_static
from chargehand.tools.checking.result import CheckResult, Finding

pytestmark = pytest.mark.anyio


async def test_python_that_parses_passes_and_is_linted():
    parse, lint = await check_static("def add(a, b):\n    return a + b\n", "python")

    assert (parse.name, parse.outcome, parse.executed) == ("parse", "passed", False)
    assert (lint.name, lint.outcome, lint.findings) == ("lint", "passed", ())


async def test_python_that_does_not_parse_is_reported_with_its_line_and_not_linted():
    (parse,) = await check_static("x = 1\ndef add(a, b:\n    return a\n", "python")

    assert (parse.name, parse.outcome) == ("parse", "failed")
    finding = parse.findings[0]
    assert (finding.severity, finding.source, finding.line, finding.quote) == ("error", "ruff", 2, "def add(a, b:")
    assert (parse.first_failure or "").startswith("line 2: ")


@pytest.mark.parametrize(
    "code",
    [
        "type Pair[T] = tuple[T, T]",
        "match x:\n    case [a, *_]: pass",
        "try: pass\nexcept* ValueError: pass",
        "print(t'{1}')",
        "def f(x: (yield)): ...",  # valid until 3.13
    ],
)
async def test_python_that_is_valid_in_any_supported_version_passes(code):
    assert (await check_parse(code, "python")).outcome == "passed"


@pytest.mark.parametrize("endless", ["/* " * 100_000, '"' + '\\"' * 100_000], ids=["comments", "strings"])
async def test_json_that_opens_much_and_closes_nothing_fails(endless: str):
    assert (await check_parse(f'{{"a": 1, "b": {endless}', "jsonc")).outcome == "failed"


async def test_an_undefined_name_is_only_a_warning():
    _, lint = await check_static("def f():\n    return helper()\n", "python")

    assert (lint.outcome, lint.first_failure) == ("passed", None)
    assert lint.findings == (
        Finding("warning", "Undefined name `helper` (F821)", "ruff", line=2, quote="return helper()"),
    )


@pytest.mark.parametrize(
    "code",
    [
        "from __future__ import teleportation\n",
        "def f():\n    x = 1\n    global x\n",
        "a, *b, *c = x\n",
        "try:\n    f()\nexcept:\n    pass\nexcept ValueError:\n    pass\n",
    ],
)
async def test_code_that_no_context_makes_valid_fails(code: str):
    checks = await check_static(code, "python")

    assert "failed" in [check.outcome for check in checks]
    with pytest.raises(SyntaxError):
        compile(code, "x", "exec")


@pytest.mark.parametrize(
    "code",
    [
        "return 3",
        "x = 1\nif x:\n    break",
        "continue",
        "yield 1",
        "def f():\n    nonlocal missing\n",
        "result = await fetch()",
    ],
)
async def test_code_that_is_valid_only_inside_other_code_is_not_certain(code: str):
    parse, lint = await check_static(code, "python")

    assert (parse.outcome, lint.outcome) == ("passed", "not_run")
    assert (lint.note or "").startswith("not certain: right at line ")
    assert [finding.severity for finding in lint.findings] == ["warning"] * len(lint.findings)
    assert lint.findings


async def test_a_comment_in_the_answer_does_not_silence_the_linter():
    _, lint = await check_static("# ruff: noqa\nfrom __future__ import teleportation  # noqa\n", "python")

    assert lint.outcome == "failed"


async def test_errors_come_before_warnings_and_there_are_at_most_20_findings():
    _, lint = await check_static("\n".join(f"name{n}" for n in range(60)) + "\na, *b, *c = name0\n", "python")

    assert len(lint.findings) == 20
    assert lint.findings[0].severity == "error"


async def test_code_that_ruff_cannot_parse_counts_as_not_checked():
    result = await check_parse("[" * 100_000, "python")

    assert (result.outcome, result.findings) == ("not_run", ())
    assert (result.note or "").startswith("not checked: ")


@pytest.mark.parametrize("language", ["python", "json", "rust", "yaml"])
async def test_a_lone_surrogate_fails_in_every_language(language):
    result = await check_parse('x = "\ud800"', language)

    assert result.outcome == "failed"
    assert result.findings == (Finding("error", "a lone surrogate, which no file can hold", "unicode", line=1),)


@pytest.mark.parametrize(
    "code", ['{"a": 1, "a": 2}', "3", ' "text" \n', "[1e999, -0.0]", "1" * 5000, '"\\ud800"', "[[[[[]]]]]"]
)
async def test_json_that_is_valid_by_the_rfc_passes(code):
    assert (await check_parse(code, "json")).outcome == "passed"


@pytest.mark.parametrize(
    ("code", "line", "quote"),
    [
        ("", 1, None),
        ("{\n  'a': 1\n}", 2, "'a': 1"),
        ('{\n  "NaN": 1,\n  "b": NaN\n}', 3, '"b": NaN'),
        ("[-Infinity]", 1, "[-Infinity]"),
        ('{"a": 1,}', 1, '{"a": 1,}'),
        ("[01]", 1, "[01]"),
        ('["\t"]', 1, '["\t"]'),
        ("{} // comment", 1, "{} // comment"),
        ("\ufeff{}", 1, "\ufeff{}"),
    ],
)
async def test_invalid_json_fails_with_its_line(code, line, quote):
    result = await check_parse(code, "json")

    assert result.outcome == "failed"
    assert [(finding.source, finding.line, finding.quote) for finding in result.findings] == [("json", line, quote)]


async def test_json_that_is_nested_too_deeply_counts_as_not_checked():
    result = await check_parse("[" * 200_000 + "]" * 200_000, "json")

    assert (result.outcome, result.note) == ("not_run", "not checked: nested too deeply to read")


@pytest.mark.parametrize(("tag", "language"), [("sql", "sql"), ("md", "markdown"), ("cobol", "cobol")])
async def test_a_language_without_a_parser_counts_as_not_checked(tag, language):
    checks = await check_static("fn main() {", tag)

    assert checks == (CheckResult("parse", "not_run", note=f"not checked: no parser for {language}"),)


async def test_code_in_an_unknown_language_is_not_checked():
    assert (await check_parse("lorem ipsum", None)).note == "not checked: unknown language"


async def test_the_language_is_guessed_if_none_is_named():
    assert (await check_parse("def f(x):\n    return (x\n", None)).outcome == "failed"
    assert (await check_parse('{"a": [1, 2]}', None)).outcome == "passed"


def test_the_newest_python_version_is_the_newest_that_ruff_knows():
    text = subprocess.run([find_ruff_bin(), "check", "--help"], capture_output=True, text=True, check=True).stdout

    assert max(re.findall(r"py3\d+", text), key=lambda name: int(name[3:])) == NEWEST_PYTHON
