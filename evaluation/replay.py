"""Recorded work through the whole product: the real server over stdio, strict peers that give recorded answers.

What it shows: how many tasks end verified, whether a verdict of ours is ever wrong, what was spent, and
what the product itself takes per task. What it does not: how today's models would do. Delivered code is
run once more by plain Python, without a sandbox: use it on published data sets only.
"""

import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import anyio
from mcp import Client, StdioServerParameters
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from .peers.reply import Ask, HttpFault, Reply
from .peers.vendors import vendors
from .recorded import RecordedAnswer, RecordedTask, UnknownRecording, read_recording

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
    """The tasks, and what has been given out of each."""

    tasks: Sequence[RecordedTask]
    given: dict[tuple[str, str], list[RecordedAnswer]] = field(
        default_factory=lambda: defaultdict[tuple[str, str], list[RecordedAnswer]](list)
    )
    """By task and tier, in order."""
    newest: dict[str, RecordedAnswer] = field(default_factory=dict[str, RecordedAnswer])
    """By task."""

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
    """The structured result, of the tool's own shape (hence Any)."""
    delivered: RecordedAnswer | None
    """The answer that the last attempt was given."""
    seconds: float
    passes_outside: bool
    """Whether the code that came back passes its tests when plain Python runs both, without our checker."""

    @property
    def is_wrong_success(self) -> bool:
        return self.receipt["status"] == "succeeded" and not self.passes_outside

    @property
    def is_refused_right(self) -> bool:
        """Whether an answer that passes by its data set was the last one, and was not accepted."""
        return self.receipt["status"] == "failed" and bool(self.delivered and self.delivered.passes)


async def replay(data: Path | None, *, limit: int | None) -> int:
    """Print what came of it; gives the exit code: 1 when a verdict of ours is wrong, 2 when there is no data."""
    console = Console()
    try:
        tasks = read_recording(data or Path("replay_mbpp.jsonl.gz"))[:limit]
    except (OSError, UnknownRecording) as error:
        Console(stderr=True).print(f"--data: {error}", markup=False)
        return 2
    recording = Recording(tasks)
    with tempfile.TemporaryDirectory(prefix="chargehand-replay-") as folder:
        async with vendors(recording.answer) as peers:
            environment = peers.environment | {"CHARGEHAND_HOME": folder, "CHARGEHAND_DAILY_BUDGET_USD": "none"}
            outcomes = await _delegate_all(recording, environment, Path(folder))
    _print(outcomes, recording, console)
    return 1 if any(outcome.is_wrong_success or outcome.is_refused_right for outcome in outcomes) else 0


async def _delegate_all(recording: Recording, environment: Mapping[str, str], folder: Path) -> list[Outcome]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "chargehand.server"],
        env={"PATH": "/usr/bin:/bin", **environment},
        cwd=folder,
    )
    outcomes: list[Outcome] = []
    turn = anyio.CapacityLimiter(AT_ONCE)
    with Progress() as progress:
        bar = progress.add_task("delegating", total=len(recording.tasks))
        async with Client(server) as client, anyio.create_task_group() as group:

            async def delegate(task: RecordedTask) -> None:
                async with turn:
                    begun = time.perf_counter()
                    arguments = {"task": task.prompt, "tests": task.tests, "wait_s": 300}
                    result = await client.call_tool("delegate_generation", arguments)
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


def _print(outcomes: Sequence[Outcome], recording: Recording, console: Console) -> None:
    statuses = Counter(outcome.receipt["status"] for outcome in outcomes)
    solved, wrong = statuses["succeeded"], sum(outcome.is_wrong_success for outcome in outcomes)
    spent_usd = sum(outcome.receipt["cost_usd"] for outcome in outcomes)
    attempts = [attempt for outcome in outcomes for attempt in outcome.receipt["attempts"]]
    seconds = [outcome.seconds / max(1, len(outcome.receipt["attempts"])) for outcome in outcomes]
    table = Table("", "", show_header=False, title=f"{len(outcomes)} recorded tasks through the server")
    table.add_row("succeeded", f"{solved} ({solved / len(outcomes):.3f})")
    alone = [task.answer("director", 0).passes for task in recording.tasks]
    table.add_row("the director alone", f"{sum(alone) / len(alone):.3f} by the data set")
    table.add_row("other ends", ", ".join(f"{n} {status}" for status, n in statuses.items() if status != "succeeded"))
    table.add_row("wrong successes", str(wrong))
    table.add_row("right answers refused", str(sum(outcome.is_refused_right for outcome in outcomes)))
    table.add_row("attempts", ", ".join(f"{n} {model}" for model, n in Counter(a["model"] for a in attempts).items()))
    table.add_row("spent at today's prices", f"${spent_usd:.4f}, ${spent_usd / max(1, solved):.5f} per solved task")
    table.add_row(
        "seconds per attempt",
        f"median {statistics.median(seconds):.2f} (peers answer at once, {AT_ONCE} tasks at a time)",
    )
    for tier in {tier for _, tier in recording.given}:
        first = [answers[0].passes for (_, t), answers in recording.given.items() if t == tier]
        table.add_row(f"tier {tier}", f"asked for {len(first)} tasks; {sum(first)} first answers pass by the data set")
    console.print(table)
