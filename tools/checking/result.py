"""The result types shared by checks, receipts and tool answers."""

from dataclasses import dataclass
from typing import Literal

from ..vocabulary import CheckName, Severity


@dataclass(frozen=True)
class Finding:
    """One finding of a check about the code."""

    severity: Severity
    message: str
    source: str
    """Its origin: `ruff`, `tree-sitter rust`, `json`, or a profile id."""
    path: str | None = None
    line: int | None = None
    """Counted from 1. None: not about a single line."""
    quote: str | None = None
    """The exact code that it refers to. None: not about a single place."""


@dataclass(frozen=True)
class CheckResult:
    """The result of one check."""

    name: CheckName
    outcome: Literal["passed", "failed", "not_run"]
    """not_run: it could not be run, for the reason in `note`; says nothing about the answer."""
    executed: bool = False
    """True: the code was executed. Only a passed check of this kind verifies an answer."""
    tests_passed: int | None = None
    tests_total: int | None = None
    """None: tests were not counted (a script of asserts, a parse)."""
    first_failure: str | None = None
    """The first failure, cleaned, at most 4,000 characters. None: nothing failed."""
    findings: tuple[Finding, ...] = ()
    sandbox: str | None = None
    """The sandbox it ran in. None: nothing was executed."""
    seconds: float = 0.0
    missing_module: str | None = None
    """A package that the code imports and the sandbox lacks. None: no package is missing."""
    note: str | None = None
