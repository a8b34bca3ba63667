"""`chargehand doctor --try` over a local Ollama: what each model may be trusted with, in what time and memory."""

import json
import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from command_line import run_command
from house import Script
from suite_rows import RIGHT, SHOUT, WRONG, item

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Stall
from chargehand.evaluation.peers.vendors import QWEN, vendors
from chargehand.evaluation.suite.loading import Suite
from chargehand.server.cli import own_services
from chargehand.server.command.trying import try_from_shell

pytestmark = pytest.mark.anyio

LOCAL, SMALL, SMALL_WIRE = "qwen3-30b-a3b", "qwen3-14b", "qwen3:14b"
TASKS = (item("a@1"), item("b@1"), item("c@1", kind="repair"), item("hard@1", complexity=8.0))


async def tried(*, script: Script, models=(), minutes: float = 1.0, as_json: bool = True, tasks=TASKS, **more) -> int:
    return await try_from_shell(
        own_services, models=models, minutes=minutes, as_json=as_json, suite=lambda _: Suite(tasks), **more
    )


@pytest.fixture
def as_set_up(monkeypatch: pytest.MonkeyPatch):
    def set_up(peers) -> None:
        for name, value in peers.environment.items():
            monkeypatch.setenv(name, value)

    return set_up


async def test_each_kind_of_task_gets_a_word_and_the_model_its_seconds_and_memory(as_set_up, capsys):
    script = Script({QWEN.name: [RIGHT, RIGHT, WRONG]})
    async with vendors(script) as peers:
        as_set_up(peers)
        code = await tried(script=script)

    (facts,) = json.loads(capsys.readouterr().out)
    assert (code, facts["model"], facts["passed"], facts["asked"]) == (0, LOCAL, 2, 3)
    assert {kind: (of["passed"], of["asked"]) for kind, of in facts["kinds"].items()} == {
        "simple_generation": (1, 2), "repair": (1, 1),
    }  # fmt: skip
    assert {of["word"] for of in facts["kinds"].values()} <= {"trust", "check", "do not use"}
    assert facts["seconds_per_task"] > 0
    assert facts["memory_bytes"] > 0
    assert {ask.model for ask in script.asked} == {QWEN.name}


async def test_the_table_is_for_people(as_set_up, capsys):
    script = Script({QWEN.name: [RIGHT]})
    async with vendors(script) as peers:
        as_set_up(peers)
        await tried(script=script, as_json=False)

    said = capsys.readouterr().out
    assert "simple generation" in said
    assert "3 of 3 passed" in said
    assert "GiB of memory" in said


async def test_time_is_shared_and_what_was_measured_by_its_end_counts(as_set_up, capsys):
    other = OllamaModel(SMALL_WIRE, 32_768, ("completion", "tools", "thinking"))
    script = Script({QWEN.name: [RIGHT, Stall(RIGHT, anyio.Event(), after=1)], SMALL_WIRE: [RIGHT]})
    async with vendors(script, installed=(QWEN, other)) as peers:
        as_set_up(peers)
        await tried(script=script, minutes=0.05)

    facts = {of["model"]: of for of in json.loads(capsys.readouterr().out)}
    assert facts.keys() == {LOCAL, SMALL}
    assert facts[LOCAL]["is_cut_short"]
    assert facts[LOCAL].get("asked", 0) <= 1


async def test_a_task_whose_check_is_wrong_is_put_to_nobody(as_set_up, capsys):
    script = Script({QWEN.name: [RIGHT]})
    async with vendors(script) as peers:
        as_set_up(peers)
        await tried(script=script, tasks=(*TASKS, replace(SHOUT, id="broken@1", tests="assert max(1, 2) == 2")))

    said = capsys.readouterr()
    assert json.loads(said.out)[0]["asked"] == 3
    assert "broken@1" in said.err


async def test_a_model_elsewhere_is_not_tried(as_set_up, capsys):
    script = Script({})
    async with vendors(script) as peers:
        as_set_up(peers)
        code = await tried(script=script, models=("haiku",))

    assert (code, script.asked) == (1, [])
    assert "is not on this machine" in capsys.readouterr().err


async def test_without_a_local_model_it_says_how_to_get_one(tmp_path: Path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OLLAMA_HOST": "http://127.0.0.1:9"}
    seen = await run_command(environment, "doctor", "--try")

    assert (seen.code, seen.out) == (1, "")
    assert "ollama" in seen.error.lower()
    assert "Traceback" not in seen.error


async def test_its_options_go_with_it(tmp_path: Path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    seen = await run_command(environment, "doctor", "--minutes", "3")

    assert (seen.code, "--try" in seen.error) == (2, True)
