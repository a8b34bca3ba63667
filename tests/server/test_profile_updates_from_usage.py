"""`chargehand profiles update --from-usage` as a person types it."""

import datetime as dt
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from command_line import CommandResult
from house import OpenHouse, Script, fenced
from usage_rows import Delegation, delegations, write_delegations

from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import QWEN
from chargehand.memory_store.ledger import LEDGER_FILE
from chargehand.profiles.loading import load_catalogue
from chargehand.server.cli import main
from chargehand.server.wiring import utc_now

OLD, NEW = "sha256:old Q4", "sha256:new Q4"
OTHERS = ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "chargehand-home"


@pytest.fixture
def update(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "300")

    def type_in(*words: str) -> CommandResult:
        code = main(["profiles", "update", "--from-usage", *words])
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return type_in


def used(home: Path, *made: Delegation) -> None:
    anyio.run(write_delegations, home, *made)


def in_use(update: CommandResult, model: str = "qwen3-30b-a3b") -> Any:
    (found,) = [p for p in update.json["proposals"] if (p["profile"], p["place"]) == (model, ["in_use"])]
    return found


def day(days_ago: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)).date().isoformat()


def test_an_empty_ledger_proposes_nothing_and_says_what_is_needed(update):
    said = update()

    assert said.code == 0
    assert "Nothing to propose from use: 0 outcomes, at least 10 are needed." in said.out
    assert "No change is proposed." in said.out


def test_too_few_outcomes_propose_nothing_and_are_counted(update, home: Path):
    used(home, *delegations(2, 3))

    said = update()

    assert "qwen3-30b-a3b: nothing to propose: 3 outcomes, at least 10 are needed." in said.out
    assert "No change is proposed." in said.out


def test_what_came_of_its_work_is_proposed_with_its_evidence(update, home: Path):
    used(
        home,
        *delegations(9, 12, cost_usd=0.01),
        *delegations(8, 8, models=("qwen3-30b-a3b", "claude-haiku-5-5")),
        Delegation(None, reported="accepted"),
        Delegation(True, reported="rejected"),
        Delegation(None),
    )

    proposal = in_use(update("--json"))

    after, evidence = proposal["after"], proposal["evidence"]
    counts = {name: (after[name]["passed"], after[name]["n"]) for name in ("solved", "checked", "accepted", "kept")}
    # Twelve alone, eight that another model was asked about afterwards, a word for, a word against, one unjudged.
    assert counts == {"solved": (10, 22), "checked": (10, 21), "accepted": (1, 2), "kept": (15, 23)}
    assert after["by_task_type"]["debugging"]["solved"]["n"] == after["solved"]["n"]
    assert after["by_complexity"].keys() == {"up to 3"}
    assert after["tokens_per_second"] == 30
    assert after["usd_per_solved_task"] == 0.012
    assert (after["build"], after["source"]) == (OLD, "usage")
    assert (evidence["origin"], evidence["n"], evidence["seen"]) == ("usage", 22, day(1))
    assert evidence["interval"][0] < 10 / 22 < evidence["interval"][1]


def test_what_is_applied_is_in_force_until_there_is_something_new(update, home: Path):
    used(home, *delegations(15, 20))

    written = update("--apply")
    again = update("--apply")

    assert "Written as update 1." in written.out
    assert "+ in_use.solved: 15 of 20 (75%; 95% interval 53% to 89%)" in written.out
    assert "No change is proposed." in again.out


def test_older_outcomes_count_less(update, home: Path):
    used(home, *delegations(0, 40, days_ago=181), *delegations(10, 10))

    solved = in_use(update("--json"))["after"]["solved"]

    assert solved["passed"] == 10
    assert solved["n"] == pytest.approx(20, abs=0.2)


def test_evaluations_are_no_use(update, home: Path):
    used(home, *delegations(0, 20, origin="evaluation"), *delegations(9, 10))

    assert in_use(update("--json"))["after"]["solved"]["n"] == 10


def test_work_in_other_projects_counts_as_well(update, home: Path):
    used(home, *delegations(5, 6, project="one"), *delegations(3, 6, project="other"))

    assert in_use(update("--json"))["after"]["solved"]["n"] == 12


def test_imported_work_counts_but_for_its_speed_and_cost(
    update, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    used(home, *delegations(9, 12, cost_usd=0.01))
    file = str(tmp_path / "work.jsonl")
    main(["memory", "export", file])
    monkeypatch.setenv("CHARGEHAND_HOME", str(tmp_path / "another-home"))
    main(["memory", "import", file, "--json"])

    capsys.readouterr()

    found = proposals(update("--json"))

    assert found.keys() == {("qwen3-30b-a3b", "in_use")}
    after = found["qwen3-30b-a3b", "in_use"]["after"]
    assert (after["solved"]["passed"], after["solved"]["n"]) == (9, 12)
    assert (after["tokens_per_second"], after["usd_per_solved_task"]) == (None, None)


def test_a_task_that_is_given_again_is_no_new_evidence(update, home: Path):
    used(home, *delegations(9, 9), *delegations(9, 9, text="Mend it"))

    assert in_use(update("--json"))["after"]["solved"]["n"] == 10


def test_what_another_build_did_is_no_evidence_of_this_one(update, home: Path):
    used(home, *delegations(30, 30, days_ago=9), *delegations(4, 4, build=NEW))

    said = update()

    assert "4 outcomes, at least 10 are needed; 30 of another build are not evidence for this one." in said.out
    assert "No change is proposed." in said.out


def test_a_build_that_comes_back_has_its_old_outcomes(update, home: Path):
    used(home, *delegations(8, 8, days_ago=9), *delegations(4, 4, build=NEW, days_ago=5), *delegations(4, 4, build=OLD))

    assert in_use(update("--json"))["evidence"]["n"] == 12


def test_a_decline_since_the_digest_changed_is_told_with_its_numbers(update, home: Path):
    used(home, *delegations(34, 48, days_ago=20), *delegations(17, 33, build=NEW, days_ago=9))
    sentence = f"qwen3:30b-a3b: debugging 71% → 52%, n 48/33, since its digest changed on {day(9)}"

    said, applied, again = update("--json"), update("--apply"), update()

    assert in_use(said)["warnings"] == [sentence]
    assert f"! {sentence}" in applied.out
    # It is as true when there is nothing to write.
    assert sentence in again.out
    assert "No change is proposed." in again.out


def test_a_decline_without_a_new_build_is_told_of_its_last_whole_block(update, home: Path):
    used(home, *delegations(40, 50, days_ago=20, build=None), *delegations(10, 30, days_ago=9, build=None))

    (warning,) = in_use(update("--json"))["warnings"]

    assert warning.startswith("qwen3:30b-a3b: debugging 80% → 32%, n 50/25, in its last 25 outcomes, up to ")


def test_a_model_that_stays_as_it_was_raises_no_alarm(update, home: Path):
    used(home, *delegations(34, 48, days_ago=20), *delegations(34, 48, build=NEW, days_ago=9))

    assert in_use(update("--json"))["warnings"] == []


def test_harder_tasks_than_before_are_no_decline(update, home: Path):
    easy, hard = {"complexity": 2.0}, {"complexity": 8.0}
    used(
        home,
        *delegations(38, 40, days_ago=20, **easy),
        *delegations(4, 20, days_ago=19, **hard),
        *delegations(10, 10, days_ago=9, build=NEW, **easy),
        *delegations(8, 40, days_ago=8, build=NEW, **hard),
    )

    assert in_use(update("--json"))["warnings"] == []


def test_tasks_that_others_failed_before_are_no_decline(update, home: Path):
    last = {"models": ("claude-haiku-5-5", "qwen3-30b-a3b")}
    used(home, *delegations(38, 40, days_ago=20), *delegations(5, 40, days_ago=9, build=NEW, **last))

    assert in_use(update("--json"))["warnings"] == []


def test_a_decline_of_long_ago_is_not_told_any_more(update, home: Path):
    used(home, *delegations(34, 48, days_ago=200), *delegations(17, 33, build=NEW, days_ago=150))

    assert in_use(update("--json"))["warnings"] == []


def test_hand_written_facts_stay_and_a_decline_is_told_all_the_same(update, home: Path):
    used(home, *delegations(34, 48, days_ago=20), *delegations(17, 33, build=NEW, days_ago=9))
    (home / "profiles").mkdir()
    (home / "profiles" / "mine.yaml").write_text("id: qwen3-30b-a3b\nin_use: null\n", encoding="utf-8")

    said = update()

    assert "Not proposed: qwen3-30b-a3b in_use: in_use is hand-written in your own file" in said.out
    assert "debugging 71% → 52%, n 48/33" in said.out


def test_books_that_hold_what_cannot_be_are_left_out_and_that_is_said(update, home: Path):
    used(home, *delegations(9, 14))
    with closing(sqlite3.connect(home / LEDGER_FILE, isolation_level=None)) as db:
        for place, nonsense in enumerate(("complexity = 9e999", "complexity = -1", "task_type = char(27) || '[31m'")):
            db.execute(
                f"UPDATE tasks SET {nonsense} WHERE id IN (SELECT id FROM tasks ORDER BY id LIMIT 1 OFFSET {place})"
            )

    said = update()

    assert said.code == 1
    assert f"3 delegation(s) in {home / LEDGER_FILE} hold impossible values" in said.error
    assert "\x1b" not in said.out + said.error


def local_rivals() -> tuple[str, str]:
    """Two models of one role, the one that is asked first before the other."""
    first, second, *_ = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)
    return first.id, second.id


def proposals(update: CommandResult) -> dict[tuple[str, ...], Any]:
    return {(p["profile"], *p["place"]): p for p in update.json["proposals"]}


def test_who_is_significantly_better_at_like_tasks_is_asked_first_and_suits_the_type(update, home: Path):
    first, second = local_rivals()
    places = sorted(load_catalogue().profiles[model].roles["local"] for model in (first, second))
    used(home, *delegations(12, 40, models=(first,)), *delegations(38, 40, models=(second,)))

    found = proposals(update("--json"))

    assert found[second, "roles", "local"]["after"] == places[0]
    assert found[first, "roles", "local"]["after"] == places[1]
    assert "debugging" in found[second, "suits"]["after"]
    assert "debugging" in found[first, "avoids"]["after"]
    *hand_written, own = found[first, "weaknesses"]["after"]
    assert hand_written == list(load_catalogue().profiles[first].weaknesses)
    assert own.startswith("In use: debugging, 12 of 40 passed")
    assert found[first, "weaknesses"]["evidence"]["origin"] == "usage"
    assert "Use is not an experiment" in found[first, "weaknesses"]["warnings"][0]


def test_what_use_says_stands_beside_what_was_measured(update, home: Path):
    first, second = local_rivals()
    (home / "profiles").mkdir(parents=True)
    used(home, *delegations(12, 40, models=(first,)), *delegations(38, 40, models=(second,)))
    update("--apply")
    used(home, *delegations(60, 60, models=(second,), days_ago=0.5))

    kept = proposals(update("--json"))[first, "weaknesses"]["after"]

    assert sum(sentence.startswith("In use: ") for sentence in kept) == 1


@pytest.mark.parametrize(
    "unlike",
    [{"task_type": "tests"}, {"complexity": 8.0}, {"models": ("claude-haiku-5-5", "SECOND")}, {"reported": "accepted"}],
    ids=["another type", "harder", "after another's failure", "judged by the user"],
)
def test_models_are_not_compared_at_tasks_that_are_not_alike(update, home: Path, unlike: dict[str, Any]):
    first, second = local_rivals()
    models = [second if model == "SECOND" else model for model in unlike.get("models", ("SECOND",))]
    passed = None if "reported" in unlike else True
    theirs = [replace(delegation, passed=passed) for delegation in delegations(38, 40, **{**unlike, "models": models})]
    used(home, *delegations(12, 40, models=(first,)), *theirs)

    assert {place[1] for place in proposals(update("--json"))} == {"in_use", "speed"}


def test_a_difference_that_chance_explains_moves_nobody(update, home: Path):
    first, second = local_rivals()
    used(home, *delegations(25, 40, models=(first,)), *delegations(31, 40, models=(second,)))

    assert {place[1] for place in proposals(update("--json"))} == {"in_use", "speed"}


@pytest.mark.anyio
async def test_what_was_delegated_and_accepted_is_known_of_the_build_that_did_it(open_house: OpenHouse, update):
    script = Script({QWEN.name: [Reply(fenced("def double(n):\n    return 2 * n"))]})
    async with open_house(script, without=OTHERS) as house:
        for number in range(12):
            task = f"Write a function double_{number} that doubles a number"
            receipt = await house.call("delegate_generation", task=task, model="qwen3-30b-a3b")
            reported = "accepted" if number < 9 else "rejected"
            await house.call("report_outcome", task_id=receipt["task_id"], outcome=reported)
        as_it_was = await anyio.to_thread.run_sync(update, "--json")
    async with open_house(script, installed=(replace(QWEN, digest="fedcba9876543210" * 4),), without=OTHERS):
        pulled_again = await anyio.to_thread.run_sync(update)

    solved = in_use(as_it_was)["after"]["by_task_type"]["code_generation"]["solved"]
    assert (solved["passed"], solved["n"]) == (9, 12)
    assert "0 outcomes, at least 10 are needed; 12 of another build are not evidence for this one." in pulled_again.out


def test_the_doctor_tells_of_a_decline(home: Path, update, capsys: pytest.CaptureFixture[str]):
    used(home, *delegations(34, 48, days_ago=20), *delegations(17, 33, build=NEW, days_ago=9))

    main(["doctor", "--json"])

    (line,) = [line for line in json.loads(capsys.readouterr().out)["lines"] if line["what"] == "drift"]
    assert line["finding"] in in_use(update("--json"))["warnings"]


def test_the_doctor_is_silent_where_nothing_declined(home: Path, update, capsys: pytest.CaptureFixture[str]):
    used(home, *delegations(34, 48, days_ago=20))

    main(["doctor", "--json"])

    assert [line for line in json.loads(capsys.readouterr().out)["lines"] if line["what"] == "drift"] == []


def test_all_sources_together_know_of_use(update, home: Path):
    used(home, *delegations(9, 14))

    assert in_use(update("--all", "--json"))["evidence"]["n"] == 14
