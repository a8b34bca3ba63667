"""`chargehand doctor --try` over a local Ollama: a rating per task kind, and each model's time and memory."""

import json
import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from command_line import run_command
from running_server import Script
from suite_rows import RIGHT, SHOUT, WRONG, item

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import QWEN, vendors
from chargehand.evaluation.suite.loading import Suite
from chargehand.server.cli import own_services
from chargehand.server.command.trying import try_from_shell
from chargehand.tools.errors import BadArgument

pytestmark = pytest.mark.anyio

LOCAL, SMALL, SMALL_WIRE = "qwen3-30b-a3b", "qwen3-14b", "qwen3:14b"
TASKS = (item("a@1"), item("b@1"), item("c@1", kind="repair"), item("hard@1", complexity=8.0))


async def run_try(*, script: Script, models=(), minutes: float = 1.0, as_json: bool = True, tasks=TASKS, **more) -> int:
    return await try_from_shell(
        own_services, models=models, minutes=minutes, as_json=as_json, suite=lambda _: Suite(tasks), **more
    )


@pytest.fixture
def use_vendors(monkeypatch: pytest.MonkeyPatch):
    def set_environment(peers) -> None:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)

    return set_environment


async def test_each_task_kind_gets_a_rating_and_each_model_its_seconds_and_memory(use_vendors, capsys):
    script = Script({QWEN.name: [RIGHT, RIGHT, WRONG]})
    async with vendors(script) as peers:
        use_vendors(peers)
        exit_code = await run_try(script=script)

    (facts,) = json.loads(capsys.readouterr().out)
    assert (exit_code, facts["model"], facts["passed"], facts["asked"]) == (0, LOCAL, 2, 3)
    assert {kind: (kind_facts["passed"], kind_facts["asked"]) for kind, kind_facts in facts["kinds"].items()} == {
        "simple_generation": (1, 2), "repair": (1, 1),
    }  # fmt: skip
    assert {kind_facts["word"] for kind_facts in facts["kinds"].values()} <= {"trust", "check", "do not use"}
    assert facts["seconds_per_task"] > 0
    assert facts["memory_bytes"] > 0
    assert {ask.model for ask in script.asked} == {QWEN.name}


@pytest.mark.parametrize("name", [QWEN.name, f"{QWEN.name}-q8_0"])
async def test_the_table_shows_task_kinds_passes_and_memory(use_vendors, capsys, name):
    script = Script({name: [RIGHT]})
    async with vendors(script, installed=(replace(QWEN, name=name),)) as peers:
        use_vendors(peers)
        await run_try(script=script, as_json=False)

    output = capsys.readouterr().out
    assert "simple generation" in output
    assert "3 of 3 passed" in output
    assert "GiB of memory" in output


async def test_models_share_the_time_limit_and_are_reported_even_if_cut_short(use_vendors, capsys):
    other = OllamaModel(SMALL_WIRE, 32_768, ("completion", "tools", "thinking"))
    script = Script({QWEN.name: [RIGHT, Stall(RIGHT, anyio.Event(), after=1)], SMALL_WIRE: [RIGHT]})
    async with vendors(script, installed=(QWEN, other)) as peers:
        use_vendors(peers)
        await run_try(script=script, minutes=0.05)

    facts = {entry["model"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert facts.keys() == {LOCAL, SMALL}
    assert facts[LOCAL]["is_cut_short"]
    assert facts[LOCAL].get("asked", 0) <= 1


async def test_a_task_with_a_broken_check_is_given_to_no_model(use_vendors, capsys):
    script = Script({QWEN.name: [RIGHT]})
    async with vendors(script) as peers:
        use_vendors(peers)
        await run_try(script=script, tasks=(*TASKS, replace(SHOUT, id="broken@1", tests="assert max(1, 2) == 2")))

    output = capsys.readouterr()
    assert json.loads(output.out)[0]["asked"] == 3
    assert "broken@1" in output.err


async def test_a_remote_model_is_not_tried(use_vendors):
    script = Script({})
    async with vendors(script) as peers:
        use_vendors(peers)
        with pytest.raises(BadArgument, match="is not on this machine"):
            await run_try(script=script, models=("haiku",))

    assert script.asked == []


async def test_without_a_local_model_the_error_points_to_ollama(tmp_path: Path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OLLAMA_HOST": "http://127.0.0.1:9"}
    result = await run_command(environment, "doctor", "--try")

    assert (result.code, result.out) == (1, "")
    assert "ollama" in result.error.lower()
    assert "Traceback" not in result.error


async def test_minutes_without_try_is_refused(tmp_path: Path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    result = await run_command(environment, "doctor", "--minutes", "3")

    assert (result.code, "--try" in result.error) == (2, True)
