"""Proposals from evaluations: measured facts, speed, complexity limit, suited task types, and order within roles."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from statistics import median

from ...memory_store.evaluations import read_measurements
from ...memory_store.ledger import Ledger
from ...profiles.catalogue import Catalogue
from ...profiles.measured import Measured
from ...profiles.model import ModelProfile
from ...profiles.proposal import Evidence, Fact, Proposal
from ...profiles.vocabulary import TASK_TYPES
from ..figures import BANDS, band_of
from .difficulty import complexity_at_half, threshold
from .findings import ProfileFindings
from .rivalry import fitness, role_orders
from .same_items import LEAST_ITEMS, on_the_same_items
from .speed import speed_proposal
from .standing import Item, Standing, standings
from .statistics import Count, tally, wilson

_PROBATION_ENDS_AT = 0.5
"""Share of items that a model on probation must pass to leave it."""


async def proposals_from_evaluation(ledger: Ledger, catalogue: Catalogue, today: dt.date) -> ProfileFindings:
    """All proposals that the ledger's measurements support. Raises a LedgerError when they cannot be read."""
    rows = await read_measurements(ledger)
    if not rows:
        return ProfileFindings(
            notices=("Nothing was measured yet. `chargehand evaluate` measures the models that can be asked.",)
        )
    all_of = standings(rows)
    problems: list[str] = []
    if all_of.unsound:
        problems.append(
            f"{all_of.unsound} measurement(s) in {ledger.path} hold impossible values (a complexity outside 1 to 10, a"
            " negative time, an unknown task type) and are left out. `chargehand evaluate` measures again."
        )
    known: dict[str, Standing] = {}
    notices: list[str] = []
    for model, standing in sorted(all_of.by_model.items()):
        count = standing.count()
        if model not in catalogue.profiles:
            problems.append(f"{model[:80]}: was measured, but has no profile any more; its results are left out.")
        elif count.n < LEAST_ITEMS:
            notices.append(f"{model}: {count.n:.0f} item(s) are too few; at least {LEAST_ITEMS} are needed.")
        else:
            known[model] = standing
    proposals = [p for model, standing in known.items() for p in _of_model(catalogue.profiles[model], standing)]
    rivals = on_the_same_items(known)
    proposals += fitness(catalogue, rivals, today)
    proposals += role_orders(catalogue, rivals, today)
    return ProfileFindings(tuple(sorted(proposals, key=lambda p: p.profile)), tuple(problems), tuple(notices))


def _of_model(profile: ModelProfile, standing: Standing) -> Iterator[Proposal]:
    count = standing.count()
    low, high = wilson(count)
    evidence = Evidence(
        "evaluation",
        standing.source,
        standing.seen,
        n=round(count.n),
        interval=(round(low, 3), round(high, 3)),
        note=f"{count.passed:.3g} of {count.n:.0f} items passed",
    )
    yield Proposal(profile.id, ("measured",), None, _measured(standing), evidence)
    if profile.lifecycle.on_probation and count.passed >= _PROBATION_ENDS_AT * count.n:
        yield Proposal(profile.id, ("lifecycle", "on_probation"), True, False, evidence)
    yield from speed_proposal(profile, standing.tokens_per_second, standing.source, standing.seen)
    yield from threshold(profile, standing)


def _measured(standing: Standing) -> Fact:
    items = tuple(standing.items.values())

    def by(groups: Iterable[str], group_of: Callable[[Item, str], bool]) -> dict[str, Count]:
        counts = {group: standing.count(lambda item, g=group: group_of(item, g)) for group in groups}
        return {group: count for group, count in counts.items() if count.n}

    solved_usd = standing.usd_per_solved
    facts = {
        "items": tally(standing.count()),
        "by_kind": _tallies(by(sorted({item.kind for item in items}), lambda item, kind: item.kind == kind)),
        "by_task_type": _tallies(by(TASK_TYPES, lambda item, task_type: item.task_type == task_type)),
        "by_complexity": _tallies(by([name for name, _ in BANDS], lambda item, band: band_of(item.complexity) == band)),
        "complexity_at_half": complexity_at_half(items),
        "seconds_per_answer": round(median(standing.seconds), 2) if standing.seconds else None,
        "usd_per_solved_task": None if solved_usd is None else round(solved_usd, 6),
        "build": standing.build,
        "source": standing.source,
        "seen": standing.seen,
    }
    return Measured.model_validate(facts).model_dump(mode="json")


def _tallies(counts: dict[str, Count]) -> dict[str, object]:
    return {name: tally(count) for name, count in counts.items()}
