"""`chargehand evaluate`, run as a user runs it: results, HTML page, interruption, resumption and errors."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import anyio
import pytest
from command_line import CommandResult, run_command
from measurement_rows import insert_evaluation
from opened_ledger import opened_ledger
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
"""A few tasks that are quick to check."""
TERMS = ("--kinds", KIND, "--seed", str(SEED))


@dataclass
class SuiteModels:
    """Models that know the suite: good ones give each task's reference answer, the others its first wrong one."""

    good: tuple[str, ...] = (LOCAL_WIRE,)
    stalls_after: int | None = None
    """After this many requests every answer stalls."""
    cut_off_at: int | None = None
    """The number of the request whose answer is cut off."""
    asked: list[Ask] = field(default_factory=list)
    was_asked: anyio.Event = field(default_factory=anyio.Event)
    """Set at the next request, then replaced by a new event."""

    def __call__(self, ask: Ask) -> Reply | Fault:
        self.asked.append(ask)
        self.was_asked.set()
        self.was_asked = anyio.Event()
        prompt = "\n".join(text for _, text in ask.messages)
        task = next(task for task in TASKS if task.prompt in prompt)
        reply = Reply(task.reference if ask.model in self.good else task.wrong[0])
        if self.stalls_after is not None and len(self.asked) > self.stalls_after:
            return Stall(reply, anyio.Event(), after=1)
        return Cut(reply) if len(self.asked) == self.cut_off_at else reply


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "COLUMNS": "220", "HOME": str(folder), "CHARGEHAND_HOME": str(folder / "data"),
        **(more or {}),
    }  # fmt: skip


async def run_evaluate(folder: Path, peers: Vendors | None, *arguments: str, columns: int = 220) -> CommandResult:
    own = environment(folder, peers.environment if peers is not None else None) | {"COLUMNS": str(columns)}
    return await run_command(own, "evaluate", *arguments)


def rows(folder: Path, query: str) -> list[tuple]:
    with opened_ledger(folder / "data") as db:
        return db.execute(query).fetchall()


async def test_models_are_measured_and_report_reprints_the_results_without_requests(tmp_path: Path):
    models = SuiteModels()
    async with vendors(models) as peers:
        result = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL, HAIKU, "--json")
    report = await run_evaluate(tmp_path, None, "--report", "--json")
    table = await run_evaluate(tmp_path, None, "--report")
    narrow = await run_evaluate(tmp_path, None, "--report", columns=80)

    assert result.code == 0, result.error
    facts = result.json
    assert [model["model"] for model in facts["models"]] == [LOCAL, HAIKU]
    good, bad = (model["all"] for model in facts["models"])
    assert (good["passed"], good["asked"], bad["passed"]) == (len(TASKS), len(TASKS), 0)
    assert facts["models"][0]["kinds"].keys() == {KIND}
    assert 0 < facts["cost_usd"] < 1
    assert (report.code, report.json["models"]) == (0, facts["models"])
    assert f"{len(TASKS)} of {len(TASKS)}" in table.out
    assert "…" not in narrow.out
    for model in facts["models"]:
        (line,) = (line for line in narrow.out.partition("By kind")[0].splitlines() if f" {model['model']} " in line)
        assert in_dollars(model["cost_usd"]) in line
    assert len(models.asked) == 2 * len(TASKS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
async def test_an_unwritable_html_page_is_an_error_that_wastes_no_request_and_loses_no_result(tmp_path: Path):
    models = SuiteModels()
    async with vendors(models) as peers:
        refused = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL, "--html", "nowhere/page.html")
        full = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL, "--html", "/dev/full")
    report = await run_evaluate(tmp_path, None, "--report", "--html", "nowhere/page.html")

    assert (refused.code, refused.out) == (1, "")
    assert refused.error == (
        "--html: nowhere/page.html cannot be written (No such file or directory). Name another file.\n"
    )
    assert len(models.asked) == len(TASKS)
    for after_measuring in (full, report):
        assert after_measuring.code == 1
        assert f"{len(TASKS)} of {len(TASKS)}" in after_measuring.out
        assert "cannot be written" in after_measuring.error


async def test_the_html_page_is_self_contained_well_formed_and_escaped(tmp_path: Path):
    async with vendors(SuiteModels()) as peers:
        result = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL, "--html", "page.html")
    with opened_ledger(tmp_path / "data") as db:
        db.execute("UPDATE measurements SET model = '<script>alert(1)</script>&'")
    await run_evaluate(tmp_path, None, "--report", "--html", "again.html")

    assert result.code == 0, result.error
    for name in ("page.html", "again.html"):
        page = (tmp_path / name).read_text()
        _well_formed(page)
        assert "<svg" in page
        assert not re.search(r"<script|<link|<img|@import|url\(|(?:src|href)=\"(?!#)", page)
        assert len(page) < 50_000
    assert "&lt;script&gt;" in (tmp_path / "again.html").read_text()


async def test_all_reachable_models_are_measured_by_default(tmp_path: Path):
    async with vendors(SuiteModels(good=(LOCAL_WIRE, HAIKU))) as peers:
        result = await run_evaluate(tmp_path, peers, *TERMS, "--json")

    models = {model["model"]: model["all"]["passed"] for model in result.json["models"]}
    assert len(models) >= 5
    assert {name for name, passed in models.items() if passed} == {LOCAL, HAIKU}


async def test_resume_finds_an_interrupted_evaluation_older_than_one_of_another_suite(tmp_path: Path):
    stalling = SuiteModels(stalls_after=1)
    async with vendors(stalling) as peers:
        await _interrupt_at_request(tmp_path, peers, stalling, 2, signal.SIGINT)
    with opened_ledger(tmp_path / "data") as db:
        db.execute(
            "INSERT INTO evaluations (id, suite, seed, begun_at, budget_usd, terms)"
            " SELECT 'later', 'trial', seed, begun_at + 1, budget_usd, JSON_SET(terms, '$.suite', 'trial')"
            " FROM evaluations"
        )
    async with vendors(SuiteModels()) as peers:
        resumed = await run_evaluate(tmp_path, peers, "--resume", "--json")

    assert resumed.code == 0, resumed.error
    assert rows(tmp_path, "SELECT id = 'later', finished_at IS NULL FROM evaluations ORDER BY 1") == [(0, 0), (1, 1)]


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
async def test_an_interrupted_evaluation_resumes_without_repeating_measured_tasks(
    tmp_path: Path, ending: signal.Signals
):
    stalling = SuiteModels(stalls_after=2)
    async with vendors(stalling) as peers:
        code, out = await _interrupt_at_request(tmp_path, peers, stalling, 3, ending, "--repeat", "2")
    measured = rows(tmp_path, "SELECT COUNT(*) FROM measurements WHERE passed IS NOT NULL")
    answering = SuiteModels()
    async with vendors(answering) as peers:
        resumed = await run_evaluate(tmp_path, peers, "--resume", "--json")

    expected = 2 * len(TASKS)
    assert measured == [(2,)]
    assert len(answering.asked) == expected - 2
    facts = resumed.json
    assert (resumed.code, facts["models"][0]["all"]["passed"]) == (0, expected), resumed.error
    assert rows(tmp_path, "SELECT COUNT(*), COUNT(passed) FROM measurements") == [(expected, expected)]
    assert rows(tmp_path, "SELECT COUNT(*) FROM evaluations") == [(1,)]
    assert rows(tmp_path, "SELECT COUNT(*) FROM attempts WHERE cost_usd IS NULL") == [(0,)]
    if ending == signal.SIGINT:
        assert code == 3
        assert "unfinished" in out


async def test_the_same_command_repeats_only_the_request_whose_answer_was_cut_off(tmp_path: Path):
    models = SuiteModels(cut_off_at=2)
    async with vendors(models) as peers:
        first = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL)
        second = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL)

    assert (first.code, second.code) == (3, 0)
    assert "unfinished: the same command continues it this week, and `chargehand evaluate --resume` later" in first.out
    assert f"{LOCAL}: 1 answer was not measured: error: The answer of Ollama broke off" in first.out
    assert f"{len(TASKS)} tasks, 1 model, " in second.out
    assert f"{len(TASKS)} of {len(TASKS)}" in second.out
    assert len(models.asked) == len(TASKS) + 1


async def test_a_report_without_measurements_has_no_empty_tables(tmp_path: Path):
    ledger = await Ledger.open(tmp_path / "data", utc_now)
    await insert_evaluation(ledger, "e1", 1_000.0)
    await ledger.aclose()

    result = await run_evaluate(tmp_path, None, "--report")

    assert (result.code, len(result.out.splitlines())) == (0, 1)
    assert "0 tasks, 0 models" in result.out


async def test_report_shows_the_last_own_evaluation_and_a_trial_only_by_its_id(tmp_path: Path):
    ledger = await Ledger.open(tmp_path / "data", utc_now)
    for number, suite in enumerate(("own", TRIAL, SUITE)):
        await insert_evaluation(ledger, f"e{number}", 1_000.0 + number, suite)
    await ledger.aclose()

    last = await run_evaluate(tmp_path, None, "--report")
    named = await run_evaluate(tmp_path, None, "--report", "e1")

    assert "Evaluation e0 (own" in last.out
    assert f"Evaluation e1 ({TRIAL}" in named.out


async def test_money_reserved_by_a_killed_process_counts_against_the_resumed_budget(tmp_path: Path):
    stalling = SuiteModels(good=(HAIKU,), stalls_after=0)
    terms = ("--models", HAIKU, "--repeat", "3", "--budget-usd", "0.01")
    async with vendors(stalling) as peers:
        await _interrupt_at_request(tmp_path, peers, stalling, 1, signal.SIGKILL, *terms)
    async with vendors(SuiteModels(good=(HAIKU,))) as peers:
        result = await run_evaluate(tmp_path, peers, "--resume", "--json")

    ((spent, largest),) = rows(tmp_path, "SELECT TOTAL(cost_usd), MAX(reserved_usd) FROM attempts")
    facts = result.json
    assert largest <= spent <= 0.01
    assert facts["cost_usd"] == pytest.approx(spent, abs=1e-6)


async def test_a_batch_pending_at_a_kill_counts_at_its_worst_case_and_is_collected_on_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with vendors(SuiteModels(good=(HAIKU,))) as peers:
        polled, record = anyio.Event(), peers.anthropic.journal.record

        async def record_and_notice(request: Request) -> Exchange:
            if "/msgbatch" in request.url.path:  # a batch is polled only after its receipt was recorded
                polled.set()
            return await record(request)

        monkeypatch.setattr(peers.anthropic.journal, "record", record_and_notice)
        peers.anthropic.batches.ends_at_poll = 0
        async with await _start_evaluation(tmp_path, peers, "--models", HAIKU, "--batch") as process:
            with anyio.fail_after(60):
                await polled.wait()
            process.kill()
        report = await run_evaluate(tmp_path, peers, "--report", "--json")
        ((reserved,),) = rows(tmp_path, "SELECT TOTAL(reserved_usd) FROM attempts")
        with opened_ledger(tmp_path / "data") as db:
            db.execute("DELETE FROM batched WHERE rowid = (SELECT MIN(rowid) FROM batched)")
        peers.anthropic.batches.ends_at_poll = 1
        resumed = await run_evaluate(tmp_path, peers, "--resume", "--json")

    assert 0 < report.json["cost_usd"] == pytest.approx(reserved, abs=1e-6)
    assert (resumed.code, resumed.json["models"][0]["all"]["passed"]) == (0, len(TASKS)), resumed.error
    assert [len(batch.requests) for batch in peers.anthropic.batches.batches.values()] == [len(TASKS), 1]


async def test_a_second_evaluation_is_refused_while_one_is_running(tmp_path: Path):
    stalling = SuiteModels(stalls_after=0)
    async with vendors(stalling) as peers, await _start_evaluation(tmp_path, peers) as process:
        await _wait_for_requests(stalling, 1)
        second = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL)
        process.send_signal(signal.SIGINT)
        await process.wait()

    assert (second.code, second.out) == (1, "")
    assert "is already running" in second.error
    assert f"process {process.pid}" in second.error


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
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
async def test_user_errors_are_reported_without_a_traceback(tmp_path: Path, arguments, code: int, message: str):
    result = await run_evaluate(tmp_path, None, *arguments)

    assert (result.code, result.out) == (code, "")
    assert message in result.error
    assert "Traceback" not in result.error


async def _start_evaluation(folder: Path, peers: Vendors, *terms: str) -> anyio.abc.Process:
    return await anyio.open_process(
        [*COMMAND, "evaluate", *TERMS, *(("--models", LOCAL) if "--models" not in terms else ()), *terms],
        env=environment(folder, peers.environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
    )


async def _wait_for_requests(models: SuiteModels, times: int) -> None:
    with anyio.fail_after(60):
        while len(models.asked) < times:
            await models.was_asked.wait()


async def _interrupt_at_request(
    folder: Path, peers: Vendors, models: SuiteModels, times: int, ending: signal.Signals, *terms: str
) -> tuple[int, str]:
    """Starts an evaluation and sends it the signal during request number `times`; returns exit code and output."""
    async with await _start_evaluation(folder, peers, *terms) as process:
        await _wait_for_requests(models, times)
        process.send_signal(ending)
        assert process.stdout is not None
        with anyio.fail_after(60):
            out = b"".join([piece async for piece in process.stdout]).decode()
            return await process.wait(), out


_VOID_TAGS = {"meta"}


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID_TAGS:
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


async def test_an_invalid_profile_file_is_named(tmp_path: Path):
    profiles = tmp_path / "data" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "mine.yaml").write_text("price: {}\n")
    async with vendors(SuiteModels()) as peers:
        result = await run_evaluate(tmp_path, peers, *TERMS, "--models", LOCAL)

    assert result.code == 0
    assert "profiles/mine.yaml is not in force: it has no id; `chargehand doctor` says more." in result.error
