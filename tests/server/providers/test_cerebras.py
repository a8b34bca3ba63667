"""Behaviour specific to Cerebras, tested with the real SDK against its strict peer."""

import json
from functools import partial

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chargehand.evaluation.peers.reply import HttpFault, Reply
from chargehand.evaluation.peers.serving import serving
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import (
    BrokenStream,
    ContextTooLong,
    Overloaded,
    RateLimited,
    Refused,
    Thinking,
    Turn,
    UnknownModelId,
)

pytestmark = pytest.mark.anyio

REPLY = Reply("print('hello')", thinking="A greeting will do.")


@pytest.mark.parametrize(
    ("profile_id", "thinking", "effort"),
    [
        ("qwen-3.8-27b", Thinking(on=False), "none"),
        ("qwen-3.8-27b", Thinking(on=True, effort="medium"), "medium"),
        ("qwen-3.8-27b", Thinking(on=True), None),
        ("gpt-oss-120b", Thinking(on=True, effort="low"), "low"),
        ("gpt-oss-120b", Thinking(on=False), None),
    ],
)
async def test_thinking_is_requested_in_the_form_that_each_model_accepts(
    cerebras, make_request, observer, profile_id, thinking, effort
):
    async with cerebras(lambda _: REPLY) as (peer, provider):
        await provider.generate(make_request(profile_id, thinking=thinking), observer)

    body = peer.journal.exchanges[-1].body
    assert body.get("reasoning_effort") == effort
    assert body["reasoning_format"] == "parsed"
    assert body["max_completion_tokens"] == 2_000
    assert "temperature" not in body


async def test_no_request_is_sent_to_warm_up_the_connection(cerebras, make_request, observer):
    async with cerebras(lambda _: REPLY) as (peer, provider):
        await provider.generate(make_request("qwen-3.8-27b"), observer)

    assert peer.connections_warmed == 0
    assert len(peer.journal.exchanges) == 1


async def test_an_answer_schema_is_sent_as_strict(cerebras, make_request, observer):
    schema = {"type": "object", "properties": {"verdict": {"type": "string", "maxLength": 9}}}

    async with cerebras(lambda _: Reply('{"verdict": "pass"}')) as (peer, provider):
        await provider.generate(make_request("qwen-3.8-27b", answer_schema=schema), observer)

    sent = peer.journal.exchanges[-1].body["response_format"]["json_schema"]
    assert sent["strict"] is True
    assert sent["schema"]["required"] == ["verdict"]


async def test_a_repair_sends_thinking_back_only_to_a_model_that_takes_it(cerebras, make_request, observer, prompt):
    plain = make_request("qwen-3.8-27b").profile
    assert plain.thinking is not None
    taking = plain.model_copy(update={"thinking": plain.thinking.model_copy(update={"sent_back": True})})
    answers: list[dict] = []
    async with cerebras(lambda _: REPLY) as (peer, provider):
        for profile in (plain, taking):
            request = partial(make_request, profile.id, profile=profile)
            first = await provider.generate(request(thinking=Thinking(on=True)), observer)
            answer = Turn("assistant", first.text, first.vendor_state)
            await provider.generate(request(turns=(Turn("user", prompt), answer, Turn("user", "It failed."))), observer)
            answers.append(peer.journal.exchanges[-1].body["messages"][2])

    assert answers == [
        {"role": "assistant", "content": REPLY.text},
        {"role": "assistant", "content": REPLY.text, "reasoning": REPLY.thinking},
    ]


async def test_a_filtered_answer_is_refused(cerebras, make_request, observer):
    async with cerebras(lambda _: Reply("I", stop="refusal")) as (_, provider):
        with pytest.raises(Refused):
            await provider.generate(make_request("qwen-3.8-27b"), observer)


async def test_the_error_for_a_removed_model_names_its_successor(cerebras, make_request, observer):
    async with cerebras(lambda _: REPLY) as (_, provider):
        with pytest.raises(UnknownModelId, match="gpt-oss-120b") as caught:
            await provider.generate(make_request("glm-4.7"), observer)

    assert "2026-08-17" in str(caught.value)


PER_DAY = {"x-ratelimit-remaining-requests-day": "0", "x-ratelimit-reset-requests-day": "33011.382867"}
PER_MINUTE = {"x-ratelimit-remaining-tokens-minute": "900", "x-ratelimit-reset-tokens-minute": "3.38"}
NOT_REACHED = {"x-ratelimit-remaining-requests-day": "100", "x-ratelimit-reset-requests-day": "33011.382867"}


@pytest.mark.parametrize(
    ("headers", "reason", "remedy"),
    [
        ({**PER_MINUTE, **PER_DAY}, "Requests per day limit exceeded - too many requests sent.", "Wait 9.2 h"),
        ({**PER_MINUTE, **NOT_REACHED}, "Tokens per minute limit exceeded - too many tokens.", "Wait 4 s"),
        ({**PER_MINUTE, **PER_DAY}, "Tokens per minute limit exceeded - too many tokens.", "Wait 9.2 h"),
        ({**PER_MINUTE, **NOT_REACHED}, "Too many requests.", "Wait"),
        ({**PER_DAY, "retry-after": "7"}, "Too many requests.", "Wait 7 s"),
        (PER_DAY, "Too many requests.", "Wait 9.2 h"),
    ],
)
async def test_a_rate_limit_error_names_the_limit_and_the_wait(
    cerebras, make_request, observer, headers, reason, remedy
):
    async with cerebras(lambda _: HttpFault(429, message=reason, headers=headers)) as (_, provider):
        with pytest.raises(RateLimited) as limited:
            await provider.generate(make_request("gpt-oss-120b"), observer)

    said = str(limited.value)
    assert said.startswith("Cerebras at http://127.0.0.1:")
    assert said.endswith(f" limits the rate of requests to gpt-oss-120b: {reason} {remedy}, or ask another model.")


async def test_a_full_queue_is_overloaded(cerebras, make_request, observer):
    async with cerebras(lambda _: HttpFault(429, kind="queue_exceeded")) as (_, provider):
        with pytest.raises(Overloaded):
            await provider.generate(make_request("gpt-oss-120b"), observer)


@pytest.mark.parametrize("kind", ["context_length_exceeded", ""])
async def test_a_prompt_beyond_the_context_window_is_too_long(cerebras, make_request, observer, kind):
    fault = HttpFault(400, kind=kind, message="Please reduce the length of the messages or completion.")

    async with cerebras(lambda _: fault) as (_, provider):
        with pytest.raises(ContextTooLong):
            await provider.generate(make_request("qwen-3.8-27b"), observer)


async def generate_from(lines: list[dict], make_request, observer):
    """The adapter's generation from these chunks, sent by a server that is not as strict as the peer."""

    async def complete(_) -> PlainTextResponse:
        text = "".join(f"data: {json.dumps(line)}\n\n" for line in lines)
        return PlainTextResponse(text + "data: [DONE]\n\n", media_type="text/event-stream")

    async with serving(Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])) as url:
        provider = LOADERS["cerebras"](VendorSettings(cerebras_api_key="sk-x", cerebras_base_url=url))
        try:
            return await provider.generate(make_request("qwen-3.8-27b"), observer)
        finally:
            await provider.aclose()


async def test_chunks_without_a_fingerprint_are_accepted(make_request, observer):
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "qwen-3.8-27b"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}

    generation = await generate_from(
        [
            {**chunk, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "x = 1"}}]},
            {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage},
        ],
        make_request,
        observer,
    )

    assert generation.text == "x = 1"
    assert (generation.usage.input_tokens, generation.usage.output_tokens) == (7, 3)


async def test_thinking_under_the_name_that_gateways_give_it_is_thinking(make_request, observer):
    generation = await generate_from(
        [
            {"id": "c", "choices": [{"index": 0, "delta": {"reasoning_content": "A greeting will do."}}]},
            {"id": "c", "choices": [{"index": 0, "delta": {"content": "print(1)"}, "finish_reason": "stop"}]},
        ],
        make_request,
        observer,
    )

    assert "thinking" in observer.phases
    assert 0 < generation.usage.thinking_tokens < generation.usage.output_tokens


async def test_a_chunk_of_another_form_breaks_the_stream(make_request, observer):
    with pytest.raises(BrokenStream):
        await generate_from([{"id": "c", "choices": "none"}], make_request, observer)


async def test_an_error_chunk_with_a_status_raises_the_error_of_that_status(make_request, observer):
    with pytest.raises(Overloaded):
        await generate_from(
            [{"error": {"message": "queue is full", "code": "x"}, "status_code": 503}], make_request, observer
        )
