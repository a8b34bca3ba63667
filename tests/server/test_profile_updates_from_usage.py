"""`chargehand profiles update --from-usage`, run as a user runs it."""

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
from running_server import OpenServer, Script, fenced
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

    def run(*options: str) -> CommandResult:
        code = main(["profiles", "update", "--from-usage", *options])
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return run


def record_usage(home: Path, *delegations: Delegation) -> None:
    anyio.run(write_delegations, home, *delegations)


def in_use_proposal(update: CommandResult, model: str = "qwen3-30b-a3b") -> Any:
    (proposed,) = [p for p in update.json["proposals"] if (p["profile"], p["place"]) == (model, ["in_use"])]
    return proposed


def day(days_ago: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)).date().isoformat()


def test_an_empty_ledger_yields_no_proposal_and_says_how_many_outcomes_are_needed(update):
    result = update()

    assert result.code == 0
    assert "Nothing to propose from use: 0 outcomes, at least 10 are needed." in result.out
    assert "No change is proposed." in result.out


def test_too_few_outcomes_yield_no_proposal_and_are_counted(update, home: Path):
    record_usage(home, *delegations(2, 3))

    result = update()

    assert "qwen3-30b-a3b: nothing to propose: 3 outcomes, at least 10 are needed." in result.out
    assert "No change is proposed." in result.out


def test_outcomes_of_a_models_work_are_proposed_with_their_evidence(update, home: Path):
    record_usage(
        home,
        *delegations(9, 12, cost_usd=0.01),
        *delegations(8, 8, models=("qwen3-30b-a3b", "claude-haiku-5-5")),
        Delegation(None, reported="accepted"),
        Delegation(True, reported="rejected"),
        Delegation(None),
    )

    proposal = in_use_proposal(update("--json"))

    after, evidence = proposal["after"], proposal["evidence"]
    counts = {name: (after[name]["passed"], after[name]["n"]) for name in ("solved", "checked", "accepted", "kept")}
    # Twelve alone, eight that another model took over, one accepted, one rejected, one without an outcome.
    assert counts == {"solved": (10, 22), "checked": (10, 21), "accepted": (1, 2), "kept": (15, 23)}
    assert after["by_task_type"]["debugging"]["solved"]["n"] == after["solved"]["n"]
    assert after["by_complexity"].keys() == {"up to 3"}
    assert after["tokens_per_second"] == 30
    assert after["usd_per_solved_task"] == 0.012
    assert (after["build"], after["source"]) == (OLD, "usage")
    assert (evidence["origin"], evidence["n"], evidence["seen"]) == ("usage", 22, day(1))
    assert evidence["interval"][0] < 10 / 22 < evidence["interval"][1]


def test_an_applied_update_is_not_proposed_again_without_new_outcomes(update, home: Path):
    record_usage(home, *delegations(15, 20))

    written = update("--apply")
    second = update("--apply")

    assert "Written as update 1." in written.out
    assert "+ in_use.solved: 15 of 20 (75%; 95% interval 53% to 89%)" in written.out
    assert "No change is proposed." in second.out


def test_older_outcomes_count_less(update, home: Path):
    record_usage(home, *delegations(0, 40, days_ago=181), *delegations(10, 10))

    solved = in_use_proposal(update("--json"))["after"]["solved"]

    assert solved["passed"] == 10
    assert solved["n"] == pytest.approx(20, abs=0.2)


def test_evaluations_do_not_count_as_usage(update, home: Path):
    record_usage(home, *delegations(0, 20, origin="evaluation"), *delegations(9, 10))

    assert in_use_proposal(update("--json"))["after"]["solved"]["n"] == 10


def test_outcomes_of_all_projects_count(update, home: Path):
    record_usage(home, *delegations(5, 6, project="one"), *delegations(3, 6, project="other"))

    assert in_use_proposal(update("--json"))["after"]["solved"]["n"] == 12


def test_imported_outcomes_count_but_not_their_speed_and_cost(
    update, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    record_usage(home, *delegations(9, 12, cost_usd=0.01))
    file = str(tmp_path / "work.jsonl")
    main(["memory", "export", file])
    monkeypatch.setenv("CHARGEHAND_HOME", str(tmp_path / "another-home"))
    main(["memory", "import", file, "--json"])

    capsys.readouterr()

    proposed = proposals(update("--json"))

    assert proposed.keys() == {("qwen3-30b-a3b", "in_use")}
    after = proposed["qwen3-30b-a3b", "in_use"]["after"]
    assert (after["solved"]["passed"], after["solved"]["n"]) == (9, 12)
    assert (after["tokens_per_second"], after["usd_per_solved_task"]) == (None, None)


def test_a_repeated_task_is_counted_once(update, home: Path):
    record_usage(home, *delegations(9, 9), *delegations(9, 9, text="Mend it"))

    assert in_use_proposal(update("--json"))["after"]["solved"]["n"] == 10


def test_outcomes_of_another_build_are_not_counted(update, home: Path):
    record_usage(home, *delegations(30, 30, days_ago=9), *delegations(4, 4, build=NEW))

    result = update()

    assert "4 outcomes, at least 10 are needed; 30 of another build are not evidence for this one." in result.out
    assert "No change is proposed." in result.out


def test_a_build_that_returns_keeps_its_earlier_outcomes(update, home: Path):
    record_usage(
        home, *delegations(8, 8, days_ago=9), *delegations(4, 4, build=NEW, days_ago=5), *delegations(4, 4, build=OLD)
    )

    assert in_use_proposal(update("--json"))["evidence"]["n"] == 12


def test_a_decline_after_a_digest_change_is_reported_with_its_numbers(update, home: Path):
    record_usage(home, *delegations(34, 48, days_ago=20), *delegations(17, 33, build=NEW, days_ago=9))
    sentence = f"qwen3:30b-a3b: debugging 71% → 52%, n 48/33, since its digest changed on {day(9)}"

    first, applied, second = update("--json"), update("--apply"), update()

    assert in_use_proposal(first)["warnings"] == [sentence]
    assert f"! {sentence}" in applied.out
    # The warning stays, although there is nothing to write.
    assert sentence in second.out
    assert "No change is proposed." in second.out


def test_a_decline_without_a_new_build_is_reported_for_the_last_full_block(update, home: Path):
    record_usage(home, *delegations(40, 50, days_ago=20, build=None), *delegations(10, 30, days_ago=9, build=None))

    (warning,) = in_use_proposal(update("--json"))["warnings"]

    assert warning.startswith("qwen3:30b-a3b: debugging 80% → 32%, n 50/25, in its last 25 outcomes, up to ")


def test_unchanged_results_raise_no_warning(update, home: Path):
    record_usage(home, *delegations(34, 48, days_ago=20), *delegations(34, 48, build=NEW, days_ago=9))

    assert in_use_proposal(update("--json"))["warnings"] == []


def test_harder_tasks_do_not_count_as_a_decline(update, home: Path):
    easy, hard = {"complexity": 2.0}, {"complexity": 8.0}
    record_usage(
        home,
        *delegations(38, 40, days_ago=20, **easy),
        *delegations(4, 20, days_ago=19, **hard),
        *delegations(10, 10, days_ago=9, build=NEW, **easy),
        *delegations(8, 40, days_ago=8, build=NEW, **hard),
    )

    assert in_use_proposal(update("--json"))["warnings"] == []


def test_tasks_that_another_model_failed_first_do_not_count_as_a_decline(update, home: Path):
    last = {"models": ("claude-haiku-5-5", "qwen3-30b-a3b")}
    record_usage(home, *delegations(38, 40, days_ago=20), *delegations(5, 40, days_ago=9, build=NEW, **last))

    assert in_use_proposal(update("--json"))["warnings"] == []


def test_an_old_decline_is_not_reported(update, home: Path):
    record_usage(home, *delegations(34, 48, days_ago=200), *delegations(17, 33, build=NEW, days_ago=150))

    assert in_use_proposal(update("--json"))["warnings"] == []


def test_a_decline_is_reported_even_if_in_use_is_hand_written(update, home: Path):
    record_usage(home, *delegations(34, 48, days_ago=20), *delegations(17, 33, build=NEW, days_ago=9))
    (home / "profiles").mkdir()
    (home / "profiles" / "mine.yaml").write_text("id: qwen3-30b-a3b\nin_use: null\n", encoding="utf-8")

    result = update()

    assert "Not proposed: qwen3-30b-a3b in_use: in_use is hand-written in your own file" in result.out
    assert "debugging 71% → 52%, n 48/33" in result.out


def test_delegations_with_impossible_values_are_skipped_and_reported(update, home: Path):
    record_usage(home, *delegations(9, 14))
    with closing(sqlite3.connect(home / LEDGER_FILE, isolation_level=None)) as db:
        for offset, nonsense in enumerate(("complexity = 9e999", "complexity = -1", "task_type = char(27) || '[31m'")):
            db.execute(
                f"UPDATE tasks SET {nonsense} WHERE id IN (SELECT id FROM tasks ORDER BY id LIMIT 1 OFFSET {offset})"
            )

    result = update()

    assert result.code == 1
    assert f"3 delegation(s) in {home / LEDGER_FILE} hold impossible values" in result.error
    assert "\x1b" not in result.out + result.error


def local_rivals() -> tuple[str, str]:
    """Two models of one role, in the order in which they are asked."""
    first, second, *_ = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)
    return first.id, second.id


def proposals(update: CommandResult) -> dict[tuple[str, ...], Any]:
    return {(p["profile"], *p["place"]): p for p in update.json["proposals"]}


def test_a_model_significantly_better_at_like_tasks_ranks_first_and_suits_the_type(update, home: Path):
    first, second = local_rivals()
    ranks = sorted(load_catalogue().profiles[model].roles["local"] for model in (first, second))
    record_usage(home, *delegations(12, 40, models=(first,)), *delegations(38, 40, models=(second,)))

    proposed = proposals(update("--json"))

    assert proposed[second, "roles", "local"]["after"] == ranks[0]
    assert proposed[first, "roles", "local"]["after"] == ranks[1]
    assert "debugging" in proposed[second, "suits"]["after"]
    assert "debugging" in proposed[first, "avoids"]["after"]
    *hand_written, own = proposed[first, "weaknesses"]["after"]
    assert hand_written == list(load_catalogue().profiles[first].weaknesses)
    assert own.startswith("In use: debugging, 12 of 40 passed")
    assert proposed[first, "weaknesses"]["evidence"]["origin"] == "usage"
    assert "Use is not an experiment" in proposed[first, "weaknesses"]["warnings"][0]


def test_a_later_update_replaces_the_earlier_sentence_about_use(update, home: Path):
    first, second = local_rivals()
    (home / "profiles").mkdir(parents=True)
    record_usage(home, *delegations(12, 40, models=(first,)), *delegations(38, 40, models=(second,)))
    update("--apply")
    record_usage(home, *delegations(60, 60, models=(second,), days_ago=0.5))

    weaknesses = proposals(update("--json"))[first, "weaknesses"]["after"]

    assert sum(sentence.startswith("In use: ") for sentence in weaknesses) == 1


@pytest.mark.parametrize(
    "difference",
    [{"task_type": "tests"}, {"complexity": 8.0}, {"models": ("claude-haiku-5-5", "SECOND")}, {"reported": "accepted"}],
    ids=["another type", "harder", "after another's failure", "judged by the user"],
)
def test_models_are_not_compared_on_dissimilar_tasks(update, home: Path, difference: dict[str, Any]):
    first, second = local_rivals()
    models = [second if model == "SECOND" else model for model in difference.get("models", ("SECOND",))]
    passed = None if "reported" in difference else True
    works_of_second = [
        replace(delegation, passed=passed) for delegation in delegations(38, 40, **{**difference, "models": models})
    ]
    record_usage(home, *delegations(12, 40, models=(first,)), *works_of_second)

    assert {place[1] for place in proposals(update("--json"))} == {"in_use", "speed"}


def test_an_insignificant_difference_changes_no_rank(update, home: Path):
    first, second = local_rivals()
    record_usage(home, *delegations(25, 40, models=(first,)), *delegations(31, 40, models=(second,)))

    assert {place[1] for place in proposals(update("--json"))} == {"in_use", "speed"}


@pytest.mark.anyio
async def test_reported_outcomes_count_for_the_build_that_produced_them(open_server: OpenServer, update):
    script = Script({QWEN.name: [Reply(fenced("def double(n):\n    return 2 * n"))]})
    async with open_server(script, without=OTHERS) as server:
        for number in range(12):
            task = f"Write a function double_{number} that doubles a number"
            receipt = await server.call("delegate_generation", task=task, model="qwen3-30b-a3b")
            reported = "accepted" if number < 9 else "rejected"
            await server.call("report_outcome", task_id=receipt["task_id"], outcome=reported)
        before_the_pull = await anyio.to_thread.run_sync(update, "--json")
    async with open_server(script, installed=(replace(QWEN, digest="fedcba9876543210" * 4),), without=OTHERS):
        after_the_pull = await anyio.to_thread.run_sync(update)

    solved = in_use_proposal(before_the_pull)["after"]["by_task_type"]["code_generation"]["solved"]
    assert (solved["passed"], solved["n"]) == (9, 12)
    assert (
        "0 outcomes, at least 10 are needed; 12 of another build are not evidence for this one." in after_the_pull.out
    )


def test_doctor_reports_a_decline(home: Path, update, capsys: pytest.CaptureFixture[str]):
    record_usage(home, *delegations(34, 48, days_ago=20), *delegations(17, 33, build=NEW, days_ago=9))

    main(["doctor", "--json"])

    (line,) = [line for line in json.loads(capsys.readouterr().out)["lines"] if line["what"] == "drift"]
    assert line["finding"] in in_use_proposal(update("--json"))["warnings"]


def test_doctor_reports_no_drift_without_a_decline(home: Path, update, capsys: pytest.CaptureFixture[str]):
    record_usage(home, *delegations(34, 48, days_ago=20))

    main(["doctor", "--json"])

    assert [line for line in json.loads(capsys.readouterr().out)["lines"] if line["what"] == "drift"] == []


def test_update_all_includes_usage(update, home: Path):
    record_usage(home, *delegations(9, 14))

    assert in_use_proposal(update("--all", "--json"))["evidence"]["n"] == 14
