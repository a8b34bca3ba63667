"""Checks the ledger's invariants (tasks, money, requests) after cancellations, kills and faults."""

import re
import sqlite3
from collections import defaultdict
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

_COMPLETE = frozenset({"passed", "failed_check", "unverified", "truncated", "refused", "empty"})
"""Outcomes of attempts whose reply arrived as a whole."""

_ATTEMPTS = f"""
SELECT id, task_id, model, {COST_USD}, reserved_usd, outcome, input_tokens, output_tokens FROM attempts a ORDER BY id
"""  # noqa: S608 - a constant


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
class _AttemptRow:
    id: int
    task_id: str
    model: str
    cost_usd: float
    """The worst case while it is not settled."""
    reserved_usd: float
    outcome: str | None
    input_tokens: int
    output_tokens: int

    @property
    def is_complete(self) -> bool:
        """Whether its whole reply arrived, so that the books must have the vendor's counts."""
        return self.outcome in _COMPLETE


@dataclass(frozen=True)
class _LedgerRows:
    """The ledger's rows, with errand numbers where known."""

    statuses: Mapping[str, str]
    """By task id."""
    numbers: Mapping[str, int]
    """Errand numbers by task id."""
    attempts: Sequence[_AttemptRow]
    """Oldest first."""


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
    yield from _above_the_day(folder, budget_usd)
    yield from _unlike_the_vendors(ledger, peers)


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
        attempts=[_AttemptRow(*row) for row in rows(folder, _ATTEMPTS)],
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
    for row in ledger.attempts:
        cap_usd, before_usd = caps_usd.get(ledger.numbers.get(row.task_id, -1)), spent_usd[row.task_id]
        if cap_usd is not None and before_usd + row.reserved_usd > cap_usd + _CENT_FRACTION_USD:
            yield (
                f"task {row.task_id} passed its max_cost_usd {cap_usd}: ${before_usd:.6f} were spent when attempt"
                f" {row.id} on {row.model} set aside ${row.reserved_usd:.6f}"
            )
        spent_usd[row.task_id] += row.cost_usd


def _above_the_day(folder: Path, budget_usd: float) -> Iterator[str]:
    days = rows(folder, "SELECT date(begun_at, 'unixepoch'), TOTAL(cost_usd) FROM attempts GROUP BY 1")
    for day, spent_usd in days:
        if spent_usd > budget_usd + _CENT_FRACTION_USD:
            yield f"${spent_usd:.6f} were spent on {day}, ${budget_usd:.6f} allowed"


def _unlike_the_vendors(ledger: _LedgerRows, peers: Vendors) -> Iterator[str]:
    """Requests that a vendor received and that are not booked, and complete answers booked with other token counts."""
    booked: defaultdict[tuple[int | None, str], list[_AttemptRow]] = defaultdict(list)
    for attempt in ledger.attempts:
        booked[ledger.numbers[attempt.task_id], attempt.model].append(attempt)
    by_wire_id = {profile.api_model: profile.id for profile in load_catalogue()}
    asked: defaultdict[tuple[int | None, str], list[Exchange]] = defaultdict(list)
    for exchange in generations(peers):
        asked[errand_of(exchange), by_wire_id[exchange.body["model"]]].append(exchange)
    for (number, model), exchanges in asked.items():
        attempts = booked[number, model]
        if len(exchanges) > len(attempts):
            yield f"errand {number}: {model} was asked {len(exchanges)} times, {len(attempts)} times by the books"
        counted = sum(seen.input_tokens for seen in exchanges), sum(seen.output_tokens for seen in exchanges)
        in_books = sum(row.input_tokens for row in attempts), sum(row.output_tokens for row in attempts)
        if all(row.is_complete for row in attempts) and counted != in_books:
            yield f"errand {number}: {model} counted {counted} tokens of prompt and output, the books have {in_books}"


def _number_in(text: str) -> int | None:
    found = re.search(r"\(errand (\d+)\)", text)
    return None if found is None else int(found[1])
