"""Checks that cost nothing and run nothing: does the code parse, and does a linter see it break?

Python is read by ruff's parser and never by this interpreter's, which knows one version of Python and
can be made to crash; data formats by exact readers, other languages by their grammars. What has no
parser here is `not_run`, never valid.
"""

import re
import tempfile
import time
from dataclasses import replace

import anyio
import anyio.to_thread
from pydantic import BaseModel, TypeAdapter, ValidationError
from ruff import find_ruff_bin  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from .data_formats import EXACT
from .grammar import GRAMMARS, check_grammar
from .languages import language_of
from .reading import finding_at, line_at, not_checked, read_result
from .result import CheckResult, Finding

NEWEST_PYTHON = "py315"
"""The newest target that ruff 0.17 knows; a test holds it to `ruff check --help`."""

_BEFORE_LAZY_ANNOTATIONS = "py313"
"""Python 3.14 (PEP 649) refuses some annotations that were valid before: code is only wrong if both do."""

_COMPILE_ERRORS = re.compile(r"F(?:404|407|62[12]|707)|PLE01(?:00|1[568])")
"""Rules whose findings CPython's compiler refuses, wherever the code stands."""

_ONLY_IN_PLACE = re.compile(r"F70[1246]|PLE(?:0117|1142)")
"""`return`, `yield`, `await`, `break`, `continue` and `nonlocal` without what must stand around them. No module can be
loaded with them; a notebook's cell or a piece of a function may have them, as 23 of 99 valid snippets of ruff's own
tests do (code_syntax, seen 2026-11-25)."""

_LINT_RULES = "F,PLE,B006,E722"
_NOISE = "F401,F403,F405,F841"
"""Unused imports and variables, and star imports: untidy, and no sign that anything breaks."""

_TIMEOUT_S = 10.0
_SYNTAX = (None, "invalid-syntax")
"""How ruff marks a syntax error: without a rule in its preview, by this word otherwise (0.17.6)."""


class _Place(BaseModel):
    row: int
    column: int


class _Diagnostic(BaseModel):
    """One entry of ruff's JSON."""

    code: str | None
    message: str
    location: _Place | None


_DIAGNOSTICS = TypeAdapter(list[_Diagnostic])

UNKNOWN = not_checked("unknown language")
"""The outcome for code that does not look like any language, where none is named."""


class _Unread(Exception):
    """ruff gave no answer; the message says why."""


async def check_parse(code: str, language: str | None) -> CheckResult:
    """Whether the code parses. language: a fence's tag or a name; None: by the look of the code."""
    return (await check_static(code, language))[0]


async def check_static(code: str, language: str | None) -> tuple[CheckResult, ...]:
    """`parse`; then, where the language has a linter and the code parses, `lint`.

    Lint fails only by what the compiler itself refuses, wherever the code stands. With a `return` or `await`
    outside of a function it is `not_run`, as that may be meant so. All else that is found, an undefined
    name too (it may be meant to stand in a larger file), is a warning. language: as in `check_parse`.
    """
    began = time.monotonic()
    try:
        source = code.encode()
    except UnicodeEncodeError as error:
        line = line_at(code, error.start)
        finding = Finding("error", "a lone surrogate, which no file can hold", "unicode", line=line)
        return (read_result("parse", [finding], began),)
    name = language_of(code, language)
    if name == "python":
        return await _check_python(code, source)
    if name is None:
        return (UNKNOWN,)
    if name in EXACT:
        return (await anyio.to_thread.run_sync(EXACT[name], code),)
    if name in GRAMMARS:
        return (await anyio.to_thread.run_sync(check_grammar, code, name),)
    return (not_checked(f"no parser for {name}"),)


async def _check_python(code: str, source: bytes) -> tuple[CheckResult, ...]:
    began = time.monotonic()
    try:
        found = await _diagnostics(source)
    except _Unread as unread:
        return (not_checked(str(unread)),)
    findings = [_python_finding(diagnostic, code) for diagnostic in found]
    if any(one.code in _SYNTAX for one in found):
        return (read_result("parse", findings, began),)
    return (read_result("parse", [], began), _lint(found, findings, began))


def _lint(found: list[_Diagnostic], findings: list[Finding], began: float) -> CheckResult:
    result = read_result("lint", findings, began)
    misplaced = next((one for one in found if one.code is not None and _ONLY_IN_PLACE.fullmatch(one.code)), None)
    if result.outcome == "failed" or misplaced is None:
        return result
    line = "" if misplaced.location is None else f" at line {misplaced.location.row}"
    return replace(result, outcome="not_run", note=f"not certain: right{line} only as a piece of a larger whole")


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
        return finding_at(line, "error", diagnostic.message, "ruff", code)
    severity = "error" if _COMPILE_ERRORS.fullmatch(diagnostic.code) else "warning"
    return finding_at(line, severity, f"{diagnostic.message} ({diagnostic.code})", "ruff", code)
