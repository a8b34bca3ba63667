"""The actions of `chargehand memory …`, which print tables or JSON."""

import contextlib
import datetime as dt
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

import anyio.to_thread
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ...memory_store.care.census import Census, take_census
from ...memory_store.care.exporting import export_memory
from ...memory_store.care.importing import ImportReport, ImportRules, import_memory
from ...memory_store.care.pruning import (
    Forgotten,
    Selection,
    count_prunable,
    find_forgettable,
    find_prunable,
    forget,
    prune,
    shrink,
)
from ...memory_store.embedding.embedder import EmbedderUnavailable
from ...memory_store.index.exact_choice import choices_in, forget_choices
from ...memory_store.index.slots import remove_idle
from ...memory_store.text_form import TextForm
from ...memory_store.under_way import owned
from ...tools.errors import BadArgument
from ...tools.routing.deciding import assess
from ...tools.services import Services
from ..surface.server_state import OpenServices
from ..wiring import INDEX_FOLDER
from .question import agrees
from .reports import print_json


async def print_stats(open_services: OpenServices, *, as_json: bool) -> int:
    async with open_services() as services:
        census = await take_census(services.ledger)
        missing = await _missing(services)
        exact = await anyio.to_thread.run_sync(choices_in, _index_folder(services))
    if as_json:
        print_json({**asdict(census), "without_vector": missing, "searched_exactly": [asdict(one) for one in exact]})
    else:
        show_census(census, missing, Console())
        for one in exact:
            _say(f"{one.embedder}: {one.as_text()}.")
    return 0


async def rebuild_memory(open_services: OpenServices, *, as_json: bool) -> int:
    """Compute missing vectors, and drop indexes that no process uses; they are rebuilt when needed."""
    async with open_services() as services:
        with _progress("embedding", as_json) as tell:
            embedded = await services.memory.embed_missing(tell)
        dropped = await _drop_idle_indexes(services)
        await anyio.to_thread.run_sync(forget_choices, _index_folder(services))
    if as_json:
        print_json({**asdict(embedded), "indexes_dropped": dropped})
        return 0 if embedded.why_left is None else 1
    _say(
        f"{_tasks(embedded.done)} got a vector. {dropped} unused index(es) dropped: the next server to start builds"
        " its own from the ledger, in the background. Running servers check theirs themselves."
    )
    if embedded.why_left is not None:
        raise EmbedderUnavailable(f"{_tasks(embedded.left)} have none yet: {embedded.why_left}")
    return 0


async def export_to(
    open_services: OpenServices, file: str, *, with_vectors: bool, text_form: TextForm, as_json: bool
) -> int:
    """Export to a file. file: a path, or - for standard output, to which nothing else is then written."""
    if _is_standard_output(Path(file)):
        file = "-"
    try:
        async with open_services() as services:
            with _progress("exporting", as_json or file == "-") as tell:
                count = await export_memory(
                    services.ledger, _target(file), with_vectors=with_vectors, text_form=text_form, progress=tell
                )
    except OSError as error:
        raise BadArgument(
            f"export: {file} cannot be written ({error.strerror or error}). Name a file in a folder that is there and"
            " yours to write in."
        ) from error
    if file == "-":
        return 0
    if as_json:
        print_json({"file": file, "tasks": count})
    else:
        _tell_of_export(file, count)
    return 0


async def import_from(
    open_services: OpenServices, files: Sequence[Path], *, names: Sequence[str], restore: bool, as_json: bool
) -> int:
    """Import files. files: paths; - is standard input. names: `NAME=PROFILE_ID` for model names in a data set."""
    reports: dict[str, ImportReport] = {}
    why_no_vectors: str | None = None
    try:
        async with open_services() as services:
            rules = ImportRules(
                assess=assess, names=_mapping(names, services), restore=restore, embed=services.memory.vectors_of
            )
            for file in files:
                source = sys.stdin.buffer if file == Path("-") else file
                try:
                    with _progress(f"importing {file.name}", as_json) as tell:
                        reports[str(file)] = await import_memory(services.ledger, source, rules, tell)
                except OSError as error:
                    raise BadArgument(
                        f"import: {file} cannot be read ({error.strerror or error}). Name an existing file that you"
                        " may read, or - for standard input."
                    ) from error
            try:
                with _progress("embedding", as_json) as tell:
                    why_no_vectors = (await services.memory.embed_missing(tell)).why_left
            except EmbedderUnavailable as error:
                why_no_vectors = str(error)
    finally:
        _show_imports(reports, why_no_vectors, as_json=as_json)
    return 0


async def prune_memory(
    open_services: OpenServices, *, older_than_days: float | None, keep: int | None, yes: bool, as_json: bool
) -> int:
    if older_than_days is None and keep is None:
        raise BadArgument("prune: say which tasks to prune: --older-than DAYS, --keep N, or both.")
    async with open_services() as services:
        prunable = await find_prunable(services.ledger, older_than_days=older_than_days, keep=keep)
        count = await count_prunable(services.ledger, prunable) if prunable else 0
        question = f"Prune {_tasks(count)}? Their texts, answers and vectors are deleted; counts and costs are kept."
        done, is_smaller = 0, False
        if prunable and count and _agrees(question, yes=yes):
            with _progress("pruning", as_json) as tell:
                done = await prune(services.ledger, prunable, tell)
            is_smaller = await shrink(services.ledger, went=done)
    if as_json:
        print_json({"pruned": done, "file_shrunk": is_smaller})
    else:
        _say(f"{_tasks(done)} pruned." + (" The file was made smaller." if is_smaller else ""))
    return 0


async def forget_tasks(
    open_services: OpenServices,
    task_ids: Sequence[str],
    *,
    project: str | None,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> int:
    selection = Selection(tuple(task_ids), project, everything)
    forgotten: Forgotten | None = None
    async with open_services() as services:
        found = await _forgettable(services, selection)
        question = (
            f"Forget {'everything: ' if everything else ''}{_tasks(len(found))}, permanently? Their cost stays in the"
            " books. Backups of earlier versions of the ledger are deleted too."
        )
        if (found or everything) and _agrees(question, yes=yes):
            forgotten = await _forget(services, selection, found, as_json=as_json)
    _show_forgotten(forgotten, as_json=as_json)
    return 0


def show_census(census: Census, missing: int | None, console: Console) -> None:
    """Print the memory's contents as tables. missing: tasks without a vector; None: not known."""
    table = Table("what", "how much", title="Memory", show_header=False)
    table.add_row("tasks", f"{census.tasks:,}{_in_parts(census.by_origin)}")
    table.add_row("texts", _in_parts(census.by_form, "none"))
    table.add_row("began", f"{_day(census.oldest)} to {_day(census.newest)}" if census.tasks else "-")
    table.add_row("outcomes", f"{census.outcomes:,}")
    table.add_row("vectors", _in_parts(census.vectors, "none"))
    table.add_row("without a vector", "unknown: the embedder is unavailable" if missing is None else f"{missing:,}")
    table.add_row("files", f"{census.bytes / 2**20:,.1f} MiB")
    console.print(table)
    if census.models:
        is_pruned = any(m.pruned_tasks for m in census.models)
        of_pruned = ("pruned", "of these succeeded", "failed") if is_pruned else ()
        table = Table("model", "tasks", "succeeded", "failed", *of_pruned, title="What models did")
        for m in census.models:
            numbers = [m.tasks, m.successes, m.failures]
            if is_pruned:
                numbers += [m.pruned_tasks, m.pruned_successes, m.pruned_failures]
            table.add_row(m.model, *(f"{number:,.4g}" if number % 1 else f"{number:,.0f}" for number in numbers))
        console.print(table)
    for name, calibration in (
        ("expected success", census.expected_success),
        ("memory's confidence", census.confidence),
    ):
        if calibration.brier_score is None or calibration.expected_error is None:
            continue
        table = Table(name, "decisions", "mean", "succeeded", title=f"How accurate {name} was")
        for row in calibration.buckets:
            table.add_row(
                f"{row.said_from:.1f} to {row.said_to:.1f}",
                f"{row.decisions:,}",
                f"{row.mean_said:.2f}",
                f"{row.success_rate:.0%}",
            )
        console.print(table)
        console.print(
            f"Brier score {calibration.brier_score:.3f}: 0 is perfect, 0.25 is a coin toss. Off by"
            f" {calibration.expected_error:.2f} on average."
        )
    missed = census.missed
    if missed.rejected:
        console.print(
            f"Recently, checks caught {missed.failed:,} wrong answers and passed {missed.rejected:,} that you rejected:"
            f" plans expect {missed.share:.0%} of wrong answers to pass."
        )


async def _forgettable(services: Services, selection: Selection) -> Sequence[str]:
    """Ids of the selected tasks. Raises BadArgument if one does not exist, or still runs."""
    found = await find_forgettable(services.ledger, selection)
    if unknown := set(selection.task_ids) - set(found):
        raise BadArgument(f"forget: there is no task {', '.join(sorted(unknown))}. Nothing was forgotten.")
    if running := await owned(services.ledger, found):
        # Files and a receipt that it has yet to write would reappear.
        raise BadArgument(
            f"forget: still running: {', '.join(running)}. Wait until that has ended, or cancel it. Nothing was"
            " forgotten."
        )
    return found


async def _forget(services: Services, selection: Selection, found: Sequence[str], *, as_json: bool) -> Forgotten:
    with _progress("forgetting", as_json) as tell:
        forgotten = await forget(services.ledger, selection, tell)
        await shrink(services.ledger, went=forgotten.tasks)
    await anyio.to_thread.run_sync(services.journals.forget, None if selection.everything else found)
    await _drop_idle_indexes(services)
    return forgotten


def _show_forgotten(forgotten: Forgotten | None, *, as_json: bool) -> None:
    """forgotten: None if the user did not agree, or no task was selected."""
    if as_json:
        print_json(asdict(forgotten or Forgotten(0, (), is_scrubbed=True)))
        return
    if forgotten is None:
        _say("Nothing was forgotten.")
        return
    _say(f"{_tasks(forgotten.tasks)} forgotten. Running servers remove the vectors before their next answer.")
    if forgotten.backups:
        _say(f"Removed, because they contained them: {', '.join(forgotten.backups)}.")
    if not forgotten.is_scrubbed:
        _say("Another process was reading: traces remain in the ledger's log until the last Chargehand process ends.")


def _is_standard_output(path: Path) -> bool:
    """Whether standard output is redirected to this file: replacing the file would lose its contents."""
    try:
        return path.is_file() and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):
        return False


def _target(file: str) -> Path | TextIO:
    if file == "-":
        return sys.stdout
    path = Path(file)
    if path.is_dir():
        raise BadArgument(f"export: {file} is a folder. Name a file in it, e.g. {path / 'memory.jsonl'}")
    return path


def _tell_of_export(file: str, count: int) -> None:
    if Path(file).is_file():
        _say(f"{_tasks(count)} written to {file}, readable only by you.")
    else:  # a pipe, possibly standard output's own
        Console(stderr=True).print(f"{_tasks(count)} written into {file}.", markup=False, highlight=False)


async def _missing(services: Services) -> int | None:
    try:
        return await services.memory.missing()
    except EmbedderUnavailable:
        return None  # shown as unknown


async def _drop_idle_indexes(services: Services) -> int:
    folder = _index_folder(services)
    return len(await anyio.to_thread.run_sync(lambda: remove_idle(folder, idle_after_s=0)))


def _index_folder(services: Services) -> Path:
    return services.ledger.path.parent / INDEX_FOLDER


def _mapping(names: Sequence[str], services: Services) -> Mapping[str, str]:
    mapping: dict[str, str] = {}
    for pair in names:
        # A model's name may contain =, a profile id cannot.
        name, _, profile = pair.rpartition("=")
        if not name or not profile:
            raise BadArgument(f"--map {pair}: write NAME=PROFILE_ID, e.g. --map gpt-4-1106-preview=claude-opus-5-5")
        mapping[name] = services.catalogue.named(profile, services.today)[0].id
    return mapping


def _show_imports(reports: Mapping[str, ImportReport], why_no_vectors: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"files": {file: asdict(report) for file, report in reports.items()}, "no_vectors": why_no_vectors})
        return
    if not reports:
        return
    table = Table("file", "tasks", "new", "merged", "known", "pruned here", "forgotten here", title="Imported")
    for file, r in reports.items():
        table.add_row(file, *(f"{n:,}" for n in (r.tasks, r.added, r.merged, r.unchanged, r.pruned, r.forgotten)))
    Console().print(table)
    if why_no_vectors is not None:
        _say(f"Some tasks have no vector yet, and get one later: {why_no_vectors}")


@contextlib.contextmanager
def _progress(what: str, quiet: bool) -> Generator[Callable[[int, int], None]]:
    """A progress bar on standard error if it is a terminal. The yielded function is thread-safe."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _agrees(question: str, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise BadArgument(f"{question} There is no terminal to ask on: use --yes.")
    return agrees(question)


def _tasks(count: int) -> str:
    return f"{count:,} task" if count == 1 else f"{count:,} tasks"


def _in_parts(counts: Mapping[str, int], nothing: str = "") -> str:
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    return (f" ({parts})" if not nothing else parts) if parts else nothing


def _day(moment: float | None) -> str:
    return "-" if moment is None else dt.datetime.fromtimestamp(moment, dt.UTC).strftime("%Y-%m-%d")


def _say(line: str) -> None:
    Console().print(line, markup=False, highlight=False)
