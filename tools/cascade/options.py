"""What a task may still do: whom to ask next and whom not, by what was tried and what the contract has left."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

from ..provider import RateLimited, Unavailable, UnknownModelId
from ..routing.decision import Decision
from ..routing.foresight import foresee
from ..routing.plan import Means, Plan, Step
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
    """Models that were left out because their reply would come too late."""
    too_dear: set[str] = field(default_factory=set[str])
    """Models that were left out because not even a short answer fits the money that is left."""
    of_the_day_usd: float | None = None
    """US dollars that the day's budget had left after the last attempt. None: it has no limit."""

    @property
    def left_usd(self) -> float | None:
        """US dollars that the contract has left. None: it names no limit."""
        cap_usd = self.contract.max_cost_usd
        return None if cap_usd is None else max(0.0, cap_usd - self.attempts.spent_usd)

    def means(self, seconds: float) -> Means:
        """What is left for a plan. seconds: until the contract's time is up."""
        limits = [usd for usd in (self.left_usd, self.of_the_day_usd) if usd is not None]
        return Means(self.contract.max_attempts - len(self.attempts.made), seconds, min(limits, default=None))

    def used_up(self, seconds: float) -> str | None:
        """Which limit of the contract is used up, for the receipt. None: neither attempts nor seconds are."""
        if len(self.attempts.made) >= self.contract.max_attempts:
            return f"max_attempts ({self.contract.max_attempts}) is used up."
        if seconds <= 0:
            return f"max_seconds ({self.contract.max_seconds:g} s) is used up."
        return None

    def plan(
        self,
        means: Means,
        *,
        at_any_price: bool = False,
        beyond_the_money: bool = False,
        again: Collection[str] = (),
    ) -> Plan:
        """What is worth doing next and after that, from what was tried.

        beyond_the_money: with the models that only their cost kept from being asked, too. again: models that
        are asked once more though they gave no answer.
        """
        made, heard, planner = self.attempts.made, self.last_heard, self.decision.planner
        if beyond_the_money:
            candidates = [replace(c, obstacles=()) if c.is_too_dear_alone else c for c in planner.candidates]
            planner = replace(planner, candidates=candidates)
        return planner.plan(
            means,
            [attempt.step for attempt in made if attempt.has_failed],
            left_out=self.left_out(again),
            may_repair=heard is not None and self.can_be_repaired(heard),
            at_any_price=at_any_price,
        )

    def another_free(self, means: Means) -> Step | None:
        """A model without a price that was not tried yet, though another plays its role: only time speaks against it.

        None: there is none, or none would answer in time.
        """
        planner, tried = self.decision.planner, {attempt.candidate.profile.id for attempt in self.attempts.made}
        free = [c for c in planner.candidates if c.profile.price is None and c.profile.id not in tried]
        plan = replace(planner, candidates=free, every_model=True).plan(
            means, left_out=self.left_out(), at_any_price=True
        )
        return next(iter(plan.steps), None)

    def quickest(self) -> Step | None:
        """Who is asked when all would come too late and nothing has been tried: whoever comes first."""
        slow = set(self.too_slow) - {*self._elsewhere()}
        if not slow or len(set(self.too_slow)) < len(self.too_slow):
            return None  # it was asked again, and its turn did not come
        job = self.attempts.job

        def seconds(model: str) -> float:
            candidate = self.decision.candidate(model)
            return foresee(candidate, job.complexity.score, is_repair=False).seconds or 0.0

        return Step(min(slow, key=lambda model: (seconds(model), self.too_slow.index(model))))

    def slip_corrected(self) -> Step | None:
        """Another answer of the same model when only the form of the last one was wrong. None: it was not that.

        An edit that finds no place, or code that does not parse, says little of how hard the task is.
        """
        last = self.attempts.made[-1] if self.attempts.made else None
        if last is None or last.is_repair or not last.is_a_slip or not self.can_be_repaired(last):
            return None
        return Step(last.candidate.profile.id, is_repair=True)

    def can_be_repaired(self, attempt: Attempt) -> bool:
        """Whether the same model can be told what was wrong, and has not just said what was said before."""
        if attempt.outcome != "failed_check" or attempt.first_failure is None or attempt.request.generation is None:
            return False
        if self.may_not_hear(attempt):
            return False
        earlier = [t.answer.code for t in self.attempts.made if t is not attempt and t.answer is not None]
        return attempt.answer is None or attempt.answer.code not in earlier

    def may_not_hear(self, attempt: Attempt) -> bool:
        """Whether what the checks print may not be told to the model that gave the answer."""
        return self.contract.private_output is not None and not attempt.candidate.availability.is_local

    def last_of_each(self) -> Collection[Attempt]:
        """The last attempt of each model."""
        return {attempt.candidate.profile.id: attempt for attempt in self.attempts.made}.values()

    @property
    def last_heard(self) -> Attempt | None:
        """The last attempt that its vendor let begin."""
        return next((t for t in reversed(self.attempts.made) if not isinstance(t.request.error, RateLimited)), None)

    def as_dear_as(self, step: Step) -> Iterator[str]:
        """Models that are expected to cost at least what a step does, its own first."""
        planner = self.decision.planner
        cost_usd = planner.cost_usd(step)
        yield step.model
        for candidate in self.decision.candidates:
            if candidate.is_usable and planner.cost_usd(Step(candidate.profile.id)) >= cost_usd > 0:
                yield candidate.profile.id

    def left_out(self, again: Collection[str] = ()) -> set[str]:
        """The models that no plan may ask, by profile id. again: those that may be, although they gave no answer."""
        return {*(set(self._silent()) - set(again)), *self._elsewhere(), *self.too_dear, *self.too_slow}

    def _elsewhere(self) -> Iterator[str]:
        """The models that are not on this machine, when nothing may leave it."""
        if self.local_only:
            yield from (c.profile.id for c in self.decision.candidates if not c.availability.is_local)

    def _silent(self) -> Iterator[str]:
        """The models that gave no answer to judge, and all of a vendor who answers nobody."""
        for attempt in self.last_of_each():
            if attempt.has_failed:
                continue
            yield attempt.candidate.profile.id
            # No key, no credit, no connection: the vendor's other models have none either.
            if isinstance(attempt.request.error, Unavailable) and not isinstance(attempt.request.error, UnknownModelId):
                provider = attempt.candidate.profile.provider
                yield from (c.profile.id for c in self.decision.candidates if c.profile.provider == provider)
