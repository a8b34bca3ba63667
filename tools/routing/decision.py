"""The question to the model selector, and its decision."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...memory_store.confidence import Belief
from ...profiles.model import ModelProfile
from ...profiles.vocabulary import Checkpoint, TaskType
from ..vocabulary import Source
from .candidates import Candidate, Circumstances, Constraints, doubts_about
from .complexity import Complexity
from .plan import Check, Plan, PlanLimits
from .planner import Planner, worth_of_a_solved_task_usd
from .policy import Policy


@dataclass(frozen=True)
class Question:
    """A request to select a model for a task."""

    complexity: Complexity
    task_type: TaskType
    checkpoint: Checkpoint | None = None
    pinned: tuple[ModelProfile, ...] = ()
    """The models that the caller's `model` refers to, preferred first. Empty: none was named."""
    constraints: Constraints = field(default_factory=Constraints)
    policy: Policy = "reference"
    check: Check | None = None
    """Reliability of the check that will be executed on answers. None: no check, so there is only one attempt."""
    limits: PlanLimits = field(default_factory=PlanLimits)
    """Limits of all attempts together."""
    every_model: bool = False
    """True: several models per role may be tried, one after the other."""
    task: str = ""
    """Its text, a seed: the same task explores the same model."""


@dataclass(frozen=True)
class Decision:
    """The chosen model, and everything that led to it."""

    chosen: Candidate
    """If no model is usable, the one closest to usable, with its `why_not`."""
    source: Source
    complexity: Complexity
    task_type: TaskType
    confidence: float
    """80% lower credible bound of the chosen model's success, 0 to 1."""
    reason: str
    warnings: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    """All that were considered, in the policy's order of preference."""
    planner: Planner
    """Plans what follows a failure."""
    plan: Plan | None = None
    """The plan that begins with the chosen model. None: it was not chosen by a plan."""

    def candidate(self, model: str) -> Candidate:
        """The usable candidate with this profile id."""
        return next(c for c in (self.chosen, *self.candidates) if c.profile.id == model and c.is_usable)

    def why_not(self, candidate: Candidate) -> str:
        """Why a candidate other than the chosen one was not chosen."""
        if candidate.why_not:
            return candidate.why_not
        if self.plan is not None:
            return self._why_not_first(candidate, self.plan)
        if candidate.role == self.chosen.role:
            return f"{self.chosen.profile.id} comes before it among the models for the {candidate.role} role"
        return f"plays the {candidate.role} role; {self.reason}"

    def _why_not_first(self, candidate: Candidate, plan: Plan) -> str:
        asked = list(dict.fromkeys(step.model for step in plan.steps))
        if candidate.profile.id in asked:
            before = asked[asked.index(candidate.profile.id) - 1]
            return f"asked if {before} fails: the plan begins with {self.chosen.profile.id}"
        if not self.planner.is_considered(candidate):
            return f"another model plays the {candidate.role} role, and only one per role is asked"
        return f"what it would add to {self.chosen.profile.id} is not worth its cost"


def decided(
    question: Question,
    circumstances: Circumstances,
    chosen: Candidate,
    source: Source,
    reason: str,
    candidates: tuple[Candidate, ...],
    *warnings: str | None,
    plan: Plan | None = None,
) -> Decision:
    """Build the decision, with the warnings that are not None and the chosen model's doubts."""
    recollection, prior = circumstances.recollection, circumstances.catalogue.rules.prior
    score, constraints = question.complexity.score, question.constraints
    notes = (*warnings, *(doubts_about(chosen, score, constraints, circumstances) if chosen.is_usable else ()))
    return Decision(
        chosen=chosen,
        source=source,
        complexity=question.complexity,
        task_type=question.task_type,
        confidence=recollection.beliefs.get(chosen.profile.id, Belief()).confidence(prior),
        reason=reason,
        warnings=tuple(note for note in notes if note),
        candidates=candidates,
        planner=planner_for(question, circumstances, candidates),
        plan=plan,
    )


def planner_for(question: Question, circumstances: Circumstances, candidates: Sequence[Candidate]) -> Planner:
    """The planner over these candidates, whichever is asked first.

    A model that the caller named is the only candidate, at the caller's expense: under policy `quality`.
    """
    complexity, constraints = question.complexity.score, question.constraints
    policy: Policy = "quality" if question.pinned else question.policy
    return Planner(
        candidates=candidates[:1] if question.pinned else candidates,
        complexity=complexity,
        check=question.check,
        worth_usd=worth_of_a_solved_task_usd(policy, complexity, constraints.prompt_tokens, circumstances),
        roles_sharing_a_model=() if constraints.local_only else circumstances.catalogue.rules.local_roles,
        every_model=question.every_model,
    )
