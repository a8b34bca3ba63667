"""`chargehand profiles update` and `undo` as a person types them."""

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
from usage_rows import works, write_works

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
ONE = Measurement(
    evaluation_id="e1", item="", model="qwen3-14b", repetition=0, build="sha256:new", kind="debugging",
    task_type="debugging", language="python", complexity=3.0, passed=True, outcome="passed", task_id=None, at=AT,
    seconds=11.0, first_token_seconds=1.0, output_tokens=300, thinking_tokens=0, cost_usd=0.001,
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "chargehand-home"


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("COLUMNS", "300")

    def type_in(*words: str, answer: str | None = None) -> CommandResult:
        monkeypatch.setattr(sys, "stdin", standard_input(answer))
        code = main(["profiles", *words])
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return type_in


def items(model: str, passed: int, of: int, **fields: Any) -> list[Measurement]:
    return [
        replace(ONE, model=model, item=f"task-{number % 8}@{number}", passed=number < passed, **fields)
        for number in range(of)
    ]


def measured(home: Path, *rows: Measurement) -> None:
    async def write() -> None:
        ledger = await Ledger.open(home, utc_now)
        for evaluation in sorted({row.evaluation_id for row in rows}):
            await insert_evaluation(ledger, evaluation, AT)
        for row in rows:
            await record_measurement(ledger, row)
        await ledger.aclose()

    anyio.run(write)


def facts(typed: Callable[..., CommandResult], model: str) -> Any:
    return typed("show", model, "--json").json


def test_without_measurements_it_says_how_to_get_some(typed):
    update = typed("update", "--from-evaluation")

    assert update.code == 0
    assert "`chargehand evaluate`" in update.out
    assert "No change is proposed." in update.out


def test_what_was_measured_is_shown_with_its_evidence_and_not_written_without_a_terminal(typed, home: Path):
    measured(home, *items("qwen3-14b", 30, 40))

    update = typed("update", "--all")

    assert update.code == 0
    assert "+ measured.items: 30 of 40 (75%; 95% interval 60% to 86%)" in update.out
    assert "n 40, 95% interval 0.598 to 0.858, evaluation e1, 2026-11-25" in update.out
    assert "Nothing is written. --apply writes it." in update.out
    assert not (home / "profiles").exists()


@pytest.mark.parametrize(
    ("answer", "is_written"), [("y\n", True), ("n\n", False), ("\n", False), ("", False), ("\x03y\n", False)]
)
def test_on_a_terminal_it_asks(typed, home: Path, answer: str, is_written: bool):
    measured(home, *items("qwen3-14b", 30, 40))

    update = typed("update", "--from-evaluation", answer=answer)

    assert update.code == 0
    assert ("measured" in facts(typed, "qwen3-14b")) == is_written


def test_what_is_applied_is_in_force_and_is_taken_back_by_one_command(typed, home: Path):
    measured(home, *items("qwen3-14b", 30, 40))
    before = facts(typed, "qwen3-14b")

    assert typed("update", "--from-evaluation", "--apply", "--json").json["written"] == 1
    after, again = facts(typed, "qwen3-14b"), typed("update", "--from-evaluation", "--apply")
    undone = typed("undo")

    assert after["measured"]["by_kind"]["debugging"]["n"] == 40
    assert (after["speed"]["slowest_tokens_per_second"], after["speed"]["measured_on"]) == (30, "this machine")
    assert "No change is proposed." in again.out
    assert (undone.code, facts(typed, "qwen3-14b")) == (0, before)
    assert "qwen3-14b: measured" in undone.out
    nothing = typed("undo")
    assert (nothing.code, nothing.out) == (1, "")
    assert "nothing to revert" in nothing.error


def test_nothing_is_taken_back_over_a_change_by_hand(typed, home: Path):
    measured(home, *items("qwen3-14b", 30, 40))
    typed("update", "--from-evaluation", "--apply")
    file = home / "profiles" / "measured" / "0001.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")

    undone, update = typed("undo"), typed("update", "--from-evaluation", "--apply")

    assert (undone.code, update.code) == (1, 1)
    assert str(file) in undone.error
    assert file.read_text(encoding="utf-8").endswith("# mine\n")


def test_hand_written_facts_are_never_proposed_and_that_is_said(typed, home: Path):
    measured(home, *items("qwen3-14b", 30, 40))
    (home / "profiles").mkdir()
    (home / "profiles" / "mine.yaml").write_text(
        "id: qwen3-14b\nspeed: {slowest_tokens_per_second: 5}\n", encoding="utf-8"
    )

    update = typed("update", "--from-evaluation")

    assert "Not proposed: qwen3-14b speed: speed is hand-written in your own file" in update.out
    assert "+ speed" not in update.out


def test_too_few_items_change_nothing(typed, home: Path):
    measured(home, *items("qwen3-14b", 9, 9))

    update = typed("update", "--from-evaluation")

    assert "9 item(s) are too few" in update.out
    assert "No change is proposed." in update.out


@pytest.mark.parametrize(("passed", "ends"), [(20, True), (19, False)])
def test_probation_ends_with_an_evaluation_in_which_half_is_passed(typed, home: Path, passed: int, ends: bool):
    lifecycle: Fact = {"status": "active", "source": "Ollama show", "seen": "2026-11-25", "on_probation": True}
    whole: Fact = {"id": "new", "name": "New", "provider": "ollama", "api_model": "new:1b", "lifecycle": lifecycle}
    found = Proposal("new", (), None, whole, Evidence("releases", "Ollama show", utc_now().date()))
    add(home / "profiles" / FOLDER, NO_UPDATES, [found], utc_now())
    measured(home, *items("new", passed, 40))

    typed("update", "--from-evaluation", "--apply")

    assert facts(typed, "new")["lifecycle"].get("on_probation", False) is not ends


def test_an_item_that_is_asked_again_is_no_new_evidence(typed, home: Path):
    once = items("qwen3-14b", 9, 9)
    measured(home, *(replace(row, repetition=n) for row in once for n in range(5)))

    assert "9 item(s) are too few" in typed("update", "--from-evaluation").out


def test_answers_of_an_older_build_are_those_of_another_model(typed, home: Path):
    old = items("qwen3-14b", 40, 40, build="sha256:old", at=AT - 99_999)
    measured(home, *old, *items("qwen3-14b", 10, 20, evaluation_id="e2"))

    found = typed("update", "--from-evaluation", "--json").proposed["qwen3-14b", "measured"]

    assert (found["items"]["passed"], found["items"]["n"], found["build"]) == (10, 20, "sha256:new")


def test_who_is_significantly_better_is_asked_first_and_suits_the_type(typed, home: Path):
    local = [p.id for p in load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)]
    first, second = local[:2]
    places = sorted(SHIPPED[model].roles["local"] for model in (first, second))
    measured(home, *items(first, 12, 40), *items(second, 38, 40))

    found = typed("update", "--from-evaluation", "--json").proposed

    assert found[second, "roles", "local"] == places[0]
    assert found[first, "roles", "local"] == places[1]
    assert "debugging" in found[second, "suits"]
    assert "debugging" in found[first, "avoids"]
    hand_written = list(SHIPPED[first].weaknesses)
    assert found[first, "weaknesses"][:-1] == hand_written
    assert found[first, "weaknesses"][-1].startswith("Measured: debugging, 12 of 40 passed")


def test_a_successor_that_was_left_a_place_is_ordered_like_the_others(typed, home: Path):
    (home / "profiles").mkdir(parents=True)
    facts_of = "name: {0}\nprovider: ollama\napi_model: {0}:1\nlifecycle: {{source: me, seen: 2026-11-01, {1}}}\n"
    gone = facts_of.format("gone", "status: retired, successor: heir") + "roles: {local: 1}\n"
    for name, text in {"gone": gone, "heir": facts_of.format("heir", "status: active")}.items():
        (home / "profiles" / f"{name}.yaml").write_text(f"id: {name}\n{text}")
    second = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)[0].id
    measured(home, *items("heir", 12, 40), *items(second, 38, 40))

    update = typed("update", "--from-evaluation", "--json")

    assert update.code == 0, update.error
    assert update.proposed["heir", "roles", "local"] > SHIPPED[second].roles["local"]


def test_a_difference_that_chance_explains_moves_nobody(typed, home: Path):
    first, second = [p.id for p in load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)][
        :2
    ]
    measured(home, *items(first, 25, 40), *items(second, 30, 40))

    found = typed("update", "--from-evaluation", "--json").proposed

    assert {place[1] for place in found} == {"measured", "speed"}


def test_where_use_and_an_evaluation_disagree_the_evaluation_has_the_last_word_and_keeps_it(typed, home: Path):
    first, second, *_ = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)
    first, second = first.id, second.id
    measured(home, *items(first, 12, 40), *items(second, 38, 40))
    anyio.run(write_works, home, *works(58, 60, models=(first,)), *works(18, 60, models=(second,)))

    typed("update", "--from-evaluation", "--from-usage", "--apply")
    again = typed("update", "--from-evaluation", "--from-usage", "--json")

    preferred, other = facts(typed, second), facts(typed, first)
    assert preferred["roles"]["local"] < other["roles"]["local"]
    assert ("debugging" in preferred["suits"], preferred["avoids"]) == (True, [])
    assert ("debugging" in other["suits"], other["avoids"]) == (False, ["debugging"])
    assert any(sentence.startswith("In use: debugging, 58 of 60") for sentence in other["best_for"])
    assert again.proposed == {}


def test_what_use_and_an_evaluation_say_of_different_types_is_written_at_once(typed, home: Path):
    first, second, *_ = load_catalogue().models_in_role("local", utc_now().date(), reference_first=False)
    first, second = first.id, second.id
    measured(home, *items(first, 12, 40), *items(second, 38, 40))
    anyio.run(
        write_works,
        home,
        *works(18, 60, models=(first,), task_type="tests"),
        *works(58, 60, models=(second,), task_type="tests"),
    )

    found = typed("update", "--all", "--json").proposed

    assert {"debugging", "tests"} <= set(found[second, "suits"])
    assert set(found[first, "avoids"]) == {"debugging", "tests"}
    assert {sentence.partition(":")[0] for sentence in found[first, "weaknesses"]} >= {"In use", "Measured"}


def test_where_a_model_begins_to_fail_a_line_is_drawn(typed, home: Path):
    easy, hard = items("qwen3-14b", 28, 30), items("qwen3-14b", 3, 30, complexity=7.0)
    measured(home, *easy, *(replace(row, item=f"hard {row.item}") for row in hard))

    found = typed("update", "--from-evaluation", "--json").proposed

    # Seven places of the line tell the same items apart; the lowest is as good as any and promises least.
    assert found["qwen3-14b", "complexity_at_most"] == 3
    assert 3 <= found["qwen3-14b", "measured"]["complexity_at_half"] <= 7


def test_measurements_that_cannot_be_are_left_out_and_that_is_said(typed, home: Path):
    nonsense = [
        replace(ONE, item="a", complexity=float("inf")),
        replace(ONE, item="b", kind="\x1b[31m" * 9),
        replace(ONE, item="c", at=1e300),
        replace(ONE, item="d", seconds=-1.0),
        replace(ONE, item="e", task_type="\u202eevil"),  # type: ignore[arg-type] - what the ledger may hold
    ]
    stranger = items("../../no\x1b]0;such\x07model", 40, 40)
    measured(home, *nonsense, *stranger, *items("qwen3-14b", 30, 40))

    update = typed("update", "--from-evaluation")

    assert update.code == 1
    assert "5 measurement(s)" in update.error
    assert "has no profile any more" in update.error
    assert "measured.items: 30 of 40" in update.out
    assert "\x1b" not in update.out + update.error


def test_a_folder_that_cannot_be_written_is_named(typed, home: Path):
    measured(home, *items("qwen3-14b", 30, 40))
    (home / "profiles").mkdir()
    (home / "profiles" / "measured").write_text("in the way", encoding="utf-8")

    update = typed("update", "--from-evaluation", "--apply")

    assert update.code == 1
    assert str(home / "profiles" / "measured") in update.error


def test_a_source_must_be_named(typed):
    update = typed("update")

    assert update.code == 1
    assert "--from-evaluation" in update.error


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--check", "--from-usage"), "leave out --apply and the sources"),
        (("--check", "--apply"), "leave out --apply and the sources"),
        (("--all", "--today", "2027-03-01"), "--today goes with --check"),
    ],
)
def test_what_cannot_go_together_is_refused(typed, words: tuple[str, ...], said: str):
    update = typed("update", *words)

    assert (update.code, update.out) == (2, "")
    assert said in update.error


def test_the_check_names_what_time_has_overtaken(typed):
    fresh, later = (
        typed("update", "--check", "--today", "2026-11-30"),
        typed("update", "--check", "--today", "2027-03-01"),
    )

    assert (fresh.code, fresh.out.strip()) == (0, "No shipped profile is stale.")
    assert later.code == 1
    assert "claude-opus-5-5: its price was seen on 2026-11-23, 98 days ago" in later.error
    assert "glm-4.7" not in later.error
    with pytest.raises(SystemExit):
        typed("update", "--check", "--today", "soon")


def test_the_check_names_a_role_that_no_active_model_plays():
    from datetime import date

    from chargehand.profiles.catalogue import Catalogue
    from chargehand.profiles.staleness import stale_facts

    catalogue = load_catalogue()
    without = {name: p for name, p in catalogue.profiles.items() if "fast_coder" not in p.roles}

    stale = stale_facts(Catalogue(without, catalogue.rules), date(2026, 9, 1))

    assert stale == (
        "role fast_coder: no active model plays it. Give a profile that is active `roles: {fast_coder: 1}`.",
    )


def test_two_updates_at_once_write_the_same_facts_once(home: Path, typed):
    measured(home, *items("qwen3-14b", 30, 40))
    run = [sys.executable, "-m", "chargehand.server", "profiles", "update", "--all", "--apply", "--json"]

    with contextlib.ExitStack() as stack:
        both = [
            stack.enter_context(subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            for _ in range(2)
        ]
        written = [json.loads(one.communicate(timeout=60)[0])["written"] for one in both]

    assert sorted(written, key=str) == [1, None]
    assert [path.name for path in (home / "profiles" / "measured").iterdir()] == ["0001.yaml"]
