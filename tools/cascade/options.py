"""A task's remaining options: what to do next, given its attempts and what is left of its contract."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from ..routing.decision import Decision
from ..routing.plan import Plan, PlanLimits, Step
from ..routing.prediction import predict_outlay
from .attempt import Attempt, Attempts
from .contract import Contract
from .exclusions import Exclusions


@dataclass
class Options:
    decision: Decision
    contract: Contract
    attempts: Attempts
    exclusions: Exclusions
    left_today_usd: float | None = None
    """US dollars left of the day's budget after the last attempt. None: it has no limit, or no attempt was made."""

    @property
    def left_usd(self) -> float | None:
        """US dollars that the contract has left. None: it names no limit."""
        cap_usd = self.contract.max_cost_usd
        return None if cap_usd is None else max(0.0, cap_usd - self.attempts.spent_usd)

    def limits(self, seconds: float) -> PlanLimits:
        """The limits left for a plan. seconds: until the contract's time is up."""
        amounts_usd = [usd for usd in (self.left_usd, self.left_today_usd) if usd is not None]
        return PlanLimits(self.contract.max_attempts - len(self.attempts.made), seconds, min(amounts_usd, default=None))

    def used_up(self, seconds: float) -> str | None:
        """A note on the limit of the contract that is used up. None: attempts and seconds are left."""
        if len(self.attempts.made) >= self.contract.max_attempts:
            return f"max_attempts ({self.contract.max_attempts}) is used up."
        if seconds <= 0:
            return f"max_seconds ({self.contract.max_seconds:g} s) is used up."
        return None

    def plan(
        self,
        limits: PlanLimits,
        *,
        at_any_price: bool = False,
        include_too_expensive: bool = False,
        again: Collection[str] = (),
    ) -> Plan:
        """The best plan after the attempts so far.

        at_any_price: see `Planner.plan`. include_too_expensive: include the models whose cost is their only obstacle.
        again: models to ask once more although they gave no answer.
        """
        made, last, planner = self.attempts.made, self.attempts.last_not_rate_limited, self.decision.planner
        if include_too_expensive:
            candidates = [replace(c, obstacles=()) if c.is_only_too_expensive else c for c in planner.candidates]
            planner = replace(planner, candidates=candidates)
        return planner.plan(
            limits,
            [attempt.step for attempt in made if attempt.has_failed],
            left_out=self.exclusions.models(again),
            may_repair=last is not None and self.can_be_repaired(last),
            at_any_price=at_any_price,
        )

    def untried_free_step(self, limits: PlanLimits) -> Step | None:
        """A step of an untried model without a price, whatever its role, since it costs nothing but time.

        None: there is none, or none would answer in time.
        """
        planner, tried = self.decision.planner, {attempt.candidate.profile.id for attempt in self.attempts.made}
        free = [c for c in planner.candidates if c.profile.price is None and c.profile.id not in tried]
        plan = replace(planner, candidates=free, every_model=True).plan(
            limits, left_out=self.exclusions.models(), at_any_price=True
        )
        return next(iter(plan.steps), None)

    def quickest(self) -> Step | None:
        """The fastest of models that would all be too late. None: there is none, or it was asked again."""
        too_slow = self.exclusions.too_slow
        slow = set(too_slow) - {*self.exclusions.remote()}
        if not slow or len(set(too_slow)) < len(too_slow):
            return None  # it was asked again, and did not get its turn
        job = self.attempts.job

        def seconds(model: str) -> float:
            candidate = self.decision.candidate(model)
            return predict_outlay(candidate, job.complexity.score, is_repair=False).seconds or 0.0

        return Step(min(slow, key=lambda model: (seconds(model), too_slow.index(model))))

    def form_repair(self) -> Step | None:
        """A repair by the same model if only the form of its last draft was wrong. None: something else was.

        An edit that does not apply, or code that does not parse, says little about how hard the task is.
        """
        last = self.attempts.made[-1] if self.attempts.made else None
        if last is None or last.is_repair or not last.failed_on_form or not self.can_be_repaired(last):
            return None
        return Step(last.candidate.profile.id, is_repair=True)

    def can_be_repaired(self, attempt: Attempt) -> bool:
        """Whether the same model may be given its failure, and did not just repeat an earlier answer."""
        if attempt.outcome != "failed_check" or attempt.first_failure is None or attempt.request.generation is None:
            return False
        if self.must_not_see_output(attempt):
            return False
        earlier = [t.answer.code for t in self.attempts.made if t is not attempt and t.answer is not None]
        return attempt.answer is None or attempt.answer.code not in earlier

    def must_not_see_output(self, attempt: Attempt) -> bool:
        """Whether the output of the checks must be withheld from the model that gave the answer."""
        return self.contract.private_output is not None and not attempt.candidate.availability.is_local
