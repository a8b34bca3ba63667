"""`chargehand evaluate …` on the command line. Its modules are imported when it runs."""

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from ..schedule.arguments import add_schedule_options, refuse_conflicts, schedule_of
from .option_values import day, usd, whole
from .user_errors import WrongOptions

if TYPE_CHECKING:
    from ..surface.server_state import OpenServices

_EPILOG = (
    "Exit code 0: everything that the budget covers was measured. 3: some of it was not (a vendor failed, the day's"
    " budget is used up, a task is broken, or it was interrupted); run the same command to continue, in a later week"
    " with --resume. 1: nothing was measured; the report, or standard error, says why. 2: the command is mistyped."
)


def add_evaluate_command(commands: Any, open_services: "OpenServices") -> None:
    """Add `evaluate`. commands: from `add_subparsers`, whose type argparse does not export."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "evaluate",
        help="measure models on tasks whose answers are run",
        description="Measure each reachable model on tasks whose answers are run in the sandbox.",
        epilog=_EPILOG,
    )
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="profile ids, roles or lines (all that answer)")
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="kinds of task (all)")
    parser.add_argument("--budget-usd", type=usd, metavar="USD", help="the most it may spend, or none (1)")
    parser.add_argument("--repeat", type=whole(1, 100), metavar="K", help="answers per model and task (1)")
    parser.add_argument("--seed", type=int, metavar="N", help="which tasks (one for each week)")
    parser.add_argument("--batch", action="store_true", help="ask Claude in batches: half the price, up to a day")
    repository = parser.add_argument_group("tasks of your own, from a git history")
    repository.add_argument(
        "--from-repo", type=Path, metavar="PATH", help="use commits that change code and tests together"
    )
    repository.add_argument("--commits", type=whole(1, 10_000), metavar="N", help="look at the newest N (200)")
    repository.add_argument(
        "--since", type=day, metavar="DATE", help="ignore commits before this date, e.g. 2026-05-31"
    )
    repository.add_argument("--tasks", type=whole(1, 500), metavar="N", help="make at most N (20)")
    repository.add_argument("--python", type=_python, metavar="FILE", help="the Python whose packages its tests need")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue the last unfinished evaluation, with its settings (give --batch again for new answers)",
    )
    parser.add_argument(
        "--report",
        nargs="?",
        const="",
        metavar="ID",
        help="print the last report (not of a trial), or that of ID, without asking any model",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a self-contained HTML report with plots")
    add_schedule_options(parser)
    parser.set_defaults(run=partial(_evaluate, open_services))


def _evaluate(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .evaluating import EvaluateArguments, evaluate_from_shell, report_from_shell

    refuse_conflicts(chosen)
    schedule = schedule_of(chosen)
    asked = {"--models": chosen.models, "--kinds": chosen.kinds, "--budget-usd": chosen.budget_usd,
             "--repeat": chosen.repeat, "--seed": chosen.seed, "--from-repo": chosen.from_repo}  # fmt: skip
    mining = {"--commits": chosen.commits, "--since": chosen.since, "--tasks": chosen.tasks, "--python": chosen.python}
    if chosen.from_repo is None and (alone := [name for name, value in mining.items() if value is not None]):
        raise WrongOptions(f"evaluate: {', '.join(alone)} goes with --from-repo, which names the repository.")
    if chosen.from_repo is not None and chosen.seed is not None:
        raise WrongOptions("evaluate: --seed cannot go with --from-repo: a commit is one task, and has no variants.")
    given = [name for name, value in asked.items() if value is not None]
    if given and (chosen.resume or chosen.report is not None):
        goes = "--resume" if chosen.resume else "--report"
        raise WrongOptions(f"evaluate: {', '.join(given)} cannot go with {goes}, which keeps its original settings.")
    if chosen.report is not None and (chosen.resume or chosen.batch):
        goes = "--resume" if chosen.resume else "--batch"
        raise WrongOptions(f"evaluate: {goes} cannot go with --report, which asks no model.")
    if schedule is not None:
        return schedule(open_services)
    if chosen.report is not None:
        return anyio.run(
            partial(report_from_shell, open_services, chosen.report or None, as_json=chosen.json, page=chosen.html)
        )
    try:
        return anyio.run(
            partial(
                evaluate_from_shell, open_services, EvaluateArguments.of(chosen), as_json=chosen.json, page=chosen.html
            )
        )
    except KeyboardInterrupt:  # on Windows, where signals are not handled; costs are settled by now
        return 3


def _python(text: str) -> Path:
    # Symbolic links are not resolved: the path identifies the virtual environment.
    path = Path(text).expanduser().absolute()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise argparse.ArgumentTypeError(f"{text} is not a Python that can be run; name its bin/python")
    return path
