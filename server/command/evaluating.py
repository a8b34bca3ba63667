"""`chargehand evaluate`: measures models from the shell; figures on standard output, progress on standard error."""

import argparse
import contextlib
import datetime as dt
import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import anyio
import anyio.to_thread
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ...evaluation.comparison import SUITE as REMEMBERED
from ...evaluation.evaluating import evaluate
from ...evaluation.mining.mining import Extent, Mined, mine
from ...evaluation.mining.output import progress_bar, summary_lines
from ...evaluation.progress import EvaluationProgress
from ...evaluation.quick_trial import TRIAL
from ...evaluation.report import Report, facts_of, show
from ...evaluation.report_html import page_of
from ...evaluation.suite.loading import read_suite
from ...evaluation.suite.task import KINDS, Kind, SuiteTask
from ...evaluation.tables import standard_output
from ...evaluation.terms import DEFAULT_BUDGET_USD, OWN_SUITE, EvaluationTerms, seed_of_week
from ...memory_store.batched import batched_in
from ...memory_store.evaluation_runs import find_evaluation
from ...memory_store.evaluations import read_measurements
from ...tools.checking.sandbox_search import find_sandbox
from ...tools.errors import BadArgument
from ...tools.services import Services
from ..surface.server_state import OpenServices, ServerState, open_server_state
from .reports import print_json
from .signals import cancel_on_signal

INCOMPLETE = 3
"""The exit code when measurements are left to do."""


@dataclass(frozen=True)
class MinedRepository:
    """A git repository, and how tasks are mined from it."""

    path: Path
    extent: Extent
    python: Path | None = None
    """The Python whose packages its tests may import. None: `[sandbox] python`, or no packages."""

    @classmethod
    def of(cls, chosen: argparse.Namespace) -> "MinedRepository":
        usual = Extent()
        since = None if chosen.since is None else dt.datetime.combine(chosen.since, dt.time(), dt.UTC).timestamp()
        extent = Extent(chosen.commits or usual.commits, since, chosen.tasks or usual.tasks)
        return cls(chosen.from_repo, extent, chosen.python)


@dataclass(frozen=True)
class EvaluateArguments:
    """The command's arguments."""

    models: tuple[str, ...] = ()
    """Empty: all available models."""
    kinds: tuple[str, ...] = ()
    """Empty: all."""
    budget_usd: float | None = None
    """None: the default; infinite: only the daily budget applies."""
    repeat: int = 1
    seed: int | None = None
    """None: this week's."""
    resume: bool = False
    in_batches: bool = False
    """Whether to use batches where the vendor supports them."""
    repository: MinedRepository | None = None
    """The repository to take the tasks from. None: the tasks that ship with Chargehand."""
    continued: EvaluationTerms | None = None
    """The terms of an unfinished evaluation to continue, some of whose models may be away. None: as the fields say."""

    @classmethod
    def of(cls, chosen: argparse.Namespace) -> "EvaluateArguments":
        return cls(
            models=tuple(chosen.models or ()),
            kinds=tuple(chosen.kinds or ()),
            budget_usd=chosen.budget_usd,
            repeat=chosen.repeat or 1,
            seed=chosen.seed,
            resume=chosen.resume,
            in_batches=chosen.batch,
            repository=None if chosen.from_repo is None else MinedRepository.of(chosen),
        )


async def evaluate_from_shell(
    open_services: OpenServices, arguments: EvaluateArguments, *, as_json: bool, page: Path | None
) -> int:
    """Measure, and print the results so far even if interrupted. Returns the exit code. A signal settles the costs."""
    console = Console(stderr=True)
    if page is not None:
        await anyio.to_thread.run_sync(_refuse_unwritable, page)
    async with open_server_state(open_services) as state:
        call, progress = anyio.CancelScope(), EvaluationProgress()
        with cancel_on_signal(call.cancel):
            services = await state.services()
            with call, bars(progress, console):
                await _measure(state, services, arguments, progress, console)
            report = await _report(services, progress)
    if report is None:
        console.print("Interrupted before anything was asked.")
        return 1
    await _output(report, as_json=as_json, page=page)
    return _exit_code(report)


async def report_from_shell(
    open_services: OpenServices, evaluation_id: str | None, *, as_json: bool, page: Path | None
) -> int:
    """Print an earlier evaluation from the ledger, without any request. Returns the exit code.

    evaluation_id: the beginning of its id. None: the newest, except those of `doctor --try` and `profiles trial`.
    """
    async with open_services() as services:
        apart = () if evaluation_id else (TRIAL, REMEMBERED)
        row = await find_evaluation(services.ledger, evaluation_id=evaluation_id, without_suites=apart)
        if row is None:
            which = f"no evaluation begins with {evaluation_id}" if evaluation_id else "nothing was evaluated yet"
            raise BadArgument(f"--report: {which}. Run `chargehand evaluate` first.")
        measurements = await read_measurements(services.ledger, evaluation_id=row.id)
        report = Report.of(row, measurements, with_vendors=len(await batched_in(services.ledger, row.id)))
    await _output(report, as_json=as_json, page=page)
    return 0


async def _measure(
    state: ServerState, services: Services, arguments: EvaluateArguments, progress: EvaluationProgress, console: Console
) -> None:
    if (wrong := services.catalogue.not_in_force) is not None:
        console.print(wrong, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if arguments.repository is not None:
        if arguments.repository.python is not None:
            choice = replace(services.rules.sandbox, python=arguments.repository.python)
            services = replace(services, find_sandbox=partial(find_sandbox, choice))
        terms = await _terms(services, arguments, console)
        mined = await _mined(services, arguments.repository, console)
        terms = replace(terms, suite=mined.label, seed=0)
        items = _of_kinds(mined.tasks, terms)
    else:
        terms = arguments.continued
        if terms is None:
            terms = await _resumed(services) if arguments.resume else await _terms(services, arguments, console)
        items = _items(terms, console)
    in_batches = arguments.in_batches or (arguments.resume and await _is_in_batches(services, terms))
    await evaluate(services, state.delegations, items, terms.models, terms, progress=progress, in_batches=in_batches)


async def _terms(services: Services, arguments: EvaluateArguments, console: Console) -> EvaluationTerms:
    """The terms for the arguments today. Prints the models that local-only excludes. Raises BadArgument."""
    refuse_unknown_kinds(arguments.kinds)
    there = (await services.survey()).availability
    if arguments.models:
        models = tuple(dict.fromkeys(services.catalogue.named(name, services.today)[0].id for name in arguments.models))
        unreachable = [f"{model}: {there[model].why_not}" for model in models if not there[model].is_reachable]
        if unreachable:
            raise BadArgument(f"--models: {'; '.join(why.rstrip('.') for why in unreachable)}.")
    else:
        models = tuple(
            sorted(p.id for p in services.catalogue if there[p.id].is_reachable and p.is_offered_on(services.today))
        )
    if services.rules.local_only and (elsewhere := [model for model in models if not there[model].is_local]):
        models = tuple(model for model in models if there[model].is_local)
        left_out = f"Left out, because CHARGEHAND_LOCAL_ONLY keeps everything on this machine: {', '.join(elsewhere)}."
        console.print(left_out, markup=False, highlight=False, soft_wrap=True)
    if not models:
        raise BadArgument("evaluate: no model can be asked. `chargehand doctor` says what is missing.")
    return EvaluationTerms(
        suite=OWN_SUITE,
        seed=seed_of_week(services.today) if arguments.seed is None else arguments.seed,
        models=models,
        kinds=tuple(kind for kind in KINDS if kind in arguments.kinds),
        repeat=arguments.repeat,
        budget_usd=budget_of(arguments),
    )


def refuse_unknown_kinds(kinds: Sequence[str]) -> None:
    """Raise BadArgument for unknown kinds of task."""
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise BadArgument(f"--kinds: {', '.join(unknown)} is unknown. The kinds are: {', '.join(KINDS)}.")


def budget_of(arguments: EvaluateArguments) -> float | None:
    """The budget in US dollars. None: only the daily budget applies."""
    budget_usd = DEFAULT_BUDGET_USD if arguments.budget_usd is None else arguments.budget_usd
    return None if math.isinf(budget_usd) else budget_usd


async def _resumed(services: Services) -> EvaluationTerms:
    row = await find_evaluation(services.ledger, only_unfinished=True, suite=OWN_SUITE)
    row = row or await find_evaluation(services.ledger, only_unfinished=True)
    if row is None:
        raise BadArgument("--resume: there is no unfinished evaluation. Omit --resume to start one.")
    if row.suite != OWN_SUITE:
        raise BadArgument(
            f"--resume: evaluation {row.id[:8]} covers other tasks ({row.suite}). Repeat its own command to continue"
            " it, or omit --resume."
        )
    return EvaluationTerms.from_json(row.terms)


async def _is_in_batches(services: Services, terms: EvaluationTerms) -> bool:
    """Whether the unfinished evaluation of these terms has answers with a vendor."""
    row = await find_evaluation(services.ledger, terms=terms.as_json(), only_unfinished=True)
    return row is not None and bool(await batched_in(services.ledger, row.id))


def _items(terms: EvaluationTerms, console: Console) -> Sequence[SuiteTask]:
    suite = read_suite(terms.seed)
    for problem in suite.unusable:
        console.print(f"Left out: {problem}", style="yellow", markup=False, highlight=False)
    return _of_kinds(suite.tasks, terms)


def _of_kinds(tasks: Sequence[SuiteTask], terms: EvaluationTerms) -> Sequence[SuiteTask]:
    kinds = {cast(Kind, kind) for kind in terms.kinds}  # validated by `refuse_unknown_kinds`
    return [task for task in tasks if not kinds or task.kind in kinds]


async def _mined(services: Services, repository: MinedRepository, console: Console) -> Mined:
    """The tasks of a repository; prints how they were found."""
    sandbox = await services.find_sandbox()
    if sandbox.sandbox is None:
        raise BadArgument(
            f"--from-repo: tests cannot be run here, so nothing can be proved ({sandbox.reason})."
            f" {sandbox.remedy or ''}"
        )
    with progress_bar(console) as progress:
        mined = await mine(repository.path, repository.extent, services.find_sandbox, progress=progress)
    for line in summary_lines(mined, has_packages=sandbox.sandbox.packages is not None):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if not mined.tasks:
        remedy = "Look at more --commits, or at another repository" if mined.looked_at else "Name an earlier --since"
        raise BadArgument(f"--from-repo: no commit became a task. {remedy}.")
    return mined


async def _report(services: Services, progress: EvaluationProgress) -> Report | None:
    row = (
        await find_evaluation(services.ledger, evaluation_id=progress.evaluation_id) if progress.evaluation_id else None
    )
    if row is None:
        return None
    measurements = await read_measurements(services.ledger, evaluation_id=row.id)
    with_vendors = len(await batched_in(services.ledger, row.id))
    return Report.of(row, measurements, progress, with_vendors=with_vendors)


async def _output(report: Report, *, as_json: bool, page: Path | None) -> None:
    """Print the figures, and write the page if requested. Raises BadArgument if it cannot be written."""
    if as_json:
        print_json(facts_of(report))
    else:
        show(report, standard_output())
    if page is not None:
        try:
            await anyio.Path(page).write_text(page_of(report), encoding="utf-8")
        except OSError as error:
            raise _unwritable(page, error) from error


def _refuse_unwritable(page: Path) -> None:
    """Raise BadArgument for a page that cannot be written; an existing file is left unchanged."""
    was_there = page.exists()
    try:
        page.open("ab").close()
        if not was_there:
            page.unlink()
    except OSError as error:
        raise _unwritable(page, error) from error


def _unwritable(page: Path, error: OSError) -> BadArgument:
    return BadArgument(f"--html: {page} cannot be written ({error.strerror}). Name another file.")


def _exit_code(report: Report) -> int:
    if not any(figures.all.asked for figures in report.models):
        return 1
    return 0 if report.evaluation.finished_at is not None else INCOMPLETE


@contextlib.contextmanager
def bars(progress: EvaluationProgress, console: Console) -> Generator[None]:
    """Shows a progress bar per model on a terminal, otherwise nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        shown: dict[str, TaskID] = {}

        def on_change() -> None:
            for model, total in progress.total.items():
                if model not in shown:
                    shown[model] = display.add_task(model, total=total)
                display.update(shown[model], completed=progress.done[model])

        progress.on_change = on_change
        yield
