"""Any interleaving of operations of two Ledger objects on one file leaves it consistent."""

import datetime as dt
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_rows import attempt, check_of, decision_of, finish, settlement, task
from portable_rows import ATTEMPT, CHECK, ROW, RULES, TASK, all_rows

from chargehand.memory_store.care.exporting import export_memory
from chargehand.memory_store.care.importing import ImportRules, import_memory
from chargehand.memory_store.care.pruning import Selection, find_prunable, forget, prune
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.usage import report_usage

NAMES = [f"t{number}" for number in range(6)]
MODELS = ["small", "large"]

a_name = st.sampled_from(NAMES)
an_operation = st.one_of(
    st.tuples(st.just("record"), a_name, st.sampled_from(MODELS), st.booleans()),
    st.tuples(st.just("reserve"), a_name),
    st.tuples(st.just("settle"), st.integers(0, 5)),
    st.tuples(st.just("outcome"), a_name, st.sampled_from(["accepted", "rejected", "tests_passed"])),
    st.tuples(st.just("embed"), a_name),
    st.tuples(st.just("prune"), st.integers(0, 3)),
    st.tuples(st.just("import"), st.lists(a_name, min_size=1, max_size=3, unique=True), st.booleans()),
    st.tuples(st.just("import data set"), st.integers(0, 2)),
    st.tuples(st.just("forget"), a_name),
    st.tuples(
        st.just("forget project"),
    ),
    st.tuples(
        st.just("tomorrow"),
    ),
)


class Clock:
    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.moment


@dataclass
class Expected:
    """The expected costs, tracked in the simplest possible way."""

    spent: dict[int, tuple[dt.date, float]] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)
    is_known: int = 0


@settings(max_examples=60)
@given(operations=st.lists(st.tuples(st.integers(0, 1), an_operation), max_size=25))
def test_any_interleaving_of_two_connections_leaves_a_consistent_ledger(operations):
    anyio.run(run_operations, operations)


@settings(max_examples=25)
@given(
    accounts=st.lists(
        st.tuples(a_name, st.booleans(), st.integers(0, 2), st.sampled_from([None, "a note"]), st.booleans()),
        min_size=1,
        max_size=6,
    ),
    order=st.randoms(use_true_random=False),
)
def test_imports_in_any_order_and_number_give_the_same_ledger(accounts, order):
    anyio.run(merge_both_ways, accounts, order)


async def run_operations(operations) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, clock, expected = Path(folder), Clock(), Expected()
        ledgers = [await Ledger.open(home, clock), await Ledger.open(home, clock)]
        try:
            for ledger_number, (operation, *arguments) in operations:
                await ACTIONS[operation](ledgers[ledger_number], home, clock, expected, *arguments)
            for ledger in ledgers:
                await check(ledger, clock, expected)
        finally:
            for ledger in ledgers:
                await ledger.aclose()


async def check(ledger: Ledger, clock: Clock, expected: Expected) -> None:
    assert await ledger.rows("PRAGMA foreign_key_check") == []
    assert await ledger.rows("PRAGMA integrity_check") == [("ok",)]
    today = [usd for day, usd in expected.spent.values() if day == clock().date()]
    assert await ledger.spent_today_usd() == sum(today)
    own_costs = await ledger.rows(
        "SELECT TOTAL(COALESCE(cost_usd, reserved_usd)) FROM attempts a JOIN tasks t ON t.id = a.task_id"
        " WHERE NOT t.elsewhere"
    )
    assert own_costs[0][0] == sum(usd for _, usd in expected.spent.values())
    assert (await report_usage(ledger)).cost_usd >= own_costs[0][0]
    # Deleted tasks leave no rows, and aggregates never count more outcomes than tasks.
    gone = "SELECT id FROM tasks WHERE text_form IN ('pruned', 'forgotten')"
    for table in ("evidence", "embeddings", "checks", "decisions", "imported_outcomes"):
        assert await ledger.rows(f"SELECT COUNT(*) FROM {table} WHERE task_id IN ({gone})") == [(0,)]
    assert await ledger.rows(f"SELECT COUNT(*) FROM tasks WHERE id IN ({gone}) AND text || COALESCE(receipt, '') <> ''") == [(0,)]  # fmt: skip # noqa: E501
    assert await ledger.rows("SELECT COUNT(*) FROM aggregates WHERE successes + failures > tasks") == [(0,)]
    ((pruned, aggregated),) = await ledger.rows(
        "SELECT (SELECT COUNT(*) FROM tasks WHERE text_form = 'pruned'), (SELECT TOTAL(tasks) FROM aggregates)"
    )
    assert aggregated <= 2 * pruned + 2 * len(NAMES)


async def is_known(ledger: Ledger, name: str) -> bool:
    return bool(await ledger.rows("SELECT 1 FROM tasks WHERE id = ?", (name,)))


async def record(ledger, home, clock, expected, name, model, passed) -> None:
    if await is_known(ledger, name):
        return
    await ledger.begin_task(task(name, project="p" if name < "t3" else None))
    await ledger.record_decision(decision_of(name, model=model))
    number = await ledger.reserve(attempt(name, model=model, reserved_usd=0.5), daily_cap_usd=None)
    await ledger.settle(number, settlement(outcome="passed" if passed else "failed_check", cost_usd=0.25))
    await ledger.record_check(check_of(name, number, outcome="passed" if passed else "failed"))
    await ledger.finish_task(name, finish(status="succeeded" if passed else "failed", model=model))
    expected.spent[number] = (clock().date(), 0.25)


async def reserve(ledger, home, clock, expected, name) -> None:
    if await ledger.rows("SELECT 1 FROM tasks WHERE id = ? AND NOT elsewhere", (name,)):
        number = await ledger.reserve(attempt(name, reserved_usd=1.0), daily_cap_usd=None)
        expected.spent[number] = (clock().date(), 1.0)
        expected.open.append(number)


async def settle(ledger, home, clock, expected, position) -> None:
    if position < len(expected.open):
        number = expected.open.pop(position)
        await ledger.settle(number, settlement(cost_usd=0.125))
        expected.spent[number] = (expected.spent[number][0], 0.125)


async def outcome(ledger, home, clock, expected, name, reported) -> None:
    await ledger.record_outcome(name, reported, "a note")


async def embed(ledger, home, clock, expected, name) -> None:
    if await is_known(ledger, name):
        await ledger.write(
            lambda db: (
                db.execute(
                    "INSERT OR REPLACE INTO embeddings (task_id, embedder, vector) VALUES (?, 'e', x'0000803F')",
                    (name,),
                ).rowcount
            )
        )


async def prune_some(ledger, home, clock, expected, keep) -> None:
    prunable = await find_prunable(ledger, older_than_days=None, keep=keep)
    if prunable is not None:
        await prune(ledger, prunable)


async def import_tasks(ledger, home, clock, expected, names, restore) -> None:
    # Only tasks of other ledgers: tasks of this ledger never change elsewhere.
    names = [f"else-{name}" for name in names]
    file = home / "in.jsonl"
    lines = [{"format": "chargehand-memory", "version": 1, "tasks": len(names)}, *({**TASK, "id": n} for n in names)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    await import_memory(ledger, file, ImportRules(RULES.assess, restore=restore))


async def import_data_set(ledger, home, clock, expected, number) -> None:
    file = home / "rows.jsonl"
    file.write_text(json.dumps({**ROW, "task_id": f"r{number}"}) + "\n")
    await import_memory(ledger, file, RULES)


async def forget_one(ledger, home, clock, expected, name) -> None:
    await forget(ledger, Selection((name, f"else-{name}")))


async def forget_project(ledger, home, clock, expected) -> None:
    await forget(ledger, Selection(project="p"))


async def tomorrow(ledger, home, clock, expected) -> None:
    clock.moment += dt.timedelta(days=1)


ACTIONS = {
    "record": record,
    "reserve": reserve,
    "settle": settle,
    "outcome": outcome,
    "embed": embed,
    "prune": prune_some,
    "import": import_tasks,
    "import data set": import_data_set,
    "forget": forget_one,
    "forget project": forget_project,
    "tomorrow": tomorrow,
}


async def merge_both_ways(accounts, order) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [account_file(Path(folder), number, *account) for number, account in enumerate(accounts)]
        shuffled = files * 2
        order.shuffle(shuffled)
        results = []
        for number, sequence in enumerate((files, shuffled)):
            ledger = await Ledger.open(Path(folder) / str(number), Clock())
            for file in sequence:
                await import_memory(ledger, file, RULES)
            out = Path(folder) / f"out{number}"
            await export_memory(ledger, out, with_vectors=True)
            results.append((await all_rows(ledger), out.read_bytes()))
            await ledger.aclose()

    assert results[0] == results[1]


def account_file(folder: Path, number: int, name: str, finished: bool, tries: int, note, settled: bool) -> Path:
    """Write an export with one machine's account of a task."""
    attempts = [{**ATTEMPT, "model": model, "cost_usd": 0.25 if settled else None} for model in MODELS[:tries]]
    account = {
        **TASK,
        "id": name,
        "finished_at": 20.0 + tries if finished else None,
        "status": "failed" if finished else "running",
        "local_only": settled,
        "attempts": attempts,
        "checks": [{**CHECK, "attempt": place, "first_failure": note} for place in range(tries)],
        "outcomes": [{"outcome": "rejected", "note": note, "recorded_at": 30.0 + tries}] if finished else [],
        "imported_outcomes": [{"model": "m", "success": tries / 2, "cost_usd": None, "at": 5.0}] if settled else [],
    }
    file = folder / f"{number}.jsonl"
    header = {"format": "chargehand-memory", "version": 1, "tasks": 1}
    file.write_text(json.dumps(header) + "\n" + json.dumps(account) + "\n")
    return file
