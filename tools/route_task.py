"""`route_task`: which model would do a task, with what expected result, and why not another."""

import secrets
from collections.abc import Sequence

from ..memory_store.adherence import losing_class
from ..memory_store.recollection import Recollection
from ..memory_store.records import NewDecision
from ..profiles.price import in_dollars
from ..profiles.vocabulary import Checkpoint, TaskType
from .answers import Alternative, ComplexityAnswer, ExpectedAnswer, FactorAnswer, RouteAnswer
from .editing.context import read_context
from .editing.patterns import find_files
from .guarding.examining import examine_call
from .routing.candidates import Candidate
from .routing.deciding import analyze, decide
from .routing.decision import Decision
from .services import MemoryQuery, Services

ALTERNATIVES_AT_MOST = 5


async def route_task(
    services: Services,
    *,
    task: str,
    task_type: TaskType | None = None,
    context_files: Sequence[str] = (),
    checkpoint: Checkpoint | None = None,
    local_only: bool = False,
    max_cost_usd: float | None = None,
    max_latency_s: float | None = None,
    model: str | None = None,
) -> RouteAnswer:
    """The decision for a task, recorded in the ledger. Asks vendors only for availability, never for an answer.

    Raises a CallerError, ProfileError or LedgerError.
    """
    found = await find_files(context_files, services.roots)
    files = await read_context(found.paths, services.roots)
    job = analyze(task, task_type, files, notes=found.notes)
    examined = await examine_call(services, {"task": task}, files)
    local_only = local_only or examined.must_stay_local
    circumstances = await services.survey(MemoryQuery(task, job.task_type, local_only, job.complexity.score))
    decision = await decide(
        job,
        services,
        circumstances,
        checkpoint=checkpoint,
        model=model,
        local_only=local_only,
        max_cost_usd=max_cost_usd,
        max_latency_s=max_latency_s,
    )
    decision_id = secrets.token_hex(16)
    await services.ledger.record_decision(new_decision(decision_id, None, decision))
    notes = [*examined.notes, *job.notes, *filter(None, [services.catalogue.not_in_force])]
    answer = _answer(decision_id, decision, circumstances.recollection, notes)
    if (losing := await losing_class(services.ledger, job.task_type)) is not None:
        answer.warnings.append(
            f"Delegating {losing.task_type} has cost {in_dollars(losing.lost_usd)} more than it was worth over"
            f" {losing.judged} tasks: do such a task yourself, unless a local model takes it."
        )
    return answer


def new_decision(decision_id: str, task_id: str | None, decision: Decision) -> NewDecision:
    """The decision as a ledger record."""
    return NewDecision(
        id=decision_id,
        task_id=task_id,
        model=decision.chosen.profile.id,
        role=decision.chosen.role,
        source=decision.source,
        task_type=decision.task_type,
        complexity=decision.complexity.score,
        confidence=decision.confidence,
        reason=decision.reason,
        expected_success=decision.chosen.expected.success,
    )


def _answer(decision_id: str, decision: Decision, recollection: Recollection, notes: Sequence[str]) -> RouteAnswer:
    chosen = decision.chosen
    return RouteAnswer(
        decision_id=decision_id,
        model=chosen.profile.id,
        provider=chosen.profile.provider,
        api_model=chosen.availability.api_model or chosen.profile.api_model,
        role=chosen.role,
        source=decision.source,
        task_type=decision.task_type,
        complexity=ComplexityAnswer(
            score=decision.complexity.score,
            factors=[
                FactorAnswer(name=f.name, value=f.value, contribution=f.contribution)
                for f in decision.complexity.factors
            ],
        ),
        confidence=round(decision.confidence, 3),
        expected=_expected(chosen),
        similar_tasks=recollection.similar_tasks,
        evidence=recollection.evidence,
        alternatives=[_alternative(c, decision) for c in _others(decision)[:ALTERNATIVES_AT_MOST]],
        reason=decision.reason,
        warnings=[*notes, *decision.warnings, *([recollection.note] if recollection.note else [])],
    )


def _others(decision: Decision) -> list[Candidate]:
    """One candidate per model, except the chosen one; retired models last, because they are rarely available."""
    first_of_model: dict[str, Candidate] = {}
    for candidate in decision.candidates:
        first_of_model.setdefault(candidate.profile.id, candidate)
    others = [c for model, c in first_of_model.items() if model != decision.chosen.profile.id]
    return sorted(others, key=lambda c: any(o.kind == "retired" for o in c.obstacles))


def _alternative(candidate: Candidate, decision: Decision) -> Alternative:
    return Alternative(model=candidate.profile.id, expected=_expected(candidate), why_not=decision.why_not(candidate))


def _expected(candidate: Candidate) -> ExpectedAnswer:
    expected = candidate.expected
    return ExpectedAnswer(
        success=round(expected.success, 3),
        cost_usd=round(expected.cost_usd, 6),
        seconds=None if expected.seconds is None else round(expected.seconds, 1),
        is_estimated=candidate.is_estimated,
        estimated_from=candidate.ancestor,
        measured_tasks=candidate.measured_tasks,
    )
