"""Behaviour specific to OpenAI-compatible servers, tested with the real SDK against a peer with each one's habits."""

import re

import pytest
from open_peer import OpenModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from chargehand.evaluation.peers.reply import ErrorInside, HttpFault, Reply
from chargehand.evaluation.peers.serving import serving
from chargehand.server.providers.egress import Gate
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import (
    AuthenticationFailed,
    BrokenStream,
    ContextTooLong,
    InvalidRequest,
    MissingKey,
    NotLocal,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    Thinking,
    Turn,
    UnknownModelId,
    Unreachable,
    VendorFailed,
)

pytestmark = pytest.mark.anyio

REPLY = Reply("print('hello')", thinking="A greeting will do.")
HABITS = ("vllm", "sglang", "llama_cpp", "lm_studio", "openrouter", "openai")
every_habit = pytest.mark.parametrize("habit", HABITS)
PRICE = {
    "input_usd_per_million_tokens": 1.0,
    "output_usd_per_million_tokens": 2.0,
    "source": "a test",
    "seen": "2026-11-25",
}
EFFORTS = {"thinking": {"efforts": ["low", "high"], "turned_off_by": "none"}, "api_model": "org/own-oss"}


@every_habit
async def test_thinking_is_separated_from_the_answer_of_each_server(
    compatible, make_request, make_profile, observer, habit
):
    async with compatible(lambda _: REPLY, habit=habit) as (peer, provider):
        request = make_request("own-qwen", profile=make_profile(**EFFORTS), thinking=Thinking(on=True, effort="high"))
        generation = await provider.generate(request, observer)

    exchange = peer.journal.exchanges[-1]
    assert generation.text == REPLY.text
    assert observer.phases == ["waiting", "thinking", "answering"]
    assert (generation.usage.input_tokens, generation.usage.output_tokens) == (
        exchange.input_tokens,
        exchange.output_tokens,
    )
    assert 0 < generation.usage.thinking_tokens < generation.usage.output_tokens
    assert not generation.usage.is_estimated


@pytest.mark.parametrize(
    ("facts", "thinking", "expected"),
    [
        (EFFORTS, Thinking(on=True, effort="high"), {"reasoning_effort": "high"}),
        (EFFORTS, Thinking(on=True), {}),
        (EFFORTS, Thinking(on=False), {"reasoning_effort": "none"}),
        ({}, Thinking(on=False), {"chat_template_kwargs": {"enable_thinking": False}}),
        ({}, Thinking(on=True), {"chat_template_kwargs": {"enable_thinking": True}}),
        ({"thinking": {"always_on": True}}, Thinking(on=False), {}),
        ({"thinking": None}, Thinking(on=False), {}),
    ],
)
async def test_thinking_is_requested_as_the_profile_states(
    compatible, make_request, make_profile, observer, facts, thinking, expected
):
    async with compatible(lambda _: REPLY) as (peer, provider):
        await provider.generate(make_request("own-qwen", profile=make_profile(**facts), thinking=thinking), observer)

    always = {"model", "messages", "max_tokens", "stream_options", "stream"}
    body = peer.journal.exchanges[-1].body
    assert {name: value for name, value in body.items() if name not in always} == expected
    assert always <= set(body)


async def test_a_model_that_needs_max_completion_tokens_is_retried_once_and_remembered(
    compatible, make_request, make_profile, observer
):
    async with compatible(lambda _: REPLY, habit="openai") as (peer, provider):
        request = make_request("own-qwen", profile=make_profile(thinking=None))
        for _ in range(2):
            assert (await provider.generate(request, observer)).text == REPLY.text

    assert [exchange.status for exchange in peer.journal.exchanges] == [400, 200, 200]
    assert [exchange.body.get("max_completion_tokens") for exchange in peer.journal.exchanges] == [None, 2000, 2000]
    assert len(observer.requests) == 3


async def test_a_schema_is_sent_only_if_the_profile_states_support_for_it(
    compatible, make_request, make_profile, observer
):
    schema = {"type": "object", "properties": {"verdict": {"type": "string"}}}

    async with compatible(lambda _: Reply('{"verdict": "pass"}')) as (peer, provider):
        await provider.generate(make_request("own-qwen", answer_schema=schema), observer)
        capable = make_profile(capabilities=["structured_output"])
        await provider.generate(make_request("own-qwen", profile=capable, answer_schema=schema), observer)

    without, with_it = (exchange.body for exchange in peer.journal.exchanges)
    assert "response_format" not in without
    assert with_it["response_format"]["json_schema"]["schema"]["required"] == ["verdict"]


async def test_a_repair_sends_thinking_back_only_if_the_profile_states_so(
    compatible, make_request, make_profile, observer, prompt
):
    async with compatible(lambda _: REPLY) as (peer, provider):
        for sent_back in (False, True):
            profile = make_profile(thinking={"sent_back": sent_back})
            first = await provider.generate(
                make_request("own-qwen", profile=profile, thinking=Thinking(on=True)), observer
            )
            turns = (
                Turn("user", prompt),
                Turn("assistant", first.text, first.vendor_state),
                Turn("user", "It failed."),
            )
            await provider.generate(make_request("own-qwen", profile=profile, turns=turns), observer)

    answers = [peer.journal.exchanges[position].body["messages"][2] for position in (1, 3)]
    assert answers[0] == {"role": "assistant", "content": REPLY.text}
    assert answers[1] == {"role": "assistant", "content": REPLY.text, "reasoning_content": REPLY.thinking}


async def test_usage_of_a_server_that_counts_no_tokens_is_estimated_and_marked(compatible, make_request, observer):
    async with compatible(lambda _: REPLY, counts=False) as (peer, provider):
        generation = await provider.generate(make_request("own-qwen", thinking=Thinking(on=True)), observer)

    exchange, usage = peer.journal.exchanges[-1], generation.usage
    assert usage.is_estimated
    assert exchange.input_tokens * 0.5 < usage.input_tokens < exchange.input_tokens * 3
    assert exchange.output_tokens * 0.5 < usage.output_tokens < exchange.output_tokens * 3


async def test_the_cost_that_openrouter_reports_is_taken_over(compatible, make_request, observer):
    async with compatible(lambda _: REPLY, habit="openrouter", cost_usd=0.0123) as (_, provider):
        generation = await provider.generate(make_request("own-qwen"), observer)

    assert generation.usage.cost_usd == 0.0123


@pytest.mark.parametrize(
    ("details", "cost_usd"),
    [({"upstream_inference_cost": 0.5}, 0.525), ({"upstream_inference_cost": None}, None), (None, None), ("?", None)],
)
async def test_what_a_key_of_ones_own_is_charged_behind_openrouter_counts_too(
    compatible, make_request, observer, details, cost_usd
):
    claims = {"is_byok": True, "cost_details": details}
    async with compatible(lambda _: REPLY, habit="openrouter", cost_usd=0.025, claims=claims) as (_, provider):
        generation = await provider.generate(make_request("own-qwen"), observer)

    assert generation.usage.cost_usd == cost_usd


@pytest.mark.parametrize(
    "claims",
    [
        {"prompt_tokens": 10**30},
        {"prompt_tokens": -500},
        {"completion_tokens": 10**400},
        {"prompt_tokens_details": {"cached_tokens": -900_000}},
        {"prompt_tokens_details": {"cached_tokens": 900_000}},
        {"completion_tokens_details": {"reasoning_tokens": -5}},
        {"completion_tokens_details": {"reasoning_tokens": 900_000}},
        {"completion_tokens": None},
        {"prompt_tokens": None},
        {"prompt_tokens": 0, "completion_tokens": 0},
    ],
    ids=str,
)
async def test_missing_or_impossible_token_counts_are_estimated(compatible, make_request, observer, claims):
    async with compatible(lambda _: REPLY, habit="openrouter", cost_usd=0.05, claims=claims) as (peer, provider):
        generation = await provider.generate(make_request("own-qwen"), observer)

    usage, exchange = generation.usage, peer.journal.exchanges[-1]
    assert (generation.text, usage.is_estimated, usage.cost_usd) == (REPLY.text, True, 0.05)
    assert exchange.input_tokens * 0.5 < usage.input_tokens < exchange.input_tokens * 3
    assert 0 <= usage.thinking_tokens <= usage.output_tokens < exchange.output_tokens * 3
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (0, 0)


@pytest.mark.parametrize("cost_usd", [-3, 1e300, "free", {"amount": 1}])
async def test_an_impossible_charge_is_ignored(compatible, make_request, observer, cost_usd):
    async with compatible(lambda _: REPLY, habit="openrouter", cost_usd=cost_usd) as (_, provider):
        generation = await provider.generate(make_request("own-qwen"), observer)

    assert generation.usage.cost_usd is None


@every_habit
async def test_a_prompt_beyond_the_window_is_recognized_in_each_servers_error(
    compatible, make_request, make_profile, observer, habit
):
    small = [OpenModel("org/own-qwen", context_tokens=8)]

    async with compatible(lambda _: REPLY, small, habit=habit) as (_, provider):
        with pytest.raises(ContextTooLong):
            await provider.generate(make_request("own-qwen", profile=make_profile(thinking=None)), observer)


@pytest.mark.parametrize(
    ("habit", "fault"),
    [
        ("llama_cpp", HttpFault(500, message="Context size has been exceeded.")),
        ("llama_cpp", ErrorInside(REPLY, message="Context size has been exceeded.")),
        (
            "lm_studio",
            ErrorInside(REPLY, after=0, message="Trying to keep the first 9 tokens when context the overflows."),
        ),
        (
            "lm_studio",
            HttpFault(400, message="Prompt too long: 41911 tokens exceeds max context window of 32768 tokens"),  # oMLX
        ),
    ],
)
async def test_a_window_that_is_found_full_only_by_the_server_is_recognized(
    compatible, make_request, make_profile, observer, habit, fault
):
    async with compatible(lambda _: fault, habit=habit) as (_, provider):
        with pytest.raises(ContextTooLong):
            await provider.generate(make_request("own-qwen", profile=make_profile(thinking=None)), observer)


@every_habit
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (HttpFault(400), InvalidRequest),
        (HttpFault(401), AuthenticationFailed),
        (HttpFault(402), OutOfCredit),
        (HttpFault(429, headers={"retry-after": "3"}), RateLimited),
        (HttpFault(502), VendorFailed),
        (HttpFault(503), Overloaded),
    ],
    ids=lambda value: str(value.status) if isinstance(value, HttpFault) else value.__name__,
)
async def test_http_errors_are_recognized_in_each_servers_format(
    compatible, make_request, make_profile, observer, habit, fault, expected
):
    async with compatible(lambda _: fault, habit=habit) as (_, provider):
        # Without thinking parameters, which the openai habit refuses before it gives the fault.
        with pytest.raises(ProviderError) as caught:
            await provider.generate(make_request("own-qwen", profile=make_profile(thinking=None)), observer)

    if habit == "openai":  # it refuses `max_tokens` first, and gives the fault to the second request
        assert len(observer.requests) == 2
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    ("habit", "status", "kind", "expected"),
    [
        ("openrouter", 429, "", RateLimited),
        ("openrouter", 502, "", BrokenStream),
        ("vllm", 400, "", InvalidRequest),
        ("vllm", 500, "", BrokenStream),
        ("llama_cpp", 503, "", Overloaded),
        ("openai", 500, "rate_limit_exceeded", RateLimited),
        ("lm_studio", 500, "", BrokenStream),
    ],
)
async def test_an_error_within_a_stream_raises_the_matching_error(
    compatible, make_request, make_profile, observer, habit, status, kind, expected
):
    fault = ErrorInside(REPLY, after=2, status=status, kind=kind)

    async with compatible(lambda _: fault, habit=habit) as (_, provider):
        with pytest.raises(ProviderError) as caught:
            await provider.generate(make_request("own-qwen", profile=make_profile(thinking=None)), observer)

    assert type(caught.value) is expected


async def test_a_request_that_a_vendor_forbids_is_refused_with_its_reason(
    compatible, make_request, make_profile, observer
):
    fault = HttpFault(403, message="Request blocked by a guardrail.")

    async with compatible(lambda _: fault, habit="openrouter", keys={"ROUTER_KEY": "sk-right"}) as (_, provider):
        with pytest.raises(AuthenticationFailed, match=r"\(403: Request blocked by a guardrail\.\)"):
            await provider.generate(make_request("own-qwen", profile=make_profile(api_key_env="ROUTER_KEY")), observer)


async def test_credit_that_other_requests_hold_is_waited_for(compatible, make_request, observer):
    busy = HttpFault(402, message="Retry after in-flight requests settle.", headers={"retry-after": "3"})

    async with compatible(lambda _: busy, habit="openrouter") as (_, provider):
        with pytest.raises(RateLimited, match=r"Retry after in-flight requests settle\. Wait 3 s"):
            await provider.generate(make_request("own-qwen"), observer)


async def test_a_filtered_answer_is_refused(compatible, make_request, observer):
    async with compatible(lambda _: Reply("I", stop="refusal")) as (_, provider):
        with pytest.raises(Refused):
            await provider.generate(make_request("own-qwen"), observer)


async def test_a_model_that_the_server_lacks_is_unknown(compatible, make_request, make_profile, observer):
    async with compatible(lambda _: REPLY) as (_, provider):
        with pytest.raises(UnknownModelId, match="org/gone"):
            await provider.generate(make_request("own-qwen", profile=make_profile(api_model="org/gone")), observer)


@pytest.mark.parametrize(
    ("habit", "reason"),
    [
        ("lm_studio", "No models loaded. Please load a model in the developer page."),
        ("llama_cpp", "model is not loaded"),
    ],
)
async def test_a_model_that_is_not_loaded_is_told_from_a_request_of_the_wrong_form(
    compatible, make_request, observer, habit, reason
):
    async with compatible(lambda _: HttpFault(400, message=reason), habit=habit) as (_, provider):
        with pytest.raises(UnknownModelId, match=re.escape(f"(400: {reason})")):
            await provider.generate(make_request("own-qwen"), observer)


async def test_a_model_that_the_accounts_privacy_settings_rule_out_is_told_from_a_wrong_address(
    compatible, make_request, observer
):
    reason = "No endpoints available matching your guardrail restrictions and data policy."

    async with compatible(lambda _: HttpFault(404, message=reason), habit="openrouter") as (_, provider):
        with pytest.raises(UnknownModelId, match=reason):
            await provider.generate(make_request("own-qwen"), observer)


async def generate_from(handler, make_request, make_profile, address, observer):
    """The adapter's generation from a response that no strict server gives."""
    async with serving(Starlette(routes=[Route("/v1/chat/completions", handler, methods=["POST"])])) as url:
        address.url = url
        provider = LOADERS["openai_compatible"](VendorSettings())
        try:
            return await provider.generate(make_request("own-qwen", profile=make_profile()), observer)
        finally:
            await provider.aclose()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "data: [DONE]\n\n",
        'data: {"choices": 7}\n\n',
        "data: [1, 2]\n\n",
        'data: {"choices": [{"delta": {"content": "x"}}], "usage": {"prompt_tokens": -4}}\n\n',
        'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": "error"}]}\n\ndata: [DONE]\n\n',
        'data: {"choices": [{"delta": {"content": "x"}, "finish_reason": "abort"}]}\n\ndata: [DONE]\n\n',
        'data: {"choices": [{"delta": {"content": "x"}}]}\n\n',
        '{"choices": [{"message": {"content": "not a stream"}}]}',
    ],
)
async def test_an_invalid_stream_is_broken(make_request, make_profile, address, observer, body):
    async def answer(_) -> Response:
        return PlainTextResponse(body, media_type="text/event-stream")

    with pytest.raises(BrokenStream):
        await generate_from(answer, make_request, make_profile, address, observer)


async def test_keep_alive_comments_are_not_part_of_the_answer(make_request, make_profile, address, observer):
    async def answer(_) -> Response:
        text = (
            ": OPENROUTER PROCESSING\n\n"
            'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "x = 1"}}]}\n\n'
            ": OPENROUTER PROCESSING\n\n"
            'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
            "data: [DONE]\n\n"
        )
        return PlainTextResponse(text, media_type="text/event-stream")

    assert (await generate_from(answer, make_request, make_profile, address, observer)).text == "x = 1"


async def test_openai_variables_of_the_environment_are_not_sent_to_a_server(
    compatible, make_request, make_profile, observer, monkeypatch
):
    for name, value in {
        "OPENAI_API_KEY": "sk-of-somebody-else",
        "OPENAI_ORG_ID": "org-secret",
        "OPENAI_PROJECT_ID": "proj-secret",
        "OPENAI_CUSTOM_HEADERS": "X-Custom-Token: secret\nAuthorization: Bearer stolen",
    }.items():
        monkeypatch.setenv(name, value)

    async with compatible(lambda _: REPLY, api_key="mine", keys={"MY_KEY": "mine"}) as (peer, provider):
        await provider.generate(make_request("own-qwen", profile=make_profile(api_key_env="MY_KEY")), observer)

    assert peer.strange_headers == set()


async def test_a_self_hosted_server_needs_no_key_and_is_asked_for_its_models(compatible, make_profile):
    async with compatible(lambda _: REPLY) as (peer, provider):
        profiles = [make_profile(), make_profile(id="other", api_model="org/other")]
        known = await provider.availability(profiles)
        await provider.availability(profiles)

    here, other = known["own-qwen"], known["other"]
    assert (here.is_reachable, here.is_local, here.context_tokens) == (True, True, 32_768)
    assert not other.is_reachable
    assert "org/other" in (other.why_not or "")
    assert "org/own-oss, org/own-qwen" in (other.why_not or "")
    assert [exchange.path for exchange in peer.journal.exchanges] == ["/v1/models"]


@every_habit
async def test_the_listing_of_each_server_is_read(compatible, make_profile, habit):
    async with compatible(lambda _: REPLY, habit=habit) as (_, provider):
        known = (await provider.availability([make_profile()]))["own-qwen"]

    assert known.is_reachable
    assert known.context_tokens == (None if habit in ("lm_studio", "openai") else 32_768)


async def test_a_listing_is_fetched_again_after_a_minute(compatible, make_profile, clock):
    async with compatible(lambda _: REPLY) as (peer, provider):
        await provider.availability([make_profile()])
        clock.now_s += 60
        await provider.availability([make_profile()])

    assert len(peer.journal.to("/v1/models")) == 2


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"data": "many"}',
        '{"data": [{"id": 7}]}',
        '{"data": [{"id": "' + "x" * 400 + '"}]}',
        '{"data": [' + ",".join(['{"id": "m"}'] * 20_001) + "]}",
        "x" * 17_000_000,
    ],
    ids=["nothing", "a list", "a word", "a number", "a long name", "too many", "too much"],
)
async def test_an_invalid_listing_makes_the_server_unavailable_with_a_reason(make_profile, address, body):
    async def models(_) -> Response:
        return PlainTextResponse(body)

    async with serving(Starlette(routes=[Route("/v1/models", models)])) as url:
        address.url = url
        provider = LOADERS["openai_compatible"](VendorSettings())
        known = (await provider.availability([make_profile()]))["own-qwen"]
        await provider.aclose()

    assert not known.is_reachable
    assert "`base_url` in the profile own-qwen" in (known.why_not or "")


async def test_an_address_without_a_list_of_models_suggests_appending_v1(compatible, make_profile):
    async with compatible(lambda _: REPLY) as (_, provider):
        url = make_profile().base_url.removesuffix("/v1")
        available = await provider.availability([make_profile(base_url=url)])

    assert available["own-qwen"].why_not == (
        f"{url.removeprefix('http://')} has no list of models at {url}/models (404). "
        "Correct `base_url` in the profile own-qwen: it usually ends in /v1."
    )


async def test_model_names_of_a_listing_are_shown_without_control_characters(compatible, make_profile):
    async with compatible(lambda _: REPLY, [OpenModel("evil\x1b[2Jname\u202e")]) as (_, provider):
        known = (await provider.availability([make_profile()]))["own-qwen"]

    assert (known.why_not or "").isprintable()
    assert "evil" in (known.why_not or "")


async def test_a_missing_key_is_named_by_its_variable_and_nothing_is_sent(
    compatible, make_request, make_profile, observer
):
    async with compatible(lambda _: REPLY, api_key="mine") as (peer, provider):
        profile = make_profile(api_key_env="MY_KEY")
        known = (await provider.availability([profile]))["own-qwen"]
        with pytest.raises(MissingKey, match="MY_KEY"):
            await provider.generate(make_request("own-qwen", profile=profile), observer)
        assert await provider.check_access() is None

    assert "MY_KEY" in (known.why_not or "")
    assert peer.journal.exchanges == []


async def test_a_wrong_key_is_named_by_its_variable_only(compatible, make_request, make_profile, observer):
    async with compatible(lambda _: REPLY, api_key="mine", keys={"MY_KEY": "sk-not-the-one"}) as (_, provider):
        profile = make_profile(api_key_env="MY_KEY")
        known = (await provider.availability([profile]))["own-qwen"]
        with pytest.raises(AuthenticationFailed) as caught:
            await provider.generate(make_request("own-qwen", profile=profile), observer)
        problem = await provider.check_access()

    for message in (str(caught.value), known.why_not or "", problem or ""):
        assert "MY_KEY" in message
        assert "sk-not-the-one" not in message


async def test_a_server_that_requires_a_key_suggests_api_key_env(compatible, make_profile):
    async with compatible(lambda _: REPLY, api_key="mine") as (_, provider):
        known = (await provider.availability([make_profile()]))["own-qwen"]

    assert "`api_key_env` in the profile own-qwen" in (known.why_not or "")


async def test_a_key_that_litellm_does_not_know_is_reported_as_such(make_profile, address):
    refusal = {"error": {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}}

    async def refuse(_: Request) -> Response:
        return JSONResponse(refusal, 400)

    async with serving(Starlette(routes=[Route("/v1/models", refuse)])) as address.url:
        provider = LOADERS["openai_compatible"](VendorSettings(key_of=lambda _: "sk-wrong"))
        known = (await provider.availability([make_profile(api_key_env="MY_KEY")]))["own-qwen"]
        problem = await provider.check_access()
        await provider.aclose()

    assert "does not accept the key. Correct MY_KEY" in (problem or known.why_not or "")


async def test_the_error_of_a_listing_does_not_repeat_the_key_that_the_server_quotes(make_profile, address):
    async def fail(request: Request) -> Response:
        return JSONResponse({"error": {"message": f"Nothing for {request.headers['authorization']}"}}, 500)

    async with serving(Starlette(routes=[Route("/v1/models", fail)])) as address.url:
        provider = LOADERS["openai_compatible"](VendorSettings(key_of=lambda _: "quoted-back"))
        known = (await provider.availability([make_profile(api_key_env="MY_KEY")]))["own-qwen"]
        await provider.aclose()

    assert not known.is_reachable
    assert "quoted-back" not in (known.why_not or "")


async def test_a_remote_vendor_is_available_without_being_contacted(make_profile):
    provider = LOADERS["openai_compatible"](VendorSettings(key_of=lambda _: "sk-x"))
    profile = make_profile(base_url="https://router.example/api/v1", api_key_env="ROUTER_KEY")

    known = (await provider.availability([profile]))["own-qwen"]

    assert (known.is_reachable, known.is_local, known.host) == (True, False, "router.example")
    await provider.aclose()


async def test_checking_access_to_a_keyed_server_reads_its_list_of_models(compatible, make_profile):
    async with compatible(lambda _: REPLY, api_key="mine", keys={"MY_KEY": "mine"}) as (_, provider):
        priced = make_profile(api_key_env="MY_KEY", api_model="org/gone", price=PRICE)
        await provider.availability([priced])
        problem = await provider.check_access()
        known = (await provider.availability([priced]))["own-qwen"]

    assert problem is None
    assert "org/gone" in (known.why_not or "")


async def test_access_has_no_problem_if_one_of_two_servers_answers(compatible, make_profile):
    async with compatible(lambda _: REPLY) as (_, provider):
        profiles = [make_profile(), make_profile(id="dead", base_url="http://127.0.0.1:9/v1")]
        await provider.availability(profiles)
        problem = await provider.check_access()
        known = await provider.availability(profiles)

    assert problem is None
    assert known["own-qwen"].is_reachable
    assert "127.0.0.1:9" in (known["dead"].why_not or "")


@pytest.mark.parametrize(
    ("facts", "is_local"),
    [
        ({"base_url": "http://localhost:1234/v1"}, True),
        ({"base_url": "http://[::1]:8080/v1"}, True),
        ({"base_url": "http://192.168.1.20:8000/v1"}, False),
        ({"base_url": "http://gpu-box.lan:8000/v1"}, True),
        ({"base_url": "https://openrouter.ai/api/v1"}, False),
        ({"base_url": "http://localhost:4000/v1", "price": PRICE}, False),
        ({"base_url": "http://localhost.evil.example/v1"}, False),
    ],
    ids=lambda value: value.get("base_url") if isinstance(value, dict) else str(value),
)
async def test_address_and_price_decide_whether_a_model_is_local(make_profile, facts, is_local):
    settings = VendorSettings(
        key_of=lambda _: "", local_hosts=frozenset({"gpu-box.lan"}), gate=Gate(frozenset({"gpu-box.lan"}))
    )
    provider = LOADERS["openai_compatible"](settings)

    # Without its key no server is contacted: locality is decided without the network.
    known = (await provider.availability([make_profile(api_key_env="ABSENT", **facts)]))["own-qwen"]

    assert known.is_local is is_local
    await provider.aclose()


async def test_a_local_only_request_goes_only_to_a_local_server_without_a_price(
    compatible, make_request, make_profile, observer
):
    async with compatible(lambda _: REPLY) as (peer, provider):
        answer = await provider.generate(make_request("own-qwen", local_only=True), observer)
        gateway, remote = make_profile(price=PRICE), make_profile(base_url="http://192.0.2.7:8000/v1")
        for profile in (gateway, remote):
            with pytest.raises(NotLocal):
                await provider.generate(make_request("own-qwen", profile=profile, local_only=True), observer)
        unasked = await provider.availability([remote], local_only=True)

    assert answer.text == REPLY.text
    assert len(peer.journal.exchanges) == 1
    assert "local_hosts" in (unasked["own-qwen"].why_not or "")


@pytest.mark.parametrize("url", ["http://x:99999/v1", "http://a\\b/v1", "http://[oops/v1"])
async def test_an_invalid_address_is_reported_with_its_profile(make_request, make_profile, observer, url):
    provider = LOADERS["openai_compatible"](VendorSettings())
    profile = make_profile(base_url=url)

    known = (await provider.availability([profile]))["own-qwen"]
    with pytest.raises(Unreachable, match="own-qwen"):
        await provider.generate(make_request("own-qwen", profile=profile), observer)

    assert not known.is_reachable
    assert "`base_url` in the profile own-qwen" in (known.why_not or "")
