"""Static checks: whether the code parses, and whether a linter finds errors.

Python is parsed by ruff, never by the running interpreter, which knows a single Python version and can be crashed by
crafted code. JSON, YAML, TOML and XML are parsed by exact parsers, other languages by tree-sitter grammars. Languages
without a parser are `not_run`, never valid.
"""

import re
import tempfile
import time
from dataclasses import replace

import anyio
import anyio.to_thread
from pydantic import BaseModel, TypeAdapter, ValidationError
from ruff import find_ruff_bin  # pyright: ignore[reportMissingTypeStubs]  # it ships no types

from .data_formats import EXACT, check_exactly
from .grammar import GRAMMARS, check_grammar
from .languages import language_of
from .reading import finding_at, line_at, not_checked, static_result
from .result import CheckResult, Finding

NEWEST_PYTHON = "py315"
"""The newest target of ruff 0.17; a test compares it with `ruff check --help`."""

_BEFORE_LAZY_ANNOTATIONS = "py313"
"""Python 3.14 (PEP 649) rejects some annotations that were valid before; code is wrong only if both versions reject
it."""

_COMPILE_ERRORS = re.compile(r"F(?:404|407|62[12]|707)|PLE01(?:00|1[568])")
"""Rules whose findings CPython's compiler rejects in any context."""

_ONLY_IN_PLACE = re.compile(r"F70[1246]|PLE(?:0117|1142)")
"""`return`, `yield`, `await`, `break`, `continue` and `nonlocal` outside the construct they need. They fail in a
module but may be valid in a notebook cell or an excerpt of a function, as in 23 of 99 valid snippets of ruff's own
tests (code_syntax, seen 2026-11-25)."""

_LINT_RULES = "F,PLE,B006,E722"
_NOISE = "F401,F403,F405,F841"
"""Unused imports and variables, and star imports: untidy, but not errors."""

_TIMEOUT_S = 10.0
_SYNTAX = (None, "invalid-syntax")
"""The code of a syntax error: null in ruff's preview mode, else this string (0.17.6)."""


class _Place(BaseModel):
    row: int
    column: int


class _Diagnostic(BaseModel):
    """One entry of ruff's JSON output."""

    code: str | None
    message: str
    location: _Place | None


_DIAGNOSTICS = TypeAdapter(list[_Diagnostic])

UNKNOWN = not_checked("unknown language")
"""The result for code without a language tag whose language cannot be guessed."""


class _Unread(Exception):
    """ruff returned no result; the message says why."""


async def check_parse(code: str, language: str | None) -> CheckResult:
    """Whether the code parses. language: a fence's tag or a name; None: guessed from the code."""
    return (await check_static(code, language))[0]


async def check_static(code: str, language: str | None) -> tuple[CheckResult, ...]:
    """`parse`, then `lint` if the language has a linter and the code parses.

    Lint fails only for errors that the compiler rejects in any context. A `return` or `await` outside a function makes
    it `not_run`, because the code may be an excerpt. Everything else, including undefined names, is a warning, because
    the code may belong in a larger file. language: as in `check_parse`.
    """
    began = time.monotonic()
    try:
        source = code.encode()
    except UnicodeEncodeError as error:
        line = line_at(code, error.start)
        finding = Finding("error", "a lone surrogate, which no file can hold", "unicode", line=line)
        return (static_result("parse", [finding], began),)
    name = language_of(code, language)
    if name == "python":
        return await _check_python(code, source)
    if name is None:
        return (UNKNOWN,)
    if name in EXACT:
        return (await anyio.to_thread.run_sync(check_exactly, code, name),)
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
        return (static_result("parse", findings, began),)
    return (static_result("parse", [], began), _lint(found, findings, began))


def _lint(found: list[_Diagnostic], findings: list[Finding], began: float) -> CheckResult:
    result = static_result("lint", findings, began)
    misplaced = next((one for one in found if one.code is not None and _ONLY_IN_PLACE.fullmatch(one.code)), None)
    if result.outcome == "failed" or misplaced is None:
        return result
    line = "" if misplaced.location is None else f" at line {misplaced.location.row}"
    return replace(result, outcome="not_run", note=f"not certain: right{line} only as a piece of a larger whole")


async def _diagnostics(source: bytes) -> list[_Diagnostic]:
    """ruff's diagnostics; syntax errors are reported only if every supported Python version rejects the code. Raises
    _Unread."""
    found = await _ruff(source, NEWEST_PYTHON)
    return await _ruff(source, _BEFORE_LAZY_ANNOTATIONS) if any(one.code in _SYNTAX for one in found) else found


async def _ruff(source: bytes, target: str) -> list[_Diagnostic]:
    command = ["check", "--isolated", "--no-cache", "--ignore-noqa", "--output-format", "json"]
    rules = ["--select", _LINT_RULES, "--ignore", _NOISE, "--target-version", target]
    with tempfile.TemporaryFile() as stdin:  # not a pipe, because ruff may exit before reading everything
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
    """An error if the compiler rejects the code, else a warning."""
    line = None if diagnostic.location is None else diagnostic.location.row
    if diagnostic.code is None or diagnostic.code in _SYNTAX:
        return finding_at(line, "error", diagnostic.message, "ruff", code)
    severity = "error" if _COMPILE_ERRORS.fullmatch(diagnostic.code) else "warning"
    return finding_at(line, severity, f"{diagnostic.message} ({diagnostic.code})", "ruff", code)
