"""Cancellations, kills and faults in a row, and whether the books survive: `python -m chargehand.evaluation.ordeal`.

Real servers over stdio on one data folder ask local vendors that fail at random, while their hosts
cancel calls, hang up, end and kill them at random moments. Afterwards every task and every cent must be
accounted for, and no process may be left. Linux only: it looks for processes in /proc.
"""

import random
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import anyio
from rich.console import Console
from rich.progress import track

from ..memory_store.ledger import LEDGER_FILE
from ..memory_store.ownership import FOLDER as OWNERS
from ..profiles.loading import load_catalogue
from .peers.reply import Ask, Cut, ErrorInside, Fault, Garbled, HttpFault, Reply, Stall, Unfinished
from .peers.vendors import Vendors, vendors
from .stdio_host import Call, Host, hosts

Deed = Literal["let it be", "cancel the call", "cancel elsewhere", "kill", "terminate", "hang up"]

TASK = "Rename the variable n to count in this function: def double(n): return 2 * n"
_RIGHT = Reply("```python\ndef double(count):\n    return 2 * count\n```\n", seconds=0.05)
_WRONG = Reply("```python\ndef double(count):\n    return count ** 2\n```\n")
_TESTS = ("assert double(4) == 8", "assert double(4) == 8\nwhile True: pass", None)
_MODELS = (None, None, "local", "haiku", "sonnet")
_CAPS_USD = (None, 0.5, 0.05, 0.002)
_BUDGET_USD_A_ROUND = 0.03
_CALL_S = 3
_BOUND_S = 30.0
_END_S = 15.0


@dataclass
class Ordeal:
    """What was done, and what must hold after it."""

    rng: random.Random
    budget_usd: float
    caps_usd: dict[str, float] = field(default_factory=dict[str, float])
    """What each answered task was allowed to cost, by task id."""
    answers: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    deeds: Counter[str] = field(default_factory=Counter[str])
    broken: list[str] = field(default_factory=list[str])
    """What did not hold."""
    slowest_end_s: float = 0.0
    """From the signal, or the hanging up, to the end of the process."""

    def answer(self, _: Ask) -> Reply | Fault:
        """What a vendor does this time."""
        never = anyio.Event()
        return self.rng.choice(
            (
                _RIGHT, _RIGHT, _RIGHT, _WRONG, Stall(_RIGHT, never, after=self.rng.randrange(3)),
                Cut(_RIGHT), Unfinished(_RIGHT), ErrorInside(_RIGHT), Garbled(_RIGHT),
                HttpFault(429), HttpFault(500), HttpFault(529),
            )
        )  # fmt: skip

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)


async def ordeal(rounds: int, *, seed: int = 20261124) -> int:
    """Print what came of it; gives the exit code: 1 when something did not hold."""
    console = Console()
    test = Ordeal(random.Random(seed), budget_usd=rounds * _BUDGET_USD_A_ROUND)  # noqa: S311 - not for secrets
    with tempfile.TemporaryDirectory(prefix="chargehand-ordeal-") as name:
        folder = Path(name)
        async with vendors(test.answer) as peers:
            await _suffer(test, rounds, peers, folder, console)
            async with hosts(_environment(test, peers, folder), folder) as started:
                await _look_into_the_books(test, await started.start(), peers, folder)
    deeds = ", ".join(f"{count} {deed}" for deed, count in sorted(test.deeds.items()))
    statuses = Counter(answer.get("status") for answer in test.answers)
    console.print(f"{rounds} rounds: {deeds}.")
    console.print(f"Answers: {', '.join(f'{count} {status}' for status, count in statuses.most_common())}.")
    console.print(f"Slowest end of a server: {test.slowest_end_s:.1f} s.")
    for broken in test.broken:
        console.print(broken, style="red", markup=False)
    console.print("Something did not hold." if test.broken else "All tasks and all money are accounted for.")
    return 1 if test.broken else 0


async def _suffer(test: Ordeal, rounds: int, peers: Vendors, folder: Path, console: Console) -> None:
    asked = _counter(peers)
    async with hosts(_environment(test, peers, folder), folder) as started:
        pair = [await started.start(), await started.start()]
        for _ in track(range(rounds), console=console, transient=True):
            for place, host in enumerate(pair):
                if not host.is_running:
                    pair[place] = await started.start()
            test.rng.shuffle(pair)
            with anyio.move_on_after(_BOUND_S) as bound:
                await _round(test, pair[0], pair[1], asked)
            test.require(not bound.cancelled_caught, f"a round took more than {_BOUND_S:g} s")
        for host in pair:
            await host.hang_up()
            await _ends(test, host, 0, "at the end")
    with anyio.move_on_after(_END_S):
        while _processes_of(folder):  # noqa: ASYNC110 - nobody tells when somebody else's child ends
            await anyio.sleep(0.05)
    left = _processes_of(folder)
    test.require(not left, f"processes are left: {left}")


async def _round(test: Ordeal, host: Host, other: Host, asked: Callable[[], int]) -> None:
    rng = test.rng
    deed: Deed = rng.choice(get_args(Deed))
    test.deeds[deed] += 1
    cap_usd = rng.choice(_CAPS_USD)
    arguments = {
        "task": TASK, "tests": rng.choice(_TESTS), "model": rng.choice(_MODELS), "max_cost_usd": cap_usd,
        "max_seconds": _CALL_S, "wait_s": 0 if deed == "cancel elsewhere" else 60,
    }  # fmt: skip
    before = asked()
    call = await host.call("delegate_generation", {k: v for k, v in arguments.items() if v is not None})
    await _moment(rng, call, lambda: asked() > before)
    match deed:
        case "let it be":
            await call.done.wait()
        case "cancel the call":
            await host.cancel(call)
        case "cancel elsewhere":
            await call.done.wait()
            if call.answer is not None:
                await _moment(rng, call, lambda: asked() > before)
                resumed = {"resume": call.answer["task_id"], "cancel": True, "wait_s": 20}
                end = await other.call("delegate_generation", resumed)
                await end.done.wait()
                test.require(
                    end.answer is not None and end.answer["status"] != "running",
                    f"a task was not ended from elsewhere: {end.answer}",
                )
                _note(test, end, cap_usd)
        case "kill":
            host.process.kill()
            await _ends(test, host, -signal.SIGKILL, deed)
        case "terminate":
            host.process.terminate()
            await _ends(test, host, 0, deed)
        case "hang up":
            await host.hang_up()
            await _ends(test, host, 0, deed)
    _note(test, call, cap_usd)


async def _moment(rng: random.Random, call: Call, is_asked: Callable[[], bool]) -> None:
    """Wait for one of the moments at which a deed may fall: at once, once a vendor was asked, or later."""
    kind = rng.randrange(4)
    if kind == 0:
        return
    with anyio.move_on_after(2.0):
        while not is_asked() and not call.done.is_set():  # noqa: ASYNC110 - the peers' journal has no event
            await anyio.sleep(0.005)
    if kind > 1:
        with anyio.move_on_after(rng.random() * 0.6):
            await call.done.wait()


async def _ends(test: Ordeal, host: Host, code: int, after: str) -> None:
    told = anyio.current_time()
    with anyio.move_on_after(_END_S) as bound:
        await host.process.wait()
    test.slowest_end_s = max(test.slowest_end_s, anyio.current_time() - told)
    ended = "it did not end" if bound.cancelled_caught else f"it ended with {host.process.returncode}"
    test.require(host.process.returncode == code, f"a server should have ended with {code} ({after}): {ended}")
    if bound.cancelled_caught:
        host.process.kill()
        await host.process.wait()


def _note(test: Ordeal, call: Call, cap_usd: float | None) -> None:
    if call.answer is not None:
        test.answers.append(call.answer)
        if cap_usd is not None:
            test.caps_usd[call.answer["task_id"]] = cap_usd


async def _look_into_the_books(test: Ordeal, host: Host, peers: Vendors, folder: Path) -> None:
    """Let a new server see what the dead left, then read what it made of it."""
    closing = await host.call("route_task", {"task": TASK})
    await closing.done.wait()
    for (task_id,) in _rows(folder, "SELECT id FROM tasks WHERE interrupted LIMIT 5"):
        resumed = await host.call("delegate_generation", {"resume": task_id})
        await resumed.done.wait()
        answer = resumed.answer or {}
        test.require(answer.get("status") in ("failed", "cancelled"), f"an interrupted task says {answer}")
    await host.hang_up()
    await _ends(test, host, 0, "at the end")
    _require_accounts(test, folder)
    _require_that_requests_are_booked(test, peers, folder)


def _require_accounts(test: Ordeal, folder: Path) -> None:
    open_tasks = _rows(folder, "SELECT id, status FROM tasks WHERE status = 'running' OR finished_at IS NULL")
    test.require(not open_tasks, f"tasks without an end: {open_tasks}")
    unsettled = _rows(folder, "SELECT id, task_id FROM attempts WHERE cost_usd IS NULL")
    test.require(not unsettled, f"requests that were never settled: {unsettled}")
    above = _rows(folder, "SELECT id, cost_usd, reserved_usd FROM attempts WHERE cost_usd > reserved_usd + 1e-9")
    test.require(not above, f"requests that cost more than was set aside: {above}")
    (spent_usd,) = _rows(folder, "SELECT TOTAL(cost_usd) FROM attempts")[0]
    test.require(spent_usd <= test.budget_usd, f"${spent_usd:.4f} were spent, ${test.budget_usd:.4f} allowed")
    costs = dict(_rows(folder, "SELECT task_id, TOTAL(cost_usd) FROM attempts GROUP BY task_id"))
    for task_id, cap_usd in test.caps_usd.items():
        test.require(costs.get(task_id, 0.0) <= cap_usd + 1e-9, f"task {task_id} passed its max_cost_usd {cap_usd}")
    statuses = dict(_rows(folder, "SELECT id, status FROM tasks"))
    for answer in test.answers:
        booked, said = statuses.get(answer["task_id"]), answer["status"]
        test.require(booked == said or (said == "running" and booked is not None), f"answered {said}, booked {booked}")
    tickets = _rows(folder, "SELECT * FROM tickets")
    test.require(not tickets, f"tickets are left: {tickets}")
    owners = [path.name for path in (folder / OWNERS).iterdir()]
    test.require(not owners, f"lock files are left: {owners}")


def _require_that_requests_are_booked(test: Ordeal, peers: Vendors, folder: Path) -> None:
    """What the vendors saw is in the books: no request without its attempt, no reply dearer than all of them."""
    by_wire_id = {profile.api_model: profile for profile in load_catalogue()}
    booked = dict(_rows(folder, "SELECT model, COUNT(*) FROM attempts GROUP BY model"))
    seen: Counter[str] = Counter()
    billed_usd = 0.0
    for exchange in _generations(peers):
        profile = by_wire_id[exchange.body["model"]]
        seen[profile.id] += 1
        if exchange.status == 200 and not exchange.client_disconnected:
            billed_usd += profile.cost_usd(input_tokens=exchange.input_tokens, output_tokens=exchange.output_tokens)
    for model, count in seen.items():
        test.require(count <= booked.get(model, 0), f"{model}: {count} requests, {booked.get(model, 0)} in the books")
    test.require(billed_usd <= test.budget_usd, f"vendors bill ${billed_usd:.4f}, ${test.budget_usd:.4f} allowed")


def _environment(test: Ordeal, peers: Vendors, folder: Path) -> dict[str, str]:
    (folder / "tmp").mkdir(exist_ok=True)
    own = {"CHARGEHAND_HOME": str(folder), "TMPDIR": str(folder / "tmp"), "HOME": str(folder)}
    return {
        "PATH": "/usr/bin:/bin",
        **peers.environment,
        **own,
        "CHARGEHAND_DAILY_BUDGET_USD": f"{test.budget_usd:.6f}",
    }


def _generations(peers: Vendors) -> Iterator[Any]:
    yield from peers.ollama.journal.to("/api/chat")
    yield from peers.anthropic.journal.to("/v1/messages")
    yield from peers.cerebras.journal.to("/v1/chat/completions")


def _counter(peers: Vendors) -> Callable[[], int]:
    return lambda: sum(1 for _ in _generations(peers))


def _rows(folder: Path, query: str) -> Sequence[tuple[Any, ...]]:
    """The rows of a query, of any type (hence Any)."""
    db = sqlite3.connect(folder / LEDGER_FILE)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def _processes_of(folder: Path) -> list[str]:
    """Other processes that have the folder in their command line, environment or working folder."""
    mark, found = str(folder).encode(), list[str]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if mark in command + (process / "environ").read_bytes() or str(folder) in str((process / "cwd").readlink()):
                found.append(f"{process.name} {command[:200]!r}")
        except OSError:
            continue  # it has ended meanwhile, or is another user's
    return found


if __name__ == "__main__":
    sys.exit(anyio.run(ordeal, int(sys.argv[1]) if len(sys.argv) > 1 else 200))
