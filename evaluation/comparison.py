"""Head-to-head comparison of two models on the user's own remembered tasks.

Only tasks whose text and tests are stored can be asked again. A task that had to stay on the machine is asked only
when both models are local. The measurements are stored in the ledger as an evaluation of their own.
"""

import ast
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

from ..memory_store.askable import AskableTask, read_askable
from ..memory_store.evaluations import Measurement
from ..profiles.catalogue import Catalogue
from ..profiles.model import ModelProfile
from ..profiles.price import in_dollars
from ..profiles.proposal import Evidence, Fact, Proposal
from ..profiles.vocabulary import ROLES, TaskType
from ..tools.errors import BadArgument
from ..tools.services import Services
from .suite.task import TASK_TYPE_OF, Kind, SuiteTask
from .terms import EvaluationTerms

SUITE = "remembered tasks"
MOST_TASKS = 40
"""The newest ones; more would cost more than they reveal."""

_SIGNIFICANT = 0.05
_HARD_FROM = 5.0
_KIND_OF: Mapping[TaskType, Kind] = {task_type: kind for kind, task_type in reversed(tuple(TASK_TYPE_OF.items()))}


@dataclass(frozen=True)
class TrialPlan:
    """The terms and items of a trial."""

    terms: EvaluationTerms
    items: tuple[SuiteTask, ...]
    local_items: frozenset[str]
    """Ids of items that may not leave this machine; empty unless both models are local."""
    kept_back: int
    """Number of tasks left out because they must stay here and a model is remote."""


@dataclass(frozen=True)
class Comparison:
    """Both models' results on the items that measured both."""

    model: str
    against: str
    n: int
    passed: int
    passed_against: int
    only_model: int
    """Number of items that only `model` passed."""
    only_against: int
    p: float
    """Two-sided p-value of McNemar's exact test."""
    times_faster: float | None
    """Median ratio over the items; below 1 `model` is slower. None: nothing was timed."""
    usd_each: float
    usd_each_against: float

    @property
    def is_significant(self) -> bool:
        return self.p < _SIGNIFICANT

    def in_words(self) -> str:
        """The result as text."""
        parts = [f"passed {self.passed} of {self.n} where {self.against} passed {self.passed_against}"]
        if self.times_faster is not None:
            is_slower = self.times_faster < 1
            factor = 1 / self.times_faster if is_slower else self.times_faster
            parts.append(f"{factor:.1f} times {'slower' if is_slower else 'faster'}")
        parts.append(f"{in_dollars(self.usd_each)} each where the other took {in_dollars(self.usd_each_against)}")
        what = "significant at 5%" if self.is_significant else "not significant"
        return f"{self.model} {'; '.join(parts)}. The difference is {what} (p = {self.p:.3f})."


async def plan_trial(services: Services, model: str, against: str, budget_usd: float | None) -> TrialPlan:
    """Choose the tasks to ask both models. Raises BadArgument when there are none, or a model is unavailable."""
    ids = [services.catalogue.named(name, services.today)[0].id for name in (model, against)]
    if ids[0] == ids[1]:
        raise BadArgument(f"profiles trial: {model} and {against} are the same model, {ids[0]}. Name another.")
    availability = (await services.survey()).availability
    if unreachable := [f"{name}: {availability[name].why_not}" for name in ids if not availability[name].is_reachable]:
        raise BadArgument(f"profiles trial: {'; '.join(unreachable)}")
    tasks = await read_askable(services.ledger, at_most=MOST_TASKS)
    if not tasks:
        raise BadArgument(
            "profiles trial: no remembered task can be asked again. A trial needs delegations with `tests` given as"
            " code and"
            ' without files, run since this version, and `[memory] text = "full"`. `chargehand evaluate` measures on'
            " tasks of its own."
        )
    is_here = all(availability[name].is_local for name in ids)
    asked = [task for task in tasks if is_here or not task.local_only]
    if not asked:
        raise BadArgument(
            f"profiles trial: all {len(tasks)} remembered tasks with tests must stay on this machine, and one of the"
            " models is elsewhere. Name two local ones."
        )
    return TrialPlan(
        terms=EvaluationTerms(suite=SUITE, seed=0, models=(ids[0], ids[1]), budget_usd=budget_usd),
        items=tuple(map(_item, asked)),
        local_items=frozenset(task.id for task in asked if task.local_only),
        kept_back=len(tasks) - len(asked),
    )


def compare(measurements: Sequence[Measurement], model: str, against: str) -> Comparison:
    """Compare the two models on the items of a trial that measured both."""
    learnt = [m for m in measurements if m.passed is not None]
    mine, theirs = ({m.item: m for m in learnt if m.model == name} for name in (model, against))
    pairs = [(mine[item], theirs[item]) for item in mine if item in theirs]
    only_model = sum(bool(a.passed) and not b.passed for a, b in pairs)
    only_against = sum(bool(b.passed) and not a.passed for a, b in pairs)
    ratios = [b.seconds / a.seconds for a, b in pairs if a.seconds > 0 and b.seconds > 0]
    n = len(pairs)
    return Comparison(
        model=model,
        against=against,
        n=n,
        passed=sum(bool(a.passed) for a, _ in pairs),
        passed_against=sum(bool(b.passed) for _, b in pairs),
        only_model=only_model,
        only_against=only_against,
        p=mcnemar(only_model, only_against),
        times_faster=median(ratios) if ratios else None,
        usd_each=sum(a.cost_usd for a, _ in pairs) / n if n else 0.0,
        usd_each_against=sum(b.cost_usd for _, b in pairs) / n if n else 0.0,
    )


def mcnemar(one: int, other: int) -> float:
    """Two-sided p-value of McNemar's exact test. one, other: numbers of discordant pairs, won by each side."""
    n, fewer = one + other, min(one, other)
    return min(1.0, 2 * sum(comb(n, k) for k in range(fewer + 1)) / 2**n)


def proposals_of(found: Comparison, catalogue: Catalogue, evaluation_id: str, today: dt.date) -> Iterator[Proposal]:
    """Propose that the model take the other's places, if it passed more, or as many but cheaper or faster.

    Each proposal needs the user's consent.
    """
    model, against = catalogue.profiles[found.model], catalogue.profiles[found.against]
    is_cheaper = found.usd_each < found.usd_each_against
    is_faster = found.times_faster is not None and found.times_faster > 1
    if not found.n or found.passed < found.passed_against:
        return
    if found.passed == found.passed_against and not (is_cheaper or is_faster):
        return
    evidence = Evidence("trial", f"trial {evaluation_id[:8]}", today, n=found.n, note=found.in_words())
    warnings = () if found.is_significant else (_IS_CHANCE,)
    changes: list[tuple[str, tuple[str, ...], Fact, Fact]] = list(_places(model, against, catalogue, today))
    if changes and model.lifecycle.on_probation:
        changes.insert(0, (model.id, ("lifecycle", "on_probation"), True, False))
    for profile, place, before, after in changes:
        yield Proposal(profile, place, before, after, evidence, warnings, needs_consent=True)


_IS_CHANCE = "The two may be equally good: so small a difference can arise by chance."


def _places(
    model: ModelProfile, against: ModelProfile, catalogue: Catalogue, today: dt.date
) -> Iterator[tuple[str, tuple[str, ...], Fact, Fact]]:
    """For each role in which `against` is asked before `model`: `model` takes its place, and the models from there on
    move back, keeping their order."""
    for role in ROLES:
        place, old = (catalogue.place_of(profile, role, today) for profile in (against, model))
        if place is None:
            continue
        if old is not None and old < place:
            continue
        last = place
        if old != place:
            yield model.id, ("roles", role), old, place
        behind = sorted(
            (p.roles[role], p.id) for p in catalogue if role in p.roles and p.id not in (model.id, against.id)
        )
        for before, profile in ((place, against.id), *(one for one in behind if one[0] >= place)):
            if before > last:
                break
            last += 1
            yield profile, ("roles", role), before, last


def _item(task: AskableTask) -> SuiteTask:
    kind = _KIND_OF.get(task.task_type, "simple_generation")
    if kind == "simple_generation" and task.complexity >= _HARD_FROM:
        kind = "complex_generation"
    return SuiteTask(
        id=task.id,
        kind=kind,
        language="python" if _is_python(task.tests) else "javascript",
        complexity=task.complexity,
        prompt=task.text,
        tests=task.tests,
        reference="",
        wrong=(),
    )


def _is_python(tests: str) -> bool:
    try:
        ast.parse(tests)
    except (SyntaxError, ValueError):  # a null character is no syntax error
        return False
    return True
