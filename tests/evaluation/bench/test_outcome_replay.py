"""`chargehand bench replay` over a file of outcomes: its measures, strategies and refusals."""

import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from chargehand.evaluation.bench.drawing import Point, draw
from chargehand.evaluation.bench.outcome_confidence import calibration_error, confidence_of_plans
from chargehand.evaluation.bench.outcome_online import learn_online
from chargehand.evaluation.bench.outcome_plans import OURS, RIVAL, aiq, compare_strategies
from chargehand.evaluation.bench.outcome_replay import apgr, cpt, mean_of_pairs, replay_outcomes
from chargehand.evaluation.bench.outcome_tables import has_outcomes, product_chances, read_outcomes
from chargehand.server.cli import main

THINGS = ("dates", "prices", "names", "colours", "ranges", "weights", "coordinates", "versions", "durations", "emails")


SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An outcome file with forty tasks."""
    return write_outcomes(tmp_path, variants=2)


def write_outcomes(folder: Path, *, variants: int) -> Path:
    """Write twenty tasks for each variant: both models solve sorting, only the dear model solves tours."""
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


def test_apgr_is_half_for_random_routing_highest_for_an_oracle_and_lowest_for_its_opposite():
    weak = np.array([1.0, 0.0] * 50)
    strong = np.ones(100)

    assert apgr(np.zeros(100), weak, strong) == pytest.approx(0.5, abs=0.01)
    assert apgr(strong - weak, weak, strong) == pytest.approx(0.75, abs=0.01)
    assert apgr(weak - strong, weak, strong) == pytest.approx(0.25, abs=0.01)


def test_apgr_leaves_out_task_groups_in_which_the_weaker_model_is_better(file: Path):
    table = read_outcomes(file)
    normal, reversed_ = np.arange(20), np.arange(20, 40)
    table.solved[reversed_] = table.solved[reversed_, ::-1]
    pair = [(0, 1)]

    mean = mean_of_pairs(apgr, table, [normal, reversed_], table.solved, pair)

    assert mean == pytest.approx(0.75)
    assert mean == mean_of_pairs(apgr, table, [normal], table.solved, pair)


def test_cpt_is_the_least_share_of_calls_that_recovers_the_gap():
    weak = np.array([1.0, 0.0] * 50)
    strong = np.ones(100)

    assert cpt(0.8, np.zeros(100), weak, strong) == pytest.approx(0.8)
    assert cpt(0.8, strong - weak, weak, strong) == pytest.approx(0.4)
    assert cpt(0.5, weak - strong, weak, strong) == pytest.approx(0.75)


def test_aiq_is_the_area_of_the_best_mixes_up_to_the_spend_of_the_best_model():
    models = [Point("small", 0.25, 0.4), Point("dull", 0.5, 0.3), Point("best", 1.0, 0.8)]

    assert aiq(models) == pytest.approx(0.25 * 0.4 / 2 + 0.75 * 0.6)
    assert aiq([Point("free", 0.0, 0.5)]) == pytest.approx(0.5)
    assert aiq([*models, Point("dearer", 2.0, 0.9)]) == pytest.approx(aiq(models))


def test_json_adds_the_measures_of_each_pair_of_models(file: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "replay", str(file), "--json"]) == 0

    judged, pairs = json.loads(capsys.readouterr().out)["tables"][:2]
    assert pairs["rows"] == [
        {"weaker": "cheap", "stronger": "dear"}
        | {measure: judged["rows"][-1][measure] for measure in ("APGR", "CPT(50%)", "CPT(80%)")}
    ]


def test_the_calibration_error_is_the_mean_distance_of_prediction_and_rate():
    solved = np.array([1.0, 1.0, 0.0, 0.0])

    assert calibration_error(np.array([0.5, 0.5, 0.5, 0.5]), solved) == pytest.approx(0)
    assert calibration_error(np.array([0.95, 0.95, 0.15, 0.15]), solved) == pytest.approx(0.1)


def test_chances_follow_the_outcomes_of_similar_tasks(file: Path):
    table = read_outcomes(file)
    known, new = table.tasks[:30], table.tasks[30:]

    cheap, dear = product_chances(table, known, new).T

    assert table.models == ["cheap", "dear"]
    assert cheap[0::2].min() > cheap[1::2].max() + 0.3
    assert dear.min() > 0.8


def test_a_file_of_outcomes_is_replayed_and_drawn(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = tmp_path / "cost.svg"

    code = replay_outcomes(file, picture=picture, orders=1)

    printed = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert has_outcomes(file)
    assert all(name in printed for name in ("Chargehand", "always cheap", "always dear", "oracle", "fixed cascade"))
    assert "one answer: nothing beat the plan" in printed
    assert "learning from own choices, 1 orders" in printed
    svg = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    names = {text.text for text in svg.iter(f"{SVG}text")}
    assert {f"{way}, one answer, for 95%" for way in ("plan", RIVAL, "length", "random mix")} <= names
    assert {f"{way}, with a check, for 100%" for way in ("plan", RIVAL, "fixed cascade")} <= names
    assert len(svg.findall(f"{SVG}polyline")) == 5


def test_a_plan_that_predicts_outcomes_costs_less_than_a_random_mix_of_the_same_quality(file: Path):
    table = read_outcomes(file)

    comparison = compare_strategies(table, {OURS: table.solved, RIVAL: table.solved})

    spend = {point.name: point.spend for point in comparison.points}
    quality = {point.name: point.quality for point in comparison.points}
    assert quality["plan, one answer, for 95%"] == pytest.approx(1.0)
    assert spend["plan, one answer, for 95%"] == pytest.approx(0.55)
    assert spend["random mix, one answer, for 95%"] == pytest.approx(0.91, abs=0.03)


def test_a_random_mix_sends_no_more_to_the_stronger_model_than_the_goal_requires(file: Path):
    table = read_outcomes(file)
    table.solved[:, 0] = 0.36

    comparison = compare_strategies(table, {OURS: table.solved, RIVAL: table.solved})

    spend = {point.name: point.spend for point in comparison.points}
    assert spend["random mix, one answer, for 95%"] == pytest.approx(0.1 + 0.9 * 0.93)


def test_in_hindsight_the_cheapest_mix_that_meets_the_goal_exactly_is_paid(file: Path):
    table = read_outcomes(file)
    always_the_same = np.full_like(table.solved, table.solved.mean(axis=0))

    told = compare_strategies(table, {OURS: table.solved, RIVAL: always_the_same}).in_hindsight

    spend = dict(zip(*(column.cells for column in told.columns), strict=True))
    assert spend["random mix, one answer, for 95%"] == f"{0.1 * 0.1 + 0.9 * 1.0:.3f}"
    assert spend["plan, one answer, for 95%"] == f"{0.1 * 0.1 + 0.9 * 0.55:.3f}"


def test_the_confidence_of_plans_is_compared_with_what_they_reach(file: Path):
    table = read_outcomes(file)

    def rows(chances: list[float]) -> dict[str, list[str]]:
        told = confidence_of_plans(table, np.full_like(table.solved, chances))
        return {
            str(cells[0]): [str(c) for c in cells[1:]] for cells in zip(*(c.cells for c in told.columns), strict=True)
        }

    hopeful, modest = rows([0.99, 0.99]), rows([0.5, 0.5])

    assert hopeful["faultless"][1:2] == ["1.000"]
    assert hopeful["faultless"][3:] == ["1.000", "1.000"]
    assert float(hopeful["catches 90%, refuses 10%"][4]) < 1
    assert float(modest["faultless"][0]) < 0.8
    assert modest["faultless"][3:] == ["0.000", "-"]


def test_more_folds_than_the_tasks_allow_are_refused(file: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "replay", str(file), "--folds", "14"]) == 2

    assert "--folds 14: 40 tasks in" in " ".join(capsys.readouterr().err.split())


def test_a_rival_that_reaches_the_same_quality_for_less_is_reported_as_a_loss(file: Path):
    table = read_outcomes(file)
    mean_rates = np.full_like(table.solved, table.solved.mean(axis=0))

    comparison = compare_strategies(table, {OURS: mean_rates, RIVAL: table.solved})

    assert comparison.losses[0].startswith("one answer: the plan lost to kNN over TF-IDF")


def test_the_random_mix_leaves_out_models_that_a_mix_of_others_beats(file: Path):
    table = read_outcomes(file)
    table_with_dull = dataclasses.replace(
        table,
        models=["cheap", "dull", "dear"],
        solved=np.insert(table.solved, 1, np.r_[1.0, table.solved[1:, 0]], axis=1),
        cost=np.array([0.1, 0.9, 1.0]),
        paid=np.insert(table.paid, 1, 0.9, axis=1),
    )
    table_with_dull.solved[1, 1] = 1.0

    comparison = compare_strategies(table_with_dull, {OURS: table_with_dull.solved, RIVAL: table_with_dull.solved})

    (mix,) = (curve for curve in comparison.curves if curve.name == "random mix")
    assert [point.name for point in mix.points] == ["always cheap", "always dear"]


def test_a_file_without_outcomes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"task_id": "a", "text": "x"}\n', encoding="utf-8")

    assert not has_outcomes(file)
    assert replay_outcomes(file) == 2
    assert "outcomes" in capsys.readouterr().err


def test_names_in_a_picture_are_escaped():
    picture = draw([Point("<script>", 0.5, 0.5), Point("plan & more", 1.0, 1.0)], "a < b")

    assert "<script>" not in picture
    assert len(ElementTree.fromstring(picture)) > 5


def test_learning_from_its_own_choices_alone_beats_always_asking_one_model(tmp_path: Path):
    names, rewards, _ = (
        list(column.cells) for column in learn_online(read_outcomes(write_outcomes(tmp_path, variants=10)), 2).columns
    )

    reward = {str(name): float(str(value)) for name, value in zip(names, rewards, strict=True)}
    assert reward["Chargehand"] > max(reward["always cheap"], reward["always dear"])


def test_invalid_outcome_files_are_refused_with_file_and_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]

    def error_for(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        assert main(["bench", "replay", str(tmp_path / name)]) == 2
        output = capsys.readouterr()
        return " ".join(f"{output.out}{output.err}".split())

    def lines(*changed: object) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in changed).encode()

    assert "cut off or damaged" in error_for("cut.gz", file.read_bytes()[:200])
    assert "empty.jsonl is empty" in error_for("empty.jsonl", b"\n")
    assert "broken.jsonl, line 2: it is not JSON" in error_for("broken.jsonl", lines(rows[0]) + b'{"task_id":')
    assert "deep.jsonl, line 1: it is not JSON" in error_for("deep.jsonl", b"[" * 100_000)
    assert "list.jsonl, line 1: it is not an object" in error_for("list.jsonl", b"[1]\n")
    assert "row 2: prompt: Field required" in error_for("bare.jsonl", lines(rows[0], {"task_id": "2", "outcomes": {}}))
    assert "has 3 tasks" in error_for("three.jsonl", lines(*rows[:3]))
    alike = [{**row, "outcomes": {name: {"correct": 1, "cost_usd": 1} for name in ("a", "b")}} for row in rows]
    assert "no two models differ" in error_for("alike.jsonl", lines(*alike))


def test_a_models_cost_is_the_mean_of_the_rows_that_state_it(file: Path, tmp_path: Path):
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    for row in rows[::2]:
        del row["outcomes"]["dear"]["cost_usd"]
    (tmp_path / "some.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    table = read_outcomes(tmp_path / "some.jsonl")

    assert dict(zip(table.models, table.cost, strict=True)) == {"cheap": pytest.approx(0.1), "dear": pytest.approx(1)}


def test_each_attempt_costs_what_its_row_states(file: Path):
    table = read_outcomes(file)
    paid = np.where(table.solved > 0, table.paid, 5 * table.paid)  # unsolved attempts cost more
    costly = dataclasses.replace(table, cost=paid.mean(axis=0), paid=paid)

    comparison = compare_strategies(costly, {OURS: costly.solved, RIVAL: costly.solved})

    spend = {point.name: point.spend for point in comparison.points}
    assert spend["always cheap"] == pytest.approx(0.3)
    assert spend["plan, one answer, for 95%"] == pytest.approx(0.55)
    assert spend["oracle, one answer"] == pytest.approx(0.55)


@pytest.mark.parametrize("measure", ["replay", "predict"])
def test_an_output_file_that_cannot_be_written_is_named(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], measure: str
):
    missing = str(tmp_path / "missing" / "file")
    arguments = ["--memory", str(file), "--tasks", str(file), "--out"] if measure == "predict" else [str(file), "--svg"]

    assert main(["bench", measure, *arguments, missing]) == 2

    output = capsys.readouterr()
    assert f"{missing} cannot be used (No such file or directory)" in f"{output.out}{output.err}"


def test_the_report_on_ten_tasks_with_one_failure_contains_no_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
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


def _write_changed(file: Path, change: Callable[[str, dict[str, Any]], None]) -> Path:
    """Write a copy of the file. change: called with each row's number and its outcomes."""
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    for number, row in enumerate(rows):
        change(str(number), row["outcomes"])
    copy = file.with_name("changed.jsonl")
    copy.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return copy


def test_the_report_names_models_missing_from_rows_and_counts_repeated_texts(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    partial = _write_changed(
        file, lambda number, outcomes: outcomes.update({"rare": {"correct": 1}} if number == "3" else {})
    )
    repeated = tmp_path / "twice.jsonl"
    repeated.write_bytes(partial.read_bytes() * 2)

    assert replay_outcomes(repeated) == 0

    printed = " ".join(capsys.readouterr().out.split())
    assert "Some rows lack outcomes of rare: left out." in printed
    assert "40 of 80 tasks repeat another's text" in printed


def test_plans_are_not_compared_with_a_best_model_that_costs_nothing(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    free = _write_changed(file, lambda _, outcomes: outcomes["dear"].update(cost_usd=0))
    picture = tmp_path / "cost.svg"

    assert replay_outcomes(free, picture=picture) == 0

    printed = " ".join(capsys.readouterr().out.split())
    assert "dear solves the most and costs nothing, so plans are not compared, and" in printed
    assert "nan" not in printed
    assert not picture.exists()


def test_another_seed_remembers_other_tasks(file: Path, capsys: pytest.CaptureFixture[str]):
    free = _write_changed(file, lambda _, outcomes: outcomes["dear"].update(cost_usd=0))  # no plans: they take longer
    printed: list[str] = []
    for seed in (0, 0, 1):
        assert replay_outcomes(free, seed=seed) == 0
        printed.append(capsys.readouterr().out)

    assert printed[0] == printed[1]
    assert printed[0] != printed[2]


def test_a_model_name_with_brackets_is_printed_in_full(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")
    renamed = _write_changed(file, lambda _, outcomes: outcomes.update({"dear [/high]": outcomes.pop("dear")}))

    assert replay_outcomes(renamed, orders=1) == 0

    assert capsys.readouterr().out.count("always dear [/high]") == 3


def test_models_that_solve_almost_nothing_are_compared_without_a_warning(file: Path):
    changed = _write_changed(
        file, lambda n, outcomes: outcomes.update(cheap={"correct": 0}, dear={"correct": int(n in ("0", "2"))})
    )
    table = read_outcomes(changed)

    assert compare_strategies(table, {OURS: table.solved, RIVAL: table.solved}).points


def test_outcome_files_may_have_a_byte_order_mark_a_blank_first_line_and_crlf_line_ends(file: Path, tmp_path: Path):
    odd = tmp_path / "odd.jsonl"
    odd.write_bytes(b"\xef\xbb\xbf\r\n" + gzip.decompress(file.read_bytes()).replace(b"\n", b"\r\n"))

    assert has_outcomes(odd)
    assert len(read_outcomes(odd).tasks) == 40


def test_output_files_that_are_inputs_and_two_inputs_where_one_is_expected_are_refused(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before, other = file.read_bytes(), str(tmp_path / "other.jsonl")

    codes = [
        main(["bench", "replay", str(file), "--svg", str(file)]),
        main(["bench", "predict", "--memory", str(file), "--tasks", other, "--out", str(file)]),
        main(["bench", "predict", "--memory", other, "--tasks", str(file), "--out", str(file)]),
        main(["bench", "replay", str(file), "--data", other]),
        main(["bench", "delegate", str(file), "--data", other]),
    ]

    errors = capsys.readouterr().err
    assert codes == [2] * 5
    assert file.read_bytes() == before
    assert (errors.count("would replace"), errors.count("Give one of them.")) == (3, 2)
