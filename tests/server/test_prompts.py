"""The prompts that a user picks: their content, and the errors for invalid arguments."""

import re
from typing import Any

import pytest
from mcp import MCPError
from mcp.types import GetPromptResult
from running_server import OpenServer, Script

pytestmark = pytest.mark.anyio


def text_of(result: GetPromptResult) -> str:
    (message,) = result.messages
    assert message.role == "user"
    return getattr(message.content, "text", "")


async def test_each_prompt_is_listed_with_title_description_and_arguments(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        listed = (await server.client.list_prompts()).prompts

    assert [(p.name, [(a.name, bool(a.required)) for a in p.arguments or ()]) for p in listed] == [
        ("delegate", [("task", True)]),  # a second argument would get the task's second word in Claude Code
        ("checkpoint", [("goal", True)]),
    ]
    assert all(p.title and p.description and all(a.description for a in p.arguments or ()) for p in listed)


async def test_a_prompt_contains_its_arguments_and_names_only_existing_tools(open_server: OpenServer, era: str):
    async with open_server(Script(), era=era) as server:
        tools = {tool.name: tool for tool in (await server.client.list_tools()).tools}
        delegate = text_of(await server.client.get_prompt("delegate", {"task": "Parse {braces} and %s"}))
        checkpoint = text_of(await server.client.get_prompt("checkpoint", {"goal": "Ship 1.0"}))

    assert "Parse {braces} and %s" in delegate
    assert "Ship 1.0" in checkpoint
    named_tools = set(re.findall(r"\b[a-z]+_(?:task|generation|code|review|outcome)\b", delegate + checkpoint))
    assert named_tools == {"delegate_generation", "report_outcome", "strategic_review", "validate_code"}
    assert named_tools <= set(tools)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nothing", {}, "Unknown prompt: 'nothing'. Prompts: delegate, checkpoint."),
        ("delegate", {}, "delegate: `task` is missing. Add it."),
        ("delegate", {"task": "  "}, "delegate: `task` is missing. Add it."),
        ("checkpoint", {"goal": "x", "task": "y"}, "checkpoint: unknown argument `task`. It takes: goal."),
    ],
)
async def test_an_unknown_prompt_or_invalid_argument_is_an_invalid_params_error(
    open_server: OpenServer, era: str, name: str, arguments: dict[str, Any], message: str
):
    async with open_server(Script(), era=era) as server:
        with pytest.raises(MCPError) as refused:
            await server.client.get_prompt(name, arguments)

    assert (refused.value.error.code, refused.value.error.message) == (-32602, message)
