"""What a scheduler starts: an evaluation, unless this week's is done or the machine has something better to do."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from ...evaluation.terms import OWN_SUITE, Terms, seed_of_week
from ...memory_store.evaluation_runs import EvaluationRow, evaluations_of
from ...tools.provider import ProviderError
from ...tools.workshop import Workshop
from ..evaluating import Order, evaluate_from_shell
from ..premises import OpenWorkshop
from ..providers.ollama import OllamaProvider
from ..providers.ollama_models import LoadedModel
from ..reports import MENDABLE, complain
from ..whole_files import replace_file
from .power import is_on_battery, load_per_core
from .readiness import Machine, reason_to_wait, tasks_of_others

LOG_FILE = "schedule.log"
_LINES_KEPT = 500

Measures = Callable[[], tuple[bool | None, float | None]]
"""Whether the machine is on its battery, and its load per core; None is not known."""


def measures_of_this_machine() -> tuple[bool | None, float | None]:
    return is_on_battery(), load_per_core()


@dataclass(frozen=True)
class _Start:
    """What is to be done: an order, or nothing and why."""

    order: Order | None = None
    why_not: str = ""


async def run_scheduled(
    open_workshop: OpenWorkshop,
    order: Order,
    *,
    page: Path | None = None,
    measures: Measures = measures_of_this_machine,
) -> int:
    """Evaluate if it is time; gives the exit code, which is 0 when there is a reason to wait.

    What was done or why not is added to `schedule.log` in the data folder, and printed. page: an HTML file for
    the figures.
    """
    try:
        async with open_workshop() as shop:
            home, began = shop.ledger.path.parent, shop.clock().astimezone()
            start = await _start(shop, order, began, measures)
    except MENDABLE as error:
        return complain(error)
    if start.order is None:
        await _log(home, began, f"skipped: {start.why_not}")
        return 0
    await _log(home, began, "begun")
    code = await evaluate_from_shell(open_workshop, start.order, as_json=False, page=page)
    ended = {0: "finished", 3: "not finished: the next run goes on with it"}
    await _log(home, dt.datetime.now().astimezone(), ended.get(code, f"failed (exit code {code})"))
    return code


async def _start(shop: Workshop, order: Order, now: dt.datetime, measures: Measures) -> _Start:
    order = replace(order, seed=seed_of_week(now.date()))
    of_week = await evaluations_of(shop.ledger, OWN_SUITE, order.seed or 0)
    wanted = {shop.catalogue.named(name, shop.today)[0].id for name in order.models}
    if any(_covers(row, order, wanted) for row in of_week):
        return _Start(why_not="this week's evaluation is done")
    on_battery, load = await anyio.to_thread.run_sync(measures)
    machine = Machine(on_battery, load, await _loaded(shop), await tasks_of_others(shop.ledger, shop.owner))
    why_not = reason_to_wait(machine, now)
    if why_not is not None:
        return _Start(why_not=why_not)
    # What was begun in this week is gone on with, its budget too: a run a day must not spend one a day.
    begun = next((row for row in of_week if row.finished_at is None), None)
    if begun is not None:
        terms = Terms.from_json(begun.terms)
        budget_usd = float("inf") if terms.budget_usd is None else terms.budget_usd
        return _Start(Order(terms.models, terms.kinds, budget_usd, terms.repeat, terms.seed))
    return _Start(order)


def _covers(row: EvaluationRow, order: Order, wanted: set[str]) -> bool:
    """Whether a finished evaluation answers what the order asks. wanted: its models; none is all that answer."""
    terms = Terms.from_json(row.terms)
    return (
        row.finished_at is not None
        and wanted <= set(terms.models)
        and set(terms.kinds) == set(order.kinds)
        and terms.repeat >= order.repeat
    )


async def _loaded(shop: Workshop) -> Sequence[LoadedModel]:
    ollama = shop.providers.get("ollama")
    if not isinstance(ollama, OllamaProvider):
        return ()
    try:
        return await ollama.loaded()
    except ProviderError:  # nothing listens, so nobody uses it
        return ()


async def _log(home: Path, at: dt.datetime, what: str) -> None:
    """Add a line; the oldest go."""
    line = f"{at.isoformat(timespec='seconds')} {what}"
    print(line, flush=True)  # noqa: T201 - for the scheduler's own journal
    file = home / LOG_FILE

    def write() -> None:
        before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        replace_file(file, "\n".join([*before[1 - _LINES_KEPT :], line, ""]).encode())

    await anyio.to_thread.run_sync(write)
