"""`chargehand profiles update` and `undo`, run as a user runs them."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from command_line import CommandResult, standard_input
from measurement_rows import insert_evaluation
from usage_rows import delegations, write_delegations

from chargehand.memory_store.evaluations import Measurement, record_measurement
from chargehand.memory_store.ledger import Ledger
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.overlay import FOLDER, NO_UPDATES, add
from chargehand.profiles.proposal import Evidence, Fact, Proposal
from chargehand.server.cli import main
from chargehand.server.wiring import utc_now

SHIPPED = load_catalogue().profiles
AT = 1_795_600_000.0
"""2026-11-25."""
MEASUREMENT = Measurement(
    evaluation_id="e1", item="", model="qwen3-14b", repetition=0, build="sha256:new", kind="debugging",
    task_type="debugging", language="python", complexity=3.0, passed=True, outcome="passed", task_id=None, at=AT,
    seconds=11.0, first_token_seconds=1.0, output_tokens=300, thinking_tokens=0, cost_usd=0.001,
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "chargehand-home"


@pytest.fixture
def run_profiles(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "300")

    def run(*options: str, answer: str | None = None) -> CommandResult:
        monkeypatch.setattr(sys, "stdin", standard_input(answer))
        code = main(["profiles", *options])
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return run


def items(model: str, passed: int, of: int, **fields: Any) -> list[Measurement]:
    return [
        replace(MEASUREMENT, model=model, item=f"task-{number % 8}@{number}", passed=number < passed, **fields)
        for number in range(of)
    ]


def record_measurements(home: Path, *rows: Measurement) -> None:
    async def write() -> None:
        ledger = await Ledger.open(home, utc_now)
        for evaluation in sorted({row.evaluation_id for row in rows}):
            await insert_evaluation(ledger, evaluation, AT)
        for row in rows:
            await record_measurement(ledger, row)
        await ledger.aclose()

    anyio.run(write)


def show_profile(run_profiles: Callable[..., CommandResult], model: str) -> Any:
    return run_profiles("show", model, "--json").json


def test_an_update_without_measurements_points_to_evaluate(run_profiles):
    update = run_profiles("update", "--from-evaluation")

    assert update.code == 0
    assert "`chargehand evaluate`" in update.out
    assert "No change is proposed." in update.out


def test_proposals_are_shown_with_evidence_and_not_written_without_a_terminal(run_profiles, home: Path):
    record_measurements(home, *items("qwen3-14b", 30, 40))

    update = run_profiles("update", "--all")

    assert update.code == 0
    assert "+ measured.items: 30 of 40 (75%; 95% interval 60% to 86%)" in update.out
    assert "n 40, 95% interval 0.598 to 0.858, evaluation e1, 2026-11-25" in update.out
    assert "Nothing is written. --apply writes it." in update.out
    assert not (home / "profiles").exists()


@pytest.mark.parametrize(
    ("answer", "is_written"), [("y\n", True), ("n\n", False), ("\n", False), ("", False), ("\x03y\n", False)]
)
def test_on_a_terminal_proposals_are_written_only_after_a_yes(run_profiles, home: Path, answer: str, is_written: bool):
    record_measurements(home, *items("qwen3-14b", 30, 40))

    update = run_profiles("update", "--from-evaluation", answer=answer)

    assert update.code == 0
    assert ("measured" in show_profile(run_profiles, "qwen3-14b")) == is_written


def test_an_applied_update_takes_effect_and_undo_reverts_it(run_profiles, home: Path):
    record_measurements(home, *items("qwen3-14b", 30, 40))
    before = show_profile(run_profiles, "qwen3-14b")

    assert run_profiles("update", "--from-evaluation", "--apply", "--json").json["written"] == 1
    after, second_update = (
        show_profile(run_profiles, "qwen3-14b"),
        run_profiles("update", "--from-evaluation", "--apply"),
    )
    undone = run_profiles("undo")

    assert after["measured"]["by_kind"]["debugging"]["n"] == 40
    assert (after["speed"]["slowest_tokens_per_second"], after["speed"]["measured_on"]) == (30, "this machine")
    assert "No change is proposed." in second_update.out
    assert (undone.code, show_profile(run_profiles, "qwen3-14b")) == (0, before)
    assert "qwen3-14b: measured" in undone.out
    second_undo = run_profiles("undo")
    assert (second_undo.code, second_undo.out) == (1, "")
    assert "nothing to revert" in second_undo.error


def test_neither_undo_nor_update_overwrites_a_manual_edit(run_profiles, home: Path):
    record_measurements(home, *items("qwen3-14b", 30, 40))
    run_profiles("update", "--from-evaluation", "--apply")
    file = home / "profiles" / "measured" / "0001.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")

    undone, update = run_profiles("undo"), run_profiles("update", "--from-evaluation", "--apply")

    assert (undone.code, update.code) == (1, 1)
    assert str(file) in undone.error
    assert file.read_text(encoding="utf-8").endswith("# mine\n")


def test_no_change_to_a_hand_written_fact_is_proposed_and_the_output_says_so(run_profiles, home: Path):
    record_measurements(home, *items("qwen3-14b", 30, 40))
    (home / "profiles").mkdir()
    (home / "profiles" / "mine.yaml").write_text(
        "id: qwen3-14b\nspeed: {slowest_tokens_per_second: 5}\n", encoding="utf-8"
    )

    update = run_profiles("update", "--from-evaluation")

    assert "Not proposed: qwen3-14b speed: speed is hand-written in your own file" in update.out
    assert "+ speed" not in update.out


def test_too_few_items_yield_no_proposal(run_profiles, home: Path):
    record_measurements(home, *items("qwen3-14b", 9, 9))

    update = run_profiles("update", "--from-evaluation")

    assert "9 item(s) are too few" in update.out
    assert "No change is proposed." in update.out


@pytest.mark.parametrize(("passed", "ends"), [(20, True), (19, False)])
def test_probation_ends_when_an_evaluation_passes_at_least_half(run_profiles, home: Path, passed: int, ends: bool):
    lifecycle: Fact = {"status": "active", "source": "Ollama show", "seen": "2026-11-25", "on_probation": True}
    profile_facts: Fact = {
        "id": "new",
        "name": "New",
        "provider": "ollama",
        "api_model": "new:1b",
        "lifecycle": lifecycle,
    }
    new_profile = Proposal("new", (), None, profile_facts, Evidence("releases", "Ollama show", utc_now().date()))
    add(home / "profiles" / FOLDER, NO_UPDATES, [new_profile], utc_now())
    record_measurements(home, *items("new", passed, 40))

    run_profiles("update", "--from-evaluation", "--apply")

    assert show_profile(run_profiles, "new")["lifecycle"].get("on_probation", False) is not ends


def test_repetitions_of_an_item_are_not_new_evidence(run_profiles, home: Path):
    first_pass = items("qwen3-14b", 9, 9)
    record_measurements(home, *(replace(row, repetition=n) for row in first_pass for n in range(5)))

    assert "9 item(s) are too few" in run_profiles("update", "--from-evaluation").out


def test_measurements_of_an_older_build_are_not_counted(run_profiles, home: Path):
    old = items("qwen3-14b", 40, 40, build="sha256:old", at=AT - 99_999)
    record_measurements(home, *old, *items("qwen3-14b", 10, 20, evaluation_id="e2"))

    proposed = run_profiles("update", "--from-evaluation", "--json").proposed["qwen3-14b", "measured"]

    assert (proposed["items"]["passed"], proposed["items"]["n"], proposed["build"]) == (10, 20, "sha256:new")


def test_a_significantly_better_model_ranks_first_and_suits_the_task_type(run_profiles, home: Path):
    local = [p.id for p in load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)]
    first, second = local[:2]
    ranks = sorted(SHIPPED[model].roles["local"] for model in (first, second))
    record_measurements(home, *items(first, 12, 40), *items(second, 38, 40))

    proposed = run_profiles("update", "--from-evaluation", "--json").proposed

    assert proposed[second, "roles", "local"] == ranks[0]
    assert proposed[first, "roles", "local"] == ranks[1]
    assert "debugging" in proposed[second, "suits"]
    assert "debugging" in proposed[first, "avoids"]
    hand_written = list(SHIPPED[first].weaknesses)
    assert proposed[first, "weaknesses"][:-1] == hand_written
    assert proposed[first, "weaknesses"][-1].startswith("Measured: debugging, 12 of 40 passed")


def test_a_successor_with_an_inherited_role_is_ranked_like_other_models(run_profiles, home: Path):
    (home / "profiles").mkdir(parents=True)
    facts_of = "name: {0}\nprovider: ollama\napi_model: {0}:1\nlifecycle: {{source: me, seen: 2026-11-01, {1}}}\n"
    retired = facts_of.format("gone", "status: retired, successor: heir") + "roles: {local: 1}\n"
    for name, text in {"gone": retired, "heir": facts_of.format("heir", "status: active")}.items():
        (home / "profiles" / f"{name}.yaml").write_text(f"id: {name}\n{text}")
    second = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)[0].id
    record_measurements(home, *items("heir", 12, 40), *items(second, 38, 40))

    update = run_profiles("update", "--from-evaluation", "--json")

    assert update.code == 0, update.error
    assert update.proposed["heir", "roles", "local"] > SHIPPED[second].roles["local"]


def test_an_insignificant_difference_changes_no_rank(run_profiles, home: Path):
    first, second = [p.id for p in load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)][
        :2
    ]
    record_measurements(home, *items(first, 25, 40), *items(second, 30, 40))

    proposed = run_profiles("update", "--from-evaluation", "--json").proposed

    assert {place[1] for place in proposed} == {"measured", "speed"}


def test_an_evaluation_takes_precedence_over_usage_and_the_result_is_stable(run_profiles, home: Path):
    first, second, *_ = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)
    first, second = first.id, second.id
    record_measurements(home, *items(first, 12, 40), *items(second, 38, 40))
    anyio.run(write_delegations, home, *delegations(58, 60, models=(first,)), *delegations(18, 60, models=(second,)))

    run_profiles("update", "--from-evaluation", "--from-usage", "--apply")
    second_update = run_profiles("update", "--from-evaluation", "--from-usage", "--json")

    preferred, other = show_profile(run_profiles, second), show_profile(run_profiles, first)
    assert preferred["roles"]["local"] < other["roles"]["local"]
    assert ("debugging" in preferred["suits"], preferred["avoids"]) == (True, [])
    assert ("debugging" in other["suits"], other["avoids"]) == (False, ["debugging"])
    assert any(sentence.startswith("In use: debugging, 58 of 60") for sentence in other["best_for"])
    assert second_update.proposed == {}


def test_usage_and_evaluation_of_different_task_types_are_proposed_together(run_profiles, home: Path):
    first, second, *_ = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)
    first, second = first.id, second.id
    record_measurements(home, *items(first, 12, 40), *items(second, 38, 40))
    anyio.run(
        write_delegations,
        home,
        *delegations(18, 60, models=(first,), task_type="tests"),
        *delegations(58, 60, models=(second,), task_type="tests"),
    )

    proposed = run_profiles("update", "--all", "--json").proposed

    assert {"debugging", "tests"} <= set(proposed[second, "suits"])
    assert set(proposed[first, "avoids"]) == {"debugging", "tests"}
    assert {sentence.partition(":")[0] for sentence in proposed[first, "weaknesses"]} >= {"In use", "Measured"}


def test_complexity_at_most_is_set_where_a_model_starts_to_fail(run_profiles, home: Path):
    easy, hard = items("qwen3-14b", 28, 30), items("qwen3-14b", 3, 30, complexity=7.0)
    record_measurements(home, *easy, *(replace(row, item=f"hard {row.item}") for row in hard))

    proposed = run_profiles("update", "--from-evaluation", "--json").proposed

    # Seven thresholds separate these items equally well; the lowest promises least.
    assert proposed["qwen3-14b", "complexity_at_most"] == 3
    assert 3 <= proposed["qwen3-14b", "measured"]["complexity_at_half"] <= 7


def test_impossible_measurements_are_skipped_and_reported(run_profiles, home: Path):
    nonsense = [
        replace(MEASUREMENT, item="a", complexity=float("inf")),
        replace(MEASUREMENT, item="b", kind="\x1b[31m" * 9),
        replace(MEASUREMENT, item="c", at=1e300),
        replace(MEASUREMENT, item="d", seconds=-1.0),
        replace(MEASUREMENT, item="e", task_type="\u202eevil"),  # type: ignore[arg-type] - what the ledger may hold
    ]
    unknown_model = items("../../no\x1b]0;such\x07model", 40, 40)
    record_measurements(home, *nonsense, *unknown_model, *items("qwen3-14b", 30, 40))

    update = run_profiles("update", "--from-evaluation")

    assert update.code == 1
    assert "5 measurement(s)" in update.error
    assert "has no profile any more" in update.error
    assert "measured.items: 30 of 40" in update.out
    assert "\x1b" not in update.out + update.error


def test_an_unwritable_update_folder_is_named(run_profiles, home: Path):
    record_measurements(home, *items("qwen3-14b", 30, 40))
    (home / "profiles").mkdir()
    (home / "profiles" / "measured").write_text("in the way", encoding="utf-8")

    update = run_profiles("update", "--from-evaluation", "--apply")

    assert update.code == 1
    assert str(home / "profiles" / "measured") in update.error


def test_an_update_without_a_source_is_refused(run_profiles):
    update = run_profiles("update")

    assert update.code == 1
    assert "--from-evaluation" in update.error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--check", "--from-usage"), "leave out --apply and the sources"),
        (("--check", "--apply"), "leave out --apply and the sources"),
        (("--all", "--today", "2027-03-01"), "--today goes with --check"),
    ],
)
def test_conflicting_options_are_refused(run_profiles, options: tuple[str, ...], message: str):
    update = run_profiles("update", *options)

    assert (update.code, update.out) == (2, "")
    assert message in update.error


def test_check_names_stale_facts(run_profiles):
    fresh, later = (
        run_profiles("update", "--check", "--today", "2026-11-30"),
        run_profiles("update", "--check", "--today", "2027-03-01"),
    )

    assert (fresh.code, fresh.out.strip()) == (0, "No shipped profile is stale.")
    assert later.code == 1
    assert "claude-opus-5-5: its price was seen on 2026-11-23, 98 days ago" in later.error
    assert "glm-4.7" not in later.error
    with pytest.raises(SystemExit):
        run_profiles("update", "--check", "--today", "soon")


def test_a_role_without_an_active_model_counts_as_stale():
    from datetime import date

    from chargehand.profiles.catalogue import Catalogue
    from chargehand.profiles.staleness import stale_facts

    catalogue = load_catalogue()
    without = {name: p for name, p in catalogue.profiles.items() if "fast_coder" not in p.roles}

    stale = stale_facts(Catalogue(without, catalogue.rules), date(2026, 9, 1))

    assert stale == (
        "role fast_coder: no active model plays it. Give a profile that is active `roles: {fast_coder: 1}`.",
    )


def test_concurrent_updates_write_the_same_facts_once(home: Path, run_profiles):
    record_measurements(home, *items("qwen3-14b", 30, 40))
    run = [sys.executable, "-m", "chargehand.server", "profiles", "update", "--all", "--apply", "--json"]

    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for _ in range(2)
        ]
        written = [json.loads(process.communicate(timeout=60)[0])["written"] for process in processes]

    assert sorted(written, key=str) == [1, None]
    assert [path.name for path in (home / "profiles" / "measured").iterdir()] == ["0001.yaml"]
