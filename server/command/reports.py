"""Prints decisions, usage and instructions as tables, text or JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread
from rich.console import Console
from rich.table import Table

from ...evaluation.tables import print_table, standard_output
from ...memory_store.adherence import ClassUsage, report_classes
from ...memory_store.embedding.embedder import EmbedderUnavailable
from ...memory_store.errors import LedgerError
from ...memory_store.evaluation_runs import EvaluationInProgress
from ...memory_store.index.errors import IndexUnavailable
from ...memory_store.usage import UsageReport, report_usage
from ...profiles.errors import ProfileError
from ...profiles.price import in_dollars
from ...tools.errors import BadArgument, CallerError
from ...tools.route_task import RouteAnswer, route_task
from ..surface.facts import usage_facts
from ..surface.server_state import OpenServices
from .host_instructions import FORMS, instructions, write_instructions

SECONDS_PER_DAY = 86_400

# Errors with a cause that the user can fix: the message is printed, and the exit code is 1.
USER_FIXABLE = (
    CallerError, ProfileError, LedgerError, EvaluationInProgress, EmbedderUnavailable, IndexUnavailable, OSError,
)  # fmt: skip


async def print_route(open_services: OpenServices, task: str, *, as_json: bool) -> int:
    """Print which model would do the task, and why. Returns the exit code."""
    async with open_services() as services:
        answer = await route_task(services, task=task)
    if as_json:
        print_json(answer.model_dump(mode="json", exclude_none=True))
    else:
        _show_route(answer)
    return 0


async def print_usage(open_services: OpenServices, *, days: float | None, as_json: bool) -> int:
    """Print what was spent, saved and lost. Returns the exit code. days: only the last days. None: all time."""
    async with open_services() as services:
        since = 0.0 if days is None else services.clock().timestamp() - days * SECONDS_PER_DAY
        report = await report_usage(services.ledger, since=since)
        classes = await report_classes(services.ledger, since=since)
    if as_json:
        print_json(usage_facts(report, classes))
    else:
        console = standard_output()
        show_usage(report, console)
        _show_classes(classes, console)
    return 0


async def print_instructions(open_services: OpenServices, form_name: str | None, folder: Path | None) -> int:
    """Print the instructions for a host's model, or write them into a project folder. Returns the exit code."""
    form = FORMS[form_name] if form_name else None
    async with open_services() as services:
        text = instructions(form, await report_classes(services.ledger))
    if folder is None:
        sys.stdout.write(text)
        return 0
    if form is None:
        raise BadArgument(f"--install: also give --for {' or '.join(FORMS)}.")
    if not await anyio.to_thread.run_sync(folder.is_dir):
        raise BadArgument(f"--install: {folder} is not a folder. Name your project's folder, or create it first.")
    written = await anyio.to_thread.run_sync(write_instructions, form, text, folder)
    sys.stdout.write(f"{written.file}\n")
    if written.backup is not None:
        sys.stderr.write(f"The file was there and different; that version is kept as {written.backup}.\n")
    return 0


def show_usage(report: UsageReport, console: Console) -> None:
    """Print the usage report."""
    columns = ("model", "asked", "passed", "failed", "in", "out", "cost")
    rows = [
        (
            m.model, str(m.attempts), str(m.passed), str(m.failed), f"{m.input_tokens:,}", f"{m.output_tokens:,}",
            in_dollars(m.cost_usd),
        )
        for m in report.models
    ]  # fmt: skip
    print_table(console, columns, rows, whole=("model", "cost"), title="Attempts, and tokens")
    tasks = ", ".join(f"{count} {status}" for status, count in report.tasks.items()) or "none yet"
    console.print(f"Delegations: {tasks}.")
    open_usd = report.unsettled_usd
    unsettled = f" ({in_dollars(open_usd)} of that not settled, counted at its worst case)" if open_usd else ""
    console.print(f"Spent {in_dollars(report.cost_usd)}{unsettled}.")
    if report.evaluations_usd:
        console.print(f"Evaluations cost another {in_dollars(report.evaluations_usd)}.")
    console.print(
        f"{in_dollars(report.lost_usd)} of that went into delegations that produced nothing verified or accepted."
    )
    console.print(
        f"The verified or accepted work would have cost {in_dollars(report.baseline_usd)} on the baseline model:"
        f" saved {in_dollars(report.saved_usd)}."
    )


def _show_classes(classes: Sequence[ClassUsage], console: Console) -> None:
    if not classes:
        return
    columns = ("kind of task", "offered", "delegated", "accepted", "edited", "rejected", "no word", "cost", "saved")
    rows: list[Sequence[str]] = []
    for c in classes:
        counts = (c.offered, c.delegated, c.accepted, c.edited, c.rejected, c.without_word)
        rows.append((c.task_type, *map(str, counts), in_dollars(c.cost_usd), in_dollars(c.saved_usd)))
    print_table(console, columns, rows, whole=("cost", "saved"), title="What happened to it")
    for c in classes:
        if c.loses_money:
            console.print(
                f"{c.task_type} loses money: {in_dollars(c.judged_usd)} was spent on {c.judged} task(s) that were"
                f" verified, failed or judged, and the good work among them would have cost"
                f" {in_dollars(c.baseline_usd)} on the baseline model. It is no longer recommended."
            )


def print_error(error: Exception) -> int:
    """Print an error to standard error. Returns exit code 1."""
    return print_errors([str(error)]) or 1


def print_errors(problems: Sequence[str]) -> int:
    """Print errors to standard error. Returns exit code 1, or 0 if there are none."""
    console = Console(stderr=True)
    for problem in problems:
        console.print(problem, style="red", markup=False, highlight=False)
    return 1 if problems else 0


def print_json(value: object) -> None:
    Console().print(json.dumps(value, indent=2, default=str), markup=False, highlight=False, soft_wrap=True)


def _show_route(answer: RouteAnswer) -> None:
    console = standard_output()
    console.print(answer.as_text(), markup=False, highlight=False)
    table = Table(
        "factor", "value", "contribution", title=f"Complexity {answer.complexity.score:g} of 10, {answer.task_type}"
    )
    for factor in answer.complexity.factors:
        table.add_row(factor.name, factor.value, f"{factor.contribution:+.2f}")
    console.print(table)
    others = [(other.model, in_dollars(other.expected.cost_usd), other.why_not) for other in answer.alternatives]
    print_table(console, ("alternative", "cost", "why not"), others, whole=("alternative", "cost"), title="Others")
