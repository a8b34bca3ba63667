"""Expected durations come from this machine's own replies; a model that would exceed the time limit is not asked."""

import re
from pathlib import Path

import anyio
import pytest
from opened_ledger import opened_ledger
from rename_task import RENAME, RIGHT, TESTS, WRONG
from running_server import OpenServer, RunningServer, Script

from chargehand.evaluation.peers.reply import Reply, Stall

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY, FAST = "qwen3:30b-a3b", "claude-haiku-5-5", "gpt-oss-120b"


async def seconds_expected(server: RunningServer) -> float:
    return (await server.call("route_task", task=RENAME, model="local"))["expected"]["seconds"]


async def answer_three_times(server: RunningServer) -> None:
    for _ in range(3):
        await server.call("delegate_generation", task=RENAME, tests=TESTS)


def slow_down(tmp_path: Path, *, load: float = 0.0, first: float = 0.0, stream: float = 0.0) -> None:
    """Rewrites the ledger as if every reply so far had taken this many seconds."""
    with opened_ledger(tmp_path / "chargehand-home") as db:
        db.execute(
            "UPDATE attempts SET load_seconds = ?, first_token_seconds = ?, stream_seconds = ?",
            (load, load + first, stream),
        )


async def test_after_three_replies_expected_seconds_come_from_this_machine(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        from_profile = await seconds_expected(server)
        await answer_three_times(server)
        own = await seconds_expected(server)
        slow_down(tmp_path, first=4.0, stream=60.0)
        slowed = await seconds_expected(server)

    assert own < from_profile
    assert slowed == 64.0


async def test_load_time_is_expected_only_for_a_model_that_is_not_loaded(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        await answer_three_times(server)
        slow_down(tmp_path, load=30.0, first=1.0, stream=2.0)
        warm = await seconds_expected(server)
        server.vendors.ollama.loaded.clear()
    async with open_server(Script()) as server:  # a new server queries Ollama again
        cold = await seconds_expected(server)

    assert (warm, cold) == (3.0, 33.0)


async def test_max_latency_s_is_compared_with_this_machines_own_replies(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        before = await server.call("route_task", task=RENAME, max_latency_s=3)
        await answer_three_times(server)
        slow_down(tmp_path, first=1.0, stream=1.0)
        after = await server.call("route_task", task=RENAME, max_latency_s=3)

    assert before["model"] != "qwen3-30b-a3b"
    assert after["model"] == "qwen3-30b-a3b"


async def test_a_model_expected_to_exceed_max_seconds_is_not_asked(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [RIGHT], FAST: [RIGHT], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=90.0)
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=40)

    assert receipt["status"] == "succeeded"
    assert [attempt["model"] for attempt in receipt["attempts"]] == ["claude-haiku-5-5"]
    assert script.models[3:] == [ECONOMY]


async def test_a_note_names_the_local_model_skipped_for_lack_of_time(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({LOCAL: [RIGHT], ECONOMY: [RIGHT]})) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=30.0)
        short = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=20)
        long = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=200)

    assert [attempt["model"] for attempt in short["attempts"]] == ["claude-haiku-5-5"]
    assert short["notes"] == [
        "qwen3-30b-a3b: not asked: needs about 30 s of max_seconds 20. Raise it to have it asked."
    ]
    assert [attempt["model"] for attempt in long["attempts"]] == ["qwen3-30b-a3b"]
    assert long["notes"] == []


async def test_under_policy_reference_a_note_names_the_model_that_is_too_slow(
    open_server: OpenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CHARGEHAND_POLICY", "reference")
    async with open_server(Script({LOCAL: [RIGHT], FAST: [RIGHT], ECONOMY: [RIGHT]})) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=90.0)
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=40)

    assert [attempt["model"] for attempt in receipt["attempts"]] == ["claude-haiku-5-5"]
    assert any(re.match(r"qwen3-30b-a3b: not asked: needs about 90 s, (40|39) s are left", n) for n in receipt["notes"])


async def test_a_repair_expected_to_exceed_max_seconds_goes_to_a_faster_model(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [RIGHT, RIGHT, RIGHT, WRONG], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=30.0)  # a repair thinks, and so takes about four times as long
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=60)

    assert receipt["status"] == "succeeded"
    assert [attempt["model"] for attempt in receipt["attempts"]] == ["qwen3-30b-a3b", "claude-haiku-5-5"]


async def test_a_repair_for_which_no_model_has_the_time_is_named_with_the_seconds_left(
    open_server: OpenServer, tmp_path: Path
):
    script = Script({LOCAL: [RIGHT, RIGHT, RIGHT, WRONG]})
    async with open_server(script, without=("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=3.0)
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=10)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check"]
    assert re.fullmatch(
        r"qwen3-30b-a3b: not asked: it would not answer within the \d+ s that are left of max_seconds 10\."
        r" Raise it to have it asked\.",
        receipt["notes"][-1],
    )


async def test_a_repair_that_is_too_slow_and_not_worth_the_wait_is_named(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [RIGHT, RIGHT, RIGHT, WRONG]})
    async with open_server(script, without=("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=700.0)
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=800)

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check"]
    (note,) = receipt["notes"]
    assert "qwen3-30b-a3b's repair is not worth waiting about" in note
    assert note.endswith('model="qwen3-30b-a3b" with a higher max_seconds asks it alone.')


@pytest.mark.parametrize("arguments", [{"model": "local"}, {"local_only": True}])
async def test_a_slow_model_is_asked_when_no_other_is_allowed(open_server: OpenServer, tmp_path: Path, arguments):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=90.0)
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=40, **arguments)

    assert receipt["status"] == "succeeded"
    assert len(receipt["attempts"]) == 1


async def test_a_speed_measured_on_another_machine_rules_out_no_model(open_server: OpenServer):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=5)

    assert [attempt["model"] for attempt in receipt["attempts"]] == ["qwen3-30b-a3b"]


def stretch_timeouts(tmp_path: Path, seconds: float, *, days_ago: float = 0.0) -> None:
    with opened_ledger(tmp_path / "chargehand-home") as db:
        db.execute(
            "UPDATE attempts SET seconds = ?, begun_at = begun_at - ? WHERE outcome = 'timeout'",
            (seconds, days_ago * 86_400),
        )


async def test_a_model_that_timed_out_is_not_asked_again_with_as_little_time(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=1), RIGHT], ECONOMY: [RIGHT]})
    async with open_server(script) as server:
        timed_out = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=1)
        stretch_timeouts(tmp_path, 40)
        as_little = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=40)
        more = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=60)
        after_a_quick_reply = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=40)

    assert [(a["model"], a["outcome"]) for a in timed_out["attempts"]] == [("qwen3-30b-a3b", "timeout")]
    assert [attempt["model"] for attempt in as_little["attempts"]] == ["claude-haiku-5-5"]
    assert as_little["notes"] == [
        "qwen3-30b-a3b: not asked: needs about 50 s of max_seconds 40. Raise it to have it asked."
    ]
    for asked_again in (more, after_a_quick_reply):
        assert [(a["model"], a["outcome"]) for a in asked_again["attempts"]] == [("qwen3-30b-a3b", "passed")]


@pytest.mark.parametrize(("days_ago", "arguments"), [(8, {}), (0, {"model": "local"}), (0, {"local_only": True})])
async def test_a_model_that_timed_out_is_asked_if_no_other_is_allowed_or_after_a_week(
    open_server: OpenServer, tmp_path: Path, days_ago, arguments
):
    script = Script({LOCAL: [Stall(RIGHT, anyio.Event(), after=1), RIGHT]})
    async with open_server(script) as server:
        await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=1)
        stretch_timeouts(tmp_path, 40, days_ago=days_ago)
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, max_seconds=40, **arguments)

    assert [(a["model"], a["outcome"]) for a in receipt["attempts"]] == [("qwen3-30b-a3b", "passed")]


async def test_a_running_receipt_estimates_the_seconds_left_from_this_machines_speed(
    open_server: OpenServer, tmp_path: Path
):
    gate = anyio.Event()
    async with open_server(Script({LOCAL: [RIGHT, RIGHT, RIGHT, Stall(RIGHT, gate, after=1)]})) as server:
        await answer_three_times(server)
        slow_down(tmp_path, stream=120.0)
        started = await server.call("delegate_generation", task=RENAME, wait_s=0)
        with anyio.fail_after(60):
            while not any(e.status == 200 for e in server.vendors.ollama.journal.to("/api/chat")[3:]):
                await anyio.lowlevel.checkpoint()
        running = await server.call("delegate_generation", resume=started["task_id"], wait_s=0)
        gate.set()
        await server.call("delegate_generation", resume=started["task_id"])

    seconds = re.search(r"about (\d+) s left", running["notes"][0])
    assert seconds is not None
    assert 60 <= int(seconds[1]) <= 120


async def test_the_ledger_records_load_first_token_and_stream_times(open_server: OpenServer, tmp_path):
    reply = Reply(RIGHT.text, load_seconds=2.0)
    async with open_server(Script({LOCAL: [reply]})) as server:
        await server.call("delegate_generation", task=RENAME)

    with opened_ledger(tmp_path / "chargehand-home") as db:
        rows = db.execute(
            "SELECT load_seconds, first_token_seconds > 0, stream_seconds >= 0, output_tokens > 0 FROM attempts"
        ).fetchall()
    assert rows == [(2.0, 1, 1, 1)]
