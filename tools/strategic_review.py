"""`strategic_review`: the director's verdict at a major checkpoint, in one or two sentences."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from ..memory_store.errors import BudgetExceeded, DailyLimitReached
from ..profiles.model import ModelProfile
from ..profiles.price import in_dollars
from .answers import ReviewAnswer
from .asking.consulting import (
    Consultation,
    clip_to_tokens,
    consult,
    explain,
    price_needing_consent,
    visible_tokens_at_most,
    within_daily_budget,
)
from .asking.request import NotAffordable, RequestResult
from .asking.tokens import estimate_tokens
from .editing.context import ContextFile, read_context
from .editing.fitting import packed_for
from .editing.packing import Packed
from .editing.patterns import FoundFiles, find_files
from .editing.prompt import Prompt, review_prompt
from .errors import LimitReached, NoModelAvailable
from .guarding.examining import examine_call
from .guarding.outgoing import MustStayLocal
from .guarding.privacy import Examination
from .guarding.text import visible
from .provider import RequestRefused, Unavailable
from .routing.deciding import Job, analyze, decide
from .routing.selection import Decision
from .services import Services

VISIBLE_TOKENS_AT_MOST = 50

_SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["continue", "redirect", "stop"]},
        "guidance": {"type": "string", "description": "One or two sentences."},
    },
    "required": ["verdict", "guidance"],
    "additionalProperties": False,
}


async def strategic_review(
    services: Services,
    *,
    goal: str,
    progress: str,
    question: str | None = None,
    context_files: Sequence[str] = (),
    local_only: bool = False,
    is_allowed: bool = False,
) -> ReviewAnswer:
    """Ask the director once.

    is_allowed: whether the user has approved a cost above the limit that needs no approval: see `price_of_review`.
    Raises LimitReached when the day's reviews are used up, NoModelAvailable, or another CallerError or LedgerError.
    """
    plan = await _plan_review(services, goal, progress, question, context_files, local_only=local_only)
    chosen = plan.decision.chosen
    if not chosen.is_usable:
        return await _without_director(services, plan)
    try:
        consultation = await _consult(services, plan, is_allowed=is_allowed)
    except (NotAffordable, BudgetExceeded) as error:
        return await _no_review(services, "over_budget", str(error))
    except MustStayLocal as error:
        return await _no_review(services, "refused", str(error))
    answer = consultation.answer
    if answer is None or answer.get("verdict") not in ("continue", "redirect", "stop"):
        raise _no_verdict(consultation.request, chosen.profile)
    text = visible(str(answer.get("guidance", ""))).strip()
    guidance = clip_to_tokens(text, plan.visible_tokens)
    beside = filter(None, [plan.packed.note, services.catalogue.not_in_force])
    notes = [*plan.examined.notes, *plan.found.notes, *beside, *plan.decision.warnings]
    if guidance != text:
        notes.append(
            f"guidance was cut: it took {consultation.visible_tokens} visible tokens, {plan.visible_tokens} are allowed"
        )
    return ReviewAnswer(
        status="done",
        verdict=answer["verdict"],
        guidance=guidance,
        model=chosen.profile.id,
        output_tokens=consultation.request.usage.output_tokens,
        cost_usd=round(consultation.request.cost_usd, 6),
        reviews_left=await _reviews_left(services),
        notes=notes,
    )


async def price_of_review(
    services: Services,
    *,
    goal: str,
    progress: str,
    question: str | None = None,
    context_files: Sequence[str] = (),
    local_only: bool = False,
) -> float | None:
    """The maximum cost in US dollars, if it needs the user's approval, else None. Raises a CallerError."""
    plan = await _plan_review(services, goal, progress, question, context_files, local_only=local_only)
    if not plan.decision.chosen.is_usable:
        return None
    return price_needing_consent(services, plan.decision.chosen, plan.prompt(plan.packed.files))


@dataclass(frozen=True)
class _ReviewPlan:
    """The prepared question and the chosen director."""

    goal: str
    progress: str
    question: str | None
    found: FoundFiles
    job: Job
    examined: Examination
    is_local: bool
    decision: Decision

    @cached_property
    def packed(self) -> Packed:
        return packed_for(self.decision.chosen, self.job, beside_tokens=estimate_tokens(self.prompt(()).text))

    def prompt(self, files: Sequence[ContextFile]) -> Prompt:
        return review_prompt(self.goal, self.progress, self.question, files=files, visible_tokens=self.visible_tokens)

    @property
    def visible_tokens(self) -> int:
        """How many visible tokens the answer may have."""
        return visible_tokens_at_most(self.decision.chosen.profile, VISIBLE_TOKENS_AT_MOST)


async def _plan_review(
    services: Services,
    goal: str,
    progress: str,
    question: str | None,
    context_files: Sequence[str],
    *,
    local_only: bool,
) -> _ReviewPlan:
    found = await find_files(context_files, services.roots)
    files = await read_context(found.paths, services.roots)
    job = analyze("\n\n".join(filter(None, (goal, progress, question))), "review", files)
    examined = await examine_call(services, {"goal": goal, "progress": progress, "question": question}, files)
    is_local = local_only or examined.must_stay_local or services.rules.local_only
    circumstances = await services.survey(local_only=is_local)
    decision = await decide(
        job, services, circumstances, checkpoint="strategic", local_only=is_local, within_daily_budget=False
    )
    plan = _ReviewPlan(goal, progress, question, found, job, examined, is_local, decision)
    prompt = plan.prompt(plan.packed.files)
    affordable = await within_daily_budget(services, decision, "strategic", prompt, job, circumstances)
    return plan if affordable is decision else replace(plan, decision=affordable)


async def _consult(services: Services, plan: _ReviewPlan, *, is_allowed: bool) -> Consultation:
    try:
        return await consult(
            services,
            plan.decision.chosen,
            task_id=secrets.token_hex(16),
            kind="review",
            job=plan.job,
            prompt=plan.prompt(plan.packed.files),
            schema=_SCHEMA,
            local_only=plan.is_local,
            is_allowed=is_allowed,
            at_most_per_day=services.rules.reviews_per_day,
        )
    except DailyLimitReached as error:
        raise LimitReached(
            f"all {error.limit} reviews of the day are used. They reset at 00:00 UTC; CHARGEHAND_REVIEWS_PER_DAY"
            " changes the limit."
        ) from error


def _no_verdict(request: RequestResult, director: ModelProfile) -> NoModelAvailable:
    """The error for a request without a usable answer: the cause, the cost, and whether to try again."""
    cost = f" It cost {in_dollars(request.cost_usd)}." if request.cost_usd else ""
    lasts = isinstance(request.error, (Unavailable, RequestRefused))
    remedy = "Or go on without a review." if lasts else "Try again, or go on without a review."
    return NoModelAvailable(f"{explain(request.error, director)}.{cost} {remedy}")


async def _without_director(services: Services, plan: _ReviewPlan) -> ReviewAnswer:
    """The refusal of a task that must stay on a machine without a director. Else raises NoModelAvailable."""
    decision, examined = plan.decision, plan.examined
    if not plan.is_local:
        raise NoModelAvailable(" ".join(decision.warnings) or decision.reason)
    beside = filter(None, [examined.remedy, services.catalogue.not_in_force])
    return await _no_review(services, "refused", *examined.notes, *decision.warnings, *beside)


async def _no_review(services: Services, status: Literal["refused", "over_budget"], *why: str) -> ReviewAnswer:
    return ReviewAnswer(status=status, reviews_left=await _reviews_left(services), notes=list(why))


async def _reviews_left(services: Services) -> int:
    return max(0, services.rules.reviews_per_day - await services.ledger.begun_today("review"))
