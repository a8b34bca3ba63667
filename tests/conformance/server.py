"""The fixtures of the official conformance suite, on the product's own factory, middleware and HTTP app.

The suite describes its fixtures in `src/scenarios/server`; none of them is part of the product.
`python tests/conformance/server.py` serves on a free port and prints its address.
"""

import base64
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any

import anyio
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp.types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel, Field

from chargehand.server.app import Primitives, build_app
from chargehand.server.cli import own_services
from chargehand.server.config_tables import HttpSettings
from chargehand.server.http.application import served_over_http
from chargehand.server.http.binding import AccessRules, Binding
from chargehand.server.http.limits import limited
from chargehand.server.http.serving import listen, serve_until_signal
from chargehand.server.surface.prompts import prompts
from chargehand.server.surface.toolbox import tools

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="


def embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def schema_of(name: str, kind: str = "string") -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": kind}}, "required": [name]}


def question(message: str, name: str = "name", kind: str = "string") -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema_of(name, kind)))


def sampling(text: str) -> CreateMessageRequest:
    elicited_field = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[elicited_field], max_tokens=50))


def elicited_field(ctx: Context, key: str, field: str) -> str | None:
    answer = (ctx.input_responses or {}).get(key)
    if isinstance(answer, ElicitResult) and answer.content:
        return str(answer.content.get(field))
    return None


def test_simple_text() -> str:
    return "This is a simple text response for testing."


def test_image_content() -> list[ImageContent]:
    return [ImageContent(type="image", data=PNG, mime_type="image/png")]


def test_audio_content() -> list[AudioContent]:
    return [AudioContent(type="audio", data=WAV, mime_type="audio/wav")]


def test_embedded_resource() -> list[EmbeddedResource]:
    return [embedded("test://embedded-resource", "This is an embedded resource content.")]


def test_multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    return [
        TextContent(type="text", text="Multiple content types test:"),
        ImageContent(type="image", data=PNG, mime_type="image/png"),
        embedded("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json"),
    ]


async def test_tool_with_logging(ctx: Context) -> str:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(text)
    return "Tool with logging executed successfully"


async def test_logging_tool(ctx: Context) -> str:
    await ctx.info("test_logging_tool ran")
    return "logged"


async def test_tool_with_progress(ctx: Context) -> str:
    for done in (0, 50, 100):
        await ctx.report_progress(done, total=100, message=f"Completed step {done} of 100")
    return "done"


def test_error_handling() -> str:
    raise ToolError("This tool intentionally returns an error for testing")


async def test_sampling(prompt: str, ctx: Context) -> str:
    asked = [SamplingMessage(role="user", content=TextContent(type="text", text=prompt))]
    answer = await ctx.session.create_message(messages=asked, max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {getattr(answer.content, 'text', '')}"


class Response(BaseModel):
    response: str = Field(description="User's response")


async def test_elicitation(message: str, ctx: Context) -> str:
    return await _elicited(ctx, message, Response)


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field("active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    return await _elicited(ctx, "Please provide user information", Defaults)


def _titled(key: str, **titles: str) -> dict[str, Any]:
    return {key: [{"const": value, "title": title} for value, title in titles.items()]}


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["option1", "option2", "option3"]})  # noqa: N815 - the suite's
    titledSingle: str = Field(json_schema_extra=_titled("oneOf", value1="First Option", value2="Second Option"))  # noqa: N815
    untitledMulti: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": ["option1", "option2"]}})  # noqa: N815
    titledMulti: list[str] = Field(json_schema_extra={"items": _titled("anyOf", value1="First", value2="Second")})  # noqa: N815
    legacyEnum: str = Field(json_schema_extra={"enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]})  # noqa: N815


async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    return await _elicited(ctx, "Please select", Enums)


async def _elicited(ctx: Context, message: str, schema: type[BaseModel]) -> str:
    result = await ctx.elicit(message=message, schema=schema)
    content = result.data.model_dump_json() if result.action == "accept" else "{}"
    return f"Elicitation completed: action={result.action}, content={content}"


def test_x_mcp_header(
    region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "none",  # noqa: PT028 - no test of ours
) -> str:
    return f"region={region}"


async def test_missing_capability(ctx: Context) -> str:
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.sampling is None:
        needed = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool needs the client's sampling", needed)
    return "there"


def _ask_for_a_word() -> Elicit[Response]:
    return Elicit("The probe asks for a word", Response)


async def test_streaming_elicitation(
    answer: Annotated[ElicitationResult[Response], Resolve(_ask_for_a_word)],
) -> str:
    return f"elicitation {answer.action}"


async def test_input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    name = elicited_field(ctx, "user_name", "name")
    return f"Hello, {name}!" if name else InputRequiredResult(input_requests={"user_name": question("Your name?")})


async def test_input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("capital_question")
    if answer is not None:
        return f"Model said: {getattr(getattr(answer, 'content', None), 'text', '?')}"
    return InputRequiredResult(input_requests={"capital_question": sampling("What is the capital of France?")})


async def test_input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("client_roots")
    if answer is not None:
        return f"Client exposed {len(getattr(answer, 'roots', ()))} root(s)."
    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


async def test_input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state == "nonce" and "confirm" in (ctx.input_responses or {}):
        return "state-ok: confirmation received"
    return InputRequiredResult(
        input_requests={"confirm": question("Please confirm", "ok", "boolean")}, request_state="nonce"
    )


async def test_input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
    all_requests: dict[str, InputRequest] = {
        "user_name": question("Your name?"),
        "greeting": sampling("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if all_requests.keys() <= (ctx.input_responses or {}).keys():
        return "All inputs received."
    return InputRequiredResult(input_requests=all_requests, request_state="multiple-inputs")


async def test_input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    state = json.loads(ctx.request_state) if ctx.request_state else {"round": 0}
    if state["round"] == 1 and (name := elicited_field(ctx, "step1", "name")):
        return InputRequiredResult(
            input_requests={"step2": question("Step 2: your favourite color?", "color")},
            request_state=json.dumps({"round": 2, "name": name}),
        )
    if state["round"] == 2 and (color := elicited_field(ctx, "step2", "color")):
        return f"{state['name']} likes {color}."
    return InputRequiredResult(
        input_requests={"step1": question("Step 1: your name?")}, request_state=json.dumps({"round": 1})
    )


async def test_input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state is not None:
        return f"state-ok: {ctx.request_state}"
    return InputRequiredResult(
        input_requests={"confirm": question("Please confirm", "ok", "boolean")}, request_state="round-1"
    )


async def test_input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    can = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if can is None or can.sampling is not None:
        requests["sample"] = sampling("Say hello")
    if can is None or can.elicitation is not None:
        requests["ask"] = question("Your name?")
    return InputRequiredResult(input_requests=requests, request_state="capability-gated")


async def test_reconnection(ctx: Context) -> str:
    await ctx.close_sse_stream()
    return "Reconnection test completed"


async def test_trigger_tool_change(ctx: Context) -> str:
    await ctx.notify_tools_changed()
    return "tool list changed"


async def test_trigger_prompt_change(ctx: Context) -> str:
    await ctx.notify_prompts_changed()
    return "prompt list changed"


def json_schema_2020_12_tool() -> str:
    return "called"


_SCHEMA_2020_12: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {
        "address": {
            "$anchor": "addressDef",
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "properties": {
        "name": {"type": "string"},
        "address": {"$ref": "#/$defs/address"},
        "contactMethod": {"type": "string", "enum": ["phone", "email"]},
        "phone": {"type": "string"},
        "email": {"type": "string"},
    },
    "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
    "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
    "then": {"required": ["phone"]},
    "else": {"required": ["email"]},
    "additionalProperties": False,
}


def test_simple_prompt() -> str:
    return "This is a simple prompt for testing."


def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's
    return [UserMessage(embedded(resourceUri, "Embedded resource content for testing.")), UserMessage("Process it.")]


def test_prompt_with_image() -> list[UserMessage]:
    return [UserMessage(ImageContent(type="image", data=PNG, mime_type="image/png")), UserMessage("Analyze it.")]


async def test_input_required_result_prompt(ctx: Context) -> str | InputRequiredResult:
    given = elicited_field(ctx, "user_context", "context")
    if given:
        return f"Use the following context: {given}"
    return InputRequiredResult(input_requests={"user_context": question("Which context?", "context")})


TOOLS: tuple[Callable[..., Any], ...] = (
    test_simple_text, test_image_content, test_audio_content, test_embedded_resource, test_multiple_content_types,
    test_tool_with_logging, test_logging_tool, test_tool_with_progress, test_error_handling, test_sampling,
    test_elicitation, test_elicitation_sep1034_defaults, test_elicitation_sep1330_enums, test_x_mcp_header,
    test_missing_capability, test_streaming_elicitation, test_input_required_result_elicitation,
    test_input_required_result_sampling, test_input_required_result_list_roots,
    test_input_required_result_request_state, test_input_required_result_multiple_inputs,
    test_input_required_result_multi_round, test_input_required_result_tampered_state,
    test_input_required_result_capabilities, test_reconnection, test_trigger_tool_change,
    test_trigger_prompt_change, json_schema_2020_12_tool,
)  # fmt: skip
PROMPTS: tuple[Callable[..., Any], ...] = (
    test_simple_prompt,
    test_prompt_with_arguments,
    test_prompt_with_embedded_resource,
    test_prompt_with_image,
    test_input_required_result_prompt,
)


def fixture_app() -> MCPServer[Any]:
    fixture_tools = [Tool.from_function(function, description=f"Fixture {function.__name__}.") for function in TOOLS]
    fixture_tools[-1].parameters = _SCHEMA_2020_12
    fixture_prompts = [
        Prompt.from_function(function, description=f"Fixture {function.__name__}.") for function in PROMPTS
    ]
    primitives = Primitives([*tools(), *fixture_tools], [*prompts(), *fixture_prompts], announces_changes=True)
    app = build_app(own_services, outer_middleware=[limited(HttpSettings())], primitives=primitives)

    app.resource("test://static-text")(_static_text)
    app.resource("test://static-binary", mime_type="image/png")(_static_binary)
    app.resource("test://template/{id}/data", mime_type="application/json")(_templated)
    app.resource("test://watched-resource")(_static_text)
    server = app._lowlevel_server
    server.add_request_handler("logging/setLevel", SetLevelRequestParams, _nothing)
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, _nothing)
    server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, _nothing)
    return app


def _static_text() -> str:
    return "This is the content of the static text resource."


def _static_binary() -> bytes:
    return base64.b64decode(PNG)


def _templated(id: str) -> str:  # noqa: A002 - the suite's
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


async def _nothing(_: ServerRequestContext[Any, Any], __: BaseModel) -> EmptyResult:
    return EmptyResult()


async def main() -> None:
    with listen(Binding(port=0)) as listener:
        binding = Binding(port=listener.getsockname()[1])
        app = served_over_http(fixture_app(), binding, AccessRules())

        def print_address() -> None:
            sys.stdout.write(f"{binding.url}\n")
            sys.stdout.flush()

        await serve_until_signal(app, listener, print_address)


if __name__ == "__main__":
    anyio.run(main)
