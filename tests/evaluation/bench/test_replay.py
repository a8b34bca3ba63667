"""`chargehand bench replay` and `bench delegate`: recorded answers served through the real server."""

import gzip
import json
import os
from pathlib import Path

import pytest
from command_line import run_command

from chargehand.evaluation.bench.recorded import UnknownRecording, read_recording

pytestmark = pytest.mark.anyio

RIGHT = {"response": "Sure:\n```python\ndef add(a, b):\n    return a + b\n```", "passes": True}
WRONG = {"response": "```python\ndef plus(a, b):\n    return a - b\n```", "passes": False}
MODELS = (
    "mistralai/mixtral-8x7b-chat", "zero-one-ai/Yi-34B-Chat", "claude-instant-v1", "claude-v1", "claude-v2",
    "gpt-3.5-turbo-1106", "gpt-4-1106-preview",
)  # fmt: skip


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """One task that only the GPT models get right; the answers name the function differently than the tests."""
    row = {
        "task_id": "own/1",
        "prompt": "Write a function that adds two numbers and gives the sum.",
        "entry_point": "sum_of",
        "setup": "",
        "tests": ["assert sum_of(1, 2) == 3"],
        "answers": {model: RIGHT if model.startswith("gpt-") else WRONG for model in MODELS},
    }
    path = tmp_path / "own.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    return path


async def run_bench(*arguments: str, folder: Path) -> tuple[int, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COLUMNS": "200"}
    result = await run_command(environment, "bench", *arguments)
    return result.code, result.out + result.error


async def test_a_task_climbs_the_tiers_until_a_recorded_answer_passes(recording: Path, tmp_path: Path):
    code, printed = await run_bench("replay", "--data", str(recording), folder=tmp_path)

    assert code == 0, printed
    assert "1 (1.000)" in printed
    for tier in ("local", "economy"):
        assert f"tier {tier}" in printed


async def test_delegating_is_compared_with_one_answer_of_the_director_and_of_a_local_model(
    recording: Path, tmp_path: Path
):
    code, printed = await run_bench("delegate", str(recording), folder=tmp_path)

    solved = next(line for line in printed.splitlines() if "solved" in line and "per" not in line)
    assert code == 0, printed
    assert [cell.strip() for cell in solved.strip("│ ").split("│")] == ["solved", "1.000", "1.000", "0.000"]
    assert "overhead, seconds per task" in printed


async def test_bench_delegate_without_a_file_names_the_expected_argument(tmp_path: Path):
    code, printed = await run_bench("delegate", folder=tmp_path)

    assert code == 2
    assert "chargehand bench delegate FILE.jsonl.gz" in printed


async def test_a_picture_of_a_file_without_outcomes_is_refused(recording: Path, tmp_path: Path):
    code, printed = await run_bench("replay", str(recording), "--svg", "curve.svg", folder=tmp_path)

    assert (code, f"{recording} holds none" in printed) == (2, True)
    assert not (tmp_path / "curve.svg").exists()


async def test_a_file_that_is_no_recording_is_refused_with_the_reason(tmp_path: Path):
    path = tmp_path / "other.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"task_id": "x", "prompt": "y"}\n'))

    with pytest.raises(UnknownRecording, match="prompt"):
        read_recording(path)

    code, printed = await run_bench("replay", "--data", str(path), folder=tmp_path)
    assert code == 2
    assert "replay_mbpp" in printed
