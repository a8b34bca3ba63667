"""Which model is asked: the reference's algorithm, roles instead of names, and reasons for everything."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ...memory_store.confidence import Belief
from ...profiles.model import ModelProfile
from ...profiles.vocabulary import Checkpoint, Role, TaskType
from .candidates import Candidate, Circumstances, Constraints, candidates_for, judge, roles_in_order
from .complexity import Complexity

Source = Literal["memory", "rules", "checkpoint", "constraint", "override"]


@dataclass(frozen=True)
class Question:
    """What the selector is asked."""

    complexity: Complexity
    task_type: TaskType
    checkpoint: Checkpoint | None = None
    pinned: tuple[ModelProfile, ...] = ()
    """The models that the caller's `model` means, the preferred first. Empty: none was named."""
    constraints: Constraints = field(default_factory=Constraints)


@dataclass(frozen=True)
class Decision:
    """The choice, and everything that led to it."""

    chosen: Candidate
    """`chosen.why_not` is set when nothing could be asked: then it is what comes nearest."""
    source: Source
    complexity: Complexity
    task_type: TaskType
    confidence: float
    """80% lower credible bound of the chosen model's success, 0 to 1."""
    reason: str
    warnings: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    """All that were looked at, in the order in which they would be asked."""

    def stronger(self, than: Role, ladder: Sequence[Role]) -> tuple[Candidate, ...]:
        """The usable models of the roles above a role, weakest role first, one for each role.

        Empty for a model that the caller named: a pin is never replaced.
        """
        if self.source == "override":
            return ()
        above = ladder[ladder.index(than) + 1 :]
        first_of_role: dict[Role, Candidate] = {}
        seen = {self.chosen.profile.id}
        for candidate in sorted((c for c in self.candidates if c.role in above), key=lambda c: above.index(c.role)):
            if candidate.is_usable and candidate.role not in first_of_role and candidate.profile.id not in seen:
                first_of_role[candidate.role] = candidate
                seen.add(candidate.profile.id)
        return tuple(first_of_role.values())

    def kept_local(self) -> "Decision":
        """The same where nothing may leave the machine any more; those elsewhere cannot be asked."""
        candidates = tuple(candidate.kept_local() for candidate in self.candidates)
        return replace(self, chosen=self.chosen.kept_local(), candidates=candidates)

    def why_not(self, candidate: Candidate) -> str:
        """Why a candidate other than the chosen one was not chosen."""
        if candidate.why_not:
            return candidate.why_not
        if candidate.role == self.chosen.role:
            return f"{self.chosen.profile.id} comes before it among the models for the {candidate.role} role"
        return f"plays the {candidate.role} role; {self.reason}"


def select_model(question: Question, circumstances: Circumstances) -> Decision:
    """Decide who does a task (policy `reference`): pure, and always an answer.

    A named model is used or refused, never replaced. Otherwise memory goes first where it is sure
    enough, then a checkpoint's role, then the routing table; a role that nobody can play is taken by
    the next one up the ladder, else the next one down.
    """
    if question.pinned:
        return _pinned(question, circumstances)
    remembered, note = _remembered(question, circumstances)
    return remembered or _by_role(question, circumstances, note)


def _pinned(question: Question, circumstances: Circumstances) -> Decision:
    candidates = tuple(
        judge(p, _own_role(p, circumstances), question.complexity.score, question.constraints, circumstances)
        for p in question.pinned
    )
    chosen = next((c for c in candidates if c.is_usable), candidates[0])
    reason = f"{chosen.profile.id} was named by the caller"
    if chosen.why_not:
        reason += f", but cannot be used: {chosen.why_not.rstrip('.')}"
    return _decision(question, circumstances, chosen, "override", reason, candidates)


def _own_role(profile: ModelProfile, circumstances: Circumstances) -> Role:
    """The role a profile plays best; one that plays none stands where its line does, else above all."""
    catalogue = circumstances.catalogue
    ladder = catalogue.rules.ladder
    roles = profile.roles or {
        role: place for p in catalogue if p.line and p.line == profile.line for role, place in p.roles.items()
    }
    if not roles:
        return ladder[-1]
    return min(roles, key=lambda role: (roles[role], ladder.index(role)))


def _remembered(question: Question, circumstances: Circumstances) -> tuple[Decision | None, str | None]:
    """The decision that memory takes, or a word on why the model it prefers is not asked, or neither."""
    recollection, catalogue = circumstances.recollection, circumstances.catalogue
    if not recollection.best_model or recollection.best_model_confidence <= catalogue.rules.memory_confidence_above:
        return None, None
    profile = catalogue.profiles.get(recollection.best_model)
    if profile is None:
        return None, f"memory prefers {recollection.best_model}, of which there is no profile, so the rules decide"
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
    return _decision(question, circumstances, chosen, "memory", reason, candidates), None


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
        return _nobody(question, circumstances, wanted, why, candidates, note)
    if chosen.role == wanted:
        reason = f"{why}; {chosen.profile.id} plays it"
        return _decision(question, circumstances, chosen, source, reason, candidates, note)
    missing = _missing(wanted, candidates, circumstances)
    warning = (
        f"no model of the {wanted} role can be asked, so {chosen.profile.id} ({chosen.role}) takes its place. {missing}"
    )
    reason = f"{why}; none can be asked, so the {chosen.role} role takes its place"
    return _decision(question, circumstances, chosen, "constraint", reason, candidates, warning, note)


def _nobody(
    question: Question,
    circumstances: Circumstances,
    wanted: Role,
    why: str,
    candidates: tuple[Candidate, ...],
    note: str | None,
) -> Decision:
    offered = [c for c in candidates if c.profile.is_offered_on(circumstances.today)]
    chosen = next((c for c in offered if c.role == wanted), (*offered, *candidates)[0])
    warning = f"no model can be asked now. {_missing(wanted, candidates, circumstances)}"
    why_not = (chosen.why_not or "").rstrip(".")
    reason = f"{why}; nobody can be asked, and {chosen.profile.id} comes nearest: {why_not}"
    return _decision(question, circumstances, chosen, "constraint", reason, candidates, warning, note)


def _missing(wanted: Role, candidates: tuple[Candidate, ...], circumstances: Circumstances) -> str:
    """What would let the role's own models be asked: the commands and variables that are missing."""
    own = [c for c in candidates if c.role == wanted]
    offered = [c for c in own if c.profile.is_offered_on(circumstances.today)]
    return "; ".join(f"{c.profile.id}: {c.why_not}" for c in (offered or own)[:_MOST_NAMED])


def _candidates(first: Role, question: Question, circumstances: Circumstances) -> tuple[Candidate, ...]:
    roles = roles_in_order(first, circumstances, local_only=question.constraints.local_only)
    return tuple(
        candidates_for(roles, question.complexity.score, question.task_type, question.constraints, circumstances)
    )


def _decision(
    question: Question,
    circumstances: Circumstances,
    chosen: Candidate,
    source: Source,
    reason: str,
    candidates: tuple[Candidate, ...],
    *warnings: str | None,
) -> Decision:
    recollection, prior = circumstances.recollection, circumstances.catalogue.rules.prior
    notes = (*warnings, *chosen.doubts)
    return Decision(
        chosen=chosen,
        source=source,
        complexity=question.complexity,
        task_type=question.task_type,
        confidence=recollection.beliefs.get(chosen.profile.id, Belief()).confidence(prior),
        reason=reason,
        warnings=tuple(note for note in notes if note),
        candidates=candidates,
    )


_MOST_NAMED = 3
