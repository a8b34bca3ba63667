"""The reviewer: a senior model reads all of the code and reports defects in at most 100 visible tokens."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from ..asking.consulting import Consultation, clip_to_tokens, consult, explain, visible_tokens_at_most
from ..asking.tokens import estimate_tokens
from ..editing.prompt import Prompt, validation_prompt
from ..guarding.text import visible
from ..routing.candidates import Candidate
from ..routing.deciding import Job
from ..services import Services
from .result import CheckResult, Finding

VISIBLE_TOKENS_AT_MOST = 100

# Without numeric and length bounds, which the vendors do not enforce: see `_findings`.
_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["pass", "fail", "uncertain"]},
        "findings": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "severity": {"type": "string", "enum": ["error", "warning", "info"]},
                    "quote": {"type": "string", "description": "The shortest piece of the code, copied exactly."},
                    "message": {"type": "string", "description": "At most 15 words."},
                },
                "required": ["severity", "quote", "message"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["verdict", "findings"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Review:
    verdict: Literal["pass", "fail", "uncertain"]
    findings: tuple[Finding, ...]
    output_tokens: int
    """Billed tokens, thinking included."""
    cost_usd: float
    seconds: float
    notes: tuple[str, ...] = ()
    why_uncertain: str = "the reviewer is not certain either way"

    def as_check(self) -> CheckResult:
        if self.verdict == "uncertain":
            return CheckResult("review", "not_run", seconds=self.seconds, note=self.why_uncertain)
        outcome = "failed" if self.verdict == "fail" else "passed"
        return CheckResult("review", outcome, findings=self.findings, seconds=self.seconds)


Texts = Mapping[str | None, str]
"""The reviewed texts by path. None: not a file."""


def as_one(texts: Texts) -> str:
    """All reviewed texts, each file after a line with its path."""
    return "\n\n".join(text if path is None else f"# {path}\n{text}" for path, text in texts.items())


def review_request(candidate: Candidate, texts: Texts, task: str | None, language: str | None) -> Prompt:
    """The prompt for the reviewer."""
    limit = visible_tokens_at_most(candidate.profile, VISIBLE_TOKENS_AT_MOST)
    return validation_prompt(as_one(texts), task, language, visible_tokens=limit)


async def review_code(
    services: Services,
    candidate: Candidate,
    job: Job,
    *,
    task_id: str,
    texts: Texts,
    task: str | None,
    language: str | None,
    local_only: bool,
    is_allowed: bool,
) -> Review:
    """The reviewer's verdict. Findings whose quote is not in the code are dropped, with a note.

    A quote that occurs in several files is attributed to the first. A `pass` with an error finding counts as
    uncertain.

    is_allowed: as in `consult`. Raises NotAffordable, or a LedgerError (BudgetExceeded among them).
    """
    limit = visible_tokens_at_most(candidate.profile, VISIBLE_TOKENS_AT_MOST)
    consultation = await consult(
        services,
        candidate,
        task_id=task_id,
        kind="validation",
        job=job,
        prompt=review_request(candidate, texts, task, language),
        schema=_SCHEMA,
        local_only=local_only,
        is_allowed=is_allowed,
    )
    request, said = consultation.request, consultation.answer
    if said is None or said.get("verdict") not in ("pass", "fail", "uncertain"):
        why = explain(request.error, candidate.profile)
        usage, notes = request.usage, (f"review: {why}",)
        return Review("uncertain", (), usage.output_tokens, request.cost_usd, request.seconds, notes, why_uncertain=why)
    found = list(_findings(said, candidate.profile.id))
    quoted = [placed for finding in found if (placed := _placed(finding, texts)) is not None]
    kept = _within(quoted, limit)
    contradicts = said["verdict"] == "pass" and any(finding.severity == "error" for finding in kept)
    return Review(
        verdict="uncertain" if contradicts else said["verdict"],
        findings=tuple(kept),
        output_tokens=request.usage.output_tokens,
        cost_usd=request.cost_usd,
        seconds=request.seconds,
        notes=tuple(_remarks(consultation, len(found) - len(quoted), len(quoted) - len(kept), limit)),
        why_uncertain=_CONTRADICTS if contradicts else Review.why_uncertain,
    )


def _findings(said: Mapping[str, Any], source: str) -> Iterator[Finding]:
    listed: object = said.get("findings")
    for item in cast(Sequence[object], listed) if isinstance(listed, list) else ():
        if not isinstance(item, dict):
            continue
        fields = cast(Mapping[str, object], item)
        severity, quote, message = fields.get("severity"), fields.get("quote"), fields.get("message")
        if severity in ("error", "warning", "info") and isinstance(quote, str) and isinstance(message, str):
            yield Finding(severity, visible(message).strip(), source, quote=quote.strip())


def _within(findings: Sequence[Finding], tokens: int) -> list[Finding]:
    """The first findings that fit the token limit; at least one, truncated if necessary."""
    kept: list[Finding] = []
    for finding in findings:
        took = sum(estimate_tokens(f"{f.message}{f.quote}") for f in (*kept, finding))
        if took <= tokens:
            kept.append(finding)
        elif not kept:
            kept.append(replace(finding, message=clip_to_tokens(finding.message, tokens)))
    return kept


def _placed(finding: Finding, texts: Texts) -> Finding | None:
    """The finding with the path and line of its quote. None: the quote is not in the code."""
    quote = finding.quote
    for path, text in texts.items():
        if quote and quote in text:
            return replace(finding, path=path, line=text[: text.index(quote)].count("\n") + 1)
    return None


_CONTRADICTS = "the reviewer says pass, and reports an error"


def _remarks(consultation: Consultation, unquoted: int, cut: int, limit: int) -> Iterator[str]:
    if unquoted:
        yield f"review: {unquoted} finding(s) dropped, their quote is not in the code"
    if cut or consultation.visible_tokens > limit:
        yield f"review: it took {consultation.visible_tokens} visible tokens, {limit} are allowed; {cut} finding(s) cut"
