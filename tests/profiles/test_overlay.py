"""Measured facts on disk: updates are atomic and serialized, and the last one can be undone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from overlay_writer import NOW, proposals, update

from chargehand.profiles.errors import NothingToUndo, OverlayError, Superseded
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.overlay import FOLDER, add, facts_in_force, newest, to_undo, undo
from chargehand.profiles.proposal import Evidence, Fact, Proposal

WRITER = Path(__file__).with_name("overlay_writer.py")
WAIT_S = 60
EVIDENCE = Evidence("evaluation", "evaluation 1", NOW.date(), n=40)
SHIPPED = load_catalogue().profiles


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "profiles" / FOLDER


def change(profile: str, *place: str, after: Fact) -> Proposal:
    return Proposal(profile, place, None, after, EVIDENCE)


def write_update(folder: Path, *changes: Proposal) -> None:
    add(folder, newest(folder), changes, NOW)


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    writer = subprocess.Popen(
        [sys.executable, str(WRITER), str(folder), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    return writer


def finish(writer: subprocess.Popen[str]) -> int:
    writer.communicate("go\n", timeout=WAIT_S)
    return writer.returncode


def test_measured_facts_override_shipped_ones_and_the_users_file_overrides_both(folder: Path):
    write_update(
        folder,
        change("qwen3-14b", "context_tokens", after=1_111),
        change("qwen3-14b", "max_output_tokens", after=222),
        change("claude-opus-5-5", "price", "input_usd_per_million_tokens", after=9.0),
    )
    (folder.parent / "mine.yaml").write_text("id: qwen3-14b\ncontext_tokens: 3333\n", encoding="utf-8")

    catalogue = load_catalogue(folder.parent)

    assert catalogue.problems == ()
    mine, shipped = catalogue.profiles["qwen3-14b"], SHIPPED["qwen3-14b"]
    assert mine == shipped.model_copy(update={"context_tokens": 3_333, "max_output_tokens": 222})
    opus, before = catalogue.profiles["claude-opus-5-5"].price, SHIPPED["claude-opus-5-5"].price
    assert before is not None
    assert opus == before.model_copy(update={"input_usd_per_million_tokens": 9.0})


def test_a_measured_fact_fills_a_gap_in_a_profile_that_the_user_added(folder: Path):
    write_update(folder, change("mine", "context_tokens", after=1_111))
    assert "no file adds such a profile" in str(load_catalogue(folder.parent).problems[0])

    (folder.parent / "mine.yaml").write_text(
        "{id: mine, name: Mine, provider: openai_compatible, api_model: m, base_url: 'http://127.0.0.1:1/v1',"
        " lifecycle: {status: active, source: me, seen: 2026-11-25}}",
        encoding="utf-8",
    )

    catalogue = load_catalogue(folder.parent)
    assert catalogue.problems == ()
    assert catalogue.profiles["mine"].context_tokens == 1_111


def test_an_older_measured_price_does_not_override_a_newer_shipped_one(folder: Path):
    price: Fact = {"input_usd_per_million_tokens": 77.0, "output_usd_per_million_tokens": 77.0, "source": "x"}
    write_update(folder, change("claude-opus-5-5", "price", after={**price, "seen": "2020-01-01"}))
    old = load_catalogue(folder.parent).profiles["claude-opus-5-5"]
    write_update(folder, change("claude-opus-5-5", "price", after={**price, "seen": "2030-01-01"}))
    new = load_catalogue(folder.parent).profiles["claude-opus-5-5"]

    assert old == SHIPPED["claude-opus-5-5"]
    assert new.price is not None
    assert new.price.input_usd_per_million_tokens == 77


def test_updates_are_undone_one_after_the_other(folder: Path):
    for tokens in (1, 2, 3):
        write_update(folder, change("qwen3-14b", "context_tokens", after=tokens))

    values: list[object] = []
    for _ in range(3):
        undo(folder, NOW)
        values.append(facts_in_force(folder).facts.get("qwen3-14b", {}).get("context_tokens"))

    assert values == [2, 1, None]
    with pytest.raises(NothingToUndo):
        undo(folder, NOW)
    write_update(folder, change("qwen3-14b", "context_tokens", after=4))
    assert undo(folder, NOW).changes[0].after == 4
    assert facts_in_force(folder).facts == {}


def test_a_file_changed_by_hand_stays_in_force_and_blocks_undo_and_updates(folder: Path):
    write_update(folder, change("qwen3-14b", "context_tokens", after=1_111))
    file = folder / "0001.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("1111", "2222"), encoding="utf-8")

    catalogue = load_catalogue(folder.parent)

    assert catalogue.profiles["qwen3-14b"].context_tokens == 2_222
    assert "was changed since it was written" in str(catalogue.problems[0])
    for call in (lambda: undo(folder, NOW), lambda: newest(folder)):
        with pytest.raises(OverlayError, match="was changed since it was written"):
            call()
    assert [path.name for path in folder.iterdir()] == ["0001.yaml"]


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"\xff\xfe",
        b"[1, 2",
        b"number: 2",
        b"- a list",
        b"[" * 5_000,
        b"{number: 9, at: 2026-11-25T12:00:00Z, facts: {}}",
        b"{number: 2, at: 2026-11-25T12:00:00Z, facts: {qwen3-14b: 7}}",
    ],
)
def test_a_broken_file_is_reported_and_the_facts_before_it_stay_in_force(folder: Path, broken: bytes):
    write_update(folder, change("qwen3-14b", "context_tokens", after=1_111))
    (folder / "0002.yaml").write_bytes(broken)

    catalogue = load_catalogue(folder.parent)

    assert catalogue.profiles["qwen3-14b"].context_tokens == 1_111
    assert str(folder / "0002.yaml") in str(catalogue.problems[0])
    with pytest.raises(OverlayError, match=r"0002\.yaml"):
        newest(folder)
    assert (folder / "0002.yaml").read_bytes() == broken


def test_invalid_measured_facts_are_reported_and_the_shipped_profile_stays_in_force(folder: Path):
    write_update(
        folder, change("qwen3-14b", "context_tokens", after=-5), change("qwen3-30b-a3b", "context_tokens", after=5)
    )

    catalogue = load_catalogue(folder.parent)

    assert catalogue.profiles["qwen3-14b"] == SHIPPED["qwen3-14b"]
    assert catalogue.profiles["qwen3-30b-a3b"].context_tokens == 5
    assert "chargehand profiles undo" in str(catalogue.problems[0])


def test_an_update_on_an_outdated_base_is_refused_and_not_written(folder: Path):
    base = newest(folder)
    add(folder, base, [change("qwen3-14b", "context_tokens", after=1)], NOW)

    with pytest.raises(Superseded):
        add(folder, base, [change("qwen3-14b", "context_tokens", after=2)], NOW)

    assert facts_in_force(folder).facts["qwen3-14b"]["context_tokens"] == 1
    assert [path.name for path in folder.iterdir()] == ["0001.yaml"]


def test_a_folder_that_cannot_be_listed_is_reported_with_a_remedy(folder: Path):
    folder.parent.mkdir()
    folder.write_text("a file stands where the folder belongs", encoding="utf-8")

    with pytest.raises(OverlayError, match=r"measured: cannot be listed .*readable folder"):
        newest(folder)
    assert "cannot be listed" in facts_in_force(folder).problems[0]


def test_concurrent_updates_are_serialized_and_none_is_lost(folder: Path):
    writers = [start(folder, "5", name) for name in ("left", "right", "third")]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()

    assert [finish(writer) for writer in writers] == [0, 0, 0]

    assert newest(folder).number == 15
    marks = {name for name in facts_in_force(folder).facts if not name.startswith("model")}
    assert marks == {f"{name}-{number}" for name in ("left", "right", "third") for number in range(5)}
    # Each update started from the one before: the marks hold the numbers of their base updates.
    facts = facts_in_force(folder).facts
    assert sorted(facts[mark]["context_tokens"] for mark in marks) == list(range(15))


@pytest.mark.parametrize("command", ["1", "undo"])
def test_after_kill_9_at_any_step_either_the_old_or_the_new_facts_are_in_force(tmp_path: Path, command: str):
    numbers: set[int] = set()
    for step in range(1, 40):
        folder = tmp_path / f"{command} {step}" / FOLDER
        update(folder, "first")
        old = facts_in_force(folder).facts

        code = finish(start(folder, command, "second", str(step)))

        in_force = facts_in_force(folder)
        assert in_force.problems == ()
        figures = {in_force.facts.get(name, {}).get("context_tokens") for name in ("model-a", "model-b")}
        assert len(figures) == 1
        number = newest(folder).number
        assert (number == 1) == (in_force.facts == old)
        numbers.add(number)
        current = newest(folder)
        add(folder, current, proposals("after"), NOW)  # the next update succeeds
        if code == 0:
            break
        assert code == -signal.SIGKILL
    else:
        raise AssertionError("it never came to an end")
    assert numbers == {1, 2}
    assert step > 5
    assert to_undo(folder).changes


def test_old_unfinished_files_are_removed_by_the_next_update_and_recent_ones_kept(folder: Path):
    folder.mkdir(parents=True)
    old, recent = folder / ".0001.a.unfinished", folder / ".0001.b.unfinished"
    old.touch()
    recent.touch()
    os.utime(old, (0, 0))

    update(folder, "next")

    assert not old.exists()
    assert recent.exists()
