"""Headers of the user's own, as gateways want them: sent with every request to their server, and shown nowhere."""

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chargehand.evaluation.peers.ollama import OllamaModel, OllamaPeer
from chargehand.evaluation.peers.reply import HttpFault, Reply
from chargehand.evaluation.peers.serving import serving
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import MissingKey, ProviderError, Unreachable, VendorFailed

pytestmark = pytest.mark.anyio

REPLY = Reply("print('hello')")
HEADERS = {"headers": {"X-Provider": "anthropic", "X-Gateway-Auth": "Bearer ${GATEWAY_TOKEN}"}}
TOKEN = "tok-0123456789"


async def test_they_are_sent_with_each_request_and_no_key_is_made_up(compatible, make_profile, make_request, observer):
    async with compatible(lambda _: REPLY, keys={"GATEWAY_TOKEN": TOKEN}) as (peer, provider):
        profile = make_profile(**HEADERS)
        known = (await provider.availability([profile]))["own-qwen"]
        await provider.generate(make_request("own-qwen", profile=profile), observer)

    assert known.is_reachable
    listed, asked = peer.journal.exchanges
    assert (listed.path, asked.path) == ("/v1/models", "/v1/chat/completions")
    for exchange in (listed, asked):
        assert exchange.headers["x-provider"] == "anthropic"
        assert exchange.headers["x-gateway-auth"] == f"Bearer {TOKEN}"
    assert peer.authorizations == {None}


async def test_authorization_in_another_form_than_a_bearer_key_can_be_sent(
    compatible, make_profile, make_request, observer
):
    async with compatible(lambda _: REPLY, keys={"LOGIN": "dXNlcjpwdw=="}) as (peer, provider):
        profile = make_profile(headers={"Authorization": "Basic ${LOGIN}"})
        await provider.availability([profile])
        await provider.generate(make_request("own-qwen", profile=profile), observer)

    assert peer.authorizations == {"Basic dXNlcjpwdw=="}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "",
            "No value for the header X-Gateway-Auth of the profile own-qwen: set GATEWAY_TOKEN in the "
            '"env" block of your host\'s MCP config, or in your shell for a command there.',
        ),
        (
            f"{TOKEN}\u2019",
            "The profile own-qwen: the header X-Gateway-Auth has a value that no header can have; it is one line of"
            ' ASCII, of 1 to 8,000 characters. Correct GATEWAY_TOKEN in the "env" block of your host\'s MCP config,'
            " or in your shell for a command there.",
        ),
    ],
)
async def test_a_model_whose_variable_is_unusable_is_not_asked_and_the_reason_names_it(
    compatible, make_profile, make_request, observer, value, expected
):
    async with compatible(lambda _: REPLY, keys={"GATEWAY_TOKEN": value}) as (peer, provider):
        profile = make_profile(**HEADERS)
        known = (await provider.availability([profile]))["own-qwen"]
        with pytest.raises(MissingKey) as caught:
            await provider.generate(make_request("own-qwen", profile=profile), observer)
        assert await provider.check_access() is None

    assert (known.is_reachable, known.why_not, str(caught.value)) == (False, expected, expected)
    assert peer.journal.exchanges == []


async def test_profiles_with_other_headers_at_one_address_are_other_servers(address, make_profile):
    async def models(request: Request) -> Response:
        if request.headers["x-team"] == "one":
            return JSONResponse({"data": [{"id": "org/own-qwen"}]})
        return JSONResponse({"error": {"message": "no such team"}}, 500)

    async with serving(Starlette(routes=[Route("/v1/models", models)])) as url:
        address.url = url
        provider = LOADERS["openai_compatible"](VendorSettings())
        teams = [make_profile(id=team, headers={"x-team": team}) for team in ("one", "two")]
        known = await provider.availability(teams)
        await provider.aclose()

    assert {name: there.is_reachable for name, there in known.items()} == {"one": True, "two": False}


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_an_error_names_the_variable_of_a_header_and_never_quotes_its_value(
    compatible, make_profile, make_request, observer, status
):
    fault = HttpFault(status, message=f"bad token {TOKEN}")
    async with compatible(lambda _: fault, keys={"GATEWAY_TOKEN": TOKEN}) as (_, provider):
        with pytest.raises(ProviderError) as caught:
            await provider.generate(make_request("own-qwen", profile=make_profile(**HEADERS)), observer)

    assert TOKEN not in str(caught.value)
    assert ("GATEWAY_TOKEN" in str(caught.value)) == (not isinstance(caught.value, VendorFailed))


async def test_a_redirect_does_not_take_them_to_another_server(
    compatible, make_profile, make_request, observer, address
):
    async with compatible(lambda _: REPLY, keys={"GATEWAY_TOKEN": TOKEN}) as (peer, provider):
        elsewhere = address.url

        async def redirect(request: Request) -> Response:
            return RedirectResponse(f"{elsewhere}{request.url.path}", 307)

        routes = [Route("/v1/chat/completions", redirect, methods=["POST"]), Route("/v1/models", redirect)]
        async with serving(Starlette(routes=routes)) as url:
            profile = make_profile(base_url=f"{url}/v1", **HEADERS)
            known = (await provider.availability([profile]))["own-qwen"]
            with pytest.raises(Unreachable, match="redirect"):
                await provider.generate(make_request("own-qwen", profile=profile), observer)

    assert not known.is_reachable
    assert peer.journal.exchanges == []


async def test_headers_in_the_variable_of_a_vendor_are_checked_before_anything_is_sent(
    make_request, observer, monkeypatch
):
    text = f"x-provider: anthropic\nx-gateway-key: {TOKEN}\u2019"
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", text)  # the SDK reads it itself
    provider = LOADERS["anthropic"](VendorSettings(anthropic_api_key="k", anthropic_custom_headers=text))

    with pytest.raises(MissingKey) as caught:
        await provider.generate(make_request("claude-haiku-5-5"), observer)

    assert str(caught.value).startswith("ANTHROPIC_CUSTOM_HEADERS: x-gateway-key has a value that no header can have")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("vendor", "profile_id", "variable"),
    [
        ("anthropic", "claude-haiku-5-5", "ANTHROPIC_API_KEY"),
        ("cerebras", "gpt-oss-120b", "CEREBRAS_API_KEY"),
        ("openai_compatible", "own-qwen", "MY_KEY"),
    ],
)
@pytest.mark.parametrize("key", ["sk-0123456789\u2019", "sk-01234\n56789"])
async def test_a_key_that_no_header_can_have_makes_its_models_unavailable_and_is_not_shown(
    make_request, make_profile, catalogue, observer, vendor, profile_id, variable, key
):
    own = make_profile(api_key_env="MY_KEY")
    profile = own if vendor == "openai_compatible" else catalogue.profiles[profile_id]
    provider = LOADERS[vendor](VendorSettings(anthropic_api_key=key, cerebras_api_key=key, key_of=lambda _: key))

    known = (await provider.availability([profile]))[profile_id]
    with pytest.raises(MissingKey) as caught:
        await provider.generate(make_request(profile_id, profile=profile), observer)

    expected = f"The key in {variable} is not one line of ASCII, so it cannot be sent."
    assert (known.is_reachable, str(caught.value)) == (False, known.why_not)
    assert str(caught.value).startswith(expected)
    assert "01234" not in str(caught.value)


async def test_a_proxy_before_ollama_gets_the_headers_of_its_variable_and_never_the_key_for_ollamas_cloud(
    make_request, catalogue, observer, monkeypatch
):
    monkeypatch.setenv("OLLAMA_API_KEY", "key-for-the-cloud")  # the SDK reads it itself
    profile = catalogue.profiles["qwen3-30b-a3b"]
    peer = OllamaPeer(lambda _: REPLY, [OllamaModel(profile.api_model)])
    sent: list[tuple[str, str | None]] = []

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        authorization = Headers(scope=scope).get("authorization")
        sent.append((scope["path"], authorization))
        app = peer.app if authorization == f"Bearer {TOKEN}" else PlainTextResponse("who are you", 401)
        await app(scope, receive, send)

    async def ask(custom_headers: str) -> str | None:
        provider = LOADERS["ollama"](VendorSettings(ollama_host=url, ollama_custom_headers=custom_headers))
        known = (await provider.availability([profile]))[profile.id]
        if known.is_reachable:
            await provider.generate(make_request(profile.id), observer)
        await provider.aclose()
        return known.why_not

    async with serving(proxy) as url:
        without = await ask("")
        assert await ask(f"Authorization: Bearer {TOKEN}") is None
        wrong = await ask(f"Authorization: Bearer {TOKEN[:-1]}")

    block = (
        'in the "env" block of your host\'s MCP config, or in your shell for a command there; or correct OLLAMA_HOST.'
    )
    assert without == f"{url} wants a key (401). Set OLLAMA_CUSTOM_HEADERS to `Authorization: Bearer KEY` {block}"
    assert wrong == f"{url} wants a key (401). Correct OLLAMA_CUSTOM_HEADERS {block}"
    assert ("/api/chat", f"Bearer {TOKEN}") in sent
    assert {authorization for _, authorization in sent} == {None, f"Bearer {TOKEN}", f"Bearer {TOKEN[:-1]}"}
