"""Behaviour common to all four adapters, tested with the real SDKs against their peers over HTTP."""

import ssl
import threading
from collections.abc import Callable

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from chargehand.evaluation.peers.journal import RequestJournal
from chargehand.evaluation.peers.reply import Ask, Cut, ErrorInside, Fault, Garbled, HttpFault, Reply, Stall, Unfinished
from chargehand.evaluation.peers.serving import serving
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import (
    AuthenticationFailed,
    BrokenStream,
    EmptyAnswer,
    GenerationTimeout,
    InvalidRequest,
    MissingKey,
    NotLocal,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    Thinking,
    Truncated,
    UnknownModelId,
    Unreachable,
    VendorFailed,
)

pytestmark = pytest.mark.anyio

CODE = "def reverse(text):\n    return ' '.join(reversed(text.split()))\n" * 4
GOOD = Reply(CODE, thinking="The words must be turned around. " * 4)

PROFILES = {
    "claude": "claude-haiku-5-5",
    "cerebras": "qwen-3.8-27b",
    "local": "qwen3-30b-a3b",
    "compatible": "own-qwen",
}
PROVIDERS = {"claude": "anthropic", "cerebras": "cerebras", "local": "ollama", "compatible": "openai_compatible"}
every_vendor = pytest.mark.parametrize("vendor", list(PROFILES))
keyed_vendor = pytest.mark.parametrize("vendor", ["claude", "cerebras"])


@pytest.fixture
def open_vendor(request: pytest.FixtureRequest) -> Callable:
    """Opens the peer and the adapter of a vendor, by the name of its fixture."""
    return request.getfixturevalue(request.getfixturevalue("vendor"))


@pytest.fixture
def failure(open_vendor, make_request, vendor, observer) -> Callable:
    """The typed error that an answer of the peer, or a change of the request, causes."""

    async def fail(answer: Reply | Fault, **changes: object) -> ProviderError:
        async with open_vendor(lambda _: answer) as (_, provider):
            with pytest.raises(ProviderError) as caught:
                await provider.generate(make_request(PROFILES[vendor], **changes), observer)
        return caught.value

    return fail


@every_vendor
async def test_the_answer_is_complete_and_separate_from_its_thinking(open_vendor, make_request, vendor, observer):
    async with open_vendor(lambda _: GOOD) as (peer, provider):
        generation = await provider.generate(make_request(PROFILES[vendor], thinking=Thinking(on=True)), observer)

    exchange = peer.journal.exchanges[-1]
    assert generation.text == CODE
    assert generation.usage.input_tokens == exchange.input_tokens > 0
    assert generation.usage.output_tokens == exchange.output_tokens > 0
    assert 0 < generation.usage.thinking_tokens < generation.usage.output_tokens
    assert observer.phases[-2:] == ["thinking", "answering"]
    assert not exchange.client_disconnected


@every_vendor
async def test_halves_of_a_character_are_joined_and_a_lone_half_is_replaced(
    open_vendor, make_request, vendor, observer
):
    halves = Reply("x" + "\ud83d\ude00" * 20 + "\ud83d", thinking="x" + "\ud83d\ude00" * 20)
    async with open_vendor(lambda _: halves) as (_, provider):
        generation = await provider.generate(make_request(PROFILES[vendor], thinking=Thinking(on=True)), observer)

    assert generation.text == "x" + "\U0001f600" * 20 + "\ufffd"


@every_vendor
async def test_no_thinking_is_billed_when_it_is_off(open_vendor, make_request, vendor, observer):
    async with open_vendor(lambda _: GOOD) as (_, provider):
        generation = await provider.generate(make_request(PROFILES[vendor]), observer)

    assert generation.text == CODE
    assert generation.usage.thinking_tokens == 0
    assert "thinking" not in observer.phases


@every_vendor
async def test_progress_reports_the_tokens_billed_so_far(open_vendor, make_request, vendor, observer):
    async with open_vendor(lambda _: GOOD) as (_, provider):
        await provider.generate(make_request(PROFILES[vendor]), observer)

    billed = [progress.usage.output_tokens for progress in observer.progress]
    assert billed == sorted(billed)
    assert billed[0] == 0 < billed[-1]
    assert all(progress.usage.input_tokens > 0 for progress in observer.progress)


@every_vendor
async def test_every_request_is_recorded_with_its_bytes(open_vendor, make_request, vendor, observer, prompt):
    async with open_vendor(lambda _: GOOD) as (peer, provider):
        await provider.generate(make_request(PROFILES[vendor]), observer)

    assert len(observer.requests) == len(peer.journal.exchanges)
    assert {host for host, _ in observer.requests} == {"127.0.0.1"}
    sizes = [int(exchange.headers.get("content-length", "0")) for exchange in peer.journal.exchanges]
    assert [size for _, size in observer.requests] == sizes
    assert sizes[-1] > len(prompt)


@every_vendor
@pytest.mark.parametrize("after", [2, 4])
async def test_an_interrupted_stream_is_broken(failure, vendor, after):
    assert isinstance(await failure(Cut(GOOD, after=after)), BrokenStream)


@every_vendor
async def test_a_stream_without_its_final_event_is_broken(failure, vendor):
    assert isinstance(await failure(Unfinished(GOOD, after=4)), BrokenStream)


@every_vendor
async def test_a_stream_with_garbage_is_broken(failure, vendor):
    assert isinstance(await failure(Garbled(GOOD, after=4)), BrokenStream)


@every_vendor
async def test_an_error_within_a_stream_is_a_broken_stream(failure, vendor):
    assert isinstance(await failure(ErrorInside(GOOD, after=4)), BrokenStream)


@keyed_vendor
async def test_an_overload_within_a_stream_is_overloaded(failure, vendor):
    error = await failure(ErrorInside(GOOD, after=4, status=503, kind="overloaded_error"))

    assert isinstance(error, Overloaded)


@every_vendor
async def test_a_long_answer_is_truncated_and_billed(failure, vendor):
    error = await failure(GOOD, max_output_tokens=20)

    assert isinstance(error, Truncated)
    assert CODE.startswith(error.generation.text)
    assert error.generation.usage.output_tokens == 20
    assert "20" in str(error)


@every_vendor
async def test_an_answer_of_thinking_only_is_empty_and_billed(failure, vendor):
    error = await failure(GOOD, thinking=Thinking(on=True), max_output_tokens=10)

    assert isinstance(error, EmptyAnswer)
    assert error.generation.usage.thinking_tokens == error.generation.usage.output_tokens == 10
    assert "thinking" in str(error)


@every_vendor
async def test_an_empty_answer_is_an_error_and_billed(failure, vendor):
    error = await failure(Reply(""))

    assert isinstance(error, EmptyAnswer)
    assert error.generation.usage.input_tokens > 0
    assert error.generation.usage.cost_usd is None  # not charged nothing, as some refusals are


@every_vendor
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (HttpFault(400), InvalidRequest),
        (HttpFault(401), AuthenticationFailed),
        (HttpFault(402), OutOfCredit),
        (HttpFault(403), AuthenticationFailed),
        (HttpFault(404, message="There is no such model."), UnknownModelId),
        (HttpFault(404, body={"detail": "Not Found"}), Unreachable),
        (HttpFault(408), Overloaded),
        (HttpFault(418), InvalidRequest),
        (HttpFault(422), InvalidRequest),
        (HttpFault(429), RateLimited),
        (HttpFault(500), VendorFailed),
        (HttpFault(503), Overloaded),
        (HttpFault(504), Overloaded),
        (HttpFault(529), Overloaded),
        # As LiteLLM and Gemini translate them.
        (HttpFault(400, message="Invalid model name passed in model=x."), UnknownModelId),
        (HttpFault(400, message="API key not valid."), AuthenticationFailed),
        (HttpFault(422, message="Budget has been exceeded! Current cost: 2, Max budget: 1"), OutOfCredit),
        (HttpFault(500, message='InternalServerError: {"type": "overloaded_error"}'), Overloaded),
        (HttpFault(307, headers={"location": "http://127.0.0.1:9/elsewhere"}), Unreachable),
    ],
    ids=lambda value: str(value.status) if isinstance(value, HttpFault) else value.__name__,
)
async def test_each_http_status_raises_its_own_error(failure, vendor, fault, expected):
    error = await failure(fault)

    assert type(error) is expected
    assert error.__cause__ is not None


@every_vendor
async def test_a_rate_limit_error_has_the_retry_after(failure, vendor):
    limited = await failure(HttpFault(429, headers={"retry-after": "7"}))
    without_header = await failure(HttpFault(429))

    assert isinstance(limited, RateLimited)
    assert isinstance(without_header, RateLimited)
    # Ollama's SDK drops the headers of an error response.
    assert (limited.retry_after_s, without_header.retry_after_s) == (None if vendor == "local" else 7.0, None)


@every_vendor
async def test_the_sdk_does_not_retry_on_its_own(open_vendor, make_request, vendor, observer):
    requests: list[Ask] = []

    def refuse(request: Ask) -> HttpFault:
        requests.append(request)
        return HttpFault(503)

    async with open_vendor(refuse) as (_, provider):
        with pytest.raises(Overloaded):
            await provider.generate(make_request(PROFILES[vendor]), observer)

    assert len(requests) == 1


@every_vendor
async def test_no_error_contains_the_key_or_the_prompt(open_vendor, make_request, vendor, observer, key, prompt):
    statuses = (400, 401, 402, 403, 404, 413, 429, 500, 529)
    leaks = [f"cannot do: {prompt}", f"bad key {key}", f"x\n{key}\x00 \U000e0041"]
    faults = iter([HttpFault(status, message=leak) for status in statuses for leak in leaks])

    async with open_vendor(lambda _: next(faults)) as (_, provider):
        errors = []
        for _ in range(len(statuses) * len(leaks)):
            with pytest.raises(ProviderError) as caught:
                await provider.generate(make_request(PROFILES[vendor]), observer)
            errors.append(f"{caught.value} {caught.value!r}")

    # An adapter without a key cannot leak one.
    secrets = [prompt, key] if vendor in ("claude", "cerebras") else [prompt]
    assert not [text for text in errors if any(secret in text for secret in secrets)]
    assert all(text.isprintable() for text in errors)
    assert key not in repr(provider)


@every_vendor
async def test_a_closed_port_is_unreachable_with_a_remedy(unreachable_provider, make_request, vendor, observer):
    provider = unreachable_provider(PROVIDERS[vendor])

    with pytest.raises(Unreachable) as caught:
        await provider.generate(make_request(PROFILES[vendor]), observer)

    remedies = {"claude": "ANTHROPIC_BASE_URL", "cerebras": "CEREBRAS_BASE_URL", "local": "ollama serve"}
    assert remedies.get(vendor, "`base_url` in the profile own-qwen") in str(caught.value)
    await provider.aclose()


@every_vendor
async def test_cancelling_closes_the_connection(open_vendor, make_request, vendor, observer):
    answering = anyio.Event()
    observer.on_progress = lambda progress: answering.set() if progress.phase == "answering" else None

    async with open_vendor(lambda _: Stall(GOOD, anyio.Event(), after=6)) as (peer, provider):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.generate, make_request(PROFILES[vendor]), observer)
            with anyio.fail_after(60):
                await answering.wait()
            tasks.cancel_scope.cancel()
        exchange = peer.journal.exchanges[-1]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert exchange.client_disconnected


@every_vendor
async def test_cancelling_does_not_wait_for_the_sdk_to_be_imported(
    open_vendor, make_request, vendor, observer, monkeypatch: pytest.MonkeyPatch
):
    importing, may_end, imported = threading.Event(), threading.Event(), threading.Event()

    def connect(*_: object) -> None:
        importing.set()
        may_end.wait(20)
        imported.set()

    monkeypatch.setattr(f"chargehand.server.providers.{PROVIDERS[vendor]}._connect", connect)
    async with open_vendor(lambda _: GOOD) as (_, provider):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.generate, make_request(PROFILES[vendor]), observer)
            assert await anyio.to_thread.run_sync(importing.wait, 60)
            tasks.cancel_scope.cancel()
        was_waited_for = imported.is_set()
        may_end.set()

    assert not was_waited_for


@every_vendor
async def test_our_timeout_ends_a_stalled_answer_and_closes_the_connection(open_vendor, make_request, vendor, observer):
    async with open_vendor(lambda _: Stall(GOOD, anyio.Event(), after=6)) as (peer, provider):
        with pytest.raises(GenerationTimeout, match=r"1\.5 s"):
            await provider.generate(make_request(PROFILES[vendor], timeout_s=1.5), observer)
        exchange = peer.journal.exchanges[-1]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert exchange.client_disconnected


@every_vendor
async def test_a_local_address_without_tls_is_reached_without_loading_certificates(
    open_vendor, make_request, vendor, observer, monkeypatch: pytest.MonkeyPatch
):
    async def generate() -> str:
        async with open_vendor(lambda _: GOOD) as (_, provider):
            return (await provider.generate(make_request(PROFILES[vendor]), observer)).text

    await generate()  # imports the SDK, which may load some
    monkeypatch.setattr(ssl, "create_default_context", None)

    assert await generate()


@every_vendor
async def test_one_adapter_serves_concurrent_requests_without_mixing_them_up(
    open_vendor, make_request, vendor, catalogue
):
    texts: dict[int, str] = {}
    bytes_sent_by: dict[int, int] = {}

    class Counter:
        def __init__(self, number: int) -> None:
            self.number = number

        def progressed(self, progress) -> None: ...

        def sent(self, host: str, bytes_sent: int) -> None:
            bytes_sent_by[self.number] = bytes_sent_by.get(self.number, 0) + bytes_sent

    async with open_vendor(lambda question: Reply(question.messages[0][1])) as (_, provider):

        async def generate(number: int) -> None:
            request = make_request(PROFILES[vendor], system=f"number {number}" + "x" * 100 * number)
            texts[number] = (await provider.generate(request, Counter(number))).text

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(generate, number)

    assert texts == {number: f"number {number}" + "x" * 100 * number for number in range(8)}
    assert sorted(bytes_sent_by) == list(range(8))
    assert bytes_sent_by[7] > bytes_sent_by[1]


@keyed_vendor
async def test_the_error_for_a_missing_key_says_where_to_set_it(open_vendor, make_request, vendor, observer):
    async with open_vendor(lambda _: GOOD, key="  ") as (peer, provider):
        profile = make_request(PROFILES[vendor]).profile
        known = await provider.availability([profile])
        with pytest.raises(MissingKey) as caught:
            await provider.generate(make_request(PROFILES[vendor]), observer)

    variable = {"claude": "ANTHROPIC_API_KEY", "cerebras": "CEREBRAS_API_KEY"}[vendor]
    assert str(caught.value) == known[profile.id].why_not
    assert variable in str(caught.value)
    assert '"env" block' in str(caught.value)
    assert not known[profile.id].is_reachable
    assert peer.journal.exchanges == []


@keyed_vendor
async def test_a_wrong_key_is_named_by_its_variable_only(open_vendor, make_request, vendor, observer):
    async with open_vendor(lambda _: GOOD, key="sk-not-the-one") as (_, provider):
        with pytest.raises(AuthenticationFailed) as caught:
            await provider.generate(make_request(PROFILES[vendor]), observer)

    assert "_API_KEY" in str(caught.value)
    assert " at http://127.0.0.1:" in str(caught.value)  # not the vendor's own address
    assert "sk-not-the-one" not in f"{caught.value} {caught.value!r} {provider!r}"


@keyed_vendor
async def test_availability_sends_no_request(open_vendor, make_request, vendor):
    async with open_vendor(lambda _: GOOD) as (peer, provider):
        profile = make_request(PROFILES[vendor]).profile
        known = await provider.availability([profile])

    assert known[profile.id].is_reachable
    assert not known[profile.id].is_local  # a gateway on loopback: a model with a price is remote
    assert peer.journal.exchanges == []


@pytest.mark.parametrize(
    ("name", "profile_id"),
    [("anthropic", "claude-haiku-5-5"), ("cerebras", "qwen-3.8-27b"), ("ollama", "qwen3-30b-a3b")],
)
async def test_a_local_only_request_is_not_sent_to_a_remote_vendor(name, profile_id, make_request, observer, key):

    settings = VendorSettings(
        ollama_host="ollama.example:11434",
        anthropic_api_key=key,
        cerebras_api_key=key,
        local_hosts=frozenset({"other"}),
    )
    provider = LOADERS[name](settings)

    with pytest.raises(NotLocal) as caught:
        await provider.generate(make_request(profile_id, local_only=True), observer)

    assert observer.requests == []
    assert "local_hosts" in str(caught.value)
    await provider.aclose()


@keyed_vendor
async def test_a_local_only_request_is_not_sent_through_a_local_gateway(open_vendor, make_request, vendor, observer):
    async with open_vendor(lambda _: GOOD) as (peer, provider):
        with pytest.raises(NotLocal):
            await provider.generate(make_request(PROFILES[vendor], local_only=True), observer)

    assert peer.journal.exchanges == []


@every_vendor
async def test_a_local_only_request_is_sent_to_a_host_that_the_user_lists_as_local(
    open_vendor, make_request, vendor, observer
):
    async with open_vendor(lambda _: GOOD, local_hosts=frozenset({"127.0.0.1"})) as (_, provider):
        generation = await provider.generate(make_request(PROFILES[vendor], local_only=True), observer)

    assert generation.text == CODE


@keyed_vendor
async def test_access_is_checked_with_the_key_and_without_a_model(open_vendor, vendor):
    async with open_vendor(lambda _: GOOD) as (peer, provider):
        problem = await provider.check_access()
    async with open_vendor(lambda _: GOOD, key="sk-not-the-one") as (_, provider):
        wrong_key = await provider.check_access()
    async with open_vendor(lambda _: GOOD, key="") as (unasked_peer, provider):
        no_key = await provider.check_access()

    assert (problem, no_key) == (None, None)
    assert "_API_KEY" in wrong_key
    assert "sk-not-the-one" not in wrong_key
    assert [exchange.path for exchange in peer.journal.exchanges] == ["/v1/models"]
    assert unasked_peer.journal.exchanges == []


async def test_access_to_a_reachable_ollama_has_no_problem(local):
    async with local(lambda _: GOOD) as (_, provider):
        assert await provider.check_access() is None


@every_vendor
async def test_the_access_problem_of_a_closed_port_names_the_address(unreachable_provider, make_request, vendor):
    provider = unreachable_provider(PROVIDERS[vendor])
    await provider.availability([make_request(PROFILES[vendor]).profile])

    problem = await provider.check_access()

    assert "127.0.0.1:9" in problem
    await provider.aclose()


async def _page(_: Request) -> Response:
    return HTMLResponse("<html><body>Sign in to continue</body></html>")


@keyed_vendor
async def test_a_web_page_instead_of_an_answer_is_reported_with_the_address(make_request, observer, vendor, key):
    async with serving(Starlette(routes=[Route("/{rest:path}", _page, methods=["POST"])])) as url:
        # The SDKs add the version themselves, so that of the address is dropped.
        settings = VendorSettings(
            anthropic_api_key=key,
            anthropic_base_url=f"{url}/v1",
            cerebras_api_key=key,
            cerebras_base_url=f"{url}/v1",
        )
        provider = LOADERS["anthropic" if vendor == "claude" else vendor](settings)
        with pytest.raises(Unreachable) as refused:
            await provider.generate(make_request(PROFILES[vendor]), observer)
        await provider.aclose()

    assert str(refused.value).startswith(f"{url} answered with a web page")


@keyed_vendor
async def test_the_access_problem_of_a_foreign_server_names_the_base_url_variable(vendor, key):
    async with serving(Starlette()) as url:
        settings = VendorSettings(
            anthropic_api_key=key, anthropic_base_url=url, cerebras_api_key=key, cerebras_base_url=url
        )
        provider = LOADERS["anthropic" if vendor == "claude" else vendor](settings)
        problem = await provider.check_access()
        await provider.aclose()

    assert "_BASE_URL" in problem


async def _busy(_: Request) -> Response:
    return Response('{"error": {"type": "rate_limit_error", "message": "slow down"}}', 429)


async def _silent(_: Request) -> Response:
    await anyio.sleep_forever()
    return Response()


@keyed_vendor
@pytest.mark.parametrize(("endpoint", "expected"), [(_busy, None), (_silent, "does not answer at http://127.0.0.1:")])
async def test_a_busy_vendor_grants_access_and_a_silent_one_is_named_with_its_address(
    monkeypatch: pytest.MonkeyPatch, vendor, key, endpoint, expected: str | None
):
    # Patched, because waiting for the real timeout takes seconds.
    monkeypatch.setattr("chargehand.server.providers.account.ACCESS_TIMEOUT_S", 60 if expected is None else 0.05)
    async with serving(Starlette(routes=[Route("/{rest:path}", endpoint)])) as url:
        settings = VendorSettings(
            anthropic_api_key=key, anthropic_base_url=url, cerebras_api_key=key, cerebras_base_url=url
        )
        provider = LOADERS["anthropic" if vendor == "claude" else vendor](settings)
        problem = await provider.check_access()
        await provider.aclose()

    assert problem is None if expected is None else expected in problem


@pytest.mark.parametrize("vendor", ["local", "compatible"])
async def test_a_silent_server_of_ones_own_is_unreachable(
    monkeypatch: pytest.MonkeyPatch, make_request, address, vendor
):
    # Patched, because waiting for the real timeout takes seconds.
    monkeypatch.setattr("chargehand.server.providers.deadline.LIST_TIMEOUT_S", 0.05)
    async with serving(Starlette(routes=[Route("/{rest:path}", _silent)])) as address.url:
        profile = make_request(PROFILES[vendor]).profile
        provider = LOADERS[PROVIDERS[vendor]](VendorSettings(ollama_host=address.url))
        known = (await provider.availability([profile]))[profile.id]
        await provider.aclose()

    assert not known.is_reachable
    assert f"does not answer at {address.url}" in (known.why_not or "")


@every_vendor
async def test_a_redirect_is_not_followed(open_vendor, make_request, vendor, observer):
    journal = RequestJournal()

    async def trap(request: Request) -> Response:
        await journal.record(request)
        return Response(status_code=200)

    async with serving(Starlette(routes=[Route("/{rest:path}", trap, methods=["GET", "POST"])])) as redirect_target:
        fault = HttpFault(307, headers={"location": f"{redirect_target}/v1/messages"})
        async with open_vendor(lambda _: fault) as (_, provider):
            with pytest.raises(Unreachable, match="redirect"):
                await provider.generate(make_request(PROFILES[vendor]), observer)

    assert journal.exchanges == []
