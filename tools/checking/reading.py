"""Builds the results of static checks, shared by all parsers and linters."""

import re
import time
from typing import Literal

from ..guarding.text import visible
from ..vocabulary import Severity
from .result import CheckResult, Finding

_MOST_FINDINGS = 20
_QUOTE_CHARACTERS = 200

_LINE_END = re.compile(r"\r\n|\r|\n")
"""Line ends as Python, ruff and most languages count them."""


def static_result(name: Literal["parse", "lint"], findings: list[Finding], began: float) -> CheckResult:
    """The result: failed if there is any error. Errors come first. began: a `time.monotonic()` value."""
    ranked = sorted(findings, key=lambda finding: finding.severity != "error")[:_MOST_FINDINGS]
    seconds = time.monotonic() - began
    if not ranked or ranked[0].severity != "error":
        return CheckResult(name, "passed", findings=tuple(ranked), seconds=seconds)
    first = ranked[0]
    failure = f"line {first.line}: {first.message}\n{first.quote or ''}".strip()
    return CheckResult(name, "failed", first_failure=failure, findings=tuple(ranked), seconds=seconds)


def not_checked(why: str) -> CheckResult:
    """A parse result that says nothing about the code."""
    return CheckResult("parse", "not_run", note=f"not checked: {why}")


def finding_at(line: int | None, severity: Severity, message: str, source: str, code: str) -> Finding:
    """A finding with the text of its line. line: counted from 1."""
    lines = _LINE_END.split(code)
    quote = lines[line - 1].strip()[:_QUOTE_CHARACTERS] if line is not None and line <= len(lines) else None
    return Finding(severity, visible(message), source, line=line, quote=quote or None)


def line_at(code: str, position: int) -> int:
    """The line, counted from 1, of a character position."""
    return len(_LINE_END.findall(code, 0, position)) + 1
