"""Replays recorded tasks end to end: the real server over stdio, with strict peers that give recorded answers.

Shows how many tasks end verified, whether a verdict is ever wrong, the spend, and the product's own time per task.
Does not show how today's models would do. Delivered code runs once more in plain Python without a sandbox: use it on
published data sets only.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ...profiles.loading import load_catalogue
from ...profiles.price import in_dollars
from ..peers.reply import Ask, HttpFault, Reply
from ..peers.vendors import Vendors, vendors
from ..unusable import in_words
from .output import output, progress_output, refuse
from .recorded import RecordedAnswer, RecordedTask, read_recording
from .server_process import over_stdio, own_environment

AT_ONCE = 2
PLAIN_RUN_TIMEOUT_S = 20

_TIERS = {
    "gpt-oss-120b": "fast_coder",
    "qwen-3.8-27b": "fast_coder",
    "claude-haiku-5-5": "economy",
    "claude-sonnet-5-5": "validator",
    "claude-opus-5-5": "director",
}


@dataclass
class Recording:
    """The tasks, and the answers given so far."""

    tasks: Sequence[RecordedTask]
    given: dict[tuple[str, str], list[RecordedAnswer]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], list[RecordedAnswer]](list)
    )
    """Answers by task and tier, in order."""
    newest: dict[str, RecordedAnswer] = field(default_factory=dict[str, RecordedAnswer])
    """The latest answer, by task."""

    def answer(self, ask: Ask) -> Reply | HttpFault:
        said = "\n".join(text for _, text in ask.messages)
        task = next((task for task in self.tasks if task.prompt in said), None)
        if task is None:
            return HttpFault(500, message="this task was not recorded")
        tier = _TIERS.get(ask.model, "local")
        given = self.given[task.task_id, tier]
        answer = task.answer(tier, len(given))
        given.append(answer)
        self.newest[task.task_id] = answer
        return Reply(answer.text)


@dataclass(frozen=True)
class Outcome:
    task_id: str
    receipt: Mapping[str, Any]
    """The structured result, in the tool's format (hence Any)."""
    delivered: RecordedAnswer | None
    """The answer given to the last attempt."""
    seconds: float
    passes_outside: bool
    """Whether the delivered code passes its tests in plain Python, without our checker."""

    @property
    def is_wrong_success(self) -> bool:
        return self.receipt["status"] == "succeeded" and not self.passes_outside

    @property
    def is_refused_right(self) -> bool:
        """Whether the last answer passes according to the data set, but was rejected."""
        return self.receipt["status"] == "failed" and bool(self.delivered and self.delivered.passes)


@dataclass(frozen=True)
class Run:
    """All tasks of a recording through one server."""

    outcomes: Sequence[Outcome]
    recording: Recording
    spent_usd: float
    """The vendors' token counts at the profiles' prices."""

    @property
    def solved(self) -> int:
        return sum(outcome.receipt["status"] == "succeeded" for outcome in self.outcomes)

    @property
    def wrong_successes(self) -> int:
        return sum(outcome.is_wrong_success for outcome in self.outcomes)

    @property
    def right_refused(self) -> int:
        return sum(outcome.is_refused_right for outcome in self.outcomes)

    @property
    def median_overhead_s(self) -> float:
        """Seconds per attempt; the peers answer immediately."""
        return statistics.median(o.seconds / max(1, len(o.receipt["attempts"])) for o in self.outcomes)

    @property
    def mean_task_overhead_s(self) -> float:
        """Seconds per task, for all its attempts and checks; the peers answer immediately."""
        return statistics.mean(outcome.seconds for outcome in self.outcomes)

    @property
    def requests(self) -> str:
        """Number of requests to each model, according to the receipts."""
        models = Counter(attempt["model"] for outcome in self.outcomes for attempt in outcome.receipt["attempts"])
        return ", ".join(f"{count} {model}" for model, count in models.items())


async def replay(data: Path, *, limit: int | None) -> int:
    """Replay a data set and print the results; returns the exit code: 1 for any wrong verdict, 2 for missing data."""
    tasks = _read(data, limit)
    if tasks is None:
        return 2
    run = await _run(tasks, {})
    _print(run, output())
    return 1 if run.wrong_successes or run.right_refused else 0


async def compare(data: Path, *, limit: int | None) -> int:
    """Print what the product solves and spends, compared with one answer of the director and one of a local model.

    Returns the exit code, as `replay` does.
    """
    tasks = _read(data, limit)
    if tasks is None:
        return 2
    alone = {"max_attempts": 1}
    ways = {
        "chargehand": {},
        "director, once": {"model": "director"} | alone,
        "local, once": {"model": "local"} | alone,
    }
    runs = {name: await _run(tasks, way) for name, way in ways.items()}
    table = Table("", *runs, title=f"{len(tasks)} recorded tasks, their tests given")
    director = runs["director, once"]
    rows: dict[str, Callable[[Run], str]] = {
        "solved": lambda run: f"{run.solved / len(tasks):.3f}",
        "spent": lambda run: in_dollars(run.spent_usd),
        "spent, of the director's": lambda run: f"{run.spent_usd / director.spent_usd:.2f}",
        "per solved task": lambda run: in_dollars(run.spent_usd / max(1, run.solved)),
        "wrong successes": lambda run: str(run.wrong_successes),
        "right answers refused": lambda run: str(run.right_refused),
        "overhead, seconds per task": lambda run: f"{run.mean_task_overhead_s:.2f}",
        "seconds per attempt, median": lambda run: f"{run.median_overhead_s:.2f}",
        "requests": lambda run: run.requests,
    }
    for name, cell in rows.items():
        table.add_row(name, *(cell(run) for run in runs.values()))
    output().print(table)
    return 1 if any(run.wrong_successes or run.right_refused for run in runs.values()) else 0


def _read(data: Path, limit: int | None) -> list[RecordedTask] | None:
    try:
        return read_recording(data)[:limit]
    except (OSError, ValueError) as error:
        refuse(in_words(error, data))
        return None


async def _run(tasks: Sequence[RecordedTask], arguments: Mapping[str, Any]) -> Run:
    recording = Recording(tasks)
    with tempfile.TemporaryDirectory(prefix="chargehand-replay-") as folder:
        async with vendors(recording.answer) as peers:
            environment = own_environment(folder) | peers.environment | {"CHARGEHAND_DAILY_BUDGET_USD": "none"}
            outcomes = await _delegate_all(recording, environment, Path(folder), arguments)
    return Run(outcomes, recording, _spent_usd(peers))


def _spent_usd(peers: Vendors) -> float:
    profiles = {profile.api_model: profile for profile in load_catalogue()}
    exchanges = (
        *peers.ollama.journal.to("/api/chat"),
        *peers.cerebras.journal.to("/v1/chat/completions"),
        *peers.anthropic.journal.to("/v1/messages"),
    )
    return sum(
        profiles[exchange.body["model"]].cost_usd(
            input_tokens=exchange.input_tokens, output_tokens=exchange.output_tokens
        )
        for exchange in exchanges
    )


async def _delegate_all(
    recording: Recording, environment: Mapping[str, str], folder: Path, arguments: Mapping[str, Any]
) -> list[Outcome]:
    server = over_stdio(environment, folder)
    outcomes: list[Outcome] = []
    turn = anyio.CapacityLimiter(AT_ONCE)
    with Progress(console=progress_output(), transient=True) as progress:
        bar = progress.add_task("delegating", total=len(recording.tasks))
        async with Client(server) as client, anyio.create_task_group() as group:

            async def delegate(task: RecordedTask) -> None:
                async with turn:
                    begun = time.perf_counter()
                    given = {"task": task.prompt, "tests": task.tests, "wait_s": 300, **arguments}
                    result = await client.call_tool("delegate_generation", given)
                    seconds = time.perf_counter() - begun
                receipt = cast(Mapping[str, Any] | None, result.structured_content)
                if receipt is None:
                    raise RuntimeError(f"{task.task_id}: {result.content}")
                passes = await _passes_outside(receipt.get("code", ""), task.tests)
                outcomes.append(Outcome(task.task_id, receipt, recording.newest.get(task.task_id), seconds, passes))
                progress.advance(bar)

            for task in recording.tasks:
                group.start_soon(delegate, task)
    return outcomes


async def _passes_outside(code: str, tests: str) -> bool:
    with anyio.move_on_after(PLAIN_RUN_TIMEOUT_S):
        program = f"{code}\n{tests}\n".encode()
        done = await anyio.run_process([sys.executable, "-I", "-"], input=program, check=False)
        return done.returncode == 0
    return False


def _print(run: Run, console: Console) -> None:
    outcomes, recording = run.outcomes, run.recording
    statuses = Counter(outcome.receipt["status"] for outcome in outcomes)
    alone = [task.answer("director", 0).passes for task in recording.tasks]
    table = Table("", "value", show_header=False, title=f"{len(outcomes)} recorded tasks through the server")
    table.add_row("succeeded", f"{run.solved} ({run.solved / len(outcomes):.3f})")
    table.add_row("the director alone", f"{sum(alone) / len(alone):.3f} by the data set")
    table.add_row("other ends", ", ".join(f"{n} {status}" for status, n in statuses.items() if status != "succeeded"))
    table.add_row("wrong successes", str(run.wrong_successes))
    table.add_row("right answers refused", str(run.right_refused))
    table.add_row("attempts", run.requests)
    per_solved = in_dollars(run.spent_usd / max(1, run.solved))
    table.add_row("spent at today's prices", f"{in_dollars(run.spent_usd)}, {per_solved} per solved task")
    pace = f"median {run.median_overhead_s:.2f} (the peers answer at once, {AT_ONCE} tasks at a time)"
    table.add_row("seconds per attempt", pace)
    for tier in sorted({tier for _, tier in recording.given}):
        first = [answers[0].passes for (_, t), answers in recording.given.items() if t == tier]
        table.add_row(f"tier {tier}", f"asked for {len(first)} tasks; {sum(first)} first answers pass by the data set")
    console.print(table)
