"""The result models of the tools, which define their MCP output schemas, and their text rendering.

Separate from the tools themselves because a server publishes the schemas at startup. The receipt of a delegation is in
`cascade/receipt.py`.
"""

from typing import Literal

from pydantic import BaseModel, Field

from ..memory_store.records import Outcome
from ..profiles.price import in_dollars
from ..profiles.vocabulary import ProviderName, Role, TaskType
from .cascade.receipt import CheckReceipt
from .guarding.text import indented
from .vocabulary import Direction, Severity, Source, Verdict


class FactorAnswer(BaseModel):
    name: str
    value: str
    """The observed value, for display."""
    contribution: float


class ComplexityAnswer(BaseModel):
    score: float = Field(ge=1, le=10)
    factors: list[FactorAnswer]


class ExpectedAnswer(BaseModel):
    success: float
    cost_usd: float
    seconds: float | None = None
    is_estimated: bool
    """True: no published, measured or remembered result of this model exists."""
    estimated_from: str | None = None
    """The model of the same line whose results the estimate is based on. None: it is based on its role."""
    measured_tasks: int
    """How many suite tasks this model, in its present build, was measured on here."""


class Alternative(BaseModel):
    model: str
    expected: ExpectedAnswer
    why_not: str


class RouteAnswer(BaseModel):
    decision_id: str
    model: str
    provider: ProviderName
    api_model: str
    role: Role
    source: Source
    task_type: TaskType
    complexity: ComplexityAnswer
    confidence: float
    expected: ExpectedAnswer
    similar_tasks: int
    evidence: float
    alternatives: list[Alternative]
    reason: str
    warnings: list[str]

    def as_text(self) -> str:
        """The decision in a few lines."""
        seconds = f", about {self.expected.seconds:.0f} s" if self.expected.seconds is not None else ""
        estimated = " (estimated)" if self.expected.is_estimated else ""
        lines = [
            f"{self.model} ({self.role}, {self.provider}): {self.reason.rstrip('.')}.",
            f"Expected: {self.expected.success:.0%} success{estimated}, {in_dollars(self.expected.cost_usd)}{seconds}.",
            *(f"Warning: {indented(warning)}" for warning in self.warnings),
        ]
        return "\n".join(lines)


class FindingAnswer(BaseModel):
    severity: Severity
    path: str | None = None
    line: int | None = None
    quote: str | None = None
    message: str
    source: str


class ValidationAnswer(BaseModel):
    status: Literal["done", "refused", "over_budget"]
    verdict: Verdict
    findings: list[FindingAnswer]
    checks_run: list[CheckReceipt]
    model: str | None = None
    """The reviewer. Absent: no model was asked."""
    output_tokens: int = 0
    """The reviewer's billed output tokens, thinking included."""
    cost_usd: float = 0.0
    notes: list[str]

    def as_text(self) -> str:
        ran = ", ".join(f"{check.name} {check.outcome}" for check in self.checks_run) or "nothing"
        lines = [f"{self.verdict} ({ran})."]
        lines += [indented(_line(finding)) for finding in self.findings]
        return "\n".join([*lines, *map(indented, self.notes)])


class ReviewAnswer(BaseModel):
    status: Literal["done", "refused", "over_budget"]
    verdict: Direction | None = None
    """Absent: no review took place."""
    guidance: str = ""
    model: str | None = None
    output_tokens: int = 0
    """Thinking included, as billed."""
    cost_usd: float = 0.0
    reviews_left: int
    """Until 00:00 UTC."""
    notes: list[str]

    def as_text(self) -> str:
        said = f"{self.verdict}: {self.guidance}" if self.verdict else f"No review ({self.status})."
        return "\n".join([indented(said), *map(indented, self.notes), f"{self.reviews_left} reviews left today."])


class OutcomeAnswer(BaseModel):
    task_id: str
    outcome: Outcome
    model: str | None = None
    """The model that did the work. None: no model delivered an answer."""
    task_type: TaskType
    good: int
    """Successful delegations of this type to the model."""
    bad: int
    expected_success: float
    """0 to 1, for the next task of this type."""
    confidence: float
    """80% lower credible bound of `expected_success`."""

    def as_text(self) -> str:
        if self.model is None:
            return f"Recorded: {self.outcome}. No model had delivered an answer for this task."
        return (
            f"Recorded: {self.outcome}. {self.model} on {self.task_type}: {self.good} good, {self.bad} bad;"
            f" expected success {self.expected_success:.0%}, at least {self.confidence:.0%} with 80% certainty."
        )


def _line(finding: FindingAnswer) -> str:
    place = ":".join(str(part) for part in (finding.path, finding.line) if part is not None)
    return f"- {finding.severity}{f' {place}' if place else ''}: {finding.message} [{finding.source}]"
