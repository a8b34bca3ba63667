"""A task's remaining options: which models to ask next, given its attempts and what is left of its contract."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from ..provider import RateLimited, Unavailable, UnknownModelId
from ..routing.decision import Decision
from ..routing.plan import Plan, PlanLimits, Step
from ..routing.prediction import predict_outlay
from .attempt import Attempt, Attempts
from .contract import Contract


@dataclass
class Options:
    decision: Decision
    contract: Contract
    attempts: Attempts
    local_only: bool
    """Becomes True when something is found that may not leave this machine."""
    too_slow: list[str] = field(default_factory=list[str])
    """Ids of models left out because their reply would come too late; twice if asked again."""
    too_expensive: set[str] = field(default_factory=set[str])
    """Ids of models left out because the money left does not pay for them."""
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
        made, last, planner = self.attempts.made, self.last_not_rate_limited, self.decision.planner
        if include_too_expensive:
            candidates = [replace(c, obstacles=()) if c.is_only_too_expensive else c for c in planner.candidates]
            planner = replace(planner, candidates=candidates)
        return planner.plan(
            limits,
            [attempt.step for attempt in made if attempt.has_failed],
            left_out=self.left_out(again),
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
            limits, left_out=self.left_out(), at_any_price=True
        )
        return next(iter(plan.steps), None)

    def quickest(self) -> Step | None:
        """The fastest of models that would all be too late. None: there is none, or it was asked again."""
        slow = set(self.too_slow) - {*self._remote()}
        if not slow or len(set(self.too_slow)) < len(self.too_slow):
            return None  # it was asked again, and did not get its turn
        job = self.attempts.job

        def seconds(model: str) -> float:
            candidate = self.decision.candidate(model)
            return predict_outlay(candidate, job.complexity.score, is_repair=False).seconds or 0.0

        return Step(min(slow, key=lambda model: (seconds(model), self.too_slow.index(model))))

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

    def last_of_each(self) -> Collection[Attempt]:
        """The last attempt of each model."""
        return {attempt.candidate.profile.id: attempt for attempt in self.attempts.made}.values()

    @property
    def last_not_rate_limited(self) -> Attempt | None:
        """The last attempt that was not rate-limited."""
        return next((t for t in reversed(self.attempts.made) if not isinstance(t.request.error, RateLimited)), None)

    def as_expensive_as(self, step: Step) -> Iterator[str]:
        """Ids of models that are expected to cost at least as much as a step, its own first."""
        planner = self.decision.planner
        cost_usd = planner.cost_usd(step)
        yield step.model
        for candidate in self.decision.candidates:
            if candidate.is_usable and planner.cost_usd(Step(candidate.profile.id)) >= cost_usd > 0:
                yield candidate.profile.id

    def left_out(self, again: Collection[str] = ()) -> set[str]:
        """Ids of the models that no plan may ask. again: exceptions for models that gave no answer."""
        return {*(set(self._unavailable()) - set(again)), *self._remote(), *self.too_expensive, *self.too_slow}

    def _remote(self) -> Iterator[str]:
        """Ids of the models that are not on this machine, if nothing may leave it."""
        if self.local_only:
            yield from (c.profile.id for c in self.decision.candidates if not c.availability.is_local)

    def _unavailable(self) -> Iterator[str]:
        """Ids of the models whose last attempt gave no answer to judge, and all of an unavailable vendor."""
        for attempt in self.last_of_each():
            if attempt.has_failed:
                continue
            yield attempt.candidate.profile.id
            # No key, no credit, no connection: the vendor's other models have none either.
            if isinstance(attempt.request.error, Unavailable) and not isinstance(attempt.request.error, UnknownModelId):
                provider = attempt.candidate.profile.provider
                yield from (c.profile.id for c in self.decision.candidates if c.profile.provider == provider)
