"""What a host sees of the server before any tool call."""

import importlib.metadata
import json
from collections.abc import Awaitable, Callable

import jsonschema
import pytest
from mcp import MCPError
from mcp.types import Tool
from running_server import Connect, OpenServer, Script, fenced
from surface import SNAPSHOT, surface

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

CHARACTERS_AT_MOST = 6_000
ListTools = Callable[[str], Awaitable[list[Tool]]]
NAMES = ["route_task", "delegate_generation", "validate_code", "strategic_review", "report_outcome"]


@pytest.fixture
def list_tools(connect: Connect) -> ListTools:
    """Lists the tools in one of the protocol eras."""

    async def list_in(era: str) -> list[Tool]:
        async with connect(era) as client:
            return (await client.list_tools()).tools

    return list_in


async def test_there_are_five_tools_in_a_fixed_order(list_tools: ListTools, era: str):
    assert [tool.name for tool in await list_tools(era)] == NAMES


async def test_all_tools_together_cost_a_host_at_most_6000_characters(list_tools: ListTools, era: str):
    tools = [
        {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
        for tool in await list_tools(era)
    ]

    assert len(json.dumps(tools, ensure_ascii=False, separators=(",", ":"))) <= CHARACTERS_AT_MOST


async def test_both_protocol_eras_list_the_same_tools(list_tools: ListTools):
    first, second = await list_tools("auto"), await list_tools("legacy")

    assert [tool.model_dump(exclude={"meta"}) for tool in first] == [
        tool.model_dump(exclude={"meta"}) for tool in second
    ]


async def test_input_schemas_have_no_null_or_titles_and_forbid_unknown_arguments(list_tools: ListTools, era: str):
    for tool in await list_tools(era):
        text = json.dumps(tool.input_schema)

        assert "null" not in text, tool.name
        assert '"title"' not in text, tool.name
        assert tool.input_schema["additionalProperties"] is False, tool.name


async def test_every_tools_hints_describe_its_side_effects(list_tools: ListTools):
    hints = {
        tool.name: (
            tool.annotations.read_only_hint,
            tool.annotations.destructive_hint,
            tool.annotations.idempotent_hint,
            tool.annotations.open_world_hint,
        )
        for tool in await list_tools("auto")
        if tool.annotations
    }

    assert hints == {
        "route_task": (True, False, True, False),
        "delegate_generation": (False, False, False, True),
        "validate_code": (False, False, False, True),
        "strategic_review": (False, False, False, True),
        "report_outcome": (False, False, True, False),
    }


async def test_argument_bounds_match_the_design(list_tools: ListTools):
    schema = {tool.name: tool.input_schema["properties"] for tool in await list_tools("auto")}
    task, delegate = schema["route_task"]["task"], schema["delegate_generation"]

    assert (task["minLength"], task["maxLength"]) == (1, 200_000)
    assert delegate["context_files"]["maxItems"] == 200
    assert (delegate["wait_s"]["minimum"], delegate["wait_s"]["maximum"], delegate["wait_s"]["default"]) == (0, 600, 45)
    assert [delegate["max_attempts"][key] for key in ("minimum", "maximum", "default")] == [1, 20, 6]
    assert [delegate["max_seconds"][key] for key in ("minimum", "maximum", "default")] == [1, 3600, 300]
    assert (delegate["max_cost_usd"]["minimum"], delegate["max_cost_usd"]["maximum"]) == (0, 100)


async def test_descriptions_and_instructions_are_ascii_and_at_most_2000_characters(connect: Connect):
    async with connect() as client:
        texts = [client.instructions or "", *(tool.description or "" for tool in (await client.list_tools()).tools)]

    assert all(text and text.isascii() and len(text) <= 2_000 for text in texts)


async def test_the_server_reports_the_package_version(connect: Connect, era: str):
    async with connect(era) as client:
        await client.list_tools()
        info = client.server_info

    assert info is not None
    assert (info.name, info.version) == ("chargehand", importlib.metadata.version("chargehand"))


async def test_every_tools_result_conforms_to_its_output_schema(open_server: OpenServer, era: str):
    right = Reply(fenced("def double(count):\n    return 2 * count"))
    review = Reply('{"verdict": "pass", "findings": []}', thinking_tokens=10)
    guidance = Reply('{"verdict": "continue", "guidance": "Go on."}', thinking_tokens=10)
    script = Script({"qwen3:30b-a3b": [right], "claude-sonnet-5-5": [review], "claude-opus-5-5": [guidance]})
    async with open_server(script, era=era) as server:
        schemas = {tool.name: tool.output_schema for tool in (await server.client.list_tools()).tools}
        receipt = await server.call("delegate_generation", task="Rename n to count: def double(n): return 2 * n")
        answers = {
            "delegate_generation": receipt,
            "route_task": await server.call("route_task", task="Rename a variable"),
            "validate_code": await server.call("validate_code", task_id=receipt["task_id"]),
            "strategic_review": await server.call("strategic_review", goal="Ship", progress="Half"),
            "report_outcome": await server.call("report_outcome", task_id=receipt["task_id"], outcome="accepted"),
        }

    for name, answer in answers.items():
        jsonschema.validate(answer, schemas[name] or {})
        properties = (schemas[name] or {})["properties"]
        assert set(answer) <= set(properties), name


async def test_the_surface_matches_the_reviewed_snapshot(connect: Connect):
    """What a host shows its user for approval must not change unnoticed; `python tests/surface.py` regenerates it."""
    async with connect() as client:
        assert await surface(client) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


async def test_lists_may_be_cached_for_an_hour_and_usage_not_at_all(open_server: OpenServer):
    async with open_server(Script()) as server:
        client = server.client
        lists = [
            await client.list_tools(),
            await client.list_prompts(),
            await client.list_resources(),
            await client.list_resource_templates(),
        ]
        usage = await client.read_resource("chargehand://usage")

    assert [(listing.ttl_ms, listing.cache_scope) for listing in lists] == [(3_600_000, "public")] * 4
    assert (usage.ttl_ms, usage.cache_scope) == (0, "private")


async def test_discovery_reports_name_title_icon_and_only_supported_capabilities(connect: Connect):
    async with connect() as client:
        await client.list_tools()
        info, capabilities = client.server_info, client.server_capabilities
        with pytest.raises(MCPError) as refused:
            await client.session.send_ping()

    assert info is not None
    assert (info.name, info.title, bool(info.description)) == ("chargehand", "Chargehand", True)
    assert [icon.mime_type for icon in info.icons or ()] == ["image/svg+xml"]
    assert refused.value.error.code == -32601
    assert capabilities is not None
    assert capabilities.tools is not None
    assert not capabilities.tools.list_changed
    assert capabilities.completions is not None
    assert capabilities.logging is None


async def test_lists_that_hosts_pass_to_their_model_have_no_icons(connect: Connect, era: str):
    async with connect(era) as client:
        passed_on = [
            *(await client.list_tools()).tools,
            *(await client.list_resources()).resources,
            *(await client.list_resource_templates()).resource_templates,
        ]
        prompts = (await client.list_prompts()).prompts
        info = client.server_info

    assert info is not None
    assert info.icons
    assert all(prompt.icons == info.icons for prompt in prompts)
    assert [item.icons for item in passed_on] == [None] * len(passed_on)
