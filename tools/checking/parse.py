"""Checks that cost nothing and run nothing: does the code parse, and does a linter see it break?

Python is read by ruff's parser and never by this interpreter's, which knows one version of Python and
can be made to crash. JSON is read by RFC 8259 (seen 2026-11-24). Nothing else has a parser here, and
what has none is `not_run`, never valid.
"""

import json
import re
import tempfile
import time
from typing import Literal

import anyio
import anyio.to_thread
from pydantic import BaseModel, TypeAdapter, ValidationError
from ruff import find_ruff_bin  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from ..guarding.text import visible
from .languages import language_of
from .result import CheckResult, Finding, Severity

NEWEST_PYTHON = "py315"
"""The newest target that ruff 0.17 knows; a test holds it to `ruff check --help`."""

_BEFORE_LAZY_ANNOTATIONS = "py313"
"""Python 3.14 (PEP 649) refuses some annotations that were valid before: code is only wrong if both do."""

_COMPILE_ERRORS = re.compile(r"F(?:404|407|62[12]|70[12467])|PLE(?:01(?:00|1[5678])|1142)")
"""Rules whose findings CPython's compiler refuses: the code cannot even be loaded."""

_LINT_RULES = "F,PLE,B006,E722"
_NOISE = "F401,F403,F405,F841"
"""Unused imports and variables, and star imports: untidy, and no sign that anything breaks."""

_TIMEOUT_S = 10.0
_MOST_FINDINGS = 20
_QUOTE_CHARACTERS = 200
_SYNTAX = (None, "invalid-syntax")
"""How ruff marks a syntax error: without a rule in its preview, by this word otherwise (0.17.6)."""


_LINE_END = re.compile(r"\r\n|\r|\n")
"""What Python and ruff count as the end of a line."""


class _Place(BaseModel):
    row: int
    column: int


class _Diagnostic(BaseModel):
    """One entry of ruff's JSON."""

    code: str | None
    message: str
    location: _Place | None


_DIAGNOSTICS = TypeAdapter(list[_Diagnostic])


class _Unread(Exception):
    """ruff gave no answer; the message says why."""


async def check_parse(code: str, language: str | None) -> CheckResult:
    """Whether the code parses. language: a fence's tag or a name; None: by the look of the code."""
    return (await check_static(code, language))[0]


async def check_static(code: str, language: str | None) -> tuple[CheckResult, ...]:
    """`parse`; then, where the language has a linter and the code parses, `lint`.

    Lint fails only by what the compiler itself refuses. All else that is found, an undefined name too
    (it may be meant to stand in a larger file), is a warning. language: as in `check_parse`.
    """
    began = time.monotonic()
    try:
        source = code.encode()
    except UnicodeEncodeError as error:
        line = _line_at(code, error.start)
        finding = Finding("error", "a lone surrogate, which no file can hold", "unicode", line=line)
        return (_result("parse", [finding], began),)
    name = language_of(code, language)
    if name == "python":
        return await _check_python(code, source)
    if name == "json":
        return (await anyio.to_thread.run_sync(_check_json, code),)
    return (_not_run(f"not checked: no parser for {name}" if name else "not checked: unknown language"),)


async def _check_python(code: str, source: bytes) -> tuple[CheckResult, ...]:
    began = time.monotonic()
    try:
        found = await _diagnostics(source)
    except _Unread as unread:
        return (_not_run(f"not checked: {unread}"),)
    findings = [_python_finding(diagnostic, code) for diagnostic in found]
    if any(one.code in _SYNTAX for one in found):
        return (_result("parse", findings, began),)
    return (_result("parse", [], began), _result("lint", findings, began))


async def _diagnostics(source: bytes) -> list[_Diagnostic]:
    """What ruff says about the source; its syntax errors are those of every Python we know. Raises _Unread."""
    found = await _ruff(source, NEWEST_PYTHON)
    return await _ruff(source, _BEFORE_LAZY_ANNOTATIONS) if any(one.code in _SYNTAX for one in found) else found


async def _ruff(source: bytes, target: str) -> list[_Diagnostic]:
    command = ["check", "--isolated", "--no-cache", "--ignore-noqa", "--output-format", "json"]
    rules = ["--select", _LINT_RULES, "--ignore", _NOISE, "--target-version", target]
    with tempfile.TemporaryFile() as stdin:  # no pipe: ruff may end before it has read everything
        stdin.write(source)
        stdin.seek(0)
        try:
            with anyio.fail_after(_TIMEOUT_S):
                done = await anyio.run_process(
                    [find_ruff_bin(), *command, *rules, "--stdin-filename", "answer.py", "-"], stdin=stdin, check=False
                )
        except TimeoutError as error:
            raise _Unread(f"ruff needed more than {_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise _Unread("ruff cannot be run; install Chargehand again") from error
    try:
        return _DIAGNOSTICS.validate_json(done.stdout)
    except ValidationError as error:
        raise _Unread(f"ruff ended with status {done.returncode} and without a result") from error


def _python_finding(diagnostic: _Diagnostic, code: str) -> Finding:
    """An error for what the compiler refuses, else a warning."""
    line = None if diagnostic.location is None else diagnostic.location.row
    if diagnostic.code is None or diagnostic.code in _SYNTAX:
        return _finding("error", diagnostic.message, "ruff", line, code)
    severity = "error" if _COMPILE_ERRORS.fullmatch(diagnostic.code) else "warning"
    return _finding(severity, f"{diagnostic.message} ({diagnostic.code})", "ruff", line, code)


def _check_json(code: str) -> CheckResult:
    began = time.monotonic()
    findings: list[Finding] = []
    try:
        # Numbers stay unread: a long one is valid, and int() refuses it.
        json.loads(code, parse_constant=_refuse, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        findings = [_finding("error", error.msg, "json", _line_at(code, error.pos), code)]
    except _NotJson as error:
        findings = [_finding("error", str(error), "json", _line_at(code, _first(error.word, code)), code)]
    except RecursionError:
        return _not_run("not checked: nested too deeply to read")
    return _result("parse", findings, began)


def _result(name: Literal["parse", "lint"], findings: list[Finding], began: float) -> CheckResult:
    """Failed by any error; errors stand first."""
    ranked = sorted(findings, key=lambda finding: finding.severity != "error")[:_MOST_FINDINGS]
    seconds = time.monotonic() - began
    if not ranked or ranked[0].severity != "error":
        return CheckResult(name, "passed", findings=tuple(ranked), seconds=seconds)
    first = ranked[0]
    failure = f"line {first.line}: {first.message}\n{first.quote or ''}".strip()
    return CheckResult(name, "failed", first_failure=failure, findings=tuple(ranked), seconds=seconds)


class _NotJson(ValueError):
    """NaN or an infinity, which Python's reader takes and RFC 8259 does not."""

    def __init__(self, word: str) -> None:
        super().__init__(f"{word} is not JSON")
        self.word = word


def _refuse(word: str) -> object:
    raise _NotJson(word)


def _first(word: str, code: str) -> int:
    """Where a bare word stands outside of strings."""
    for match in re.finditer(rf'"(?:[^"\\]|\\.)*"|({re.escape(word)})', code):
        if match[1]:
            return match.start()
    return 0


def _not_run(why: str) -> CheckResult:
    return CheckResult("parse", "not_run", note=why)


def _finding(severity: Severity, message: str, source: str, line: int | None, code: str) -> Finding:
    lines = _LINE_END.split(code)
    quote = lines[line - 1].strip()[:_QUOTE_CHARACTERS] if line is not None and line <= len(lines) else None
    return Finding(severity, visible(message), source, line=line, quote=quote or None)


def _line_at(code: str, position: int) -> int:
    return len(_LINE_END.findall(code, 0, position)) + 1
