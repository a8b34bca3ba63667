"""`chargehand evaluate` as a person types it: figures, page, signals, kills and what can be mended."""

import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import anyio
import pytest
from command_line import CommandResult, run_command
from measurement_rows import insert_evaluation
from server_process import COMMAND
from starlette.requests import Request

from chargehand.evaluation.comparison import SUITE
from chargehand.evaluation.peers.journal import Exchange
from chargehand.evaluation.peers.reply import Ask, Cut, Fault, Reply, Stall
from chargehand.evaluation.peers.vendors import Vendors, vendors
from chargehand.evaluation.quick_trial import TRIAL
from chargehand.evaluation.suite.loading import read_suite
from chargehand.memory_store.ledger import Ledger
from chargehand.profiles.price import in_dollars
from chargehand.server.wiring import utc_now

pytestmark = pytest.mark.anyio

LOCAL, LOCAL_WIRE, HAIKU = "qwen3-30b-a3b", "qwen3:30b-a3b", "claude-haiku-5-5"
SEED = 7
KIND = "repair"
TASKS = tuple(task for task in read_suite(SEED).tasks if task.kind == KIND)
"""Few, and quickly checked."""
TERMS = ("--kinds", KIND, "--seed", str(SEED))


@dataclass
class Class:
    """Models that know the suite: each gives every task's reference, or its first wrong answer."""

    good: tuple[str, ...] = (LOCAL_WIRE,)
    stalls_from: int | None = None
    """From so many questions on nobody answers."""
    breaks_off_at: int | None = None
    """The number of the question whose answer breaks off."""
    asked: list[Ask] = field(default_factory=list)
    was_asked: anyio.Event = field(default_factory=anyio.Event)
    """Set at the next question; then there is a new one."""

    def __call__(self, ask: Ask) -> Reply | Fault:
        self.asked.append(ask)
        self.was_asked.set()
        self.was_asked = anyio.Event()
        said = "\n".join(text for _, text in ask.messages)
        task = next(task for task in TASKS if task.prompt in said)
        reply = Reply(task.reference if ask.model in self.good else task.wrong[0])
        if self.stalls_from is not None and len(self.asked) > self.stalls_from:
            return Stall(reply, anyio.Event(), after=1)
        return Cut(reply) if len(self.asked) == self.breaks_off_at else reply


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "COLUMNS": "220", "HOME": str(folder), "CHARGEHAND_HOME": str(folder / "data"),
        **(more or {}),
    }  # fmt: skip


async def typed(folder: Path, peers: Vendors | None, *arguments: str, columns: int = 220) -> CommandResult:
    own = environment(folder, peers.environment if peers is not None else None) | {"COLUMNS": str(columns)}
    return await run_command(own, "evaluate", *arguments)


def rows(folder: Path, query: str) -> list[tuple]:
    with sqlite3.connect(folder / "data" / "ledger.sqlite3") as db:
        return db.execute(query).fetchall()


async def test_models_are_measured_and_their_figures_printed_again_without_asking(tmp_path: Path):
    asked = Class()
    async with vendors(asked) as peers:
        seen = await typed(tmp_path, peers, *TERMS, "--models", LOCAL, HAIKU, "--json")
    again = await typed(tmp_path, None, "--report", "--json")
    table = await typed(tmp_path, None, "--report")
    narrow = await typed(tmp_path, None, "--report", columns=80)

    assert seen.code == 0, seen.error
    facts = seen.json
    assert [model["model"] for model in facts["models"]] == [LOCAL, HAIKU]
    good, bad = (model["all"] for model in facts["models"])
    assert (good["passed"], good["asked"], bad["passed"]) == (len(TASKS), len(TASKS), 0)
    assert facts["models"][0]["kinds"].keys() == {KIND}
    assert 0 < facts["cost_usd"] < 1
    assert (again.code, again.json["models"]) == (0, facts["models"])
    assert f"{len(TASKS)} of {len(TASKS)}" in table.out
    assert "…" not in narrow.out
    for model in facts["models"]:
        (line,) = (line for line in narrow.out.partition("By kind")[0].splitlines() if f" {model['model']} " in line)
        assert in_dollars(model["cost_usd"]) in line
    assert len(asked.asked) == 2 * len(TASKS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
async def test_a_page_that_cannot_be_written_is_refused_before_anybody_is_asked(tmp_path: Path):
    asked = Class()
    async with vendors(asked) as peers:
        refused = await typed(tmp_path, peers, *TERMS, "--models", LOCAL, "--html", "nowhere/page.html")
        full = await typed(tmp_path, peers, *TERMS, "--models", LOCAL, "--html", "/dev/full")
    again = await typed(tmp_path, None, "--report", "--html", "nowhere/page.html")

    assert (refused.code, refused.out) == (1, "")
    assert refused.error == (
        "--html: nowhere/page.html cannot be written (No such file or directory). Name another file.\n"
    )
    assert len(asked.asked) == len(TASKS)
    for late in (full, again):
        assert late.code == 1
        assert f"{len(TASKS)} of {len(TASKS)}" in late.out
        assert "cannot be written" in late.error


async def test_the_page_stands_alone_is_well_formed_and_escapes_what_it_shows(tmp_path: Path):
    async with vendors(Class()) as peers:
        seen = await typed(tmp_path, peers, *TERMS, "--models", LOCAL, "--html", "page.html")
    db = sqlite3.connect(tmp_path / "data" / "ledger.sqlite3")
    with db:
        db.execute("UPDATE measurements SET model = '<script>alert(1)</script>&'")
    db.close()
    await typed(tmp_path, None, "--report", "--html", "again.html")

    assert seen.code == 0, seen.error
    for name in ("page.html", "again.html"):
        page = (tmp_path / name).read_text()
        _well_formed(page)
        assert "<svg" in page
        assert not re.search(r"<script|<link|<img|@import|url\(|(?:src|href)=\"(?!#)", page)
        assert len(page) < 50_000
    assert "&lt;script&gt;" in (tmp_path / "again.html").read_text()


async def test_all_that_answer_are_measured_when_none_is_named(tmp_path: Path):
    async with vendors(Class(good=(LOCAL_WIRE, HAIKU))) as peers:
        seen = await typed(tmp_path, peers, *TERMS, "--json")

    models = {model["model"]: model["all"]["passed"] for model in seen.json["models"]}
    assert len(models) >= 5
    assert {name for name, passed in models.items() if passed} == {LOCAL, HAIKU}


async def test_an_interrupted_evaluation_is_found_behind_one_of_other_tasks(tmp_path: Path):
    stalling = Class(stalls_from=1)
    async with vendors(stalling) as peers:
        await _until_asked(tmp_path, peers, stalling, 2, signal.SIGINT)
    db = sqlite3.connect(tmp_path / "data" / "ledger.sqlite3")
    with db:
        db.execute(
            "INSERT INTO evaluations (id, suite, seed, begun_at, budget_usd, terms)"
            " SELECT 'later', 'trial', seed, begun_at + 1, budget_usd, JSON_SET(terms, '$.suite', 'trial')"
            " FROM evaluations"
        )
    db.close()
    async with vendors(Class()) as peers:
        resumed = await typed(tmp_path, peers, "--resume", "--json")

    assert resumed.code == 0, resumed.error
    assert rows(tmp_path, "SELECT id = 'later', finished_at IS NULL FROM evaluations ORDER BY 1") == [(0, 0), (1, 1)]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
async def test_an_evaluation_that_is_cut_short_goes_on_and_asks_nothing_twice(tmp_path: Path, ending: signal.Signals):
    stalling = Class(stalls_from=2)
    async with vendors(stalling) as peers:
        code, out = await _until_asked(tmp_path, peers, stalling, 3, ending, "--repeat", "2")
    learnt = rows(tmp_path, "SELECT COUNT(*) FROM measurements WHERE passed IS NOT NULL")
    calm = Class()
    async with vendors(calm) as peers:
        resumed = await typed(tmp_path, peers, "--resume", "--json")

    wanted = 2 * len(TASKS)
    assert learnt == [(2,)]
    assert len(calm.asked) == wanted - 2
    facts = resumed.json
    assert (resumed.code, facts["models"][0]["all"]["passed"]) == (0, wanted), resumed.error
    assert rows(tmp_path, "SELECT COUNT(*), COUNT(passed) FROM measurements") == [(wanted, wanted)]
    assert rows(tmp_path, "SELECT COUNT(*) FROM evaluations") == [(1,)]
    assert rows(tmp_path, "SELECT COUNT(*) FROM attempts WHERE cost_usd IS NULL") == [(0,)]
    if ending == signal.SIGINT:
        assert code == 3
        assert "unfinished" in out


async def test_an_answer_that_broke_off_is_named_and_the_same_command_asks_it_alone_again(tmp_path: Path):
    asked = Class(breaks_off_at=2)
    async with vendors(asked) as peers:
        first = await typed(tmp_path, peers, *TERMS, "--models", LOCAL)
        again = await typed(tmp_path, peers, *TERMS, "--models", LOCAL)

    assert (first.code, again.code) == (3, 0)
    assert "unfinished: the same command continues it" in first.out
    assert f"{LOCAL}: 1 answer was not measured: error: The answer of Ollama broke off" in first.out
    assert f"{len(TASKS)} of {len(TASKS)}" in again.out
    assert len(asked.asked) == len(TASKS) + 1


async def test_a_report_before_the_first_question_has_no_empty_tables(tmp_path: Path):
    ledger = await Ledger.open(tmp_path / "data", utc_now)
    await insert_evaluation(ledger, "e1", 1_000.0)
    await ledger.aclose()

    seen = await typed(tmp_path, None, "--report")

    assert (seen.code, len(seen.out.splitlines())) == (0, 1)
    assert "0 tasks, 0 models" in seen.out


async def test_the_last_report_is_not_that_of_a_trial_which_is_had_by_its_id(tmp_path: Path):
    ledger = await Ledger.open(tmp_path / "data", utc_now)
    for number, suite in enumerate(("own", TRIAL, SUITE)):
        await insert_evaluation(ledger, f"e{number}", 1_000.0 + number, suite)
    await ledger.aclose()

    last = await typed(tmp_path, None, "--report")
    named = await typed(tmp_path, None, "--report", "e1")

    assert "Evaluation e0 (own" in last.out
    assert f"Evaluation e1 ({TRIAL}" in named.out


async def test_what_a_killed_process_had_reserved_counts_in_the_budget_when_it_goes_on(tmp_path: Path):
    stalling = Class(good=(HAIKU,), stalls_from=0)
    terms = ("--models", HAIKU, "--repeat", "3", "--budget-usd", "0.01")
    async with vendors(stalling) as peers:
        await _until_asked(tmp_path, peers, stalling, 1, signal.SIGKILL, *terms)
    async with vendors(Class(good=(HAIKU,))) as peers:
        seen = await typed(tmp_path, peers, "--resume", "--json")

    ((spent, most),) = rows(tmp_path, "SELECT TOTAL(cost_usd), MAX(reserved_usd) FROM attempts")
    facts = seen.json
    assert most <= spent <= 0.01
    assert facts["cost_usd"] == pytest.approx(spent, abs=1e-6)


async def test_what_a_kill_left_with_a_vendor_is_reported_at_its_worst_case_and_the_rest_goes_in_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with vendors(Class(good=(HAIKU,))) as peers:
        looked, record = anyio.Event(), peers.anthropic.journal.record

        async def noticing(request: Request) -> Exchange:
            if "/msgbatch" in request.url.path:  # asked about only once its receipt is written
                looked.set()
            return await record(request)

        monkeypatch.setattr(peers.anthropic.journal, "record", noticing)
        peers.anthropic.batches.ends_at_poll = 0
        async with await _begun(tmp_path, peers, "--models", HAIKU, "--batch") as process:
            with anyio.fail_after(60):
                await looked.wait()
            process.kill()
        report = await typed(tmp_path, peers, "--report", "--json")
        ((reserved,),) = rows(tmp_path, "SELECT TOTAL(reserved_usd) FROM attempts")
        with sqlite3.connect(tmp_path / "data" / "ledger.sqlite3") as db:
            db.execute("DELETE FROM batched WHERE rowid = (SELECT MIN(rowid) FROM batched)")
        peers.anthropic.batches.ends_at_poll = 1
        resumed = await typed(tmp_path, peers, "--resume", "--json")

    assert 0 < report.json["cost_usd"] == pytest.approx(reserved, abs=1e-6)
    assert (resumed.code, resumed.json["models"][0]["all"]["passed"]) == (0, len(TASKS)), resumed.error
    assert [len(batch.requests) for batch in peers.anthropic.batches.batches.values()] == [len(TASKS), 1]


async def test_a_second_one_says_that_one_runs(tmp_path: Path):
    stalling = Class(stalls_from=0)
    async with vendors(stalling) as peers, await _begun(tmp_path, peers) as process:
        await _asked(stalling, 1)
        second = await typed(tmp_path, peers, *TERMS, "--models", LOCAL)
        process.send_signal(signal.SIGINT)
        await process.wait()

    assert (second.code, second.out) == (1, "")
    assert "is already running" in second.error
    assert f"process {process.pid}" in second.error


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--models", "gpt9"), 1, "gpt9"),
        (("--models", HAIKU), 1, "ANTHROPIC_API_KEY"),
        (("--kinds", "poetry"), 1, "simple_generation"),
        ((), 1, "chargehand doctor"),
        (("--resume",), 1, "there is no unfinished evaluation"),
        (("--report",), 1, "nothing was evaluated yet"),
        (("--report", "beef"), 1, "no evaluation begins with beef"),
        (("--resume", "--seed", "1"), 2, "--seed cannot go with --resume"),
        (("--resume", "--report"), 2, "--resume cannot go with --report"),
        (("--batch", "--report"), 2, "--batch cannot go with --report"),
        (("--budget-usd", "-1"), 2, "between 0 and 1000"),
        (("--repeat", "0"), 2, "between 1 and 100"),
    ],
)
async def test_what_can_be_mended_is_said_without_a_traceback(tmp_path: Path, arguments, code: int, said: str):
    seen = await typed(tmp_path, None, *arguments)

    assert (seen.code, seen.out) == (code, "")
    assert said in seen.error
    assert "Traceback" not in seen.error


async def _begun(folder: Path, peers: Vendors, *terms: str) -> anyio.abc.Process:
    return await anyio.open_process(
        [*COMMAND, "evaluate", *TERMS, *(("--models", LOCAL) if "--models" not in terms else ()), *terms],
        env=environment(folder, peers.environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
    )


async def _asked(models: Class, times: int) -> None:
    with anyio.fail_after(60):
        while len(models.asked) < times:
            await models.was_asked.wait()


async def _until_asked(
    folder: Path, peers: Vendors, models: Class, times: int, ending: signal.Signals, *terms: str
) -> tuple[int, str]:
    """Begin, and end it while the question of that number is under way; the exit code, and what it printed."""
    async with await _begun(folder, peers, *terms) as process:
        await _asked(models, times)
        process.send_signal(ending)
        assert process.stdout is not None
        with anyio.fail_after(60):
            out = b"".join([piece async for piece in process.stdout]).decode()
            return await process.wait(), out


_WITHOUT_END = {"meta"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _WITHOUT_END:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _well_formed(page: str) -> None:
    assert page.startswith("<!doctype html>")
    tags = _Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []


async def test_a_profile_file_that_is_not_in_force_is_named(tmp_path: Path):
    profiles = tmp_path / "data" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "mine.yaml").write_text("price: {}\n")
    async with vendors(Class()) as peers:
        seen = await typed(tmp_path, peers, *TERMS, "--models", LOCAL)

    assert seen.code == 0
    assert "profiles/mine.yaml is not in force: it has no id; `chargehand doctor` says more." in seen.error
