"""The receipt of a delegation: the code, its checks, and its cost."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, Field

from ...profiles.price import in_dollars
from ..guarding.text import fenced, indented
from ..vocabulary import AttemptOutcome, CheckName

if TYPE_CHECKING:
    from ..checking.result import CheckResult

Status = Literal["succeeded", "unverified", "failed", "running", "cancelled", "over_budget", "refused"]


class CheckReceipt(BaseModel):
    name: CheckName
    outcome: Literal["passed", "failed", "not_run"]
    tests_passed: int | None = None
    tests_total: int | None = None
    first_failure: str | None = None
    sandbox: str | None = None
    note: str | None = None

    @classmethod
    def of(cls, check: "CheckResult") -> Self:
        return cls(
            name=check.name,
            outcome=check.outcome,
            tests_passed=check.tests_passed,
            tests_total=check.tests_total,
            first_failure=check.first_failure,
            sandbox=check.sandbox,
            note=check.note,
        )


class AttemptReceipt(BaseModel):
    model: str
    outcome: AttemptOutcome
    thinking: bool
    checks: list[CheckReceipt]
    input_tokens: int
    output_tokens: int
    """Thinking included."""
    cost_usd: float
    seconds: float
    """Generation and checks."""
    delivered: bool | None = None
    """True: the receipt's `code` is from this attempt; absent in all others."""


class FileChange(BaseModel):
    """A file that was written, with the lines that are new and gone."""

    path: str
    added: int
    removed: int


class Saving(BaseModel):
    baseline_model: str
    amount: float
    """US dollars: the draft's prompt and the visible answer at the baseline's price, or the cost of the baseline's own
    attempts if it did the work, minus the total cost. Negative if the delegation cost more."""


class Egress(BaseModel):
    host: str
    requests: int
    bytes: int


class Receipt(BaseModel):
    """The answer of `delegate_generation`."""

    task_id: str
    status: Status
    model: str | None = None
    """The model that produced `code`. Absent: none did."""
    code: str | None = None
    files_changed: list[FileChange] = Field(default_factory=list[FileChange])
    attempts: list[AttemptReceipt] = Field(default_factory=list[AttemptReceipt])
    verified_by: list[CheckName] = Field(default_factory=list[CheckName])
    cost_usd: float = 0.0
    saved_usd: Saving | None = None
    egress: list[Egress] = Field(default_factory=list[Egress])
    notes: list[str] = Field(default_factory=list[str])

    def as_text(self) -> str:
        """The receipt as self-contained text, including the code."""
        lines = [f"{self._headline()} task_id {self.task_id}."]
        if self.attempts:
            whose = f"Model {self.model}, " if self.model else ""
            lines.append(f"{whose}{len(self.attempts)} attempt(s), {in_dollars(self.cost_usd)}{self._checked()}.")
        lines += [f"Wrote {change.path} (+{change.added} -{change.removed})." for change in self.files_changed]
        if self.files_changed:
            lines.append(f"`chargehand undo {self.task_id}` undoes that.")
        lines.extend(map(indented, self.notes))
        if self.failure is not None and self.failure.first_failure is not None:
            lines += [f"{self.failure.name} failed:", fenced(_shortened(self.failure.first_failure))]
        if self.code:
            lines.append(fenced(self.code))
        return "\n".join(lines)

    def _headline(self) -> str:
        if self.status == "unverified" and self._was_only_read:
            return "Unverified: nothing was executed; review it before use. `tests` or `checks` would verify it."
        if self.status != "failed":
            return _HEADLINES[self.status]
        if self.model is None:
            return "Failed: no model gave a usable answer." if self.attempts else "Failed: no model was asked."
        if self.attempts and self.attempts[-1].outcome in ("passed", "unverified"):
            return "Failed: the result could not be written; no file has changed."
        return _HEADLINES[self.status]

    def _checked(self) -> str:
        tests = next((c for c in self._delivered.checks if c.name == "tests"), None) if self._delivered else None
        if tests is None or tests.tests_total is None:
            return f", checked by {', '.join(self.verified_by)}" if self.verified_by else ""
        return f", {tests.tests_passed} of {tests.tests_total} tests passed"

    @property
    def _was_only_read(self) -> bool:
        checks = self._delivered.checks if self._delivered else []
        return bool(checks) and all(check.name in ("edit", "parse", "lint") for check in checks)

    @property
    def failure(self) -> CheckReceipt | None:
        """The first failed check of the delivered attempt. None: no check failed, or no attempt was delivered."""
        return next((c for c in self._delivered.checks if c.outcome == "failed"), None) if self._delivered else None

    @property
    def _delivered(self) -> AttemptReceipt | None:
        return next((attempt for attempt in self.attempts if attempt.delivered), None)


# Characters of a failure that the text shows, about 400 tokens; more of its end, which has the error itself.
_FAILURE_BEGINNING, _FAILURE_END = 500, 1_100


def _shortened(failure: str) -> str:
    if len(failure) <= _FAILURE_BEGINNING + _FAILURE_END:
        return failure
    return f"{failure[:_FAILURE_BEGINNING]}\n[…]\n{failure[-_FAILURE_END:]}"


_HEADLINES: dict[Status, str] = {
    "succeeded": "Succeeded: an executed check passed.",
    "unverified": "Unverified: no check, or not every check, was executed on this code; review it before use.",
    "failed": "Failed: no attempt passed its check. Any code below is the best attempt; it still fails.",
    "running": "Running.",
    "cancelled": "Cancelled.",
    "over_budget": "Over budget: the next request could cost more than is left.",
    "refused": "Refused: no model that may see this text can be asked.",
}
