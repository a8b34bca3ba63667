"""Behaviour specific to Ollama, tested with the real SDK against its strict peer."""

import asyncio
from datetime import date

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import HttpFault, Reply
from chargehand.evaluation.peers.serving import serving
from chargehand.profiles.price import Price
from chargehand.server.providers.egress import Gate
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import (
    AuthenticationFailed,
    ContextTooLong,
    InvalidRequest,
    NotLocal,
    Overloaded,
    Thinking,
    Turn,
    Unavailable,
    UnknownModelId,
    VendorFailed,
)

pytestmark = pytest.mark.anyio

REPLY = Reply("print('hello')", thinking="A greeting will do.", load_seconds=4.0)
QWEN = "qwen3:30b-a3b"


async def test_availability_reports_which_models_are_installed_loaded_and_local(local, catalogue):
    profiles = [catalogue.profiles[name] for name in ("qwen3-30b-a3b", "qwen2.5-coder-32b", "qwen3-14b", "qwen3.5-9b")]

    async with local(lambda _: REPLY) as (peer, provider):
        peer.loaded[QWEN] = 8192
        known = await provider.availability(profiles)

    primary, coder, remote, absent = (known[profile.id] for profile in profiles)
    assert (primary.is_reachable, primary.is_local, primary.is_loaded) == (True, True, True)
    assert (primary.context_tokens, primary.build) == (40_960, "0123456789ab Q4_K_M")
    assert (coder.is_reachable, coder.is_loaded) == (True, False)
    assert (remote.is_reachable, remote.is_local, remote.is_loaded) == (False, False, None)
    assert not absent.is_reachable
    assert "ollama pull qwen3.5:9b" in absent.why_not


async def test_a_model_in_ollamas_cloud_is_asked_once_its_profile_has_a_price(local, catalogue, make_request, observer):
    unpriced = catalogue.profiles["qwen3-14b"]
    price = Price(
        input_usd_per_million_tokens=0.5, output_usd_per_million_tokens=2, source="the plan", seen=date(2026, 11, 30)
    )
    priced = unpriced.model_copy(update={"price": price})

    async with local(lambda _: REPLY) as (peer, provider):
        without = (await provider.availability([unpriced]))[unpriced.id]
        with pytest.raises(Unavailable, match="has no price"):
            await provider.generate(make_request("qwen3-14b"), observer)
        sent_without = peer.journal.to("/api/chat")
        with_price = (await provider.availability([priced]))[priced.id]
        await provider.generate(make_request("qwen3-14b", profile=priced), observer)

    assert sent_without == []
    assert "bills by token, and its profile has no price" in without.why_not
    assert (with_price.is_reachable, with_price.is_local, with_price.is_loaded) == (True, False, None)


async def test_ollamas_cloud_in_place_of_a_server_is_refused_with_the_profile_that_works(catalogue):
    profile = catalogue.profiles["qwen3-30b-a3b"]
    provider = LOADERS["ollama"](VendorSettings(ollama_host="https://ollama.com"))

    known = await provider.availability([profile])

    assert (known[profile.id].is_reachable, known[profile.id].is_local) == (False, False)
    assert "`base_url: https://ollama.com/v1`" in known[profile.id].why_not
    assert known[profile.id].why_not in (await provider.check_access() or "")


async def test_a_name_listed_once_per_runner_is_the_first_one_listed(local, catalogue):
    profile = catalogue.profiles["qwen3-30b-a3b"]

    async with local(lambda _: REPLY) as (peer, provider):
        peer.is_listed_per_runner = True
        known = await provider.availability([profile])

    assert known[profile.id].build == "0123456789ab Q4_K_M"


async def test_an_unreachable_ollama_is_reported_as_unavailable_without_an_error(unreachable_provider, catalogue):
    profile = catalogue.profiles["qwen3-30b-a3b"]

    known = await unreachable_provider("ollama").availability([profile])

    assert not known[profile.id].is_reachable
    assert "ollama serve" in known[profile.id].why_not
    assert known[profile.id].is_local


@pytest.mark.parametrize(
    ("installed", "asked"),
    [
        pytest.param(["qwen3:30b-a3b-q8_0", QWEN], QWEN, id="its own"),
        pytest.param(["qwen3:14b", "qwen3:30b-a3b-mlx", "qwen3:30b-a3b-q8_0"], "qwen3:30b-a3b-mlx", id="the latest"),
        pytest.param(["qwen3:latest"], "qwen3:latest", id="untagged"),
        pytest.param(["qwen3:30b-a3b-base-q8_0", "qwen3:30b-a3b2", "qwen3:30b-a3b-cloud", "other:30b-a3b-mlx"], None),
    ],
)
async def test_another_build_of_a_profiles_model_is_asked_if_its_own_is_not_installed(
    local, catalogue, make_request, observer, installed, asked
):
    profile = catalogue.profiles["qwen3-30b-a3b"]
    models = [OllamaModel(name, parameter_size="30.5B", digest=f"{n:064}") for n, name in enumerate(installed)]

    async with local(lambda _: REPLY, models) as (peer, provider):
        known = (await provider.availability([profile]))[profile.id]
        if asked is not None:
            await provider.generate(make_request(profile.id), observer)

    assert known.is_reachable == (asked is not None)
    assert known.api_model == (asked if asked != QWEN else None)
    assert [exchange.body["model"] for exchange in peer.journal.to("/api/chat")] == ([asked] if asked else [])


@pytest.mark.parametrize("size", ["8.2B", "27.8B", ""])
async def test_an_untagged_model_of_another_size_is_another_model(local, catalogue, size):
    profile = catalogue.profiles["qwen3.6-35b-a3b"]

    async with local(lambda _: REPLY, [OllamaModel("qwen3.6:latest", parameter_size=size)]) as (_, provider):
        known = await provider.availability([profile])

    assert not known[profile.id].is_reachable


async def test_a_build_with_a_profile_of_its_own_is_asked_through_that_alone(local, catalogue):
    profile = catalogue.profiles["qwen3-30b-a3b"]
    own = profile.model_copy(update={"id": "mine", "api_model": "qwen3:30b-a3b-mlx"})

    async with local(lambda _: REPLY, [OllamaModel(own.api_model)]) as (_, provider):
        known = await provider.availability([profile, own])

    assert {model: found.is_reachable for model, found in known.items()} == {profile.id: False, own.id: True}


async def test_installed_models_without_a_profile_are_named_if_no_other_is_installed(local, catalogue):
    profile = catalogue.profiles["qwen3-30b-a3b"]
    others = [OllamaModel(f"other:{number}b") for number in range(1, 5)]
    embedder = OllamaModel("an-embedder:latest", capabilities=("embedding",))

    async with local(lambda _: REPLY, [embedder, *others[:3]]) as (_, provider):
        three = (await provider.availability([profile]))[profile.id]
    async with local(lambda _: REPLY, [embedder, *others]) as (_, provider):
        four = (await provider.availability([profile]))[profile.id]

    assert (three.is_reachable, three.is_set_up) == (False, True)
    assert "which has other:1b, other:2b, other:3b. `chargehand profiles update --from-releases`" in three.why_not
    assert "which has other:1b, other:2b, other:3b and 1 more. " in four.why_not


async def test_an_ollama_on_another_machine_is_not_contacted_by_what_stays_on_this_one(catalogue, clock):
    profile = catalogue.profiles["qwen3-30b-a3b"]
    elsewhere = "http://192.0.2.1:11434"  # TEST-NET-1: a connection to it would time out
    by_call = LOADERS["ollama"](VendorSettings(ollama_host=elsewhere, clock=clock))
    gate = Gate(frozenset(), local_only=True)
    by_setting = LOADERS["ollama"](VendorSettings(ollama_host=elsewhere, clock=clock, gate=gate))

    known = [await by_call.availability([profile], local_only=True), await by_setting.availability([profile])]
    problem = await by_setting.check_access()
    with pytest.raises(NotLocal):
        await by_setting.loaded()

    for availability in (facts[profile.id] for facts in known):
        assert (availability.is_reachable, availability.is_local) == (False, False)
        assert "may not leave the machine, and what 192.0.2.1 is sent does" in availability.why_not
    assert problem is None


async def test_concurrent_availability_checks_share_one_listing_until_it_is_stale(local, catalogue, clock):
    profiles = [catalogue.profiles["qwen3-30b-a3b"]]

    async with local(lambda _: REPLY) as (peer, provider):
        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(provider.availability, profiles)
        concurrent_paths = [exchange.path for exchange in peer.journal.exchanges]
        clock.now_s += 2
        await provider.availability(profiles)
        requests_while_fresh = len(peer.journal.exchanges)
        clock.now_s += 2
        await provider.availability(profiles)

    assert concurrent_paths == ["/api/tags", "/api/ps", "/api/show"]
    assert requests_while_fresh == 3
    assert [exchange.path for exchange in peer.journal.exchanges[3:]] == ["/api/tags", "/api/ps"]


async def test_a_model_name_without_a_tag_means_latest(local, make_request, observer):
    model = OllamaModel("nimble:latest")
    request = make_request("qwen3-30b-a3b")
    untagged = request.profile.model_copy(update={"api_model": "nimble"})

    async with local(lambda _: REPLY, [model]) as (_, provider):
        known = await provider.availability([untagged])

    assert known[untagged.id].is_reachable


@pytest.mark.parametrize("name", ["gpt-oss:120b-cloud", "glm-5:cloud"])
async def test_a_model_with_a_cloud_tag_is_not_local(local, make_request, observer, name):
    cloud = make_request("qwen3-30b-a3b").profile.model_copy(update={"api_model": name})

    async with local(lambda _: REPLY, [OllamaModel(name)]) as (peer, provider):
        with pytest.raises(NotLocal):
            await provider.generate(make_request("qwen3-30b-a3b", profile=cloud, local_only=True), observer)
        requests = len(peer.journal.exchanges)
        known = await provider.availability([cloud])

    assert requests == 0 < len(peer.journal.exchanges)
    assert not known[cloud.id].is_local


async def test_a_local_only_request_is_not_sent_to_a_model_that_is_listed_as_remote(
    local, make_request, observer, prompt
):
    async with local(lambda _: REPLY) as (peer, provider):
        with pytest.raises(NotLocal):
            await provider.generate(make_request("qwen3-14b", local_only=True), observer)

    assert peer.journal.to("/api/chat") == []
    assert prompt not in str([exchange.body for exchange in peer.journal.exchanges])


@pytest.mark.parametrize(
    ("profile_id", "thinking", "sent"),
    [
        ("qwen3-30b-a3b", Thinking(on=True), True),
        ("qwen3-30b-a3b", Thinking(on=False), False),
        ("qwen2.5-coder-32b", Thinking(on=True), None),
        ("qwen2.5-coder-32b", Thinking(on=False), None),
    ],
)
async def test_think_is_sent_only_to_a_model_that_supports_it(
    local, make_request, observer, profile_id, thinking, sent
):
    async with local(lambda _: REPLY) as (peer, provider):
        await provider.generate(make_request(profile_id, thinking=thinking), observer)

    assert peer.journal.to("/api/chat")[0].body.get("think") == sent


async def test_the_load_time_of_a_cold_model_is_reported_separately_and_once(local, make_request, observer):
    async with local(lambda _: REPLY) as (peer, provider):
        cold = await provider.generate(make_request("qwen3-30b-a3b"), observer)
        cold_phases = observer.phases
        observer.progress.clear()
        warm = await provider.generate(make_request("qwen3-30b-a3b"), observer)

    assert (cold.load_seconds, warm.load_seconds) == (4.0, 0.0)
    assert cold_phases[0] == "loading"
    assert observer.phases[0] == "waiting"
    assert len(peer.loads) == 1


async def test_prompts_of_similar_length_share_a_window_size(local, make_request, observer):
    async with local(lambda _: REPLY) as (peer, provider):
        for length in (10, 4_000, 100):
            await provider.generate(make_request("qwen3-30b-a3b", turns=(Turn("user", "x" * length),)), observer)

    assert peer.loads == [(QWEN, 4096)]


async def test_a_longer_prompt_enlarges_the_window_which_is_then_kept(local, make_request, observer):
    async with local(lambda _: REPLY) as (peer, provider):
        for length in (10, 40_000, 10):
            await provider.generate(make_request("qwen3-30b-a3b", turns=(Turn("user", "x" * length),)), observer)

    assert peer.loads == [(QWEN, 4096), (QWEN, 16_384)]


async def test_a_window_loaded_by_another_client_is_kept_if_it_is_large_enough(local, make_request, observer):
    async with local(lambda _: REPLY) as (peer, provider):
        peer.loaded[QWEN] = 10_000
        await provider.generate(make_request("qwen3-30b-a3b"), observer)

    assert peer.loads == []
    assert peer.journal.to("/api/chat")[0].body["options"] == {"num_ctx": 10_000, "num_predict": 2_000}


async def test_a_prompt_beyond_the_models_window_is_refused_before_it_is_sent(local, make_request, observer):
    async with local(lambda _: REPLY) as (peer, provider):
        with pytest.raises(ContextTooLong, match="qwen3-30b-a3b"):
            await provider.generate(make_request("qwen3-30b-a3b", turns=(Turn("user", "x" * 200_000),)), observer)

    assert peer.journal.to("/api/chat") == []


async def test_the_answer_limit_shrinks_to_the_space_left_in_the_window(local, make_request, observer):
    async with local(lambda _: REPLY, [OllamaModel(QWEN, context_tokens=3_000)]) as (peer, provider):
        await provider.generate(make_request("qwen3-30b-a3b", max_output_tokens=8_000), observer)

    options = peer.journal.to("/api/chat")[0].body["options"]
    assert options["num_ctx"] == 3_000
    assert 2_500 < options["num_predict"] < 3_000


async def test_a_prompt_silently_truncated_by_the_server_is_too_long(local, make_request, observer):
    dense = OllamaModel(QWEN, density=8)
    request = make_request("qwen3-30b-a3b", turns=(Turn("user", "x" * 8_000),))

    async with local(lambda _: REPLY, [dense]) as (peer, provider):
        with pytest.raises(ContextTooLong):
            await provider.generate(request, observer)

    exchange = peer.journal.to("/api/chat")[0]
    assert exchange.input_tokens == 4_098
    assert exchange.body["options"]["num_ctx"] == 8_192


async def test_a_prompt_that_an_mlx_model_reads_past_the_window_is_whole(local, make_request, observer):
    mlx = OllamaModel(f"{QWEN}-mlx", density=8, reads_past_num_ctx=True)
    request = make_request("qwen3-30b-a3b", turns=(Turn("user", "x" * 8_000),))

    async with local(lambda _: REPLY, [mlx]) as (peer, provider):
        generation = await provider.generate(request, observer)

    exchange = peer.journal.to("/api/chat")[0]
    assert exchange.input_tokens > exchange.body["options"]["num_ctx"]
    assert generation.usage.input_tokens == exchange.input_tokens


async def test_a_repair_sends_the_previous_turn_back_with_its_thinking(local, make_request, observer, prompt):
    async with local(lambda _: REPLY) as (peer, provider):
        first = await provider.generate(make_request("qwen3-30b-a3b", thinking=Thinking(on=True)), observer)
        turns = (Turn("user", prompt), Turn("assistant", first.text, first.vendor_state), Turn("user", "It failed."))
        await provider.generate(make_request("qwen3-30b-a3b", thinking=Thinking(on=True), turns=turns), observer)

    sent = peer.journal.to("/api/chat")[-1].body["messages"][2]
    assert sent == {"role": "assistant", "content": REPLY.text, "thinking": REPLY.thinking}


async def test_an_answer_schema_is_sent_unchanged(local, make_request, observer):
    schema = {"type": "object", "properties": {"verdict": {"type": "string", "maxLength": 9}}}

    async with local(lambda _: Reply('{"verdict": "pass"}')) as (peer, provider):
        await provider.generate(make_request("qwen3-30b-a3b", answer_schema=schema), observer)

    assert peer.journal.to("/api/chat")[0].body["format"] == schema


async def test_the_error_for_a_model_that_is_not_installed_names_the_command(local, make_request, observer):
    async with local(lambda _: REPLY) as (_, provider):
        with pytest.raises(UnknownModelId, match=r"ollama pull qwen3\.5:9b"):
            await provider.generate(make_request("qwen3.5-9b"), observer)


async def test_a_full_queue_is_overloaded_and_a_bad_request_keeps_its_reason(local, make_request, observer):
    faults = iter([HttpFault(503, message="server busy, please try again."), HttpFault(400, message="bad format")])

    async with local(lambda _: next(faults)) as (_, provider):
        with pytest.raises(Overloaded):
            await provider.generate(make_request("qwen3-30b-a3b"), observer)
        with pytest.raises(InvalidRequest, match="bad format"):
            await provider.generate(make_request("qwen3-30b-a3b"), observer)


async def test_a_cloud_model_that_the_account_may_not_use_is_refused_with_the_reason(local, make_request, observer):
    reason = "this model requires a subscription, upgrade for access: https://ollama.com/upgrade"

    async with local(lambda _: HttpFault(403, message=reason)) as (_, provider):
        with pytest.raises(AuthenticationFailed) as caught:
            await provider.generate(make_request("qwen2.5-coder-32b"), observer)

    assert f"does not let you use qwen2.5-coder:32b (403: {reason})" in str(caught.value)
    assert "ollama signin" not in str(caught.value)


async def test_an_error_that_ollama_passes_on_as_json_is_shown_by_its_message(local, make_request, observer):
    passed_on = '{"error":{"code":500,"message":"Failed to parse the template","type":"server_error"}}'

    async with local(lambda _: HttpFault(500, message=passed_on)) as (_, provider):
        with pytest.raises(VendorFailed, match=r"\(500: Failed to parse the template\)"):
            await provider.generate(make_request("qwen3-30b-a3b"), observer)


async def test_ollamas_message_for_a_prompt_that_is_too_long_is_recognized(local, make_request, observer):
    fault = HttpFault(400, message="the prompt is longer than the context length currently available to the model")

    async with local(lambda _: fault) as (_, provider):
        with pytest.raises(ContextTooLong):
            await provider.generate(make_request("qwen3-30b-a3b"), observer)


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (PlainTextResponse("<html>Bad Gateway</html>", 502), "502: Bad Gateway"),
        (PlainTextResponse("<html>Sign in</html>"), "no list of models"),
    ],
)
async def test_a_server_that_is_not_ollama_is_unreachable_and_told_from_one_that_is_not_running(
    catalogue, response, why
):
    profile = catalogue.profiles["qwen3-30b-a3b"]
    async with serving(Starlette(routes=[Route("/{rest:path}", lambda _: response)])) as url:
        provider = LOADERS["ollama"](VendorSettings(ollama_host=url))
        known = (await provider.availability([profile]))[profile.id]
        await provider.aclose()

    assert not known.is_reachable
    assert known.why_not == f"{url} does not answer like Ollama ({why}). Correct OLLAMA_HOST, or what answers there."


async def test_a_connection_that_a_proxy_closes_while_it_waits_is_not_an_ollama_that_is_not_running(catalogue):
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        provider = LOADERS["ollama"](VendorSettings(ollama_host=url))
        profile = catalogue.profiles["qwen3-30b-a3b"]
        known = (await provider.availability([profile]))[profile.id]
        await provider.aclose()

    assert known.why_not.startswith(f"{url} closed the connection without an answer.")


async def test_local_requests_bypass_the_proxy_of_the_environment(local, make_request, observer, monkeypatch):
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")

    async with local(lambda _: REPLY) as (_, provider):
        generation = await provider.generate(make_request("qwen3-30b-a3b"), observer)

    assert generation.text == REPLY.text
