"""Selects the model: a pinned one, memory's confident choice, the reference's table, or the first step of a plan."""

from collections.abc import Iterator
from dataclasses import replace

from ...profiles.model import ModelProfile
from ...profiles.price import in_dollars
from ...profiles.vocabulary import Role
from ..vocabulary import Source
from .candidates import Candidate, Circumstances, candidates_for, judge, roles_in_order
from .decision import Decision, Question, decided, planner_for
from .exploration import sample_success
from .missing import doctor_hint, nearest, obstacles_in_words
from .plan import Plan
from .planner import Planner
from .prediction import predict_outlay


def select_model(question: Question, circumstances: Circumstances) -> Decision:
    """Select the model for a task. Pure; always returns a decision.

    A named model is used or refused, never replaced. Otherwise memory decides if it is confident enough,
    then a checkpoint's role, then the policy: under `reference` the routing table, where a role without a
    usable model falls back to the next one up the ladder, else the next one down; under the others the
    first step of the most valuable plan.
    """
    if question.pinned:
        return _pinned(question, circumstances)
    remembered, note = _remembered(question, circumstances)
    if remembered is not None:
        return remembered
    if question.policy == "reference" or question.checkpoint is not None:
        return _by_role(question, circumstances, note)
    return _by_plan(question, circumstances, note)


def _pinned(question: Question, circumstances: Circumstances) -> Decision:
    candidates = tuple(
        judge(p, _own_role(p, circumstances), question.complexity.score, question.constraints, circumstances)
        for p in question.pinned
    )
    chosen = next((c for c in candidates if c.is_usable), candidates[0])
    reason = f"{chosen.profile.id} was named by the caller"
    if chosen.why_not:
        reason += f", but cannot be used: {chosen.why_not.rstrip('.')}"
    others = tuple(candidate for candidate in candidates if candidate is not chosen)
    return decided(question, circumstances, chosen, "override", reason, (chosen, *others))


def _own_role(profile: ModelProfile, circumstances: Circumstances) -> Role:
    """The role in which a profile ranks best; without roles, its line's, else the top of the ladder."""
    catalogue = circumstances.catalogue
    ladder = catalogue.rules.ladder
    roles = profile.roles or {
        role: place for p in catalogue if p.line and p.line == profile.line for role, place in p.roles.items()
    }
    if not roles:
        return ladder[-1]
    return min(roles, key=lambda role: (roles[role], ladder.index(role)))


def _remembered(question: Question, circumstances: Circumstances) -> tuple[Decision | None, str | None]:
    """Memory's decision, or a note on why its preferred model is not asked, or neither."""
    recollection, catalogue = circumstances.recollection, circumstances.catalogue
    if not recollection.best_model or recollection.best_model_confidence <= catalogue.rules.memory_confidence_above:
        return None, None
    profile = catalogue.profiles.get(recollection.best_model)
    if profile is None:
        return None, f"memory prefers {recollection.best_model}, which has no profile, so the rules decide"
    if profile.lifecycle.on_probation:
        return None, f"memory prefers {profile.id}, which is on probation, so the rules decide"
    role = _own_role(profile, circumstances)
    chosen = judge(profile, role, question.complexity.score, question.constraints, circumstances)
    if not chosen.is_usable:
        return None, f"memory prefers {profile.id}, which cannot be asked ({chosen.why_not}), so the rules decide"
    others = _candidates(role, question, circumstances)
    reason = (
        f"{profile.id} did best on {recollection.similar_tasks} similar tasks"
        f" (confidence {recollection.best_model_confidence:.2f})"
    )
    candidates = (chosen, *(c for c in others if c.profile.id != profile.id))
    return decided(question, circumstances, chosen, "memory", reason, candidates), None


def _by_role(question: Question, circumstances: Circumstances, note: str | None) -> Decision:
    rules, local_only = circumstances.catalogue.rules, question.constraints.local_only
    score = question.complexity.score
    source: Source = "rules"
    if question.checkpoint is not None:
        source = "checkpoint"
        wanted = rules.local_checkpoint_role if local_only else rules.checkpoints[question.checkpoint]
        why = f"the {question.checkpoint} checkpoint belongs to the {wanted} role"
    else:
        wanted = rules.role_for(score, question.task_type, local_only=local_only)
        where = " on this machine" if local_only else ""
        why = f"complexity {score:g} ({question.task_type}) belongs to the {wanted} role{where}"
    candidates = _candidates(wanted, question, circumstances)
    chosen = next((c for c in candidates if c.is_usable), None)
    if chosen is None:
        return _none_usable(question, circumstances, why, candidates, note)
    if chosen.role == wanted:
        reason = f"{why}; {chosen.profile.id} plays it"
        return decided(question, circumstances, chosen, source, reason, candidates, note)
    instead = f"{chosen.profile.id} ({chosen.role}) takes its place"
    warning = _substitute_warning(wanted, instead, candidates)
    reason = f"{why}; none can be asked, so the {chosen.role} role takes its place"
    return decided(question, circumstances, chosen, "constraint", reason, candidates, warning, note)


def _by_plan(question: Question, circumstances: Circumstances, note: str | None) -> Decision:
    """The first step of the most valuable plan.

    Ties go to the local model for such tasks, then to the next stronger roles.
    """
    score = question.complexity.score
    here = circumstances.catalogue.rules.role_for(score, question.task_type, local_only=True)
    candidates = _candidates(here, question, circumstances)
    why = f"complexity {score:g} ({question.task_type})"
    planner = planner_for(question, circumstances, candidates)
    plan, usual = _start(planner, question, circumstances)
    if plan is None:
        return _none_usable(question, circumstances, why, candidates, note)
    chosen = planner.candidate(plan.steps[0].model)
    if usual is None:
        reason = f"{why}: {_in_words(plan, planner, question)}"
    else:
        # The plan was made from sampled probabilities, which must not be shown as estimates.
        plan, reason = None, f"{why}: {_trial_in_words(chosen, usual, circumstances)}"
    too_slow = None if usual is not None else _too_slow(chosen, planner, question)
    ideal = _ideal_choice(question, circumstances, candidates)
    slot = planner.slot(ideal)
    if any(c.is_usable and (c.role == ideal.role or planner.slot(c) == slot) for c in candidates):
        return decided(question, circumstances, chosen, "rules", reason, candidates, note, too_slow, plan=plan)
    instead = f"{chosen.profile.id} ({chosen.role}) comes first"
    warning = _substitute_warning(ideal.role, instead, candidates)
    return decided(
        question, circumstances, chosen, "constraint", reason, candidates, warning, note, too_slow, plan=plan
    )


def _too_slow(chosen: Candidate, planner: Planner, question: Question) -> str | None:
    """A note on the free local model that would come first with more time. None: time is not the reason."""
    if question.limits.seconds is None or chosen.profile.price is None:
        return None
    with_time = planner.start(replace(question.limits, seconds=None))
    slow = planner.candidate(with_time.steps[0].model) if with_time is not None else chosen
    seconds = predict_outlay(slow, planner.complexity, is_repair=False).seconds
    if not slow.availability.is_local or seconds is None or seconds <= question.limits.seconds:
        return None
    return (
        f"{slow.profile.id}: not asked: needs about {seconds:.0f} s of max_seconds {question.limits.seconds:g}."
        " Raise it to have it asked."
    )


def _start(planner: Planner, question: Question, circumstances: Circumstances) -> tuple[Plan | None, Candidate | None]:
    """The initial plan, and the model that it replaces in order to explore another. None: it explores none.

    With a check there is no need to explore: plans begin with cheap models and go on to others. Without one there
    is something to learn only if the user reports outcomes.
    """
    plan = planner.start(question.limits)
    if plan is None or question.check is not None or not circumstances.has_user_feedback:
        return plan, None
    known = circumstances.recollection.tasks_known
    usable = {c.profile.id: c.expected.success for c in planner.candidates if c.is_usable}
    chances = {m: sample_success(success, known.get(m, 0.0), f"{m}\n{question.task}") for m, success in usable.items()}
    other = replace(planner, chances=chances).start(question.limits)
    if other is None or other.steps[0] == plan.steps[0]:
        return plan, None
    return other, planner.candidate(plan.steps[0].model)


def _trial_in_words(chosen: Candidate, usual: Candidate, circumstances: Circumstances) -> str:
    known = circumstances.recollection.tasks_known.get(chosen.profile.id, 0.0)
    return (
        f"{chosen.profile.id} is tried instead of {usual.profile.id} to learn more about it: expected success"
        f" {chosen.expected.success:.0%} ({known:.0f} tasks known), of {usual.profile.id} {usual.expected.success:.0%}"
    )


def _ideal_choice(question: Question, circumstances: Circumstances, candidates: tuple[Candidate, ...]) -> Candidate:
    """The first choice if every model that is offered and may see the text were usable, whatever the day's budget."""
    all_there = [
        replace(candidate, obstacles=())
        for candidate in candidates
        if candidate.profile.is_offered_on(circumstances.today)
        and (candidate.availability.is_local or not question.constraints.local_only)
    ]
    planner = planner_for(question, circumstances, all_there)
    plan = planner.start(replace(question.limits, usd=question.constraints.max_cost_usd))
    return planner.candidate(plan.steps[0].model) if plan else candidates[0]


def _in_words(plan: Plan, planner: Planner, question: Question) -> str:
    chosen = planner.candidate(plan.steps[0].model)
    costs = in_dollars(planner.cost_usd(plan.steps[0]))
    known = f" ({chosen.evidence_text})" if chosen.evidence_text else ""
    first = f"{chosen.profile.id}, expected success {chosen.expected.success:.0%}{known} for about {costs}"
    if question.check is None:
        return f"nothing will be executed, so only one model is asked; `{question.policy}` expects most from {first}"
    others = list(dict.fromkeys(s.model for s in plan.steps if s.model != chosen.profile.id))
    then = f"; if it fails, {', then '.join(others)}" if others else ""
    whole = f"; overall {plan.success:.0%} for about {in_dollars(plan.cost_usd)}"
    return f"`{question.policy}` begins with the best gain for the cost: {first}{then}{whole}"


def _none_usable(
    question: Question, circumstances: Circumstances, why: str, candidates: tuple[Candidate, ...], note: str | None
) -> Decision:
    near = nearest(candidates)
    untried = next(_on_probation(question, circumstances), None)
    if untried is None:
        warning = f"no model can be asked now. {obstacles_in_words(near)}. {doctor_hint(near)}".rstrip()
    else:
        warning = (
            f"no model can be asked without being named: {untried} is on probation until"
            f' `chargehand evaluate --models {untried}` has measured it. model="{untried}" asks it now.'
        )
    reason = f"{why}; no model can be asked"
    return decided(question, circumstances, near[0], "constraint", reason, candidates, warning, note)


def _on_probation(question: Question, circumstances: Circumstances) -> Iterator[str]:
    """Ids of models on probation that are usable, but only if they are named."""
    for profile in circumstances.catalogue:
        if profile.lifecycle.on_probation:
            role = _own_role(profile, circumstances)
            if judge(profile, role, question.complexity.score, question.constraints, circumstances).is_usable:
                yield profile.id


def _substitute_warning(wanted: Role, instead: str, candidates: tuple[Candidate, ...]) -> str:
    """A warning that another role takes over, with what would make the wanted role's models usable."""
    own = [c for c in candidates if c.role == wanted]
    return f"no model of the {wanted} role can be asked, so {instead}. {obstacles_in_words(nearest(own))}."


def _candidates(first: Role, question: Question, circumstances: Circumstances) -> tuple[Candidate, ...]:
    return tuple(
        candidates_for(
            roles_in_order(first, circumstances, local_only=question.constraints.local_only),
            question.complexity.score,
            question.task_type,
            question.constraints,
            circumstances,
            reference_first=question.policy == "reference",
        )
    )
