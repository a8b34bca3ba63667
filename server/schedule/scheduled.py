"""The command that a scheduler starts: an evaluation, unless this week's is done or the machine is busy."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from ...evaluation.terms import OWN_SUITE, EvaluationTerms, seed_of_week
from ...memory_store.evaluation_runs import EvaluationInProgress, evaluations_of
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

PowerAndLoad = Callable[[], tuple[bool | None, float | None]]
"""Reads whether the machine runs on battery, and its load per core; None means not known."""


def read_power_and_load() -> tuple[bool | None, float | None]:
    return is_on_battery(), load_per_core()


@dataclass(frozen=True)
class _Decision:
    """An evaluation to run, or the reason to skip it."""

    arguments: EvaluateArguments | None = None
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

    The result, the reason to skip or the error is printed, and appended to `schedule.log` in home, the data folder.
    page: an HTML file to write the figures to.
    """
    errors: list[Exception] = []

    def report_error(error: Exception) -> int:
        errors.append(error)
        return print_error(error)

    try:
        async with open_services() as services:
            began = services.clock().astimezone()
            decision = await _decide(services, arguments, began, read_machine)
    except USER_FIXABLE as error:
        return await anyio.to_thread.run_sync(fail, home, error)
    if decision.arguments is None:
        await _log(home, began, f"skipped: {decision.why_not}")
        return 0
    await _log(home, began, "begun")
    code = await evaluate_from_shell(
        open_services, decision.arguments, as_json=False, page=page, report_error=report_error
    )
    if errors and isinstance(errors[0], EvaluationInProgress):
        await _log(home, began, f"skipped: {_in_a_line(errors[0])}")
        return 0
    ended = {0: "finished", 1: f"nothing was measured: {_CONTINUED}"}
    what = f"failed: {_in_a_line(errors[0])}" if errors else ended.get(code, f"not finished: {_CONTINUED}")
    await _log(home, dt.datetime.now().astimezone(), what)
    return code


def fail(home: Path, error: Exception) -> int:
    """Print an error and append it to the log in the data folder. Returns exit code 1."""
    _write(home, f"{dt.datetime.now().astimezone().isoformat(timespec='seconds')} failed: {_in_a_line(error)}")
    return print_error(error)


async def _decide(
    services: Services, arguments: EvaluateArguments, now: dt.datetime, read_machine: PowerAndLoad
) -> _Decision:
    arguments = replace(arguments, seed=seed_of_week(now.date()))
    rows = await evaluations_of(services.ledger, OWN_SUITE, arguments.seed or 0)
    of_week = [(row, EvaluationTerms.from_json(row.terms)) for row in rows]
    wanted = await _wanted_models(services, arguments)
    done = [terms for row, terms in of_week if row.finished_at is not None and _covers(terms, arguments)]
    if done and wanted <= {model for terms in done for model in terms.models}:
        return _Decision(why_not="this week's evaluation is done")
    on_battery, load = await anyio.to_thread.run_sync(read_machine)
    machine = Machine(
        on_battery, load, await _loaded(services), await tasks_of_other_processes(services.ledger, services.owner)
    )
    why_not = reason_to_wait(machine, now)
    if why_not is not None:
        return _Decision(why_not=why_not)
    # A run that was begun this week is continued with its own budget, so that daily runs do not spend one each.
    begun = [
        terms for row, terms in of_week if row.finished_at is None and _is_same_evaluation(terms, arguments, wanted)
    ]
    if begun:
        return _Decision(replace(arguments, continued=begun[0]))
    return _Decision(arguments)


async def _wanted_models(services: Services, arguments: EvaluateArguments) -> set[str]:
    """Ids of the models to measure: those named, or else all that are available."""
    if arguments.models:
        return {services.catalogue.named(name, services.today)[0].id for name in arguments.models}
    availability = (await services.survey()).availability
    local_only = services.rules.local_only
    return {p.id for p in services.catalogue if services.can_be_asked(p, availability.get(p.id), local_only=local_only)}


def _covers(terms: EvaluationTerms, arguments: EvaluateArguments) -> bool:
    return set(terms.kinds) == set(arguments.kinds) and terms.repeat >= arguments.repeat


def _is_same_evaluation(terms: EvaluationTerms, arguments: EvaluateArguments, wanted: set[str]) -> bool:
    """Whether an evaluation has the requested models and tasks, and a budget within the requested one."""
    same_models = wanted == set(terms.models) if arguments.models else wanted <= set(terms.models)
    same_tasks = set(terms.kinds) == set(arguments.kinds) and terms.repeat == arguments.repeat
    within_budget = _limit(terms.budget_usd) <= _limit(budget_of(arguments))
    return same_models and same_tasks and within_budget


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
