"""`chargehand delegate`: a cascade from the shell; code on standard output, progress on standard error."""

import contextlib
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ...profiles.price import in_dollars
from ...profiles.vocabulary import TaskType
from ...tools.cascade.receipt import AttemptReceipt, Receipt
from ...tools.cascade.stage import Stage
from ...tools.cascade.waiting import Report
from ...tools.delegate_generation import Output, approval_limit_note, delegate_generation
from ...tools.errors import BadArgument, FileRefused
from ...tools.guarding.roots import Roots
from ...tools.guarding.text import sanitized
from ..surface import arguments as arg
from ..surface.server_state import OpenServices, ServerState, open_server_state
from .question import agrees
from .reports import print_json
from .resilient_output import set_fallback
from .shell_input import keep_bounds
from .signals import cancel_on_signal

EXIT_CODES = {"succeeded": 0, "unverified": 3}
"""By status; any other is 1."""


@dataclass(frozen=True)
class DelegateArguments:
    """The command's arguments."""

    task: str
    tests: str | None
    """A file name, or the tests themselves."""
    checks: Sequence[str]
    """Names of the user's own checks."""
    context_files: Sequence[str]
    """Absolute paths, as is `target`."""
    output: Output
    target: str | None
    model: str | None
    task_type: TaskType | None
    local_only: bool
    max_cost_usd: float | None
    max_seconds: float


async def delegate_from_shell(open_services: OpenServices, arguments: DelegateArguments, *, as_json: bool) -> int:
    """Run the delegation in this process. Returns the exit code. A signal cancels it and settles its costs."""
    console = Console(stderr=True)
    result: Receipt | None = None
    async with open_server_state(open_services) as state:
        if arguments.max_cost_usd is not None:
            # Before signals are handled and progress is shown: Ctrl-C must end the question, and nothing cover it.
            await _consent(state, arguments.max_cost_usd, may_ask=not as_json and sys.stdin.isatty())
        call = anyio.CancelScope()
        with (
            cancel_on_signal(lambda: state.delegations.cancel_all() or call.cancel()),
            call,
            _show_progress(console) as report,
        ):
            result = await _delegate(state, arguments, report)
    if result is None:
        console.print("Cancelled before it started.")
        return 1
    result = sanitized(result)
    set_fallback(f"chargehand://tasks/{result.task_id}")
    if as_json:
        print_json(result.model_dump(mode="json", exclude_none=True))
    elif result.code:
        sys.stdout.write(result.code)
        sys.stdout.flush()
    _sum_up(result, console)
    return EXIT_CODES.get(result.status, 1)


async def _consent(state: ServerState, wanted_usd: float, *, may_ask: bool) -> None:
    """Ask the user about a cost above the approval limit. Raises BadArgument if they refuse or cannot be asked."""
    limit_usd = (await state.services()).rules.ask_above_usd
    if limit_usd is None or wanted_usd <= limit_usd:
        return
    above = f"--max-cost-usd: {wanted_usd:g} is above [budget] ask_above_usd ({limit_usd:g})"
    if not may_ask:
        raise BadArgument(
            f"{above}, and there is no terminal to ask on. Give at most {limit_usd:g}, or raise ask_above_usd"
            " in config.toml."
        )
    if not agrees(f"{above}. Allow it?"):
        raise BadArgument(f"--max-cost-usd: {wanted_usd:g} is not allowed. Give at most {limit_usd:g}.")


async def _delegate(state: ServerState, arguments: DelegateArguments, report: Report) -> Receipt:
    _keep_bounds(arguments)
    services = await state.services()
    tests = None
    if arguments.tests is not None:
        tests = await anyio.to_thread.run_sync(_tests, arguments.tests, services.roots)
        keep_bounds("--tests", arg.Tests, tests)
    limit_usd = services.rules.ask_above_usd
    receipt = await delegate_generation(
        services,
        state.delegations,
        report,
        task=arguments.task,
        context_files=arguments.context_files,
        output=arguments.output,
        target=arguments.target,
        task_type=arguments.task_type,
        model=arguments.model,
        tests=tests,
        checks=arguments.checks,
        max_cost_usd=limit_usd if arguments.max_cost_usd is None else arguments.max_cost_usd,
        max_seconds=arguments.max_seconds,
        local_only=arguments.local_only,
        wait_s=float("inf"),
    )
    if receipt.status == "over_budget" and arguments.max_cost_usd is None and limit_usd is not None:
        receipt.notes.append(approval_limit_note(limit_usd, "--max-cost-usd", "you are"))
    return receipt


def _keep_bounds(arguments: DelegateArguments) -> None:
    """Raise BadArgument for values that the server would refuse; task and numbers were checked on parsing."""
    keep_bounds("--checks", arg.Checks, list(arguments.checks))
    keep_bounds("--context", arg.ContextFiles, list(arguments.context_files))
    if arguments.target is not None:
        keep_bounds("--target", arg.Target, arguments.target)
    if arguments.model is not None:
        keep_bounds("--model", arg.Model, arguments.model)


def _tests(given: str, roots: Roots) -> str:
    """The `tests` argument for the tool.

    For a file below a root that mentions `solution`, its path, so that it runs in a copy of the project; for any
    other file, its text. Raises FileRefused for a file that cannot be read.
    """
    try:
        path = Path(given).absolute()
        if not path.is_file():
            return given
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        if "\n" in given or not given.endswith(".py"):
            return given
        raise FileRefused(f"--tests: {given} cannot be read ({error}). Name a UTF-8 text file.") from error
    is_of_the_project = any(path.resolve().is_relative_to(root) for root in roots.folders)
    return str(path) if is_of_the_project and "solution" in text else text


@contextlib.contextmanager
def _show_progress(console: Console) -> Generator[Report]:
    """Shows each stage: in one updated line on a terminal, otherwise in a line of its own."""
    last = ""
    if not console.is_terminal:

        async def line(stage: Stage) -> None:
            nonlocal last
            text = stage.as_text()
            if text != last:
                last = text
                console.print(text, markup=False, highlight=False)

        yield line
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("selecting", total=None)

        async def living_line(stage: Stage) -> None:
            progress.update(bar, description=escape(stage.as_text()))

        yield living_line


def _sum_up(receipt: Receipt, console: Console) -> None:
    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False)

    for number, attempt in enumerate(receipt.attempts, start=1):
        say(f"{number}. {attempt.model}: {attempt.outcome}{_tested(attempt)}, {attempt.seconds:.1f} s", "dim")
    for note in receipt.notes:
        say(note, "dim")
    last = receipt.attempts[-1] if receipt.attempts else None
    # If the last attempt passed, the notes say why its result could not be written.
    if receipt.status == "failed" and last is not None and last.outcome not in ("passed", "unverified"):
        if (failed := receipt.failure) is not None:
            say(f"{failed.name} failed: {failed.first_failure or failed.note or 'no details given'}", "red")
        if receipt.code:
            say("The code on standard output is the best attempt; it still fails.", "red")
    for change in receipt.files_changed:
        say(f"{change.path}: +{change.added} -{change.removed}")
    if receipt.files_changed:
        say(f"To undo it: chargehand undo {receipt.task_id}", "dim")
    checked = f", checked by {', '.join(receipt.verified_by)}" if receipt.verified_by else ""
    style = "green" if receipt.status == "succeeded" else "yellow" if receipt.status == "unverified" else "red"
    say(f"{receipt.status}{checked}, {in_dollars(receipt.cost_usd)}, task {receipt.task_id}", style)


def _tested(attempt: AttemptReceipt) -> str:
    ran = next((check for check in attempt.checks if check.tests_total is not None), None)
    return f", {ran.tests_passed} of {ran.tests_total} tests" if ran else ""
