"""The peers refuse the requests that the vendors refuse, in the vendors' response formats."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from chargehand.evaluation.peers.anthropic import AnthropicPeer
from chargehand.evaluation.peers.anthropic_request import ClaudeModel
from chargehand.evaluation.peers.cerebras import CerebrasModel, CerebrasPeer
from chargehand.evaluation.peers.ollama import OllamaModel, OllamaPeer
from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.serving import serving

pytestmark = pytest.mark.anyio

REPLY = Reply("hello", thinking="a greeting")
USER = [{"role": "user", "content": "hi"}]
CLAUDE = {"model": "opus", "max_tokens": 100, "messages": USER}
OPEN_OBJECT = {"type": "object", "properties": {}}
BOUNDED = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1}},
    "required": ["n"],
    "additionalProperties": False,
}


def with_schema(value: dict[str, Any]) -> dict[str, Any]:
    return {"output_config": {"format": {"type": "json_schema", "schema": value}}}


@asynccontextmanager
async def anthropic(**headers: str) -> AsyncGenerator[httpx.AsyncClient]:
    models = [
        ClaudeModel("opus", frozenset({"adaptive"}), ("low", "high")),
        ClaudeModel("old", lifecycle="retired"),
    ]
    standard = {"x-api-key": "sk-right", "anthropic-version": "2026-10-21"}
    async with (
        serving(AnthropicPeer(lambda _: REPLY, models, api_key="sk-right").app) as url,
        httpx.AsyncClient(base_url=url, headers={**standard, **headers}) as client,
    ):
        yield client


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.2},
        {"top_p": 0.9},
        {"top_k": 5},
        {"prefill": "x"},
        {"max_tokens": 128_001},
        {"max_tokens": None},
        {"thinking": {"type": "disabled"}},
        {"thinking": {"type": "between_tools"}},
        {"thinking": {"type": "enabled", "budget_tokens": 2048}},
        {"tool_choice": {"type": "any"}},
        {"tool_choice": {"type": "tool", "name": "t"}},
        {"output_config": {"effort": "medium"}},
        with_schema(OPEN_OBJECT),
        with_schema(BOUNDED),
        {"messages": [*USER, {"role": "assistant", "content": "Sure, "}]},
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": "t", "signature": "forged"}]}]},
    ],
    ids=str,
)
async def test_the_anthropic_peer_answers_invalid_requests_with_400(change):
    async with anthropic() as client:
        response = await client.post("/v1/messages", json={**CLAUDE, **change})

    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


async def test_the_anthropic_peer_checks_key_version_and_model_and_serves_its_endpoints():
    async with anthropic(**{"x-api-key": "sk-wrong"}) as client:
        wrong_key = await client.post("/v1/messages", json=CLAUDE)
    async with anthropic() as client:
        retired = await client.post("/v1/messages", json={**CLAUDE, "model": "old"})
        active = await client.get("/v1/models", params={"lifecycle": "active"})
        described = await client.get("/v1/models/opus")
        counted = await client.post("/v1/messages/count_tokens", json={"model": "opus", "messages": USER})
        complete = await client.post("/v1/messages", json=CLAUDE)
        del client.headers["anthropic-version"]
        unversioned = await client.post("/v1/messages", json=CLAUDE)

    assert (wrong_key.status_code, wrong_key.json()["error"]["type"]) == (401, "authentication_error")
    assert (retired.status_code, retired.json()["error"]["type"]) == (404, "not_found_error")
    assert unversioned.status_code == 400
    assert [model["id"] for model in active.json()["data"]] == ["opus"]
    assert described.json()["capabilities"]["thinking"]["types"]["disabled"] == {"supported": False}
    assert counted.json() == {"input_tokens": 1}
    assert [block["type"] for block in complete.json()["content"]] == ["thinking", "text"]


async def test_the_anthropic_peer_omits_thinking_unless_asked_for_a_summary():
    async with anthropic() as client:
        omitted = (await client.post("/v1/messages", json=CLAUDE)).json()
        summarized = CLAUDE | {"thinking": {"type": "adaptive", "display": "summarized"}}
        shown = (await client.post("/v1/messages", json=summarized)).json()

    assert (omitted["content"][0]["thinking"], shown["content"][0]["thinking"]) == ("", "a greeting")
    assert omitted["usage"]["output_tokens"] == shown["usage"]["output_tokens"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"output_config": {"effort": "high"}, "max_tokens": 99}, 200),
        ({"system": "Be brief."}, 400),
        ({"messages": [{"role": "user", "content": "hello"}]}, 400),
        ({"messages": [*USER, {"role": "assistant", "content": "hey"}, *USER]}, 400),
    ],
    ids=["appended", "other options", "other system prompt", "other first message", "other place"],
)
async def test_the_anthropic_peer_accepts_thinking_back_only_after_what_it_followed(change, status):
    async with anthropic() as client:
        answer = (await client.post("/v1/messages", json=CLAUDE)).json()["content"]
        before = change.get("messages", USER)
        messages = [*before, {"role": "assistant", "content": answer}, {"role": "user", "content": "again"}]
        response = await client.post("/v1/messages", json=CLAUDE | change | {"messages": messages})

    assert response.status_code == status
    assert ("The block is bound to a different conversation" in response.text) == (status == 400)


async def test_the_anthropic_peer_streams_events_in_the_documented_order():
    async with anthropic() as client:
        response = await client.post("/v1/messages", json={**CLAUDE, "stream": True})

    events = [line.removeprefix("event: ") for line in response.text.splitlines() if line.startswith("event: ")]
    block = ["content_block_start", "content_block_delta"]
    assert events == [
        *("message_start", "ping"),
        *(*block, "content_block_delta", "content_block_stop"),
        *(*block, "content_block_stop"),
        *("message_delta", "message_stop"),
    ]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"reasoning_effort": "none"}, 400, "invalid_request"),
        ({"reasoning_effort": "extreme"}, 400, "invalid_request"),
        ({"unheard_of": 1}, 400, "invalid_request"),
        ({"max_completion_tokens": 0}, 400, "invalid_request"),
        ({"model": "zai-glm-4.7"}, 404, "model_not_found"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "strict": True, "schema": OPEN_OBJECT},
                }
            },
            400,
            "invalid_request",
        ),
        ({"messages": [{"role": "user", "content": "x" * 600_000}]}, 400, "context_length_exceeded"),
    ],
)
async def test_the_cerebras_peer_refuses_invalid_requests_with_the_vendors_status_and_code(change, status, code):
    peer = CerebrasPeer(lambda _: REPLY, [CerebrasModel("oss", ("low",), context_tokens=131_072)], api_key="k")

    async with (
        serving(peer.app) as url,
        httpx.AsyncClient(base_url=url, headers={"authorization": "Bearer k"}) as client,
    ):
        response = await client.post("/v1/chat/completions", json={"model": "oss", "messages": USER, **change})
        listed = await client.get("/v1/models", params={"format": "huggingface"})

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert listed.json()["data"][0]["pricing"] == {"input": 0.0, "output": 0.0}


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("/api/chat", {"model": "x", "messages": USER}, 404, "model 'x' not found"),
        ("/api/show", {"model": "x"}, 404, "model 'x' not found"),
        ("/api/embed", {"model": "x", "input": "t"}, 404, "model 'x' not found"),
        ("/api/chat", {"model": "plain", "messages": USER, "think": True}, 400, '"plain" does not support thinking'),
    ],
)
async def test_the_ollama_peer_refuses_unknown_models_and_unsupported_thinking(path, body, status, error):
    peer = OllamaPeer(lambda _: REPLY, [OllamaModel("plain:latest")])

    async with serving(peer.app) as url, httpx.AsyncClient(base_url=url) as client:
        response = await client.post(path, json=body)

    assert (response.status_code, response.json()) == (status, {"error": error})


async def test_the_ollama_peer_loads_a_model_once_per_window_and_embeds_deterministically():
    peer = OllamaPeer(lambda _: Reply("hi", load_seconds=2), [OllamaModel("m:latest")])

    async with serving(peer.app) as url, httpx.AsyncClient(base_url=url) as client:
        loads = []
        for num_ctx in (4096, 4096, 8192):
            body = {"model": "m", "messages": USER, "stream": False, "options": {"num_ctx": num_ctx}}
            loads.append((await client.post("/api/chat", json=body)).json()["load_duration"])
        version = (await client.get("/api/version")).json()
        embedded = (await client.post("/api/embed", json={"model": "m", "input": ["a", "a", "b"]})).json()

    assert loads == [2_000_000_000, 1_000_000, 2_000_000_000]
    assert version == {"version": "0.34.0"}
    first, same, other = embedded["embeddings"]
    assert first == same != other
