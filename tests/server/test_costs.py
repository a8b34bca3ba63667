"""The cost of a delegation: within its budgets, and as counted by its vendors, however it ends."""

import datetime as dt
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from opened_ledger import opened_ledger
from running_server import OpenServer, Script, fenced

from chargehand.evaluation.peers.reply import Ask, Cut, ErrorInside, HttpFault, Reply, Stall, pieces
from chargehand.server import wiring
from chargehand.server.providers import anthropic

pytestmark = pytest.mark.anyio

DIRECTOR = "claude-opus-5-5"

TASK = "Write double(n), which doubles a number."
TESTS = "assert double(4) == 8"
RIGHT = Reply(fenced("def double(n):\n    return 2 * n"))
WRONG = Reply(fenced("def double(n):\n    return n ** 2"), thinking="x1 = y2 ; " * 4_400)


@pytest.mark.parametrize("is_daily", [False, True], ids=["of the call", "of the day"])
async def test_thinking_sent_back_for_a_repair_counts_against_the_budget(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, is_daily: bool
):
    cap_usd = 0.25
    if is_daily:
        monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", str(cap_usd))

    async with open_server(Script({DIRECTOR: [WRONG, RIGHT]})) as server:
        most_usd = 5.0 if is_daily else cap_usd
        receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, model="opus", max_cost_usd=most_usd)

    assert receipt["attempts"][0]["output_tokens"] > 11_000
    assert (receipt["status"], len(receipt["attempts"])) == ("over_budget", 1)
    assert receipt["cost_usd"] <= cap_usd


async def test_an_answer_is_shortened_to_what_the_day_can_pay_before_it_is_refused(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []
    for budget_usd in ("5", "0.05"):
        monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", budget_usd)
        script = Script({DIRECTOR: [RIGHT]})
        async with open_server(script) as server:
            receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, model="opus", max_seconds=9)
        assert receipt["status"] == "succeeded", receipt["notes"]
        asked.append(script.asked[0].body["max_tokens"])

    assert asked[1] < asked[0] / 2


@dataclass
class SlowFirst:
    """Answers at once, except for the first request, which stalls until the gate is open."""

    asked: anyio.Event = field(default_factory=anyio.Event)
    gate: anyio.Event = field(default_factory=anyio.Event)

    def __call__(self, _: Ask) -> Reply | Stall:
        is_first = not self.asked.is_set()
        self.asked.set()
        return Stall(RIGHT, self.gate, after=4) if is_first else RIGHT


async def test_a_request_waits_for_money_reserved_by_a_request_in_progress(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.1")
    answers = SlowFirst()
    async with open_server(answers) as server:
        call = {"task": TASK, "tests": TESTS, "model": "opus", "wait_s": 0}
        first = await server.call("delegate_generation", **call)
        await answers.asked.wait()
        second = await server.call("delegate_generation", **call)
        with anyio.fail_after(60):
            while "claude-opus-5-5 waiting" not in second["notes"][0]:
                second = await server.call("delegate_generation", resume=second["task_id"], wait_s=1)
        answers.gate.set()
        ended = [await server.call("delegate_generation", resume=started["task_id"]) for started in (first, second)]

    assert [receipt["status"] for receipt in ended] == ["succeeded"] * 2
    assert sum(receipt["cost_usd"] for receipt in ended) <= 0.1


async def test_money_still_reserved_at_the_deadline_is_reported_as_held_not_spent(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.1")
    answers = SlowFirst()
    async with open_server(answers) as server:
        call = {"task": TASK, "tests": TESTS, "model": "opus"}
        await server.call("delegate_generation", **call, wait_s=0)
        await answers.asked.wait()
        receipt = await server.call("delegate_generation", **call, max_seconds=1)
        answers.gate.set()

    assert (receipt["status"], receipt["attempts"]) == ("over_budget", [])
    assert "of CHARGEHAND_DAILY_BUDGET_USD is held by requests under way" in receipt["notes"][0]
    assert "00:00" not in " ".join(receipt["notes"])


async def test_a_request_does_not_wait_for_money_reserved_by_a_dead_process(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("CHARGEHAND_DAILY_BUDGET_USD", "0.1")
    async with open_server(Script()) as server:
        await server.call("route_task", task=TASK)
        with opened_ledger(tmp_path / "chargehand-home") as db:
            db.execute(
                "INSERT INTO tasks (id, kind, begun_at, text, text_form, task_type, complexity, local_only,"
                " owner, status)"
                " VALUES ('t', 'delegation', ?, '', 'full', 'other', 1, 0, 'nobody', 'running')",
                (time.time(),),
            )
            db.execute(
                "INSERT INTO attempts (task_id, model, provider, thinking, reserved_usd, begun_at)"
                " VALUES ('t', 'claude-opus-5-5', 'anthropic', 0, 0.1, ?)",
                (time.time(),),
            )
        receipt = await server.call("delegate_generation", task=TASK, model="opus", max_seconds=5)

    assert receipt["status"] == "over_budget"
    assert "$0.0000 is left of CHARGEHAND_DAILY_BUDGET_USD" in receipt["notes"][0]


# Events before the last: message_start, ping, three around the thinking, its pieces, two around the text, its
# pieces, and message_delta, which has the final counters.
DEEP = Reply(RIGHT.text, thinking="Twice as much.", thinking_tokens=5_000)
AFTER_THE_COUNTERS = 8 + len(pieces(DEEP.thinking)) + len(pieces(DEEP.text))


@pytest.mark.parametrize(
    "answer",
    [
        Cut(DEEP, after=AFTER_THE_COUNTERS),
        ErrorInside(DEEP, after=AFTER_THE_COUNTERS, kind="api_error"),
        ErrorInside(DEEP, after=AFTER_THE_COUNTERS, kind="overloaded_error", status=529),
        ErrorInside(DEEP, after=AFTER_THE_COUNTERS, kind="rate_limit_error", status=429),
    ],
    ids=["cut", "failed", "overloaded", "rate limited"],
)
async def test_an_interrupted_answer_costs_what_the_vendor_counted(open_server: OpenServer, answer):
    async with open_server(lambda _: answer) as server:
        receipt = await server.call("delegate_generation", task=TASK, model="opus", max_attempts=1)
        (exchange,) = server.vendors.anthropic.journal.to("/v1/messages")

    (attempt,) = receipt["attempts"]
    assert (attempt["input_tokens"], attempt["output_tokens"]) == (exchange.input_tokens, exchange.output_tokens)
    assert exchange.output_tokens > 5_000
    assert receipt["cost_usd"] > 0.1
    assert not any("estimate" in note for note in receipt["notes"])


async def test_a_paid_answer_is_delivered_even_if_the_ledger_cannot_be_written(open_server: OpenServer, tmp_path: Path):
    def alter_ledger(*statements: str) -> None:
        with opened_ledger(tmp_path / "chargehand-home") as db:
            for statement in statements:
                db.execute(statement)

    def answers(_: Ask) -> Reply:
        alter_ledger("ALTER TABLE attempts RENAME TO attempts_away", "ALTER TABLE tasks RENAME TO tasks_away")
        return RIGHT

    async with open_server(answers) as server:
        receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, model="opus")
        alter_ledger("ALTER TABLE attempts_away RENAME TO attempts", "ALTER TABLE tasks_away RENAME TO tasks")

    assert (receipt["status"], receipt["code"]) == ("succeeded", "def double(n):\n    return 2 * n\n")
    assert receipt["cost_usd"] > 0
    assert receipt["notes"][-1].startswith("Keep this receipt: it could not all be written down")
    assert "ledger.sqlite3" in receipt["notes"][-1]


async def test_an_answer_interrupted_before_its_first_word_costs_its_input_tokens(open_server: OpenServer):
    overloaded = ErrorInside(RIGHT, after=1, kind="overloaded_error", status=529)
    async with open_server(lambda _: overloaded) as server:
        receipt = await server.call("delegate_generation", task=TASK, model="opus", max_attempts=1)
        (exchange,) = server.vendors.anthropic.journal.to("/v1/messages")

    assert receipt["attempts"][0]["input_tokens"] == exchange.input_tokens
    assert receipt["cost_usd"] > 0


@pytest.mark.in_process("it sets the server's clock")
async def test_each_request_is_billed_at_the_price_of_its_day(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    now = dt.datetime(2026, 11, 30, 23, 59, tzinfo=dt.UTC)
    monkeypatch.setattr(wiring, "utc_now", lambda: now)
    profiles = tmp_path / "chargehand-home" / "profiles"
    profiles.mkdir(parents=True)
    (profiles / "own.yaml").write_text(
        f"id: {DIRECTOR}\n"
        "price:\n"
        "  changes:\n"
        "    - {effective: 2026-12-01, input_usd_per_million_tokens: 1000, output_usd_per_million_tokens: 1000,"
        " source: a test, seen: 2026-11-30}\n"
    )

    def answers(ask: Ask) -> Reply:
        nonlocal now
        now += dt.timedelta(minutes=2)
        return Reply(fenced(f"def double(n):\n    return n + {ask.index}"))

    async with open_server(answers) as server:
        receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, model="opus", max_attempts=2)

    before, after = receipt["attempts"]
    assert before["cost_usd"] < 0.05
    assert after["cost_usd"] == pytest.approx((after["input_tokens"] + after["output_tokens"]) / 1_000, rel=0.1)


async def test_a_workspace_that_keeps_inference_in_the_us_pays_a_tenth_more(open_server: OpenServer):
    costs_usd: list[float] = []
    for geo in ("global", "us"):
        async with open_server(lambda _: RIGHT) as server:
            server.vendors.anthropic.default_inference_geo = geo
            receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, model="opus")
        costs_usd.append(receipt["cost_usd"])

    assert costs_usd[1] == pytest.approx(1.1 * costs_usd[0], rel=0.01)


@pytest.mark.parametrize(
    ("text", "category", "is_billed"),
    [("", "cyber", False), ("", "general_harms", False), ("", "bio", True), ("I", "cyber", True)],
    ids=["cyber", "general harms", "bio", "after its first word"],
)
async def test_a_refusal_before_the_first_word_costs_only_what_its_category_is_billed(
    open_server: OpenServer, text: str, category: str, is_billed: bool
):
    async with open_server(lambda _: Reply(text, stop="refusal", refusal_category=category)) as server:
        receipt = await server.call("delegate_generation", task=TASK, model="opus", max_attempts=1)

    (attempt,) = receipt["attempts"]
    assert attempt["outcome"] == "refused"
    assert attempt["input_tokens"] > 0
    assert (receipt["cost_usd"] > 0) == is_billed


@pytest.mark.parametrize("status", [400, 401, 529])
async def test_a_request_that_the_vendor_rejects_costs_nothing(open_server: OpenServer, status: int):
    async with open_server(lambda _: HttpFault(status)) as server:
        receipt = await server.call("delegate_generation", task=TASK, model="opus", max_attempts=1)

    assert receipt["cost_usd"] == 0


@pytest.mark.in_process("it blocks the vendor's client before it sends")
async def test_a_request_cancelled_before_it_is_sent_costs_nothing(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
):
    is_blocked, never = threading.Event(), threading.Event()

    def block_connecting(*_: object) -> None:
        is_blocked.set()
        for _ in range(2_000):
            never.wait(0.01)
            anyio.from_thread.check_cancelled()

    monkeypatch.setattr(anthropic, "_connect", block_connecting)
    async with open_server(Script()) as server:
        started = await server.call("delegate_generation", task=TASK, model="opus", wait_s=0)
        await anyio.to_thread.run_sync(is_blocked.wait, 60)
        receipt = await server.call("delegate_generation", resume=started["task_id"], cancel=True)

    (attempt,) = receipt["attempts"]
    assert (attempt["outcome"], attempt["input_tokens"]) == ("cancelled", 0)
    assert receipt["cost_usd"] == 0


async def test_thinking_that_was_cut_off_unseen_is_booked_by_its_time(open_server: OpenServer):
    never = anyio.Event()
    draft = Reply(fenced("def double(n:"))
    repair = Stall(Reply(RIGHT.text, thinking_tokens=5_000), never, after=3)
    async with open_server(Script({DIRECTOR: [draft, repair]})) as server:
        receipt = await server.call("delegate_generation", task=TASK, model="opus", max_attempts=2, max_seconds=3)

    _, attempt = receipt["attempts"]
    assert attempt["outcome"] == "timeout"
    assert attempt["seconds"] > 0
    assert 0 < attempt["output_tokens"] < 5_000
    assert attempt["cost_usd"] == pytest.approx(attempt["input_tokens"] * 4e-6 + attempt["output_tokens"] * 20e-6)
    assert any("The books have" in note and "an estimate by its time; at most" in note for note in receipt["notes"])


async def test_savings_do_not_grow_with_thinking_or_repairs(open_server: OpenServer):
    async def saved_usd(*answers: Reply) -> float:
        async with open_server(Script({"qwen3:30b-a3b": list(answers)})) as server:
            receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, model="qwen3-30b-a3b")
        assert receipt["status"] == "succeeded"
        return receipt["saved_usd"]["amount"]

    at_once = await saved_usd(RIGHT)
    after_a_repair = await saved_usd(WRONG, Reply(RIGHT.text, thinking="x1 = y2 ; " * 2_000))

    assert 0 < at_once == after_a_repair


async def test_failed_attempts_before_the_baseline_models_answer_are_a_loss(open_server: OpenServer):
    failing = [WRONG, Reply(fenced("def double(n):\n    return n"))]
    script = Script({"claude-haiku-5-5": failing, "claude-sonnet-5-5": [RIGHT]})
    async with open_server(script, installed=(), without=("CEREBRAS_API_KEY",)) as server:
        receipt = await server.call("delegate_generation", task=TASK, tests=TESTS)

    lost_usd = sum(attempt["cost_usd"] for attempt in receipt["attempts"] if attempt["outcome"] == "failed_check")
    assert receipt["model"] == receipt["saved_usd"]["baseline_model"] == "claude-sonnet-5-5"
    assert receipt["saved_usd"]["amount"] == pytest.approx(-lost_usd, abs=2e-6)
    assert lost_usd > 0


async def test_the_baseline_model_saves_nothing_and_a_cached_prompt_costs_less(open_server: OpenServer):
    costs: list[float] = []
    async with open_server(lambda _: RIGHT) as server:
        for _ in range(2):  # the second request reads the prompt from the vendor's cache
            receipt = await server.call(
                "delegate_generation", task=TASK, context="A fact.\n" * 4_000, tests=TESTS, model="sonnet"
            )
            assert receipt["saved_usd"]["amount"] == 0
            costs.append(receipt["cost_usd"])

    assert costs[1] < costs[0] / 2
