"""Context files as a host sees them: found by pattern, packed for each model's window, omissions reported."""

from pathlib import Path

import pytest
from rename_task import RIGHT, TESTS, WRONG
from running_server import OpenServer, Script

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

LOCAL, ECONOMY = "qwen3:30b-a3b", "claude-haiku-5-5"
SMALL = OllamaModel(LOCAL, context_tokens=4_096)
TASK = "Rename the variable n to count in `double`"
NAMED = "def double(n):\n    return 2 * n  # a canary\n"


def _write_modules(project: Path) -> None:
    """Writes three modules of about 15,000 tokens, one of them with the function that the task names."""
    (project / "src").mkdir(parents=True, exist_ok=True)
    for name in ("a", "b", "c"):
        body = "".join(f"    {name}_{number} = {number}\n" for number in range(1_000))
        (project / "src" / f"{name}.py").write_text(f"import os\n\n\ndef {name}_long():\n{body}")
    with (project / "src" / "b.py").open("a") as file:
        file.write(f"\n\n{NAMED}")


async def test_a_small_local_model_gets_the_parts_that_the_task_names(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [RIGHT]})
    async with open_server(script, installed=(SMALL,)) as server:
        _write_modules(tmp_path / "project")
        receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, context_files=["src/*.py"])

    assert receipt["status"] == "succeeded", receipt
    assert script.models == [LOCAL]
    prompt = script.asked[0].messages[-1][1]
    assert NAMED in prompt
    assert 'path="src/b.py" shown="in part">' in prompt
    assert "b_500" not in prompt
    assert "qwen3-30b-a3b: context: 0 files whole, 3 in part (src/a.py, src/b.py, src/c.py)" in receipt["notes"]


async def test_each_model_gets_as_much_context_as_its_window_holds(open_server: OpenServer, tmp_path: Path):
    script = Script({LOCAL: [WRONG], ECONOMY: [RIGHT]})
    async with open_server(script, installed=(SMALL,), without=("CEREBRAS_API_KEY",)) as server:
        _write_modules(tmp_path / "project")
        receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, context_files=["src/*.py"])

    assert receipt["status"] == "succeeded", receipt
    assert (script.models[0], script.models[-1]) == (LOCAL, ECONOMY)
    prompt = script.asked[-1].messages[-1][1]
    assert all(f"{name}_500 = 500" in prompt for name in "abc")
    assert "in part" not in prompt
    assert [note for note in receipt["notes"] if "context:" in note and "claude" in note] == []


async def test_a_model_whose_window_cannot_hold_even_the_needed_parts_is_not_asked(
    open_server: OpenServer, tmp_path: Path
):
    script = Script({ECONOMY: [RIGHT]})
    async with open_server(script, installed=(SMALL,), without=("CEREBRAS_API_KEY",)) as server:
        _write_modules(tmp_path / "project")
        task = "Rename the variables in `a_long` and `b_long`"
        route = await server.call("route_task", task=task, task_type="refactoring", context_files=["src/*.py"])
        receipt = await server.call(
            "delegate_generation", task=task, task_type="refactoring", context_files=["src/*.py"]
        )

    assert route["model"] == receipt["model"] == "claude-haiku-5-5"
    (why_not,) = {other["why_not"] for other in route["alternatives"] if other["model"] == "qwen3-30b-a3b"}
    assert "with the context files cut to what the task needs" in why_not
    assert LOCAL not in script.models


async def test_receipt_and_route_name_the_files_that_a_pattern_left_out(open_server: OpenServer, tmp_path: Path):
    async with open_server(Script({LOCAL: [RIGHT]})) as server:
        project = tmp_path / "project"
        (project / "a.py").write_text("a = 1\n")
        (project / "b.py").write_bytes(b"\xff\x00")
        receipt = await server.call("delegate_generation", task=TASK, tests=TESTS, context_files=["*.py"])
        route = await server.call("route_task", task=TASK, context_files=["*.py"])

    left_out = "context_files: of '*.py', b.py left out: binary, too large, or unreadable."
    assert left_out in receipt["notes"]
    assert left_out in route["warnings"]


async def test_a_pattern_without_matches_is_refused_with_a_remedy(open_server: OpenServer):
    async with open_server(Script()) as server:
        text = await server.refusal("delegate_generation", task=TASK, context_files=["src/**/*.py"])

    assert "context_files: 'src/**/*.py' matches no text file" in text
    assert "Correct the pattern, or name the files." in text


async def test_a_strategic_review_notes_how_much_context_it_was_shown(open_server: OpenServer, tmp_path: Path):
    small = OllamaModel("qwen3.6:35b-a3b", context_tokens=4_096)
    review = Reply('{"verdict": "continue", "guidance": "Go on."}')
    async with open_server(
        Script({small.name: [review]}), installed=(small,), without=("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY")
    ) as server:
        _write_modules(tmp_path / "project")
        answer = await server.call(
            "strategic_review",
            goal="Rename in `double`.",
            progress="Half.",
            context_files=["src/*.py"],
            local_only=True,
        )

    assert any("context: 0 files whole" in note for note in answer["notes"]), answer
