"""`chargehand profiles trial`, run as a user runs it, with local peers as vendors."""

import datetime as dt
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from command_line import CommandResult, run_command, standard_input
from running_server import Script, fenced

from chargehand.evaluation.comparison import Comparison, proposals_of
from chargehand.evaluation.peers.reply import Ask, Fault, HttpFault, Reply
from chargehand.evaluation.peers.vendors import vendors
from chargehand.evaluation.profiling.findings import ProfileFindings
from chargehand.memory_store.evaluations import read_measurements
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.records import Finish, NewCheck, NewTask
from chargehand.profiles.loading import load_catalogue
from chargehand.server.cli import own_services
from chargehand.server.command.profile_updates import offer

pytestmark = pytest.mark.anyio

HAIKU, LOCAL, LOCAL_WIRE = "claude-haiku-5-5", "qwen3-30b-a3b", "qwen3:30b-a3b"
RIGHT, WRONG = Reply(fenced("def twice(n):\n    return 2 * n")), Reply(fenced("def twice(n):\n    return n"))
TESTS = "def test_twice():\n    assert twice(3) == 6\n"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = {"HOME": str(tmp_path), "CHARGEHAND_HOME": str(tmp_path / "data")}
    return {"PATH": os.environ["PATH"], "COLUMNS": "300", **home}


async def remember(environment: dict[str, str], count: int, *, local: Sequence[int] = ()) -> None:
    """Records delegations with tests; local: the numbers of those that were local_only."""
    ledger = await Ledger.open(Path(environment["CHARGEHAND_HOME"]), lambda: dt.datetime.now(dt.UTC))
    for number in range(count):
        text = f"Write twice(n), which doubles a number. Variant {number}."
        task = NewTask(
            f"t{number}", "delegation", text, "code_generation", 2.0, local_only=number in local, tests=TESTS
        )
        await ledger.begin_task(task)
        await ledger.record_check(NewCheck(task.id, None, "tests", "passed", True, 1, 1, 0.1, None))
        await ledger.finish_task(task.id, Finish("succeeded", LOCAL, ("tests",), None))
    await ledger.aclose()


def prompts_to(asked: Sequence[Ask], model: str) -> list[str]:
    return ["\n".join(text for _, text in ask.messages) for ask in asked if ask.model == model]


async def test_a_trial_repeats_delegations_with_tests_and_compares_the_models(environment: dict[str, str]):
    script = Script({LOCAL_WIRE: [RIGHT, WRONG], HAIKU: [RIGHT]})
    async with vendors(script) as peers:
        variables = environment | peers.environment
        for ordinal in ("first", "second"):
            task = f"Write twice(n), which doubles a number, the {ordinal} time."
            delegated = await run_command(variables, "delegate", task, "--tests", TESTS, "--model", LOCAL)
            assert delegated.code in (0, 1), delegated.error
        result = await run_command(variables, "profiles", "trial", "haiku", "--against", LOCAL, "--json")
        table = await run_command(variables, "profiles", "trial", "haiku", "--against", LOCAL)

    assert (result.code, table.code) == (0, 0), result.error
    trial = result.json["trial"]
    assert (trial["n"], trial["passed"], trial["passed_against"]) == (2, 2, 0)
    assert trial["usd_each"] > 0 == trial["usd_each_against"]
    assert f"{HAIKU} passed 2 of 2 where {LOCAL} passed 0" in table.out
    assert "not significant" in table.out
    # Proposed, but not written.
    assert {(p["profile"], *p["place"]) for p in result.json["proposals"]} == {
        (HAIKU, "roles", "local"),
        (LOCAL, "roles", "local"),
    }
    assert result.json["written"] is None
    assert "Nothing is written." in table.out
    assert not (Path(environment["CHARGEHAND_HOME"]) / "profiles" / "measured").exists()


async def test_a_trial_leaves_out_tasks_that_were_local_only(environment: dict[str, str]):
    script = Script({LOCAL_WIRE: [WRONG], HAIKU: [RIGHT]})
    await remember(environment, 3, local=[1])
    async with vendors(script) as peers:
        result = await run_command(
            environment | peers.environment, "profiles", "trial", HAIKU, "--against", LOCAL, "--json"
        )

    assert result.json["trial"]["n"] == 2
    assert "1 task(s) must stay on this machine" in result.error
    assert not any("Variant 1" in text for model in (HAIKU, LOCAL_WIRE) for text in prompts_to(script.asked, model))
    assert any("Variant 2" in text for text in prompts_to(script.asked, HAIKU))


async def test_a_trial_without_suitable_tasks_or_models_is_refused_with_the_reason(environment: dict[str, str]):
    async with vendors(Script()) as peers:
        variables = environment | peers.environment
        empty = await run_command(variables, "profiles", "trial", HAIKU, "--against", LOCAL)
        await remember(environment, 2, local=[0, 1])
        all_local = await run_command(variables, "profiles", "trial", HAIKU, "--against", LOCAL)
        same = await run_command(variables, "profiles", "trial", "haiku", "--against", HAIKU)
        unknown = await run_command(variables, "profiles", "trial", "nobody", "--against", HAIKU)

    assert {empty.code, all_local.code, same.code, unknown.code} == {1}
    assert "no remembered task can be asked again" in empty.error
    assert "must stay on this machine" in all_local.error
    assert "the same model" in same.error
    assert "nobody" in unknown.error


async def test_a_trial_sends_no_request_that_its_budget_does_not_cover(environment: dict[str, str]):
    script = Script({LOCAL_WIRE: [WRONG], HAIKU: [RIGHT]})
    await remember(environment, 3)
    async with vendors(script) as peers:
        command = ("profiles", "trial", HAIKU, "--against", LOCAL, "--budget-usd", "0.000001", "--json")
        result = await run_command(environment | peers.environment, *command)

    assert result.code == 1
    assert "does not cover 3 task(s)" in result.error
    assert prompts_to(script.asked, HAIKU) == []


async def test_an_interrupted_trial_resumes_without_repeating_requests(environment: dict[str, str]):
    await remember(environment, 6)
    haiku_answers = iter([RIGHT, *[HttpFault(401)] * 50])

    def fails_later(ask: Ask) -> Reply | Fault:
        return WRONG if ask.model == LOCAL_WIRE else next(haiku_answers)

    first = await _trial(environment, fails_later)
    complete = Script({LOCAL_WIRE: [WRONG], HAIKU: [RIGHT]})
    second = await _trial(environment, complete)

    assert (first.code, first.json["trial"]["n"]) == (3, 1)
    assert "was skipped" in first.error
    assert (second.code, second.json["trial"]["n"]) == (0, 6)
    assert len(prompts_to(complete.asked, HAIKU)) == 5
    assert prompts_to(complete.asked, LOCAL_WIRE) == []
    ledger = await Ledger.open(Path(environment["CHARGEHAND_HOME"]), lambda: dt.datetime.now(dt.UTC))
    measured = await read_measurements(ledger)
    await ledger.aclose()
    assert sorted((m.item, m.model, m.passed) for m in measured) == sorted(
        (f"t{number}", model, model == HAIKU) for number in range(6) for model in (HAIKU, LOCAL)
    )


async def _trial(environment: dict[str, str], answer) -> CommandResult:
    async with vendors(answer) as peers:
        return await run_command(
            environment | peers.environment, "profiles", "trial", HAIKU, "--against", LOCAL, "--json"
        )


BETTER = Comparison(
    model=HAIKU, against=LOCAL, n=12, passed=12, passed_against=2, only_model=10, only_against=0, p=0.002,
    times_faster=2.0, usd_each=0.004, usd_each_against=0.0,
)  # fmt: skip


async def haiku_is_better(services) -> ProfileFindings:
    return ProfileFindings(proposals=tuple(proposals_of(BETTER, services.catalogue, "e1" * 8, services.today)))


@pytest.mark.parametrize(("answer", "is_written"), [("y\n", True), ("n\n", False), (None, False)])
async def test_the_proposal_of_a_trial_is_written_only_after_the_user_agrees(
    answer, is_written, monkeypatch, tmp_path: Path
):
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(sys, "stdin", standard_input(answer))
    code = await offer(own_services, [haiku_is_better], apply=False, as_json=False)

    async with own_services() as services:
        ranks = {model: services.catalogue.profiles[model].roles.get("local") for model in (HAIKU, LOCAL)}
    assert code == 0
    assert ranks == ({HAIKU: 2, LOCAL: 3} if is_written else {HAIKU: None, LOCAL: 2})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({HAIKU: None, LOCAL: 1, "qwen3-14b": 2, "qwen3.5-9b": 3}, [HAIKU, LOCAL, "qwen3-14b", "qwen3.5-9b"]),
        ({HAIKU: 3, LOCAL: 1, "qwen3-14b": 2}, [HAIKU, LOCAL, "qwen3-14b"]),
        ({HAIKU: 1, LOCAL: 1, "qwen3-14b": 1}, [HAIKU, LOCAL, "qwen3-14b"]),
        ({HAIKU: None, "qwen3-14b": 1, LOCAL: 2, "qwen3.5-9b": 5}, ["qwen3-14b", HAIKU, LOCAL, "qwen3.5-9b"]),
    ],
    ids=["it is new", "it comes from behind", "they stood level", "others stand before and far behind"],
)
def test_a_trial_moves_no_untried_model_ahead_of_another(before: dict[str, int | None], after: list[str]):
    catalogue = load_catalogue()
    for profile in catalogue:
        profile.roles.clear()
        if (place := before.get(profile.id)) is not None:
            profile.roles["local"] = place

    ranks = dict(before)
    for proposal in proposals_of(BETTER, catalogue, "e1" * 8, dt.date(2026, 11, 29)):
        assert (proposal.place, proposal.before) == (("roles", "local"), before[proposal.profile])
        assert proposal.after != proposal.before
        ranks[proposal.profile] = proposal.after

    assert sorted(ranks, key=lambda model: (ranks[model], model)) == after
    assert len(set(ranks.values())) == len(ranks)


async def test_apply_alone_does_not_write_the_proposal_of_a_trial(monkeypatch):
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    await offer(own_services, [haiku_is_better], apply=True, as_json=True)

    async with own_services() as services:
        assert services.catalogue.profiles[HAIKU].roles.get("local") is None
