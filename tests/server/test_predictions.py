"""`bench predict` predicts for each task what `route_task` expects after an import of the same outcomes."""

import gzip
import json
from pathlib import Path

import anyio
import pytest
from running_server import OpenServer, Script

from chargehand.evaluation.bench.prediction import open_predictor, predict
from chargehand.server.cli import own_services
from chargehand.server.command.memory_commands import import_from

pytestmark = pytest.mark.anyio

NOUNS = ("dates", "prices", "names", "colours", "ranges", "weights", "coordinates", "versions", "durations", "emails")
EASY = tuple(f"Write a function that sorts a list of {noun}" for noun in NOUNS)
HARD = tuple(
    f"There is a graph of {noun} with up to 10^5 edges. Find the minimum cost of a path that visits all of them,"
    " modulo 10^9 + 7. The first line of the input contains two integers n and m."
    for noun in NOUNS
)
NEW_TASKS = (
    EASY[0].replace("dates", "invoices"),
    HARD[0].replace("dates", "invoices"),
    "Explain what a mutex is",
)


@pytest.fixture
def outcomes(tmp_path: Path) -> Path:
    """Twenty tasks: the local model solves only the easy ones, Sonnet solves all."""

    def row(number: int, prompt: str) -> dict[str, object]:
        solved = {"qwen3-30b-a3b": prompt in EASY, "claude-sonnet-5-5": True}
        return {
            "task_id": f"own/{number}",
            "prompt": prompt,
            "outcomes": {model: {"correct": float(correct)} for model, correct in solved.items()},
        }

    file = tmp_path / "outcomes.jsonl.gz"
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row(*numbered)) + "\n" for numbered in enumerate((*EASY, *HARD)))
    return file


async def test_route_task_after_an_import_agrees_with_bench_predict(
    open_server: OpenServer, outcomes: Path, tmp_path: Path
):
    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "predictions.jsonl"
    rows = [{"task_id": str(n), "text" if n else "prompt": text} for n, text in enumerate(NEW_TASKS)]
    tasks.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    assert await predict(outcomes, tasks, out) == 0
    written = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    async with open_server(Script({})) as server:
        assert await import_from(own_services, [outcomes], names=(), restore=False, as_json=True) == 0
        with anyio.fail_after(60):
            while (await server.call("route_task", task=EASY[0]))["similar_tasks"] == 0:
                """Wait until the index is loaded."""
        routed = [
            {model: await server.call("route_task", task=text, model=model) for model in ("sonnet", "qwen3-30b-a3b")}
            for text in NEW_TASKS
        ]

    assert [row["task_id"] for row in written] == ["0", "1", "2"]
    for row, answers in zip(written, routed, strict=True):
        assert set(row["success"]) == {"qwen3-30b-a3b", "claude-sonnet-5-5"}
        for answer in answers.values():
            assert answer["complexity"]["score"] == row["complexity"]
            assert answer["expected"]["success"] == pytest.approx(row["success"][answer["model"]], abs=0.001)


async def test_a_model_that_failed_similar_tasks_gets_a_low_predicted_success(outcomes: Path):
    async with open_predictor(outcomes) as predictor:
        easy, hard, _ = [await predictor.predict(text) for text in NEW_TASKS]

    assert easy.success["qwen3-30b-a3b"] > 0.8
    assert hard.success["qwen3-30b-a3b"] < 0.3
    assert hard.success["claude-sonnet-5-5"] > 0.8
    assert easy.complexity < hard.complexity


async def test_an_invalid_task_row_is_reported_with_its_line(
    outcomes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text('{"task_id": "a", "text": "x"}\n{"task_id": "b"}\n', encoding="utf-8")

    exit_code = await predict(outcomes, tasks, tmp_path / "out.jsonl")

    assert exit_code == 2
    assert "line 2" in " ".join(capsys.readouterr().err.split())


async def test_tasks_whose_outcomes_are_in_the_memory_are_counted_on_stderr(
    outcomes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    tasks = tmp_path / "tasks.jsonl"
    rows = [{"task_id": str(n), "text": text} for n, text in enumerate((*EASY[:3], *NEW_TASKS))]
    tasks.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    assert await predict(outcomes, tasks, tmp_path / "predictions.jsonl") == 0

    assert f"3 of these texts are in {outcomes} too, with their outcomes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n", " is empty. Name a file of tasks."),
        ("{]\n", ", line 1: Invalid JSON"),
        ('{"task_id": "1"}\n', ", line 1: prompt: Field required. A row needs task_id, and prompt or text."),
    ],
)
async def test_a_file_without_valid_tasks_is_refused_with_file_and_line(
    outcomes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
):
    tasks, out = tmp_path / "tasks.jsonl", tmp_path / "predictions.jsonl"
    tasks.write_text(content, encoding="utf-8")

    assert await predict(outcomes, tasks, out) == 2

    assert f"{tasks}{message}" in capsys.readouterr().err
    assert not out.exists()
