"""`bench replay` over a file of outcomes: the measures, and that what can be learnt is learnt."""

import dataclasses
import gzip
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from chargehand.evaluation.bench.drawing import Point, draw
from chargehand.evaluation.bench.outcome_online import learn_online
from chargehand.evaluation.bench.outcome_plans import OURS, RIVAL, compare_strategies
from chargehand.evaluation.bench.outcome_replay import apgr, calibration_error, replay_outcomes
from chargehand.evaluation.bench.outcome_tables import has_outcomes, product_chances, read_outcomes
from chargehand.server.cli import main

THINGS = ("dates", "prices", "names", "colours", "ranges", "weights", "coordinates", "versions", "durations", "emails")


SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Forty tasks."""
    return outcomes(tmp_path, variants=2)


def outcomes(folder: Path, *, variants: int) -> Path:
    """Twenty tasks for each variant: sorting is solved by all, tours only by the dear model."""
    rows = [
        {
            "task_id": f"{verb}/{thing}/{n}",
            "prompt": text,
            "outcomes": {
                "cheap": {"correct": float(verb == "sort"), "cost_usd": 0.1},
                "dear": {"correct": 1.0, "cost_usd": 1.0},
            },
        }
        for thing in THINGS
        for n in range(variants)
        for verb, text in (
            ("sort", f"Sort the list of {thing} in {n + 2} ways"),
            ("tour", f"Find the shortest tour through the graph of {thing} with {n + 2} stops under a budget"),
        )
    ]
    file = folder / "outcomes_own.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return file


def test_sending_at_random_has_an_apgr_of_a_half_and_knowing_all_has_the_most():
    weak = np.array([1.0, 0.0] * 50)
    strong = np.ones(100)

    assert apgr(np.zeros(100), weak, strong) == pytest.approx(0.5, abs=0.01)
    assert apgr(strong - weak, weak, strong) == pytest.approx(0.75, abs=0.01)
    assert apgr(weak - strong, weak, strong) == pytest.approx(0.25, abs=0.01)


def test_the_calibration_error_is_the_mean_distance_of_chance_and_rate():
    solved = np.array([1.0, 1.0, 0.0, 0.0])

    assert calibration_error(np.array([0.5, 0.5, 0.5, 0.5]), solved) == pytest.approx(0)
    assert calibration_error(np.array([0.95, 0.95, 0.15, 0.15]), solved) == pytest.approx(0.1)


def test_what_other_tasks_show_is_learnt(file: Path):
    table = read_outcomes(file)
    known, asked = table.tasks[:30], table.tasks[30:]

    cheap, dear = product_chances(table, known, asked).T

    assert table.models == ["cheap", "dear"]
    assert cheap[0::2].min() > cheap[1::2].max() + 0.3
    assert dear.min() > 0.8


def test_a_file_of_outcomes_is_replayed_and_drawn(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = tmp_path / "cost.svg"

    code = replay_outcomes(file, picture=picture, orders=1)

    shown = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert has_outcomes(file)
    assert all(name in shown for name in ("Chargehand", "always cheap", "always dear", "oracle", "fixed cascade"))
    assert "one answer: nothing beat the plan" in shown
    assert "learning from own choices, 1 orders" in shown
    drawn = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    names = {text.text for text in drawn.iter(f"{SVG}text")}
    assert {f"{way}, one answer, for 95%" for way in ("plan", RIVAL, "length", "random mix")} <= names
    assert {f"{way}, with a check, for 100%" for way in ("plan", RIVAL, "fixed cascade")} <= names
    assert len(drawn.findall(f"{SVG}polyline")) == 5


def test_what_can_be_told_from_the_text_costs_less_than_a_random_mix_of_the_same_quality(file: Path):
    table = read_outcomes(file)

    weighed = compare_strategies(table, {OURS: table.solved, RIVAL: table.solved})

    spend = {point.name: point.spend for point in weighed.points}
    quality = {point.name: point.quality for point in weighed.points}
    assert quality["plan, one answer, for 95%"] == pytest.approx(1.0)
    assert spend["plan, one answer, for 95%"] == pytest.approx(0.55)
    assert spend["random mix, one answer, for 95%"] == pytest.approx(0.91, abs=0.03)


def test_a_rival_that_gets_as_much_for_less_is_named(file: Path):
    table = read_outcomes(file)
    nobody_knows = np.full_like(table.solved, table.solved.mean(axis=0))

    weighed = compare_strategies(table, {OURS: nobody_knows, RIVAL: table.solved})

    assert weighed.losses[0].startswith("one answer: the plan lost to kNN over TF-IDF")


def test_a_random_mix_is_drawn_between_those_models_alone_that_no_mix_is_better_than(file: Path):
    table = read_outcomes(file)
    dull = dataclasses.replace(
        table,
        models=["cheap", "dull", "dear"],
        solved=np.insert(table.solved, 1, np.r_[1.0, table.solved[1:, 0]], axis=1),
        cost=np.array([0.1, 0.9, 1.0]),
    )
    dull.solved[1, 1] = 1.0

    weighed = compare_strategies(dull, {OURS: dull.solved, RIVAL: dull.solved})

    (mix,) = (curve for curve in weighed.curves if curve.name == "random mix")
    assert [point.name for point in mix.points] == ["always cheap", "always dear"]


def test_a_file_without_outcomes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task_id": "a", "text": "x"}\n', encoding="utf-8")

    assert not has_outcomes(file)
    assert replay_outcomes(file) == 2
    assert "outcomes" in capsys.readouterr().out


def test_names_in_a_picture_are_text_and_nothing_else():
    picture = draw([Point("<script>", 0.5, 0.5), Point("plan & more", 1.0, 1.0)], "a < b")

    assert "<script>" not in picture
    assert len(ElementTree.fromstring(picture)) > 5


def test_whoever_sees_only_what_came_of_its_own_choices_learns_whom_to_ask(tmp_path: Path):
    names, rewards, _ = (
        list(column.cells) for column in learn_online(read_outcomes(outcomes(tmp_path, variants=10)), 2).columns
    )

    reward = {str(name): float(str(value)) for name, value in zip(names, rewards, strict=True)}
    assert reward["Chargehand"] > max(reward["always cheap"], reward["always dear"])


def test_files_that_cannot_be_measured_are_named_with_the_place(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]

    def told(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        assert main(["bench", "replay", str(tmp_path / name)]) == 2
        seen = capsys.readouterr()
        return " ".join(f"{seen.out}{seen.err}".split())

    def lines(*changed: object) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in changed).encode()

    assert "cut off or damaged" in told("cut.gz", file.read_bytes()[:200])
    assert "empty.jsonl is empty" in told("empty.jsonl", b"\n")
    assert "broken.jsonl, line 2: it is not JSON" in told("broken.jsonl", lines(rows[0]) + b'{"task_id":')
    assert "list.jsonl, line 1: it is not an object" in told("list.jsonl", b"[1]\n")
    assert "row 2: prompt: Field required" in told("bare.jsonl", lines(rows[0], {"task_id": "2", "outcomes": {}}))
    assert "has 3 tasks" in told("three.jsonl", lines(*rows[:3]))
    alike = [{**row, "outcomes": {name: {"correct": 1, "cost_usd": 1} for name in ("a", "b")}} for row in rows]
    assert "no two models differ" in told("alike.jsonl", lines(*alike))


def test_a_cost_that_some_rows_lack_is_the_mean_of_those_that_have_it(file: Path, tmp_path: Path):
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    for row in rows[::2]:
        del row["outcomes"]["dear"]["cost_usd"]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    table = read_outcomes(tmp_path / "some.jsonl")

    assert dict(zip(table.models, table.cost, strict=True)) == {"cheap": pytest.approx(0.1), "dear": pytest.approx(1)}


@pytest.mark.parametrize("measure", ["replay", "predict"])
def test_a_file_that_cannot_be_written_is_named(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measure: str
):
    missing = str(tmp_path / "missing" / "file")
    given = ["--memory", str(file), "--tasks", str(file), "--out"] if measure == "predict" else [str(file), "--svg"]

    assert main(["bench", measure, *given, missing]) == 2

    seen = capsys.readouterr()
    assert f"{missing} cannot be used (No such file or directory)" in f"{seen.out}{seen.err}"


def test_a_very_small_set_has_an_interval_from_the_resamples_that_show_a_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [
        {
            "task_id": thing,
            "prompt": f"Sort the list of {thing}",
            "outcomes": {
                "cheap": {"correct": float(thing != "dates"), "cost_usd": 0.1},
                "dear": {"correct": 1.0, "cost_usd": 1.0},
            },
        }
        for thing in THINGS
    ]
    file = tmp_path / "outcomes_own.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)

    code = replay_outcomes(file)

    assert (code, "nan" in capsys.readouterr().out) == (0, False)
