"""Who is asked first, what follows a failure, and when to stop: the plan of greatest expected value.

Every attempt is weighed by what it would still bring, after all that has failed, against its money and
its wait. With a check a plan goes on until something passes or nothing left is worth its cost; without
one nobody would notice a failure, so it is one attempt.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from .odds import Difficulty, Odds, times, weighed

# Waiting is not free: at this many seconds it has used up what a solved task is worth. No attempt is
# taken for shorter than the least, nor one of unknown length for longer. Our own judgement.
WORTH_SECONDS = 3_000.0
LEAST_SECONDS = 30.0

# Plans whose values differ by less than this share of a solved task's worth count as equal, so that
# another wording of a task changes nothing: the one that begins on this machine is taken, else the cheaper.
_TIE_SHARE = 0.01


@dataclass(frozen=True)
class Outlay:
    """What one answer is expected to take."""

    cost_usd: float = 0.0
    seconds: float | None = None
    """None: nobody knows."""
    is_guess: bool = False
    """True: its seconds are good for an order and no ground to leave it out."""


@dataclass(frozen=True)
class Prospect:
    """One model, as a plan sees it."""

    model: str
    success: float
    """Probability, 0 to 1, that its first answer to this task is right."""
    draft: Outlay
    repair: Outlay | None = None
    """Of a second answer, which is told what was wrong with the first. None: it gets no second try."""
    is_local: bool = False


@dataclass(frozen=True)
class Check:
    """How far the verdict of an executed check can be trusted."""

    false_pass: float = 0.0
    """Share of the wrong answers that pass, 0 to 1."""
    false_fail: float = 0.0
    """Share of the right answers that do not, 0 to 1."""
    worth_of_refused: float = 0.0
    """What the last answer is worth where it is right and was refused, beside one that passed, 0 to 1. Somebody who
    takes it all the same makes it 1; 0: it is thrown away."""


@dataclass(frozen=True)
class Means:
    """What is left for a plan to use."""

    attempts: int = 20
    """That may still be made."""
    seconds: float | None = None
    """That are left. None: no limit."""
    usd: float | None = None
    """US dollars that are left. None: no limit."""


_NO_LIMIT = Means()


@dataclass(frozen=True)
class Step:
    """One attempt: a first answer, or another one that is told what was wrong with the one before."""

    model: str
    is_repair: bool = False


@dataclass(frozen=True)
class Plan:
    """Attempts in order, each made when those before it have failed."""

    steps: tuple[Step, ...]
    """Empty: nothing that is left is worth its cost."""
    success: float
    """Probability, 0 to 1, that the task gets solved on the way."""
    cost_usd: float
    """Expected: a step counts as far as it is likely to be needed."""


def make_plan(
    prospects: Sequence[Prospect],
    check: Check | None,
    worth_usd: float,
    means: Means = _NO_LIMIT,
    failed: Sequence[Step] = (),
    *,
    without: Collection[str] = (),
    worth_seconds: float = WORTH_SECONDS,
) -> Plan:
    """The plan of greatest expected value from here on.

    prospects: those that have failed are among them. check: None where nothing can be executed.
    worth_usd: what a solved task is worth, above 0; nothing is tried that costs more than it brings.
    failed: the attempts that were made and did not pass, in order. A model's repair follows its own draft
    at once or never. without: models of which no further answer can be had. worth_seconds: the wait, above 0,
    that uses up what a solved task is worth.
    """
    return _Search(prospects, check, worth_usd, means, worth_seconds).plan(failed, without)


@dataclass(frozen=True)
class _Option:
    """A step, with all that it takes to weigh it."""

    step: Step
    bit: int
    is_local: bool
    cost_usd: float
    price_usd: float
    """Its money and its wait."""
    seconds: float
    """That the time left must hold."""
    passes_right: Odds
    fails: Odds
    refused_right: Odds


@dataclass(frozen=True)
class _Node:
    """A place on the way: what has been tried, and what follows from it."""

    odds: Odds
    """Of each level, together with all these failures."""
    closed: int = 0
    """The bits of the options that were tried or left out."""
    made: int = 0
    """The bits of those that are made on the way here."""
    last: str | None = None
    """The model of the last step, which may be repaired."""
    refused_right: float = 0.0
    """The probability of getting here with a last answer that is right."""
    cost_usd: float = 0.0
    seconds: float = 0.0


class _Search:
    """Looks for the steps that are worth most, in all.

    A repair is either next or never. Of the rest, whoever brings most per cost is next or left out for good:
    with more failures everything is worth less, so that nothing becomes good by waiting, and what is likely
    to fail anyway is skipped for what would follow it.
    """

    def __init__(
        self,
        prospects: Sequence[Prospect],
        check: Check | None,
        worth_usd: float,
        means: Means,
        worth_seconds: float,
    ) -> None:
        self._means = means
        self._worth_usd = worth_usd
        self._refused_usd = worth_usd * check.worth_of_refused if check else 0.0
        self._goes_on = check is not None
        self._difficulty = Difficulty.of([prospect.success for prospect in prospects])
        self._options = list(_options(prospects, self._difficulty, check or Check(), worth_usd / worth_seconds))
        self._values: dict[tuple[int, int, str | None], float] = {}

    def plan(self, failed: Sequence[Step], without: Collection[str]) -> Plan:
        root = node = self._start(failed, without)
        sure, success, cost_usd = sum(root.odds), 0.0, 0.0
        steps: list[Step] = []
        while (option := self._best(node)) is not None:
            steps.append(option.step)
            success += weighed(node.odds, option.passes_right) / sure
            cost_usd += option.cost_usd * sum(node.odds) / sure
            if not self._goes_on:
                break
            node = _after(node, option)
        return Plan(tuple(steps), success, cost_usd)

    def _start(self, failed: Sequence[Step], without: Collection[str]) -> _Node:
        node = _Node(self._difficulty.start)
        by_model = {option.step.model: option for option in self._options}
        for step in failed:
            if (option := by_model.get(step.model)) is not None:
                refused_right = weighed(node.odds, option.refused_right)
                node = _Node(times(node.odds, option.fails), last=step.model, refused_right=refused_right)
        closed = sum(o.bit for o in self._options if o.step in failed or o.step.model in without)
        return replace(node, closed=closed)

    def _best(self, node: _Node) -> _Option | None:
        """The step to take; None: stop. Between equals the local one, then the cheapest."""
        values = {option: gain + self._value_usd(_after(node, option)) for option, gain in self._gains(node)}
        tie_usd = _TIE_SHARE * self._worth_usd * sum(node.odds)
        best = max(values.values(), default=0.0)
        equals = [option for option, value in values.items() if value >= best - tie_usd]
        return min(equals, key=lambda o: (not o.is_local, o.cost_usd, -values[o]), default=None)

    def _value_usd(self, node: _Node) -> float:
        """What the best way on from here is worth, times the probability of getting here."""
        if not self._goes_on:
            return 0.0
        key = (node.made, node.closed, node.last)
        if key not in self._values:
            self._values[key] = self._look_on(node)
        return self._values[key]

    def _look_on(self, node: _Node) -> float:
        gains = self._gains(node)
        if not gains:
            return 0.0
        option, gain = max(gains, key=lambda pair: (pair[0].step.is_repair, pair[1] / pair[0].price_usd))
        taken = gain + self._value_usd(_after(node, option))
        if sum(other for _, other in gains) - gain <= taken:
            return taken
        return max(taken, self._value_usd(replace(node, closed=node.closed | option.bit)))

    def _gains(self, node: _Node) -> list[tuple[_Option, float]]:
        """The steps that can be taken and are worth more than they cost, with the surplus."""
        left = sum(node.odds)
        gains = [(o, self._gain_usd(node, o) - o.price_usd * left) for o in self._options if self._is_open(node, o)]
        return [(option, gain) for option, gain in gains if gain > 0]

    def _gain_usd(self, node: _Node, option: _Option) -> float:
        """What the step brings: an answer that passes, or that takes the place of the last one refused."""
        passes_usd = self._worth_usd * weighed(node.odds, option.passes_right)
        if not self._refused_usd:
            return passes_usd
        return passes_usd + self._refused_usd * (weighed(node.odds, option.refused_right) - node.refused_right)

    def _is_open(self, node: _Node, option: _Option) -> bool:
        means, step = self._means, option.step
        return (
            not node.closed & option.bit
            and (not step.is_repair or step.model == node.last)
            and node.made.bit_count() < means.attempts
            and (means.usd is None or node.cost_usd + option.cost_usd <= means.usd)
            and (means.seconds is None or node.seconds + option.seconds <= means.seconds)
        )


def _after(node: _Node, option: _Option) -> _Node:
    return _Node(
        closed=node.closed | option.bit,
        made=node.made | option.bit,
        last=option.step.model,
        odds=times(node.odds, option.fails),
        refused_right=weighed(node.odds, option.refused_right),
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
