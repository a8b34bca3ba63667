"""Proposals from use: outcomes of a model's work, its speed, suited task types, and a warning for every decline."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence

from ...memory_store.engagements import Engagement, read_engagements
from ...memory_store.ledger import Ledger
from ...profiles.catalogue import Catalogue
from ...profiles.measurable import why_not
from ...profiles.model import ModelProfile
from ...profiles.proposal import Evidence, Proposal
from ...profiles.sifting import fact_at
from .drift import current_build, declines, describe_declines
from .findings import ProfileFindings
from .like_tasks import at_like_tasks
from .rivalry import fitness, role_orders
from .service import LEAST_OUTCOMES, SOURCE, day_of, in_use, judged, speeds
from .speed import speed_proposal
from .statistics import Count, wilson

_NEWEST_SPEEDS = 100
"""Engagements that count for speed; older ones may predate a change of hardware or of the vendor's service."""


async def proposals_from_usage(
    ledger: Ledger, catalogue: Catalogue, builds: Mapping[str, str | None], now: float
) -> ProfileFindings:
    """All proposals that the newest delegations in the ledger support. Raises a LedgerError when they cannot be read.

    builds: today's build of each model, where its vendor reports it; outcomes of other builds are no evidence.
    now: seconds since 1970 UTC.
    """
    read = await read_engagements(ledger, catalogue.profiles)
    problems = (
        f"{read.unsound} delegation(s) in {ledger.path} hold impossible values (a complexity outside 1 to 10, a"
        " negative"
        " cost, an unknown task type) and are left out.",
    )
    declined = describe_declines(declines(read.by_model, builds, now), catalogue)
    proposals: list[Proposal] = []
    known_well: dict[str, Sequence[Engagement]] = {}
    notices: list[str] = []
    for model, mine in sorted(read.by_model.items()):
        current = [e for e in mine if e.build == current_build(mine, builds.get(model))]
        known = len(judged(current))
        if known < LEAST_OUTCOMES:
            notices.append(_too_few(model, known, len(judged(mine)) - known))
            continue
        new = list(_of_model(catalogue.profiles[model], current, declined.get(model, ())))
        if new[0].after == fact_at(catalogue, model, new[0].place) or why_not(new[0], catalogue.own.get(model, {})):
            notices += declined.get(model, ())  # a proposal that is not shown would hide its warning
        proposals += new
        known_well[model] = current
    rivals = at_like_tasks(known_well)
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    proposals += fitness(catalogue, rivals, today)
    proposals += role_orders(catalogue, rivals, today)
    proposals.sort(key=lambda p: p.profile)
    if not read.by_model:
        notices.append(f"Nothing to propose from use: 0 outcomes, at least {LEAST_OUTCOMES} are needed.")
    return ProfileFindings(tuple(proposals), problems if read.unsound else (), tuple(notices))


def _of_model(profile: ModelProfile, mine: Sequence[Engagement], declined: tuple[str, ...]) -> Iterator[Proposal]:
    known = judged(mine)
    passed = Count(sum(e.is_solved is True for e in known), len(known))
    low, high = wilson(passed)
    evidence = Evidence(
        "usage",
        SOURCE,
        day_of(mine[-1]),
        n=len(known),
        interval=(round(low, 3), round(high, 3)),
        note=f"{passed.passed:.0f} of {passed.n:.0f} tasks solved; older ones count less above, half after 90 days",
    )
    yield Proposal(profile.id, ("in_use",), None, in_use(mine), evidence, declined)
    yield from speed_proposal(profile, speeds(mine[-_NEWEST_SPEEDS:]), SOURCE, day_of(mine[-1]), origin="usage")


def _too_few(model: str, known: int, of_another_build: int) -> str:
    outcomes = "1 outcome" if known == 1 else f"{known} outcomes"
    more = f"; {of_another_build} of another build are not evidence for this one" if of_another_build else ""
    return f"{model}: nothing to propose: {outcomes}, at least {LEAST_OUTCOMES} are needed{more}."
