"""Resources and completions: what a host can read and complete without calling a tool."""

import json
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import PromptReference, ResourceTemplateReference
from opened_ledger import opened_ledger
from rename_task import RENAME, RIGHT, TESTS, WRONG
from running_server import Connect, OpenServer, RunningServer, Script, text_of

pytestmark = pytest.mark.anyio

TASKS = ResourceTemplateReference(type="ref/resource", uri="chargehand://tasks/{task_id}")
PROFILES = ResourceTemplateReference(type="ref/resource", uri="chargehand://profiles/{id}")


async def read(server: RunningServer, uri: str) -> Any:
    (content,) = (await server.client.read_resource(uri)).contents
    assert content.mime_type == "application/json"
    return json.loads(getattr(content, "text", ""))


async def test_every_resource_is_listed_with_title_and_description(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        fixed = (await server.client.list_resources()).resources
        templates = (await server.client.list_resource_templates()).resource_templates

    assert [str(resource.uri) for resource in fixed] == [
        "chargehand://profiles",
        "chargehand://usage",
        "chargehand://memory",
    ]
    assert [t.uri_template for t in templates] == ["chargehand://profiles/{id}", "chargehand://tasks/{task_id}"]
    assert all(r.title and r.description and r.mime_type == "application/json" for r in (*fixed, *templates))


async def test_profiles_are_listed_and_each_can_be_read(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        profiles = await read(server, "chargehand://profiles")
        opus = await read(server, "chargehand://profiles/opus")

    assert {"id", "provider", "api_model", "roles", "status"} <= set(profiles[0])
    assert opus["id"] in {profile["id"] for profile in profiles}
    assert opus["line"] == "opus"


async def test_a_successor_is_listed_and_described_with_the_roles_it_inherited(
    open_server: OpenServer, era: str, tmp_path: Path
):
    folder = tmp_path / "chargehand-home" / "profiles"
    folder.mkdir(parents=True)
    for name, facts, fate in (("old", "roles: {local: 3}\n", "retired, successor: new"), ("new", "", "active")):
        lifecycle = f"lifecycle: {{status: {fate}, source: a test, seen: 2026-11-25}}"
        text = f"id: {name}\nname: {name}\napi_model: {name}\nprovider: ollama\n{facts}{lifecycle}\n"
        (folder / f"{name}.yaml").write_text(text)
    async with open_server(Script(), era=era) as server:
        profiles = {profile["id"]: profile for profile in await read(server, "chargehand://profiles")}
        new = await read(server, "chargehand://profiles/new")

    assert profiles["new"]["roles"] == ["local"]
    assert new["roles"] == {"local": 3}


async def test_a_task_resource_has_its_text_receipt_and_reported_outcomes(open_server: OpenServer, era: str):
    async with open_server(Script({"qwen3:30b-a3b": [RIGHT]}), era=era) as server:
        receipt = await server.call("delegate_generation", task=RENAME)
        await server.call("report_outcome", task_id=receipt["task_id"], outcome="accepted")
        task = await read(server, f"chargehand://tasks/{receipt['task_id']}")
        usage = await read(server, "chargehand://usage")
        memory = await read(server, "chargehand://memory")

    assert (task["text"], task["receipt"], task["outcomes"]) == (RENAME, receipt, ["accepted"])
    assert usage["tasks"] == {"unverified": 1}
    assert memory["tasks"] == 1


async def test_a_task_of_another_project_is_shown_without_its_text_and_not_completed(
    open_server: OpenServer, connect: Connect, era: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    other_project = tmp_path / "elsewhere"
    other_project.mkdir()
    async with open_server(Script({"qwen3:30b-a3b": [RIGHT, WRONG, RIGHT]}), era=era) as server:
        inline = await server.call("delegate_generation", task=RENAME)
        receipt = await server.call("delegate_generation", task=RENAME, tests=TESTS, output="apply", target="double.py")
        uri = f"chargehand://tasks/{receipt['task_id']}"
        monkeypatch.setenv("CHARGEHAND_ROOTS", str(other_project))
        async with connect(era) as client:
            (content,) = (await client.read_resource(uri)).contents
            offered = (await client.complete(TASKS, {"name": "task_id", "value": ""})).completion
            resumed = await client.call_tool("delegate_generation", {"resume": receipt["task_id"]})
            resumed_inline = await client.call_tool("delegate_generation", {"resume": inline["task_id"]})
            judged = await client.call_tool("validate_code", {"task_id": receipt["task_id"]})
        own = await read(server, uri)

    text = getattr(content, "text", "")
    assert "double" not in text
    assert json.loads(text)["receipt"] is None
    assert (json.loads(text)["status"], json.loads(text)["model"]) == ("succeeded", "qwen3-30b-a3b")
    assert "another project" in json.loads(text)["withheld"]
    assert offered.values == []
    for result in (resumed, resumed_inline, judged):
        assert "another project" in text_of(result)
        assert "double" not in result.model_dump_json()
    assert (resumed.structured_content or {})["status"] == "succeeded"
    assert own["text"] == RENAME
    assert own["project"] not in (None, str(tmp_path / "project"))


async def test_only_the_task_resource_contains_the_text_of_a_task(open_server: OpenServer, era: str):
    async with open_server(Script({"qwen3:30b-a3b": [RIGHT]}), era=era) as server:
        await server.call("delegate_generation", task=RENAME)
        resources = [await read(server, f"chargehand://{name}") for name in ("profiles", "usage", "memory")]

    assert "double" not in json.dumps(resources)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("chargehand://tasks/ffff", "'ffff'"),
        ("chargehand://profiles/gpt9", "'gpt9'"),
        ("chargehand://nothing", "chargehand://nothing"),
        ("chargehand://tasks/..%2f..%2fetc", "chargehand://tasks/..%2f..%2fetc"),
    ],
)
async def test_an_unknown_resource_is_an_invalid_params_error(
    open_server: OpenServer, era: str, uri: str, message: str
):
    async with open_server(Script(), era=era) as server:
        with pytest.raises(MCPError) as refused:
            await server.client.read_resource(uri)

    assert refused.value.error.code == -32602
    assert message in refused.value.error.message


async def test_model_ids_are_completed(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        completion = (await server.client.complete(PROFILES, {"name": "id", "value": "glm"})).completion

    assert completion.values
    assert all("glm" in value for value in completion.values)


async def test_task_ids_are_completed_newest_first_without_forgotten_or_evaluation_tasks(
    open_server: OpenServer, tmp_path: Path, era: str
):
    async with open_server(Script({"qwen3:30b-a3b": [RIGHT]}), era=era) as server:
        ids = [(await server.call("delegate_generation", task=RENAME))["task_id"] for _ in range(2)]
        everything = (await server.client.complete(TASKS, {"name": "task_id", "value": ""})).completion
        by_prefix = (await server.client.complete(TASKS, {"name": "task_id", "value": ids[0][:12]})).completion
        by_wildcard = (await server.client.complete(TASKS, {"name": "task_id", "value": "%"})).completion
        with opened_ledger(tmp_path / "chargehand-home") as db:
            db.execute("UPDATE tasks SET text_form = 'forgotten' WHERE id = ?", ids[:1])
            db.execute("UPDATE tasks SET origin = 'evaluation' WHERE id = ?", ids[1:])
        later = (await server.client.complete(TASKS, {"name": "task_id", "value": ""})).completion

    assert everything.values == ids[::-1]
    assert (by_prefix.values, by_prefix.total, by_prefix.has_more) == ([ids[0]], 1, False)
    assert by_wildcard.values == later.values == []


async def test_completing_an_unknown_prompt_is_an_invalid_params_error(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        with pytest.raises(MCPError) as refused:
            await server.client.complete(PromptReference(type="ref/prompt", name="x"), {"name": "model", "value": ""})

    assert refused.value.error.code == -32602
