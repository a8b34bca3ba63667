"""Checks the ledger's invariants (tasks, money, requests) after cancellations, kills and faults."""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...memory_store.judgement import COST_USD
from ...memory_store.ledger import LEDGER_FILE
from ...memory_store.ownership import FOLDER as OWNERS
from ...profiles.loading import load_catalogue
from ..peers.journal import Exchange
from ..peers.vendors import Vendors

_CENT_FRACTION_USD = 1e-9
"""Tolerance for rounding errors in sums of floats."""


@dataclass(frozen=True)
class Errand:
    """One task given to a server."""

    number: int
    cap_usd: float | None
    """The task's cost limit. None: only the day's budget applies."""

    @property
    def task(self) -> str:
        return f"Rename the variable n to count in this function (errand {self.number}): def double(n): return 2 * n"


@dataclass(frozen=True)
class _LedgerRows:
    """The ledger's rows, with errand numbers where known."""

    statuses: Mapping[str, str]
    """By task id."""
    numbers: Mapping[str, int]
    """Errand numbers by task id."""
    attempts: Sequence[tuple[int, str, str, float, float]]
    """(id, task id, model, cost or worst case, reserved), US dollars, in order."""


def violations(
    folder: Path,
    peers: Vendors,
    errands: Collection[Errand],
    answers: Collection[Mapping[str, Any]],
    budget_usd: float,
) -> Iterator[str]:
    """The violated invariants, one sentence each. No server may be running.

    folder: the data folder. answers: the structured results of the calls (in the tool's format, hence Any).
    budget_usd: per UTC day.
    """
    yield from _left_open(folder)
    ledger = _read(folder)
    yield from _misreported(ledger, answers)
    yield from _above_a_cap(ledger, errands)
    yield from _above_the_day(folder, peers, budget_usd)
    yield from _unrecorded(ledger, peers)


def rows(folder: Path, query: str) -> Sequence[tuple[Any, ...]]:
    """The rows of a query on the ledger, with columns of any type (hence Any)."""
    db = sqlite3.connect(folder / LEDGER_FILE)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def generations(peers: Vendors) -> Iterator[Exchange]:
    """The requests for a reply that the vendors received, newest first per vendor."""
    yield from reversed(peers.ollama.journal.to("/api/chat"))
    yield from reversed(peers.anthropic.journal.to("/v1/messages"))
    yield from reversed(peers.cerebras.journal.to("/v1/chat/completions"))


def errand_of(exchange: Exchange) -> int | None:
    """The number of the errand that a request is for."""
    return _number_in(str(exchange.body.get("messages")))


def _read(folder: Path) -> _LedgerRows:
    tasks = rows(folder, "SELECT id, status, text FROM tasks")
    return _LedgerRows(
        statuses={task_id: status for task_id, status, _ in tasks},
        numbers={task_id: number for task_id, _, text in tasks if (number := _number_in(text)) is not None},
        attempts=rows(
            folder,
            f"SELECT id, task_id, model, {COST_USD}, reserved_usd FROM attempts a ORDER BY id",  # noqa: S608 - a constant
        ),
    )


def _left_open(folder: Path) -> Iterator[str]:
    for what, query in (
        ("tasks without an end", "SELECT id, status FROM tasks WHERE status = 'running' OR finished_at IS NULL"),
        ("requests that were never settled", "SELECT id, task_id FROM attempts WHERE cost_usd IS NULL"),
        (
            "requests that cost more than was set aside",
            "SELECT id, cost_usd, reserved_usd FROM attempts WHERE cost_usd > reserved_usd + 1e-9",
        ),
        (
            "requests of the dead, settled below their worst case",
            "SELECT id, cost_usd, reserved_usd FROM attempts WHERE seconds IS NULL AND cost_usd < reserved_usd",
        ),
        ("turns at Ollama that nobody waits for", "SELECT * FROM tickets"),
    ):
        if found := rows(folder, query):
            yield f"{what}: {found}"
    if owners := [path.name for path in (folder / OWNERS).iterdir()]:
        yield f"lock files of the dead: {owners}"


def _misreported(ledger: _LedgerRows, answers: Collection[Mapping[str, Any]]) -> Iterator[str]:
    """Tasks whose answer was delivered, and that are missing from the ledger or have another status there."""
    for answer in answers:
        booked, said = ledger.statuses.get(answer["task_id"]), answer["status"]
        if booked != said and (said != "running" or booked is None):
            yield f"task {answer['task_id']} was answered with {said}, and the books say {booked}"


def _above_a_cap(ledger: _LedgerRows, errands: Collection[Errand]) -> Iterator[str]:
    """Requests that were sent although their worst-case cost exceeded the task's remaining limit."""
    caps_usd = {errand.number: errand.cap_usd for errand in errands}
    spent_usd: defaultdict[str, float] = defaultdict(float)
    for attempt_id, task_id, model, cost_usd, reserved_usd in ledger.attempts:
        cap_usd = caps_usd.get(ledger.numbers.get(task_id, -1))
        if cap_usd is not None and spent_usd[task_id] + reserved_usd > cap_usd + _CENT_FRACTION_USD:
            yield (
                f"task {task_id} passed its max_cost_usd {cap_usd}: ${spent_usd[task_id]:.6f} were spent when attempt"
                f" {attempt_id} on {model} set aside ${reserved_usd:.6f}"
            )
        spent_usd[task_id] += cost_usd


def _above_the_day(folder: Path, peers: Vendors, budget_usd: float) -> Iterator[str]:
    days = rows(folder, "SELECT date(begun_at, 'unixepoch'), TOTAL(cost_usd) FROM attempts GROUP BY 1")
    for day, spent_usd in days:
        if spent_usd > budget_usd + _CENT_FRACTION_USD:
            yield f"${spent_usd:.6f} were spent on {day}, ${budget_usd:.6f} allowed"
    prices = {profile.api_model: profile for profile in load_catalogue()}
    billed_usd = sum(
        prices[seen.body["model"]].cost_usd(input_tokens=seen.input_tokens, output_tokens=seen.output_tokens)
        for seen in generations(peers)
        if seen.status == 200 and not seen.client_disconnected
    )
    if billed_usd > len(days) * budget_usd:
        yield f"vendors bill ${billed_usd:.6f}, ${len(days) * budget_usd:.6f} allowed"


def _unrecorded(ledger: _LedgerRows, peers: Vendors) -> Iterator[str]:
    """Requests that a vendor received for an errand, and that are not recorded as attempts."""
    booked = Counter((ledger.numbers[task_id], model) for _, task_id, model, *_ in ledger.attempts)
    by_wire_id = {profile.api_model: profile.id for profile in load_catalogue()}
    seen = Counter(
        (number, by_wire_id[exchange.body["model"]])
        for exchange in generations(peers)
        if (number := errand_of(exchange)) is not None
    )
    for errand, count in seen.items():
        if count > booked[errand]:
            yield f"errand {errand[0]}: {errand[1]} was asked {count} times, {booked[errand]} times by the books"


def _number_in(text: str) -> int | None:
    found = re.search(r"\(errand (\d+)\)", text)
    return None if found is None else int(found[1])
