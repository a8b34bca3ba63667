"""Fault injection with a check of the ledger: `python -m chargehand.evaluation.bench.ordeal`.

Real servers over stdio share a data folder and ask local vendors that fail, or answer endlessly, at random, while
hosts cancel calls, close their connections, terminate and kill them at random moments. Finally two servers spend the
rest of the day's budget concurrently. Then every task and every cent must be accounted for, and no process may be
left. Linux only, as it adopts orphans.
"""

import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import anyio
import anyio.to_thread
from rich.progress import track

from ...memory_store.ledger import LEDGER_FILE
from ..peers.reply import Ask, Cut, ErrorInside, Fault, Garbled, HttpFault, Reply, Stall, Unfinished
from ..peers.vendors import Vendors, vendors
from .accounts import Errand, errand_of, generations, rows, violations
from .orphans import Adoption, adopting, commands_below
from .output import output, progress_output
from .stdio_host import Call, Host, Hosts, hosts

Action = Literal["let it be", "cancel the call", "cancel elsewhere", "lock the ledger", "kill", "terminate", "hang up"]

Moment = Literal["at once", "asked", "tests run"]

_RIGHT = Reply("```python\ndef double(count):\n    return 2 * count\n```\n", seconds=0.05)
_WRONG = Reply("```python\ndef double(count):\n    return count ** 2\n```\n", thinking="Squared? " * 1_500)
"""A repair sends this thinking back, and is billed for it."""
_ENDLESS = Reply("```python\n" + "count = 1\n" * 15_000, thinking="So", thinking_tokens=1_000_000)
"""Uses every allowed token, so it costs the whole reserved amount."""
_LOOPS = "print()\nwhile True: pass"
_TESTS = ("assert double(4) == 8", _LOOPS, None)
_TESTS_BEFORE_KILL = (*_TESTS, _LOOPS, _LOOPS, _LOOPS)
"""For servers about to be ended, so that some of their tests are running then."""
_MODELS = (None, None, "local", "haiku", "sonnet", "opus")
_CAPS_USD = (None, 0.5, 0.05, 0.01, 0.004)
"""The lowest covers one short answer of the cheapest paid model, and no second one."""
_BUDGET_USD_A_ROUND = 0.05
_CONCURRENT_TASK_SHARE = 0.3
"""Probability that the other server runs a task at the same time."""
_CALL_S = 3
_MOMENT_S = 5.0
_LOCK_S = 0.5
_BOUND_S = 90.0
_END_S = 15.0
"""Less than the CPU time limit of looping tests, so that they cannot have ended by themselves."""


@dataclass
class Ordeal:
    """The state of the run: what was done, and which requirements failed."""

    rng: random.Random
    budget_usd: float
    adoption: Adoption
    errands: list[Errand] = field(default_factory=list[Errand])
    answers: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    actions: Counter[str] = field(default_factory=Counter[str])
    broken: list[str] = field(default_factory=list[str])
    slowest_end_s: float = 0.0
    """Longest time from the signal, or from closing the input, to the end of the process."""
    only_endless: bool = False
    """True: all vendors answer without faults and endlessly."""

    def answer(self, _: Ask) -> Reply | Fault:
        """The vendor's answer to one request, drawn at random."""
        if self.only_endless:
            return _ENDLESS
        never = anyio.Event()
        return self.rng.choice(
            (
                _RIGHT, _RIGHT, _RIGHT, _WRONG, _WRONG, _ENDLESS, Stall(_RIGHT, never, after=self.rng.randrange(3)),
                Cut(_RIGHT), Unfinished(_RIGHT), ErrorInside(_RIGHT), Garbled(_RIGHT),
                HttpFault(429), HttpFault(500), HttpFault(529),
            )
        )  # fmt: skip

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(otherwise)

    def errand(self, cap_usd: float | None) -> Errand:
        self.errands.append(Errand(len(self.errands) + 1, cap_usd))
        return self.errands[-1]

    def note(self, call: Call) -> None:
        if call.answer is not None:
            self.answers.append(call.answer)


async def ordeal(rounds: int, *, seed: int = 20261124) -> int:
    """Run everything and print the result; returns the exit code: 1 when a requirement failed."""
    console = output()
    with adopting() as adoption, tempfile.TemporaryDirectory(prefix="chargehand-ordeal-") as name:
        budget_usd = rounds * _BUDGET_USD_A_ROUND
        test = Ordeal(random.Random(seed), budget_usd, adoption)  # noqa: S311 - not for secrets
        folder = Path(name)
        (folder / "tmp").mkdir()
        async with vendors(test.answer) as peers:
            async with hosts(_environment(test, peers, folder), folder) as started:
                await _run_rounds(test, rounds, peers, started)
                await _spend_the_rest(test, started)
                await _check_interrupted_tasks(test, started)
            for violation in violations(folder, peers, test.errands, test.answers, budget_usd):
                test.broken.append(violation)
            spent_usd = rows(folder, "SELECT TOTAL(cost_usd) FROM attempts")[0][0]
            requests = sum(1 for _ in generations(peers))
    actions = ", ".join(f"{count} {action}" for action, count in sorted(test.actions.items()))
    statuses = Counter(answer["status"] for answer in test.answers)
    console.print(f"{rounds} rounds: {actions}.")
    console.print(f"{len(test.errands)} tasks, {requests} requests, ${spent_usd:.4f} spent of ${budget_usd:.4f}.")
    console.print(f"Answers: {', '.join(f'{count} {status}' for status, count in statuses.most_common())}.")
    console.print(f"Slowest end of a server: {test.slowest_end_s:.1f} s.")
    for broken in test.broken:
        console.print(broken, style="red", markup=False)
    console.print("Something went wrong." if test.broken else "All tasks and all money are accounted for.")
    return 1 if test.broken else 0


async def _run_rounds(test: Ordeal, rounds: int, peers: Vendors, started: Hosts) -> None:
    pair = [await started.start(), await started.start()]
    for _ in track(range(rounds), console=progress_output(), transient=True):
        for place, host in enumerate(pair):
            if not host.is_running:
                pair[place] = await started.start()
        test.rng.shuffle(pair)
        with anyio.move_on_after(_BOUND_S) as bound:
            await _round(test, pair[0], pair[1], peers)
            await _require_no_orphans(test, started)
        test.require(not bound.cancelled_caught, f"a round took more than {_BOUND_S:g} s")
    for host in pair:
        await _close_and_require_exit(test, host)
    await _require_no_orphans(test, started)


async def _round(test: Ordeal, host: Host, other: Host, peers: Vendors) -> None:
    rng = test.rng
    action: Action = rng.choice(get_args(Action))
    test.actions[action] += 1
    company = await _begin(test, other, _TESTS) if rng.random() < _CONCURRENT_TASK_SHARE else None
    tests = _TESTS_BEFORE_KILL if action in ("kill", "terminate", "hang up") else _TESTS
    call = await _begin(test, host, tests, wait_s=0 if action == "cancel elsewhere" else 60)
    errand = test.errands[-1]
    if action == "cancel elsewhere":
        await _answered(test, call)
    await _wait_for_moment(
        rng, host, call, lambda: any(errand_of(seen) == errand.number for seen in generations(peers))
    )
    match action:
        case "let it be":
            await _answered(test, call)
        case "cancel the call":
            await host.cancel(call)
        case "cancel elsewhere":
            await _cancel_elsewhere(test, call, other)
        case "lock the ledger":
            await anyio.to_thread.run_sync(_lock_the_ledger, host.folder)
            await _answered(test, call)
        case "kill":
            host.process.kill()
            await _ends(test, host, -signal.SIGKILL, action)
        case "terminate":
            host.process.terminate()
            await _ends(test, host, 0, action)
        case "hang up":
            await _close_and_require_exit(test, host)
    test.note(call)
    if company is not None:
        await _answered(test, company)
        test.note(company)


async def _begin(test: Ordeal, host: Host, tests: Sequence[str | None], *, wait_s: float = 60) -> Call:
    errand = test.errand(test.rng.choice(_CAPS_USD))
    arguments = {
        "task": errand.task, "tests": test.rng.choice(tests), "model": test.rng.choice(_MODELS),
        "max_cost_usd": errand.cap_usd, "max_seconds": _CALL_S, "wait_s": wait_s,
    }  # fmt: skip
    return await host.call("delegate_generation", {k: v for k, v in arguments.items() if v is not None})


async def _wait_for_moment(rng: random.Random, host: Host, call: Call, is_asked: Callable[[], bool]) -> None:
    """Wait for a random moment to act: at once, when a vendor is asked or tests run, or a little later."""
    kind: Moment = rng.choice((*get_args(Moment), "tests run"))
    if kind == "at once":
        return
    is_there = is_asked if kind == "asked" else lambda: _runs_tests(host)
    with anyio.move_on_after(_MOMENT_S):
        while not is_there() and not _is_over(call):  # noqa: ASYNC110 - state of other processes
            await anyio.sleep(0.01)
    await anyio.sleep(rng.choice((0.0, rng.random() * 0.4)))


def _is_over(call: Call) -> bool:
    return call.done.is_set() and (call.answer is None or call.answer["status"] != "running")


def _runs_tests(host: Host) -> bool:
    return any("--unshare-pid" in command for command in commands_below(host.process.pid))


async def _answered(test: Ordeal, call: Call) -> None:
    """Wait for the answer of a server that is not ended meanwhile."""
    await call.done.wait()
    test.require(call.answer is not None, "a call on a living server was answered with an error")


async def _cancel_elsewhere(test: Ordeal, call: Call, other: Host) -> None:
    if call.answer is None:
        return
    end = await other.call("delegate_generation", {"resume": call.answer["task_id"], "cancel": True, "wait_s": 45})
    await end.done.wait()
    is_ended = end.answer is not None and end.answer["status"] != "running"
    test.require(is_ended, f"a task was not ended from elsewhere: {end.answer}")
    test.note(end)


def _lock_the_ledger(folder: Path) -> None:
    """Block all other writers for a moment, as a backup or a slow disk would."""
    db = sqlite3.connect(folder / LEDGER_FILE, timeout=_BOUND_S, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        time.sleep(_LOCK_S)  # in a thread of its own
        db.execute("ROLLBACK")
    finally:
        db.close()


async def _close_and_require_exit(test: Ordeal, host: Host) -> None:
    """Close the server's input, after which it must exit with 0; a killed server has ended already."""
    if host.is_running:
        await host.close_input()
        await _ends(test, host, 0, "hang up")


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


async def _require_no_orphans(test: Ordeal, started: Hosts) -> None:
    """Require that child processes of a server end soon after it."""
    own = {host.process.pid for host in started.all}
    orphans = list[str]()
    with anyio.move_on_after(_END_S) as bound:
        while orphans := test.adoption.orphans(own):  # noqa: ASYNC110 - no event for the end of adopted processes
            await anyio.sleep(0.05)
    if bound.cancelled_caught:
        test.broken.append(f"processes have outlived their server: {orphans}")
        test.adoption.end(own)


async def _spend_the_rest(test: Ordeal, started: Hosts) -> None:
    """Request endless answers from the most expensive model on two servers until the day's budget is used up."""
    test.only_endless = True
    refused = 0

    async def spend(host: Host) -> None:
        nonlocal refused
        for _ in range(len(test.errands) + 20):
            errand = test.errand(None)
            call = await host.call("delegate_generation", {"task": errand.task, "model": "opus", "max_attempts": 1})
            await _answered(test, call)
            test.note(call)
            if call.answer is None or call.answer["status"] == "over_budget":
                refused += call.answer is not None
                return

    pair = [await started.start(), await started.start()]
    async with anyio.create_task_group() as group:
        for host in pair:
            group.start_soon(spend, host)
    test.require(refused == len(pair), "the day's budget was never used up, whatever was asked for")
    for host in pair:
        await _close_and_require_exit(test, host)


async def _check_interrupted_tasks(test: Ordeal, started: Hosts) -> None:
    """Let a new server settle what dead servers left open, and report how an interrupted task ended."""
    host = await started.start()
    await (await host.call("route_task", {"task": "Rename n to count"})).done.wait()
    for (task_id,) in rows(host.folder, "SELECT id FROM tasks WHERE interrupted LIMIT 5"):
        resumed = await host.call("delegate_generation", {"resume": task_id})
        await resumed.done.wait()
        answer = resumed.answer or {}
        test.require(answer.get("status") in ("failed", "cancelled"), f"an interrupted task says {answer}")
    await _close_and_require_exit(test, host)


def _environment(test: Ordeal, peers: Vendors, folder: Path) -> dict[str, str]:
    own = {"CHARGEHAND_HOME": str(folder), "TMPDIR": str(folder / "tmp"), "HOME": str(folder)}
    budget = {"CHARGEHAND_DAILY_BUDGET_USD": f"{test.budget_usd:.6f}"}
    return {"PATH": "/usr/bin:/bin", **peers.environment, **own, **budget}


if __name__ == "__main__":
    sys.exit(anyio.run(ordeal, int(sys.argv[1]) if len(sys.argv) > 1 else 200))
