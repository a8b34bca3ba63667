"""What is the OpenAI-compatible servers' own, against a strict peer with each one's habits and the real SDK."""

import pytest
from open_peer import OpenModel
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chargehand.evaluation.peers.reply import ErrorInside, HttpFault, Reply
from chargehand.evaluation.peers.serving import serving
from chargehand.server.providers.egress import Gate
from chargehand.server.providers.registry import LOADERS, VendorSettings
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

SAYS = Reply("print('hello')", thinking="A greeting will do.")
HABITS = ("vllm", "llama_cpp", "lm_studio", "openrouter", "openai")
every_habit = pytest.mark.parametrize("habit", HABITS)
PRICE = {
    "input_usd_per_million_tokens": 1.0,
    "output_usd_per_million_tokens": 2.0,
    "source": "a test",
    "seen": "2026-11-25",
}
EFFORTS = {"thinking": {"efforts": ["low", "high"], "turned_off_by": "none"}, "api_model": "org/own-oss"}


@every_habit
async def test_each_servers_thinking_is_told_from_its_answer(compatible, ask, own, observer, habit):
    async with compatible(lambda _: SAYS, habit=habit) as (peer, provider):
        request = ask("own-qwen", profile=own(**EFFORTS), thinking=Thinking(on=True, effort="high"))
        generation = await provider.generate(request, observer)

    exchange = peer.journal.exchanges[-1]
    assert generation.text == SAYS.text
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
async def test_thinking_is_steered_as_the_profile_says(compatible, ask, own, observer, facts, thinking, expected):
    async with compatible(lambda _: SAYS) as (peer, provider):
        await provider.generate(ask("own-qwen", profile=own(**facts), thinking=thinking), observer)

    always = {"model", "messages", "max_tokens", "stream_options", "stream"}
    body = peer.journal.exchanges[-1].body
    assert {name: value for name, value in body.items() if name not in always} == expected
    assert always <= set(body)


async def test_a_model_that_wants_the_newer_limit_is_asked_once_more_and_then_at_once(compatible, ask, own, observer):
    async with compatible(lambda _: SAYS, habit="openai") as (peer, provider):
        request = ask("own-qwen", profile=own(thinking=None))
        for _ in range(2):
            assert (await provider.generate(request, observer)).text == SAYS.text

    assert [exchange.status for exchange in peer.journal.exchanges] == [400, 200, 200]
    assert [exchange.body.get("max_completion_tokens") for exchange in peer.journal.exchanges] == [None, 2000, 2000]
    assert len(observer.requests) == 3


async def test_a_schema_is_sent_only_where_the_profile_says_that_the_server_takes_one(compatible, ask, own, observer):
    schema = {"type": "object", "properties": {"verdict": {"type": "string"}}}

    async with compatible(lambda _: Reply('{"verdict": "pass"}')) as (peer, provider):
        await provider.generate(ask("own-qwen", answer_schema=schema), observer)
        able = own(capabilities=["structured_output"])
        await provider.generate(ask("own-qwen", profile=able, answer_schema=schema), observer)

    without, with_it = (exchange.body for exchange in peer.journal.exchanges)
    assert "response_format" not in without
    assert with_it["response_format"]["json_schema"]["schema"]["required"] == ["verdict"]


async def test_a_repair_gets_its_thinking_back_only_where_the_profile_says_so(compatible, ask, own, observer, prompt):
    async with compatible(lambda _: SAYS) as (peer, provider):
        for sent_back in (False, True):
            profile = own(thinking={"sent_back": sent_back})
            first = await provider.generate(ask("own-qwen", profile=profile, thinking=Thinking(on=True)), observer)
            turns = (
                Turn("user", prompt),
                Turn("assistant", first.text, first.vendor_state),
                Turn("user", "It failed."),
            )
            await provider.generate(ask("own-qwen", profile=profile, turns=turns), observer)

    answers = [peer.journal.exchanges[position].body["messages"][2] for position in (1, 3)]
    assert answers[0] == {"role": "assistant", "content": SAYS.text}
    assert answers[1] == {"role": "assistant", "content": SAYS.text, "reasoning_content": SAYS.thinking}


async def test_a_server_that_counts_nothing_is_estimated_and_that_is_marked(compatible, ask, observer):
    async with compatible(lambda _: SAYS, counts=False) as (peer, provider):
        generation = await provider.generate(ask("own-qwen", thinking=Thinking(on=True)), observer)

    exchange, usage = peer.journal.exchanges[-1], generation.usage
    assert usage.is_estimated
    assert exchange.input_tokens * 0.5 < usage.input_tokens < exchange.input_tokens * 3
    assert exchange.output_tokens * 0.5 < usage.output_tokens < exchange.output_tokens * 3


async def test_what_openrouter_charged_is_what_it_cost(compatible, ask, observer):
    async with compatible(lambda _: SAYS, habit="openrouter", cost_usd=0.0123) as (_, provider):
        generation = await provider.generate(ask("own-qwen"), observer)

    assert generation.usage.cost_usd == 0.0123


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
async def test_counts_that_are_missing_or_cannot_be_true_are_estimated(compatible, ask, observer, claims):
    async with compatible(lambda _: SAYS, habit="openrouter", cost_usd=0.05, claims=claims) as (peer, provider):
        generation = await provider.generate(ask("own-qwen"), observer)

    usage, exchange = generation.usage, peer.journal.exchanges[-1]
    assert (generation.text, usage.is_estimated, usage.cost_usd) == (SAYS.text, True, 0.05)
    assert exchange.input_tokens * 0.5 < usage.input_tokens < exchange.input_tokens * 3
    assert 0 <= usage.thinking_tokens <= usage.output_tokens < exchange.output_tokens * 3
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (0, 0)


@pytest.mark.parametrize("cost_usd", [-3, 1e300, "free", {"amount": 1}])
async def test_a_charge_that_cannot_be_true_is_not_booked(compatible, ask, observer, cost_usd):
    async with compatible(lambda _: SAYS, habit="openrouter", cost_usd=cost_usd) as (_, provider):
        generation = await provider.generate(ask("own-qwen"), observer)

    assert generation.usage.cost_usd is None


@every_habit
async def test_a_prompt_over_the_window_is_too_long_in_each_servers_words(compatible, ask, own, observer, habit):
    small = [OpenModel("org/own-qwen", context_tokens=8)]

    async with compatible(lambda _: SAYS, small, habit=habit) as (_, provider):
        with pytest.raises(ContextTooLong):
            await provider.generate(ask("own-qwen", profile=own(thinking=None)), observer)


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
async def test_refusals_are_understood_in_each_servers_form(compatible, ask, own, observer, habit, fault, expected):
    async with compatible(lambda _: fault, habit=habit) as (_, provider):
        # The newer name at once, so that the fault is the answer to the first request.
        with pytest.raises(ProviderError) as caught:
            await provider.generate(ask("own-qwen", profile=own(thinking=None)), observer)

    if habit == "openai":  # it refuses the older name first, and the fault comes after
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
async def test_an_error_inside_a_good_stream_is_that_error(
    compatible, ask, own, observer, habit, status, kind, expected
):
    fault = ErrorInside(SAYS, after=2, status=status, kind=kind)

    async with compatible(lambda _: fault, habit=habit) as (_, provider):
        with pytest.raises(ProviderError) as caught:
            await provider.generate(ask("own-qwen", profile=own(thinking=None)), observer)

    assert type(caught.value) is expected


async def test_a_filtered_answer_is_refused(compatible, ask, observer):
    async with compatible(lambda _: Reply("I", stop="refusal")) as (_, provider):
        with pytest.raises(Refused):
            await provider.generate(ask("own-qwen"), observer)


async def test_a_model_that_the_server_does_not_have_is_unknown(compatible, ask, own, observer):
    async with compatible(lambda _: SAYS) as (_, provider):
        with pytest.raises(UnknownModelId, match="org/gone"):
            await provider.generate(ask("own-qwen", profile=own(api_model="org/gone")), observer)


async def served(handler, ask, own, address, observer):
    """What the adapter makes of an answer that no strict server gives."""
    async with serving(Starlette(routes=[Route("/v1/chat/completions", handler, methods=["POST"])])) as url:
        address.url = url
        provider = LOADERS["openai_compatible"](VendorSettings())
        try:
            return await provider.generate(ask("own-qwen", profile=own()), observer)
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
        'data: {"choices": [{"delta": {"content": "x"}}]}\n\n',
        '{"choices": [{"message": {"content": "not a stream"}}]}',
    ],
)
async def test_a_stream_that_makes_no_sense_is_broken(ask, own, address, observer, body):
    async def answer(_) -> Response:
        return PlainTextResponse(body, media_type="text/event-stream")

    with pytest.raises(BrokenStream):
        await served(answer, ask, own, address, observer)


async def test_comments_that_keep_a_connection_alive_are_no_part_of_the_answer(ask, own, address, observer):
    async def answer(_) -> Response:
        text = (
            ": OPENROUTER PROCESSING\n\n"
            'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "x = 1"}}]}\n\n'
            ": OPENROUTER PROCESSING\n\n"
            'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
            "data: [DONE]\n\n"
        )
        return PlainTextResponse(text, media_type="text/event-stream")

    assert (await served(answer, ask, own, address, observer)).text == "x = 1"


async def test_no_account_of_the_environment_is_told_to_a_server(compatible, ask, own, observer, monkeypatch):
    for name, value in {
        "OPENAI_API_KEY": "sk-of-somebody-else",
        "OPENAI_ORG_ID": "org-secret",
        "OPENAI_PROJECT_ID": "proj-secret",
        "OPENAI_CUSTOM_HEADERS": "X-Custom-Token: secret\nAuthorization: Bearer stolen",
    }.items():
        monkeypatch.setenv(name, value)

    async with compatible(lambda _: SAYS, api_key="mine", keys={"MY_KEY": "mine"}) as (peer, provider):
        await provider.generate(ask("own-qwen", profile=own(api_key_env="MY_KEY")), observer)

    assert peer.strange_headers == set()


async def test_a_server_of_ones_own_needs_no_key_and_is_asked_what_it_has(compatible, own):
    async with compatible(lambda _: SAYS) as (peer, provider):
        profiles = [own(), own(id="other", api_model="org/other")]
        known = await provider.availability(profiles)
        await provider.availability(profiles)

    here, other = known["own-qwen"], known["other"]
    assert (here.is_reachable, here.is_local, here.context_tokens) == (True, True, 32_768)
    assert not other.is_reachable
    assert "org/other" in (other.why_not or "")
    assert "org/own-oss, org/own-qwen" in (other.why_not or "")
    assert [exchange.path for exchange in peer.journal.exchanges] == ["/v1/models"]


@every_habit
async def test_each_servers_listing_is_read(compatible, own, habit):
    async with compatible(lambda _: SAYS, habit=habit) as (_, provider):
        known = (await provider.availability([own()]))["own-qwen"]

    assert known.is_reachable
    assert known.context_tokens == (None if habit in ("lm_studio", "openai") else 32_768)


async def test_what_is_listed_is_asked_anew_after_some_seconds(compatible, own, clock):
    async with compatible(lambda _: SAYS) as (peer, provider):
        await provider.availability([own()])
        clock.now_s += 60
        await provider.availability([own()])

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
async def test_a_listing_that_makes_no_sense_makes_the_server_unusable_and_says_why(own, address, body):
    async def models(_) -> Response:
        return PlainTextResponse(body)

    async with serving(Starlette(routes=[Route("/v1/models", models)])) as url:
        address.url = url
        provider = LOADERS["openai_compatible"](VendorSettings())
        known = (await provider.availability([own()]))["own-qwen"]
        await provider.aclose()

    assert not known.is_reachable
    assert "`base_url` in the profile own-qwen" in (known.why_not or "")


async def test_an_address_without_a_list_of_models_says_what_is_usually_missing(compatible, own):
    async with compatible(lambda _: SAYS) as (_, provider):
        url = own().base_url.removesuffix("/v1")
        available = await provider.availability([own(base_url=url)])

    assert available["own-qwen"].why_not == (
        f"{url.removeprefix('http://')} has no list of models at {url}/models (404). "
        "Correct `base_url` in the profile own-qwen: it usually ends in /v1."
    )


async def test_the_names_of_a_listing_are_shown_without_control_characters(compatible, own):
    async with compatible(lambda _: SAYS, [OpenModel("evil\x1b[2Jname\u202e")]) as (_, provider):
        known = (await provider.availability([own()]))["own-qwen"]

    assert (known.why_not or "").isprintable()
    assert "evil" in (known.why_not or "")


async def test_a_named_key_that_is_not_there_is_missed_and_nothing_is_sent(compatible, ask, own, observer):
    async with compatible(lambda _: SAYS, api_key="mine") as (peer, provider):
        profile = own(api_key_env="MY_KEY")
        known = (await provider.availability([profile]))["own-qwen"]
        with pytest.raises(MissingKey, match="MY_KEY"):
            await provider.generate(ask("own-qwen", profile=profile), observer)
        assert await provider.check_access() is None

    assert "MY_KEY" in (known.why_not or "")
    assert peer.journal.exchanges == []


async def test_a_wrong_key_is_named_by_its_variable_only(compatible, ask, own, observer):
    async with compatible(lambda _: SAYS, api_key="mine", keys={"MY_KEY": "sk-not-the-one"}) as (_, provider):
        profile = own(api_key_env="MY_KEY")
        known = (await provider.availability([profile]))["own-qwen"]
        with pytest.raises(AuthenticationFailed) as caught:
            await provider.generate(ask("own-qwen", profile=profile), observer)
        problem = await provider.check_access()

    for said in (str(caught.value), known.why_not or "", problem or ""):
        assert "MY_KEY" in said
        assert "sk-not-the-one" not in said


async def test_a_server_that_wants_a_key_of_a_profile_without_one_says_what_to_write(compatible, own):
    async with compatible(lambda _: SAYS, api_key="mine") as (_, provider):
        known = (await provider.availability([own()]))["own-qwen"]

    assert "`api_key_env` in the profile own-qwen" in (known.why_not or "")


async def test_a_vendor_elsewhere_is_asked_nothing_before_a_choice(own):
    provider = LOADERS["openai_compatible"](VendorSettings(key_of=lambda _: "sk-x"))
    profile = own(base_url="https://router.example/api/v1", api_key_env="ROUTER_KEY")

    known = (await provider.availability([profile]))["own-qwen"]

    assert (known.is_reachable, known.is_local, known.host) == (True, False, "router.example")
    await provider.aclose()


async def test_access_to_a_keyed_server_shows_in_its_models_afterwards(compatible, own):
    async with compatible(lambda _: SAYS, api_key="mine", keys={"MY_KEY": "mine"}) as (_, provider):
        priced = own(api_key_env="MY_KEY", api_model="org/gone", price=PRICE)
        await provider.availability([priced])
        problem = await provider.check_access()
        known = (await provider.availability([priced]))["own-qwen"]

    assert problem is None
    assert "org/gone" in (known.why_not or "")


async def test_one_server_that_answers_is_access_and_the_other_says_its_own(compatible, own):
    async with compatible(lambda _: SAYS) as (_, provider):
        profiles = [own(), own(id="dead", base_url="http://127.0.0.1:9/v1")]
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
async def test_the_address_and_the_price_decide_what_is_local(own, facts, is_local):
    settings = VendorSettings(
        key_of=lambda _: "", local_hosts=frozenset({"gpu-box.lan"}), gate=Gate(frozenset({"gpu-box.lan"}))
    )
    provider = LOADERS["openai_compatible"](settings)

    # With a key that is missing nobody is asked: what is local is decided without the network.
    known = (await provider.availability([own(api_key_env="ABSENT", **facts)]))["own-qwen"]

    assert known.is_local is is_local
    await provider.aclose()


async def test_a_local_only_request_goes_to_the_own_server_and_to_no_other(compatible, ask, own, observer):
    async with compatible(lambda _: SAYS) as (peer, provider):
        answer = await provider.generate(ask("own-qwen", local_only=True), observer)
        gateway, elsewhere = own(price=PRICE), own(base_url="http://192.0.2.7:8000/v1")
        for profile in (gateway, elsewhere):
            with pytest.raises(NotLocal):
                await provider.generate(ask("own-qwen", profile=profile, local_only=True), observer)
        unasked = await provider.availability([elsewhere], local_only=True)

    assert answer.text == SAYS.text
    assert len(peer.journal.exchanges) == 1
    assert "local_hosts" in (unasked["own-qwen"].why_not or "")


@pytest.mark.parametrize("url", ["http://x:99999/v1", "http://a\\b/v1", "http://[oops/v1"])
async def test_an_address_that_none_could_use_names_its_profile(ask, own, observer, url):
    provider = LOADERS["openai_compatible"](VendorSettings())
    profile = own(base_url=url)

    known = (await provider.availability([profile]))["own-qwen"]
    with pytest.raises(Unreachable, match="own-qwen"):
        await provider.generate(ask("own-qwen", profile=profile), observer)

    assert not known.is_reachable
    assert "`base_url` in the profile own-qwen" in (known.why_not or "")
