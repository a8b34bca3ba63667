"""What a check says: the shapes that every check, receipt and tool answer share."""

from dataclasses import dataclass
from typing import Literal

from ..vocabulary import CheckName, Severity


@dataclass(frozen=True)
class Finding:
    """One thing a check has to say about the code."""

    severity: Severity
    message: str
    source: str
    """Who says so: `ruff`, `tree-sitter rust`, `json`, or a profile id."""
    path: str | None = None
    line: int | None = None
    """Counted from 1. None: not about one line."""
    quote: str | None = None
    """The very text of the code that it is about. None: not about one place."""


@dataclass(frozen=True)
class CheckResult:
    """How one check ended."""

    name: CheckName
    outcome: Literal["passed", "failed", "not_run"]
    """not_run: it could not be run, and `note` says why; it proves nothing either way."""
    executed: bool = False
    """True: the code was really run. Only such a check, passed, verifies an answer."""
    tests_passed: int | None = None
    tests_total: int | None = None
    """None: tests were not counted (a script of asserts, a parse)."""
    first_failure: str | None = None
    """What failed first, cleaned and at most 4,000 characters. None: nothing failed."""
    findings: tuple[Finding, ...] = ()
    sandbox: str | None = None
    """The sandbox it ran in. None: nothing was executed."""
    seconds: float = 0.0
    missing_module: str | None = None
    """A package that the code imports and the sandbox does not have. None: nothing was missing."""
    note: str | None = None
