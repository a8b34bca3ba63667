"""The models that a task may not ask any more, and why."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from ..provider import Unavailable, UnknownModelId
from ..routing.decision import Decision
from ..routing.plan import Step
from .attempt import Attempts


@dataclass
class Exclusions:
    decision: Decision
    attempts: Attempts
    local_only: bool
    """Becomes True when something is found that may not leave this machine."""
    too_slow: list[str] = field(default_factory=list[str])
    """Ids of models whose reply would come too late; twice if asked again."""
    too_expensive: set[str] = field(default_factory=set[str])
    """Ids of models that the money left does not pay for."""

    def models(self, again: Collection[str] = ()) -> set[str]:
        """Ids of all of them. again: exceptions for models that gave no answer."""
        return {*(set(self._unavailable()) - set(again)), *self.remote(), *self.too_expensive, *self.too_slow}

    def add_as_expensive_as(self, step: Step) -> None:
        """Exclude the model of a step that cannot be paid, and those that are expected to cost at least as much."""
        planner = self.decision.planner
        cost_usd = planner.cost_usd(step)
        self.too_expensive.add(step.model)
        self.too_expensive.update(
            candidate.profile.id
            for candidate in self.decision.candidates
            if candidate.is_usable and planner.cost_usd(Step(candidate.profile.id)) >= cost_usd > 0
        )

    def remote(self) -> Iterator[str]:
        """Ids of the models that are not on this machine, if nothing may leave it."""
        if self.local_only:
            yield from (c.profile.id for c in self.decision.candidates if not c.availability.is_local)

    def _unavailable(self) -> Iterator[str]:
        """Ids of the models whose last attempt gave no answer to judge, and all of an unavailable vendor."""
        for attempt in self.attempts.last_of_each():
            if attempt.has_failed:
                continue
            yield attempt.candidate.profile.id
            # No key, no credit, no connection: the vendor's other models have none either.
            if isinstance(attempt.request.error, Unavailable) and not isinstance(attempt.request.error, UnknownModelId):
                provider = attempt.candidate.profile.provider
                yield from (c.profile.id for c in self.decision.candidates if c.profile.provider == provider)
