"""Plans attempts over the models that can be asked for one task."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ...profiles.vocabulary import Role
from .candidates import Candidate, Circumstances
from .expectation import usual_output_tokens
from .plan import LEAST_SECONDS, WORTH_SECONDS, Check, Plan, PlanLimits, Prospect, Step, make_plan
from .policy import WORTH_IN_DIRECTORS, Policy
from .prediction import predict_outlay
from .thinking import should_think

# Assumed cost of a director's answer, in US dollars, if no profile with a price has the role.
_DIRECTORS_ANSWER_USD = 0.02

# A factor so large that neither cost nor wait matters, only the probability of success.
_NO_OBJECT = 1e6


@dataclass(frozen=True)
class Planner:
    """Chooses the next model, at the start of a task and after each failure."""

    candidates: Sequence[Candidate]
    """All that are considered; ties go to the earlier one."""
    complexity: float
    check: Check | None
    """Reliability of the check that will be executed on answers. None: no check."""
    worth_usd: float
    """The value of a solved task, above 0."""
    roles_sharing_a_model: Collection[Role] = ()
    """Roles that share one model, because a machine holds one at a time."""
    every_model: bool = False
    """True: several models per role may be tried, one after the other."""
    chances: Mapping[str, float] = field(default_factory=dict[str, float])
    """By profile id, the probability of success to use, 0 to 1; absent: the candidate's expected success."""

    def plan(
        self,
        limits: PlanLimits,
        failed: Sequence[Step] = (),
        *,
        left_out: Collection[str] = (),
        may_repair: bool = True,
        at_any_price: bool = False,
    ) -> Plan:
        """The best plan from here.

        failed: the attempts that did not pass, in order. left_out: ids of models that must not be asked
        (again). may_repair: whether the model that failed last may repair its answer. at_any_price: plan as if
        neither cost nor wait mattered, within the same limits.
        """
        unrepaired = None if may_repair or not failed else failed[-1].model
        is_repairing = self.check is not None or bool(failed)  # without a check a first failure goes unnoticed
        return make_plan(
            [
                self._prospect(c, can_repair=is_repairing and c.profile.id != unrepaired)
                for c in self._considered(failed, left_out)
            ],
            self.check,
            self.worth_usd * (_NO_OBJECT if at_any_price else 1),
            limits,
            failed,
            without=left_out,
            worth_seconds=WORTH_SECONDS * (_NO_OBJECT if at_any_price else 1),
        )

    def start(self, limits: PlanLimits) -> Plan | None:
        """The initial plan; None: no model can be asked.

        If nothing is worth its cost, one attempt of the cheapest model, since an answer was requested.
        """
        plan = self.plan(limits)
        if plan.steps:
            return plan
        prospects = [self._prospect(candidate, can_repair=False) for candidate in self._considered((), ())]
        if not prospects:
            return None
        cheapest = min(prospects, key=lambda prospect: prospect.draft.cost_usd)
        return Plan((Step(cheapest.model),), cheapest.success, cheapest.draft.cost_usd)

    def candidate(self, model: str) -> Candidate:
        """The usable candidate with this profile id."""
        return next(c for c in self.candidates if c.is_usable and c.profile.id == model)

    def seconds(self, step: Step) -> float:
        """Expected duration of a step, at least LEAST_SECONDS."""
        expected = predict_outlay(self.candidate(step.model), self.complexity, is_repair=step.is_repair).seconds
        return max(LEAST_SECONDS, expected or 0.0)

    def cost_usd(self, step: Step) -> float:
        """Expected cost of a step."""
        candidate = self.candidate(step.model)
        return predict_outlay(candidate, self.complexity, is_repair=step.is_repair).cost_usd

    def slot(self, candidate: Candidate) -> str:
        """The slot that the candidate competes for; a plan has at most one untried candidate per slot."""
        if self.every_model:
            return candidate.profile.id
        return "this machine" if candidate.role in self.roles_sharing_a_model else candidate.role

    def is_considered(self, candidate: Candidate) -> bool:
        """Whether the candidate is considered by an initial plan."""
        return any(player.profile.id == candidate.profile.id for player in self._considered((), ()))

    def _considered(self, failed: Sequence[Step], left_out: Collection[str]) -> list[Candidate]:
        """The models that were tried, and the first usable candidate of every other slot."""
        tried = {step.model for step in failed}
        models: dict[str, Candidate] = {}
        taken: set[str] = set()
        for candidate in sorted(self.candidates, key=lambda c: c.profile.id not in tried):
            model, slot = candidate.profile.id, self.slot(candidate)
            if not candidate.is_usable or model in models:
                continue
            if model in tried or (model not in left_out and slot not in taken):
                models[model] = candidate
                taken.add(slot)
        in_order = [candidate.profile.id for candidate in self.candidates]
        return sorted(models.values(), key=lambda c: in_order.index(c.profile.id))

    def _prospect(self, candidate: Candidate, *, can_repair: bool) -> Prospect:
        return Prospect(
            model=candidate.profile.id,
            success=self.chances.get(candidate.profile.id, candidate.expected.success),
            draft=predict_outlay(candidate, self.complexity, is_repair=False),
            repair=predict_outlay(candidate, self.complexity, is_repair=True) if can_repair else None,
            is_local=candidate.availability.is_local,
        )


def worth_of_a_solved_task_usd(
    policy: Policy, complexity: float, prompt_tokens: int, circumstances: Circumstances
) -> float:
    """The value of a solved task under the policy, whichever models can be asked today."""
    catalogue = circumstances.catalogue
    answers = (
        profile.cost_usd(
            input_tokens=prompt_tokens,
            output_tokens=usual_output_tokens(
                complexity,
                thinking=should_think(profile, complexity),
                pace=circumstances.pace.get(profile.id),
            ),
        )
        for profile in catalogue.models_in_role(catalogue.rules.ladder[-1], circumstances.today)
        if profile.price is not None
    )
    return WORTH_IN_DIRECTORS[policy] * next(answers, _DIRECTORS_ANSWER_USD)
