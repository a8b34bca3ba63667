"""The command that a scheduler starts: an evaluation, unless this week's is done or the machine is busy."""

import datetime as dt
import math
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from ...evaluation.terms import OWN_SUITE, EvaluationTerms, seed_of_week
from ...memory_store.batched import batched_in
from ...memory_store.evaluation_runs import EvaluationInProgress, EvaluationRow, evaluations_of, spent_usd
from ...profiles.durable_files import replace_file
from ...tools.provider import ProviderError
from ...tools.services import Services
from ..command.evaluating import EvaluateArguments, budget_of, evaluate_from_shell
from ..command.reports import USER_FIXABLE, print_error
from ..providers.ollama import OllamaProvider
from ..providers.ollama_models import LoadedModel
from ..surface.server_state import OpenServices
from .power import is_on_battery, load_per_core
from .readiness import Machine, reason_to_wait, tasks_of_other_processes

LOG_FILE = "schedule.log"
_LINES_KEPT = 500
_CONTINUED = "a later run of this week continues it, or `chargehand evaluate --resume`"
_NOTHING = f"raise --budget-usd if the budget is too small; otherwise {_CONTINUED}"

PowerAndLoad = Callable[[], tuple[bool | None, float | None]]
"""Reads whether the machine runs on battery, and its load per core; None means not known."""


def read_power_and_load() -> tuple[bool | None, float | None]:
    return is_on_battery(), load_per_core()


_RESULTS_KEPT = dt.timedelta(days=28)
"""How long a batch's answers can be fetched, one day of margin included
(https://platform.claude.com/docs/en/build-with-claude/batch-processing, seen 2026-11-25)."""


@dataclass(frozen=True)
class _Decision:
    """An evaluation to run, or the reason to skip it."""

    arguments: EvaluateArguments | None = None
    continued_id: str | None = None
    """The unfinished evaluation that it continues. None: a new one."""
    is_of_earlier_week: bool = False
    why_not: str = ""


async def run_scheduled(
    open_services: OpenServices,
    arguments: EvaluateArguments,
    home: Path,
    *,
    page: Path | None = None,
    read_machine: PowerAndLoad = read_power_and_load,
) -> int:
    """Evaluate if due. Returns the exit code, which is 0 when the run is skipped.

    First fetches what vendors still hold of an earlier week, then continues what was begun this week, then measures
    the models that are left.
    The result, the reason to skip or the error is printed, and appended to `schedule.log` in home, the data folder.
    page: an HTML file to write the figures to.
    """
    code, continued = 0, set[str]()
    while True:
        try:
            async with open_services() as services:
                began = services.clock().astimezone()
                # Asked only before the first evaluation: after it, this run itself has kept the machine busy.
                decision = await _decide(services, arguments, began, None if continued else read_machine, continued)
        except USER_FIXABLE as error:
            await anyio.to_thread.run_sync(log_failure, home, error)
            raise
        if decision.arguments is None:
            if not continued:
                await _log(home, began, f"skipped: {decision.why_not}")
            return code
        of_week = f" (week {decision.arguments.seed})" if decision.is_of_earlier_week else ""
        await _log(home, began, f"begun{of_week}")
        ended = await _run(open_services, decision.arguments, home, began, page)
        code = max(code, ended)
        if decision.continued_id is None or (ended and not decision.is_of_earlier_week):
            return code
        continued.add(decision.continued_id)


async def _run(
    open_services: OpenServices, arguments: EvaluateArguments, home: Path, began: dt.datetime, page: Path | None
) -> int:
    """Run one evaluation, and log its end. Returns the exit code."""
    try:
        code = await evaluate_from_shell(open_services, arguments, as_json=False, page=page)
    except EvaluationInProgress as error:
        print_error(error)
        await _log(home, began, f"skipped: {_in_a_line(error)}")
        return 0
    except USER_FIXABLE as error:
        await anyio.to_thread.run_sync(log_failure, home, error)
        raise
    ended = {0: "finished", 1: f"nothing was measured: {_NOTHING}"}
    await _log(home, dt.datetime.now().astimezone(), ended.get(code, f"not finished: {_CONTINUED}"))
    return code


def log_failure(home: Path, error: Exception) -> None:
    """Append an error to the log in the data folder."""
    _write(home, f"{dt.datetime.now().astimezone().isoformat(timespec='seconds')} failed: {_in_a_line(error)}")


async def _decide(
    services: Services,
    arguments: EvaluateArguments,
    now: dt.datetime,
    read_machine: PowerAndLoad | None,
    continued: Set[str],
) -> _Decision:
    """read_machine None: the machine is known to be idle. continued: ids of evaluations not to continue again."""
    arguments = replace(arguments, seed=seed_of_week(now.date()))
    rows = [(row, EvaluationTerms.from_json(row.terms)) for row in await evaluations_of(services.ledger, OWN_SUITE)]
    of_week = [(row, terms) for row, terms in rows if row.seed == arguments.seed]
    wanted = await _wanted_models(services, arguments)
    left = wanted - {
        model
        for row, terms in of_week
        if (row.finished_at is not None and _covers(terms, arguments)) or row.id in continued
        for model in terms.models
    }
    earlier = [
        (row, terms)
        for row, terms in rows
        if row.seed != arguments.seed
        and row.id not in continued
        and _is_alike(terms, arguments)
        and await _has_fetchable_answers(services, row)
    ]
    if not left and not earlier:
        return _Decision(why_not="this week's evaluation is done")
    if read_machine is not None and (why_not := await _reason_to_wait(services, now, read_machine)) is not None:
        return _Decision(why_not=why_not)
    if earlier:
        row, terms = earlier[0]
        return _Decision(replace(arguments, seed=row.seed, continued=terms), row.id, is_of_earlier_week=True)
    # A run that was begun this week is continued with its own budget, so that daily runs do not spend one each.
    for row, terms in of_week:
        if row.finished_at is None and _is_alike(terms, arguments) and _has_models(terms, arguments, wanted, left):
            return _Decision(replace(arguments, continued=terms), row.id)
    spent = [await spent_usd(services.ledger, row.id) for row, terms in of_week if _is_alike(terms, arguments)]
    if any(spent):
        left_usd = max(0.0, _limit(budget_of(arguments)) - sum(spent))
        arguments = replace(arguments, budget_usd=left_usd)
    return _Decision(arguments if left == wanted else replace(arguments, models=tuple(sorted(left))))


async def _reason_to_wait(services: Services, now: dt.datetime, read_machine: PowerAndLoad) -> str | None:
    on_battery, load = await anyio.to_thread.run_sync(read_machine)
    machine = Machine(
        on_battery, load, await _loaded(services), await tasks_of_other_processes(services.ledger, services.owner)
    )
    return reason_to_wait(machine, now)


async def _has_fetchable_answers(services: Services, row: EvaluationRow) -> bool:
    """Whether a vendor holds answers that were asked, and will be paid, but were not fetched."""
    if row.finished_at is not None or row.begun_at < services.now - _RESULTS_KEPT.total_seconds():
        return False
    return bool(await batched_in(services.ledger, row.id))


async def _wanted_models(services: Services, arguments: EvaluateArguments) -> set[str]:
    """Ids of the models to measure: those named, or else all that are available."""
    if arguments.models:
        return {services.catalogue.named(name, services.today)[0].id for name in arguments.models}
    availability = (await services.survey()).availability
    local_only = services.rules.local_only
    return {p.id for p in services.catalogue if services.can_be_asked(p, availability.get(p.id), local_only=local_only)}


def _covers(terms: EvaluationTerms, arguments: EvaluateArguments) -> bool:
    return set(terms.kinds) == set(arguments.kinds) and terms.repeat >= arguments.repeat


def _is_alike(terms: EvaluationTerms, arguments: EvaluateArguments) -> bool:
    """Whether an evaluation has the requested kinds of task, and a budget within the requested one."""
    same_tasks = set(terms.kinds) == set(arguments.kinds) and terms.repeat == arguments.repeat
    return same_tasks and _limit(terms.budget_usd) <= _limit(budget_of(arguments))


def _has_models(terms: EvaluationTerms, arguments: EvaluateArguments, wanted: Set[str], left: Set[str]) -> bool:
    """Whether an evaluation has models that are left to measure: if models were named, all of them and no other."""
    models = set(terms.models)
    return left <= models <= wanted if arguments.models else bool(left & models)


def _limit(budget_usd: float | None) -> float:
    return math.inf if budget_usd is None else budget_usd


async def _loaded(services: Services) -> Sequence[LoadedModel]:
    ollama = services.providers.get("ollama")
    if not isinstance(ollama, OllamaProvider):
        return ()
    try:
        return await ollama.loaded()
    except ProviderError:  # not reachable, so not in use
        return ()


async def _log(home: Path, at: dt.datetime, what: str) -> None:
    """Print a line and append it to the log."""
    line = f"{at.isoformat(timespec='seconds')} {what}"
    print(line, flush=True)  # noqa: T201 - for the scheduler's own journal
    await anyio.to_thread.run_sync(_write, home, line)


def _write(home: Path, line: str) -> None:
    """Append a line to the log, which keeps the last _LINES_KEPT."""
    file = home / LOG_FILE
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    replace_file(file, "\n".join([*before[1 - _LINES_KEPT :], line, ""]).encode())


def _in_a_line(error: Exception) -> str:
    return " ".join(str(error).split())
