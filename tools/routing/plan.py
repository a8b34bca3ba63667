"""Finds the plan of greatest expected value: which model to ask first, which after a failure, and when to stop.

The expected benefit of each attempt, given all failures before it, is weighed against its cost and its
wait. With a check a plan goes on until an answer passes or no attempt is worth its cost; without one a
failure would go unnoticed, so a plan is a single attempt.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from .difficulty import Difficulty, PerLevel, multiply, weighted_sum

# Waiting has a price: WORTH_SECONDS of it cost as much as a solved task is worth. An attempt counts as at
# least LEAST_SECONDS, and as exactly that if its duration is unknown. Our own judgement.
WORTH_SECONDS = 3_000.0
LEAST_SECONDS = 30.0

# Steps whose values differ by at most this share of a solved task's worth are tied: a local model wins. Among the
# others the cheapest comes first, so that rewording a task changes nothing; a later step follows a failure on the same
# text, so there the greater value wins (docs/decisions/plans.md).
_TIE_SHARE = 0.01


@dataclass(frozen=True)
class Outlay:
    """Expected cost and time of one answer."""

    cost_usd: float = 0.0
    seconds: float | None = None
    """None: unknown."""
    is_guess: bool = False
    """True: `seconds` may affect the order of models, but not exclude one."""


@dataclass(frozen=True)
class Prospect:
    """What a plan needs to know of one model."""

    model: str
    success: float
    """Probability, 0 to 1, that its first answer to this task is right."""
    draft: Outlay
    repair: Outlay | None = None
    """For a second answer, given the failure of the first. None: no second attempt."""
    is_local: bool = False


@dataclass(frozen=True)
class Check:
    """Reliability of an executed check."""

    false_pass: float = 0.0
    """Share of the wrong answers that pass, 0 to 1."""
    false_fail: float = 0.0
    """Share of the right answers that do not, 0 to 1."""
    worth_of_refused: float = 0.0
    """Value of a last answer that is right but did not pass, relative to one that passed, 0 to 1. 1: it is used
    anyway; 0: it is discarded."""


@dataclass(frozen=True)
class PlanLimits:
    """The limits left for a plan."""

    attempts: int = 20
    """Attempts left."""
    seconds: float | None = None
    """Seconds left. None: no limit."""
    usd: float | None = None
    """US dollars left. None: no limit."""


_NO_LIMIT = PlanLimits()


@dataclass(frozen=True)
class Step:
    """One attempt: a first answer, or a repair, which is given the failure of the answer before it."""

    model: str
    is_repair: bool = False


@dataclass(frozen=True)
class Plan:
    """Attempts in order, each made only if all before it have failed."""

    steps: tuple[Step, ...]
    """Empty: no attempt is worth its cost."""
    success: float
    """Probability, 0 to 1, that one of the steps solves the task."""
    cost_usd: float
    """Expected cost: each step weighted by the probability that it is needed."""


def make_plan(
    prospects: Sequence[Prospect],
    check: Check | None,
    worth_usd: float,
    limits: PlanLimits = _NO_LIMIT,
    failed: Sequence[Step] = (),
    *,
    without: Collection[str] = (),
    worth_seconds: float = WORTH_SECONDS,
) -> Plan:
    """The plan of greatest expected value from here on.

    prospects: including the models that have failed. check: None if nothing is executed. worth_usd: the value of
    a solved task, above 0; no step is taken that costs more than its benefit. failed: attempts that did not
    pass, in order. A model's repair directly follows its own draft or is never made. without: models that give
    no further answer. worth_seconds: the wait, above 0, that costs as much as a solved task is worth.
    """
    return _Search(prospects, check, worth_usd, limits, worth_seconds).plan(failed, without)


@dataclass(frozen=True)
class _Option:
    """A step, with the figures needed to evaluate it."""

    step: Step
    bit: int
    is_local: bool
    cost_usd: float
    price_usd: float
    """Its cost, plus the price of its wait."""
    seconds: float
    """Seconds that must be left for it."""
    passes_right: PerLevel
    fails: PerLevel
    refused_right: PerLevel


@dataclass(frozen=True)
class _Node:
    """A search state: the steps so far, all of which have failed."""

    joint: PerLevel
    """Joint probability of each level and all these failures."""
    closed: int = 0
    """Bits of the options that were tried or skipped."""
    made: int = 0
    """Bits of the options taken on the path to this state."""
    last: str | None = None
    """The model of the last step, which may be repaired."""
    refused_right: float = 0.0
    """Probability of reaching this state with a last answer that is right."""
    cost_usd: float = 0.0
    seconds: float = 0.0


class _Search:
    """Searches for the sequence of steps with the greatest total value.

    A repair comes next or never. Otherwise the option with the most gain per cost comes next or is skipped for
    good: each failure lowers all gains, so no option improves by being postponed, and one that is likely to
    fail is skipped in favour of its successor.
    """

    def __init__(
        self,
        prospects: Sequence[Prospect],
        check: Check | None,
        worth_usd: float,
        limits: PlanLimits,
        worth_seconds: float,
    ) -> None:
        self._limits = limits
        self._worth_usd = worth_usd
        self._refused_usd = worth_usd * check.worth_of_refused if check else 0.0
        self._goes_on = check is not None
        self._difficulty = Difficulty.of([prospect.success for prospect in prospects])
        self._options = list(_options(prospects, self._difficulty, check or Check(), worth_usd / worth_seconds))
        self._values: dict[tuple[int, int, str | None], float] = {}

    def plan(self, failed: Sequence[Step], without: Collection[str]) -> Plan:
        root = node = self._start(failed, without)
        sure, success, cost_usd = sum(root.joint), 0.0, 0.0
        steps: list[Step] = []
        while (option := self._best(node, is_first=not failed and not steps)) is not None:
            steps.append(option.step)
            success += weighted_sum(node.joint, option.passes_right) / sure
            cost_usd += option.cost_usd * sum(node.joint) / sure
            if not self._goes_on:
                break
            node = _after(node, option)
        return Plan(tuple(steps), success, cost_usd)

    def _start(self, failed: Sequence[Step], without: Collection[str]) -> _Node:
        node = _Node(self._difficulty.start)
        by_model = {option.step.model: option for option in self._options}
        for step in failed:
            if (option := by_model.get(step.model)) is not None:
                refused_right = weighted_sum(node.joint, option.refused_right)
                node = _Node(multiply(node.joint, option.fails), last=step.model, refused_right=refused_right)
        closed = sum(o.bit for o in self._options if o.step in failed or o.step.model in without)
        return replace(node, closed=closed)

    def _best(self, node: _Node, *, is_first: bool) -> _Option | None:
        """The step to take; None: stop. Ties go to a local model, then to the cheapest if it is the first step."""
        values = {option: gain + self._value_usd(_after(node, option)) for option, gain in self._gains(node)}
        tie_usd = _TIE_SHARE * self._worth_usd * sum(node.joint)
        best = max(values.values(), default=0.0)
        equals = [option for option, value in values.items() if value >= best - tie_usd]
        return min(
            equals,
            key=lambda o: (not o.is_local, o.cost_usd if is_first else 0.0, -values[o], o.cost_usd),
            default=None,
        )

    def _value_usd(self, node: _Node) -> float:
        """Value of the best continuation, times the probability of reaching this state."""
        if not self._goes_on:
            return 0.0
        key = (node.made, node.closed, node.last)
        if key not in self._values:
            self._values[key] = self._best_continuation_usd(node)
        return self._values[key]

    def _best_continuation_usd(self, node: _Node) -> float:
        gains = self._gains(node)
        if not gains:
            return 0.0
        option, gain = max(gains, key=lambda pair: (pair[0].step.is_repair, pair[1] / pair[0].price_usd))
        taken = gain + self._value_usd(_after(node, option))
        if sum(other for _, other in gains) - gain <= taken:
            return taken
        return max(taken, self._value_usd(replace(node, closed=node.closed | option.bit)))

    def _gains(self, node: _Node) -> list[tuple[_Option, float]]:
        """The available steps that are worth more than they cost, each with its surplus."""
        left = sum(node.joint)
        gains = [(o, self._gain_usd(node, o) - o.price_usd * left) for o in self._options if self._is_open(node, o)]
        return [(option, gain) for option, gain in gains if gain > 0]

    def _gain_usd(self, node: _Node, option: _Option) -> float:
        """Expected benefit of the step: an answer that passes, or that replaces the last one that did not."""
        passes_usd = self._worth_usd * weighted_sum(node.joint, option.passes_right)
        if not self._refused_usd:
            return passes_usd
        return passes_usd + self._refused_usd * (weighted_sum(node.joint, option.refused_right) - node.refused_right)

    def _is_open(self, node: _Node, option: _Option) -> bool:
        limits, step = self._limits, option.step
        return (
            not node.closed & option.bit
            and (not step.is_repair or step.model == node.last)
            and node.made.bit_count() < limits.attempts
            and (limits.usd is None or node.cost_usd + option.cost_usd <= limits.usd)
            and (limits.seconds is None or node.seconds + option.seconds <= limits.seconds)
        )


def _after(node: _Node, option: _Option) -> _Node:
    return _Node(
        closed=node.closed | option.bit,
        made=node.made | option.bit,
        last=option.step.model,
        joint=multiply(node.joint, option.fails),
        refused_right=weighted_sum(node.joint, option.refused_right),
        cost_usd=node.cost_usd + option.cost_usd,
        seconds=node.seconds + option.seconds,
    )


def _options(
    prospects: Sequence[Prospect], difficulty: Difficulty, check: Check, usd_per_second: float
) -> Iterator[_Option]:
    place = itertools.count()
    for prospect in prospects:
        right = difficulty.chances(prospect.success)
        passes_right = tuple(chance * (1 - check.false_fail) for chance in right)
        refused_right = tuple(chance * check.false_fail for chance in right)
        fails = tuple(1 - p - (1 - r) * check.false_pass for p, r in zip(passes_right, right, strict=True))
        for is_repair, outlay in ((False, prospect.draft), (True, prospect.repair)):
            if outlay is None:
                continue
            wait_s = max(LEAST_SECONDS, outlay.seconds or 0.0)
            yield _Option(
                step=Step(prospect.model, is_repair),
                bit=1 << next(place),
                is_local=prospect.is_local,
                cost_usd=outlay.cost_usd,
                price_usd=outlay.cost_usd + usd_per_second * wait_s,
                seconds=0.0 if outlay.is_guess else outlay.seconds or 0.0,
                passes_right=passes_right,
                fails=fails,
                refused_right=refused_right,
            )
