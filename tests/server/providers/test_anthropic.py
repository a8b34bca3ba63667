"""Behaviour specific to Anthropic, tested with the real SDK against its strict peer."""

import contextlib
import datetime as dt
import json
from collections.abc import AsyncGenerator, Sequence

import pytest
from planted import AWS_KEY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chargehand.evaluation.peers import anthropic
from chargehand.evaluation.peers.reply import HttpFault, Reply
from chargehand.evaluation.peers.serving import serving
from chargehand.server.providers.egress import Gate
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.guarding.secrets import SecretSearch
from chargehand.tools.provider import (
    BrokenStream,
    ContextTooLong,
    EmptyAnswer,
    InvalidRequest,
    MissingKey,
    NotLocal,
    OutOfCredit,
    Overloaded,
    Provider,
    ProviderError,
    Refused,
    Thinking,
    Truncated,
    Turn,
    UnknownModelId,
    Usage,
)

pytestmark = pytest.mark.anyio

REPLY = Reply("print('hello')", thinking="A greeting will do.")
REVIEW = {
    "type": "object",
    "properties": {
        "verdict": {"type": "string", "enum": ["pass", "fail"]},
        "line": {"type": "integer", "minimum": 1},
        "notes": {"type": "array", "items": {"type": "object", "properties": {"text": {"type": "string"}}}},
    },
    "required": ["verdict"],
}


@pytest.mark.parametrize(
    ("profile_id", "thinking", "sent", "effort"),
    [
        ("claude-haiku-5-5", Thinking(on=False), {"type": "disabled"}, None),
        ("claude-haiku-5-5", Thinking(on=True, effort="high"), {"type": "adaptive"}, "high"),
        ("claude-sonnet-5-5", Thinking(on=False, effort="low"), {"type": "between_tools"}, "low"),
        ("claude-sonnet-5-5", Thinking(on=True), {"type": "adaptive"}, None),
        ("claude-opus-5-5", Thinking(on=True, effort="low"), None, "low"),
        ("claude-opus-5-5", Thinking(on=False), None, None),
        ("claude-sonnet-4-5", Thinking(on=True, effort="high"), None, None),
    ],
)
async def test_thinking_is_requested_in_the_form_that_each_model_accepts(
    claude, make_request, observer, profile_id, thinking, sent, effort
):
    async with claude(lambda _: REPLY) as (peer, provider):
        await provider.generate(make_request(profile_id, thinking=thinking), observer)

    body = peer.journal.exchanges[-1].body
    assert body.get("thinking") == sent
    assert body.get("output_config", {}).get("effort") == effort
    assert not {"temperature", "top_p", "top_k", "tool_choice"} & set(body)
    assert body["stream"] is True


async def test_an_always_thinking_model_gives_no_answer_within_50_tokens_but_one_within_2000(
    claude, make_request, observer
):
    thoughtful = Reply("Stop, and split the module.", thinking="Is it worth it? ", thinking_tokens=900)

    async with claude(lambda _: thoughtful) as (_, provider):
        with pytest.raises(EmptyAnswer) as without_answer:
            await provider.generate(make_request("claude-opus-5-5", max_output_tokens=50), observer)
        answered = await provider.generate(make_request("claude-opus-5-5", max_output_tokens=2_000), observer)

    assert without_answer.value.generation.usage.output_tokens == 50
    assert answered.usage.thinking_tokens == 900
    assert answered.usage.visible_tokens == 7


async def test_an_answer_schema_is_sent_in_the_form_the_vendor_accepts(claude, make_request, observer):
    async with claude(lambda _: Reply('{"verdict": "pass"}')) as (peer, provider):
        await provider.generate(make_request("claude-sonnet-5-5", answer_schema=REVIEW), observer)

    sent = peer.journal.exchanges[-1].body["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is False
    assert sent["required"] == ["verdict", "line", "notes"]
    assert sent["properties"]["line"] == {"type": "integer", "description": "(minimum: 1)"}
    assert sent["properties"]["notes"]["items"]["additionalProperties"] is False


async def test_a_repair_sends_the_previous_turn_back_with_its_signed_thinking(claude, make_request, observer, prompt):
    async with claude(lambda _: REPLY) as (peer, provider):
        first = await provider.generate(make_request("claude-haiku-5-5", thinking=Thinking(on=True)), observer)
        turns = (Turn("user", prompt), Turn("assistant", first.text, first.vendor_state), Turn("user", "It failed."))
        await provider.generate(make_request("claude-haiku-5-5", thinking=Thinking(on=True), turns=turns), observer)
        sent_to_another = make_request("claude-sonnet-5-5", thinking=Thinking(on=True), turns=turns)
        await provider.generate(sent_to_another, observer)

    own, others = (exchange.body["messages"][1]["content"] for exchange in peer.journal.exchanges[-2:])
    assert [block["type"] for block in own] == ["thinking", "text"]
    assert own[0]["thinking"] == ""
    assert others == [{"type": "text", "text": REPLY.text}]


async def test_a_repair_reads_the_first_prompt_from_the_cache(claude, make_request, observer):
    long = "x = 1  # a line of context\n" * 400

    async with claude(lambda _: REPLY) as (peer, provider):
        first = await provider.generate(make_request("claude-haiku-5-5", turns=(Turn("user", long),)), observer)
        turns = (Turn("user", long), Turn("assistant", first.text, first.vendor_state), Turn("user", "It failed."))
        second = await provider.generate(make_request("claude-haiku-5-5", turns=turns), observer)

    assert first.usage.cache_read_tokens == 0 < first.usage.cache_write_tokens
    assert second.usage.cache_read_tokens == first.usage.cache_write_tokens
    assert [e.input_tokens for e in peer.journal.exchanges] == [first.usage.input_tokens, second.usage.input_tokens]


async def test_the_next_task_reads_the_system_prompt_from_the_cache(claude, make_request, observer):
    async with claude(lambda _: REPLY) as (_, provider):
        system = "Keep to the rules of the house.\n" * 800
        for task in ("Write one.", "Write two."):
            request = make_request("claude-haiku-5-5", system=system, turns=(Turn("user", task),))
            usage = (await provider.generate(request, observer)).usage

    assert usage.cache_read_tokens > 0


@contextlib.asynccontextmanager
async def answering(events: Sequence[dict]) -> AsyncGenerator[tuple[Provider, list[dict]]]:
    """An adapter whose vendor streams these events, and the bodies of its requests."""
    bodies: list[dict] = []

    async def complete(request: Request) -> PlainTextResponse:
        bodies.append(await request.json())
        stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return PlainTextResponse(stream, media_type="text/event-stream")

    async with serving(Starlette(routes=[Route("/v1/messages", complete, methods=["POST"])])) as url:
        provider = LOADERS["anthropic"](VendorSettings(anthropic_api_key="sk-x", anthropic_base_url=url))
        yield provider, bodies
        await provider.aclose()


async def test_shown_and_redacted_thinking_are_sent_back_unchanged_and_empty_text_is_dropped(make_request, observer):
    message = {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-5-5", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 1}}
    redacted, empty, text = {"type": "redacted_thinking", "data": "sealed"}, {"type": "text", "text": ""}, "x = 1"
    shown = {"type": "thinking", "thinking": "Hm. So.", "signature": "signed"}
    blocks = enumerate((redacted, empty, empty, shown | {"thinking": "", "signature": ""}))
    events: list[dict] = [
        {"type": "message_start", "message": message},
        *({"type": "content_block_start", "index": index, "content_block": block} for index, block in blocks),
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "thinking_delta", "thinking": "Hm. "}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "thinking_delta", "thinking": "So."}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "signature_delta", "signature": "signed"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    async with answering(events) as (provider, bodies):
        first = await provider.generate(make_request("claude-haiku-5-5"), observer)
        turns = (Turn("user", "Go."), Turn("assistant", first.text, first.vendor_state), Turn("user", "It failed."))
        await provider.generate(make_request("claude-haiku-5-5", turns=turns), observer)

    assert bodies[1]["messages"][1]["content"] == [redacted, {"type": "text", "text": text}, shown]
    assert "thinking" in observer.phases


TEXT_BEGUN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x = 1"}}
ENDED = {"delta": {"stop_reason": "end_turn", "stop_sequence": None}}
UNSIGNED = {"type": "content_block_start", "index": 1, "content_block": {"type": "thinking", "thinking": "Hm."}}


@pytest.mark.parametrize(
    ("message", "blocks", "ending", "expected"),
    [
        ({"usage": {"input_tokens": 0, "output_tokens": 0}}, [TEXT_BEGUN, TEXT], {"usage": {"output_tokens": 5}}, None),
        ({}, [TEXT_BEGUN, TEXT], {"usage": {"output_tokens": 5}}, None),
        ({"usage": None}, [TEXT_BEGUN, TEXT], {"usage": None}, None),
        ({"usage": {"input_tokens": 9, "output_tokens": 1}}, [TEXT_BEGUN, TEXT], {}, None),
        ({"usage": None}, [TEXT], {"usage": {"input_tokens": 9, "output_tokens": 5}}, Usage(9, 5)),
        (
            {"usage": {"input_tokens": 9, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 4}},
            [TEXT],
            {"usage": {"output_tokens": 5}},
            Usage(103, 5, cache_read_tokens=90, cache_write_tokens=4),
        ),
        ({"usage": None}, [TEXT, UNSIGNED], {"usage": {"input_tokens": 9, "output_tokens": 5}}, Usage(9, 5)),
    ],
)
async def test_an_answer_with_fewer_fields_than_the_vendors_is_taken_and_missing_counts_are_estimated(
    make_request, observer, message, blocks, ending, expected
):
    events = [
        {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], **message}},
        *blocks,
        {"type": "message_delta", **ENDED, **ending},
        {"type": "message_stop"},
    ]
    async with answering(events) as (provider, bodies):
        first = await provider.generate(make_request("claude-haiku-5-5"), observer)
        turns = (Turn("user", "Go."), Turn("assistant", first.text, first.vendor_state), Turn("user", "It failed."))
        await provider.generate(make_request("claude-haiku-5-5", turns=turns), observer)

    assert first.text == "x = 1"
    if expected is None:
        assert first.usage.is_estimated
        assert first.usage.input_tokens > 0
    else:
        assert first.usage == expected
    assert bodies[1]["messages"][1]["content"] == [{"type": "text", "text": "x = 1"}]


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "content_block_delta", "index": 0, "delta": "x"}],
        [TEXT_BEGUN, TEXT, {"type": "message_stop"}],
        [TEXT_BEGUN, TEXT, {"type": "message_delta", **ENDED, "usage": {"output_tokens": 5}}],
    ],
    ids=["another form", "no reason to stop", "no end"],
)
async def test_a_stream_without_all_that_belongs_to_its_end_is_broken(make_request, observer, events):
    async with answering(events) as (provider, _):
        with pytest.raises(BrokenStream):
            await provider.generate(make_request("claude-haiku-5-5"), observer)


async def test_an_answer_cut_off_by_the_context_window_is_truncated(
    claude, make_request, observer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(anthropic._STOP_REASONS, "length", "model_context_window_exceeded")

    async with claude(lambda _: Reply("x = 1", stop="length")) as (_, provider):
        with pytest.raises(Truncated):
            await provider.generate(make_request("claude-haiku-5-5"), observer)


async def test_a_refusal_is_an_error_with_the_vendors_category(claude, make_request, observer):
    async with claude(lambda _: Reply("I", stop="refusal")) as (_, provider):
        with pytest.raises(Refused, match="cyber") as caught:
            await provider.generate(make_request("claude-haiku-5-5"), observer)

    assert caught.value.generation.usage.output_tokens > 0


async def test_the_error_for_a_retired_model_names_its_successor(claude, make_request, observer):
    async with claude(lambda _: REPLY) as (_, provider):
        with pytest.raises(UnknownModelId, match="claude-opus-5-5") as caught:
            await provider.generate(make_request("claude-3-opus"), observer)

    assert "2026-01-05" in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (HttpFault(400, message="prompt is too long: 1200000 tokens > 1000000 maximum"), ContextTooLong),
        (HttpFault(400, message="input length and `max_tokens` exceed context limit: 9 + 9 > 10"), ContextTooLong),
        (HttpFault(413), ContextTooLong),
        (HttpFault(400, message="Your credit balance is too low to access the API."), OutOfCredit),
        (
            HttpFault(
                429,
                body={
                    "type": "error",
                    "error": {
                        "type": "rate_limit_error",
                        "message": "limit",
                        "details": {"error_code": "enforced_spend_limit_reached"},
                    },
                },
            ),
            OutOfCredit,
        ),
    ],
    ids=["too long", "too long with answer", "too large", "no credit", "spend limit"],
)
async def test_errors_with_the_same_status_are_distinguished(claude, make_request, observer, fault, expected):
    async with claude(lambda _: fault) as (_, provider):
        with pytest.raises(ProviderError) as caught:
            await provider.generate(make_request("claude-haiku-5-5"), observer)

    assert type(caught.value) is expected


async def test_an_output_limit_above_the_models_is_refused_with_the_vendors_reason(claude, make_request, observer):
    async with claude(lambda _: REPLY) as (_, provider):
        with pytest.raises(InvalidRequest, match="max_tokens") as caught:
            await provider.generate(make_request("claude-haiku-5-5", max_output_tokens=128_001), observer)

    assert "claude-haiku-5-5" in str(caught.value)


async def test_batches_are_found_newest_first_and_only_those_created_since_the_given_time(claude, make_request):
    async with claude(lambda _: REPLY) as (peer, provider):
        ids: list[str] = []
        for second in (999, 1_000, 1_001):
            peer.batches.clock = lambda created=second: dt.datetime.fromtimestamp(created, dt.UTC)
            ids.append(await provider.batches.submit({"a": make_request("claude-haiku-5-5")}))
        found = await provider.batches.submitted_since(1_000.0)

    assert found == [ids[2], ids[1]]


async def test_the_answer_of_a_batch_is_separate_from_its_thinking_and_has_no_duration(claude, make_request):
    request = make_request("claude-haiku-5-5", thinking=Thinking(on=True))
    async with claude(lambda _: REPLY) as (_, provider):
        batch_id = await provider.batches.submit({"a": request})
        assert await provider.batches.has_ended(batch_id)
        ((name, generation),) = [result async for result in provider.batches.results(batch_id, {"a": request})]
        ((_, unknown),) = [result async for result in provider.batches.results(batch_id, {})]

    assert (name, generation.text, generation.seconds) == ("a", REPLY.text, 0.0)
    assert 0 < generation.usage.thinking_tokens < generation.usage.output_tokens
    assert generation.vendor_state is not None
    assert (unknown.text, unknown.usage) == ("", Usage())


async def test_results_of_a_batch_are_fetched_where_it_was_submitted_whatever_address_the_reply_names(
    claude, make_request
):
    request = make_request("claude-haiku-5-5")
    async with claude(lambda _: REPLY) as (peer, provider):
        peer.batches.results_origin = "http://127.0.0.1:9"  # the discard port: refused at once
        batch_id = await provider.batches.submit({"a": request})
        await provider.batches.has_ended(batch_id)
        ((_, generation),) = [result async for result in provider.batches.results(batch_id, {"a": request})]

    assert generation.text == REPLY.text


async def test_a_failure_while_results_of_a_batch_are_fetched_is_one_of_the_vendor(claude, make_request):
    request = make_request("claude-haiku-5-5")
    async with claude(lambda _: REPLY) as (peer, provider):
        batch_id = await provider.batches.submit({"a": request})
        await provider.batches.has_ended(batch_id)
        peer.batches.faults = [HttpFault(529)]
        with pytest.raises(Overloaded, match="Anthropic"):
            _ = [result async for result in provider.batches.results(batch_id, {"a": request})]


@pytest.mark.parametrize(("has_key", "local_only", "error"), [(True, True, NotLocal), (False, False, MissingKey)])
async def test_a_batch_is_not_sent_if_one_of_its_requests_may_not_or_cannot_be(
    claude, make_request, key: str, has_key: bool, local_only: bool, error: type[ProviderError]
):
    requests = {
        "a": make_request("claude-haiku-5-5"),
        "b": make_request("claude-haiku-5-5", local_only=local_only),
    }
    async with claude(lambda _: REPLY, key=key if has_key else "") as (peer, provider):
        with pytest.raises(error):
            await provider.batches.submit(requests)

    assert peer.journal.exchanges == []


async def test_a_batch_with_a_secret_is_not_sent_through_a_local_gateway(make_request):
    gate = Gate(frozenset(), secrets=SecretSearch())
    gateway = "http://127.0.0.1:9"  # the discard port: nothing would answer
    provider = LOADERS["anthropic"](VendorSettings(anthropic_api_key="sk-x", anthropic_base_url=gateway, gate=gate))
    with pytest.raises(NotLocal):
        await provider.batches.submit({"a": make_request("claude-haiku-5-5", turns=(Turn("user", AWS_KEY),))})
    await provider.aclose()
