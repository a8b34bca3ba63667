"""What holds for all four adapters, against their peers over real HTTP with the real SDKs."""

from collections.abc import Callable

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chargehand.evaluation.peers.journal import RequestJournal
from chargehand.evaluation.peers.reply import Ask, Cut, ErrorInside, Fault, Garbled, HttpFault, Reply, Stall, Unfinished
from chargehand.evaluation.peers.serving import serving
from chargehand.server.providers.registry import LOADERS, VendorSettings
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
def served(request: pytest.FixtureRequest) -> Callable:
    """The peer and adapter of a vendor, by the name of its fixture."""
    return request.getfixturevalue(request.getfixturevalue("vendor"))


@pytest.fixture
def failure(served, ask, vendor, observer) -> Callable:
    """The typed error that an answer of the peer, or a change of the request, leads to."""

    async def fail(answer: Reply | Fault, **changes: object) -> ProviderError:
        async with served(lambda _: answer) as (_, provider):
            with pytest.raises(ProviderError) as caught:
                await provider.generate(ask(PROFILES[vendor], **changes), observer)
        return caught.value

    return fail


@every_vendor
async def test_the_answer_comes_whole_with_thinking_apart_from_it(served, ask, vendor, observer):
    async with served(lambda _: GOOD) as (peer, provider):
        generation = await provider.generate(ask(PROFILES[vendor], thinking=Thinking(on=True)), observer)

    exchange = peer.journal.exchanges[-1]
    assert generation.text == CODE
    assert generation.usage.input_tokens == exchange.input_tokens > 0
    assert generation.usage.output_tokens == exchange.output_tokens > 0
    assert 0 < generation.usage.thinking_tokens < generation.usage.output_tokens
    assert observer.phases[-2:] == ["thinking", "answering"]
    assert not exchange.client_disconnected


@every_vendor
async def test_thinking_that_is_off_is_not_billed(served, ask, vendor, observer):
    async with served(lambda _: GOOD) as (_, provider):
        generation = await provider.generate(ask(PROFILES[vendor]), observer)

    assert generation.text == CODE
    assert generation.usage.thinking_tokens == 0
    assert "thinking" not in observer.phases


@every_vendor
async def test_progress_says_what_will_be_billed_so_far(served, ask, vendor, observer):
    async with served(lambda _: GOOD) as (_, provider):
        await provider.generate(ask(PROFILES[vendor]), observer)

    billed = [progress.usage.output_tokens for progress in observer.progress]
    assert billed == sorted(billed)
    assert billed[0] == 0 < billed[-1]
    assert all(progress.usage.input_tokens > 0 for progress in observer.progress)


@every_vendor
async def test_every_request_that_leaves_is_counted_with_its_bytes(served, ask, vendor, observer, prompt):
    async with served(lambda _: GOOD) as (peer, provider):
        await provider.generate(ask(PROFILES[vendor]), observer)

    assert len(observer.requests) == len(peer.journal.exchanges)
    assert {host for host, _ in observer.requests} == {"127.0.0.1"}
    sizes = [int(exchange.headers.get("content-length", "0")) for exchange in peer.journal.exchanges]
    assert [size for _, size in observer.requests] == sizes
    assert sizes[-1] > len(prompt)


@every_vendor
@pytest.mark.parametrize("after", [2, 4])
async def test_a_stream_that_is_cut_is_broken_not_an_answer(failure, vendor, after):
    assert isinstance(await failure(Cut(GOOD, after=after)), BrokenStream)


@every_vendor
async def test_a_stream_that_ends_without_its_last_word_is_broken(failure, vendor):
    assert isinstance(await failure(Unfinished(GOOD, after=4)), BrokenStream)


@every_vendor
async def test_a_stream_with_garbage_in_it_is_broken(failure, vendor):
    assert isinstance(await failure(Garbled(GOOD, after=4)), BrokenStream)


@every_vendor
async def test_an_error_inside_a_good_stream_is_an_error(failure, vendor):
    assert isinstance(await failure(ErrorInside(GOOD, after=4)), BrokenStream)


@keyed_vendor
async def test_an_overload_inside_a_good_stream_is_an_overload(failure, vendor):
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
async def test_an_answer_that_was_all_thinking_is_empty_and_billed(failure, vendor):
    error = await failure(GOOD, thinking=Thinking(on=True), max_output_tokens=10)

    assert isinstance(error, EmptyAnswer)
    assert error.generation.usage.thinking_tokens == error.generation.usage.output_tokens == 10
    assert "thinking" in str(error)


@every_vendor
async def test_an_empty_answer_is_an_error(failure, vendor):
    assert isinstance(await failure(Reply("")), EmptyAnswer)


@every_vendor
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (HttpFault(400), InvalidRequest),
        (HttpFault(401), AuthenticationFailed),
        (HttpFault(402), OutOfCredit),
        (HttpFault(403), AuthenticationFailed),
        (HttpFault(404), UnknownModelId),
        (HttpFault(408), Overloaded),
        (HttpFault(418), InvalidRequest),
        (HttpFault(422), InvalidRequest),
        (HttpFault(429), RateLimited),
        (HttpFault(500), VendorFailed),
        (HttpFault(503), Overloaded),
        (HttpFault(504), Overloaded),
        (HttpFault(529), Overloaded),
        (HttpFault(307, headers={"location": "http://127.0.0.1:9/elsewhere"}), Unreachable),
    ],
    ids=lambda value: str(value.status) if isinstance(value, HttpFault) else value.__name__,
)
async def test_each_refusal_has_its_own_error(failure, vendor, fault, expected):
    error = await failure(fault)

    assert type(error) is expected
    assert error.__cause__ is not None


@every_vendor
async def test_a_rate_limit_names_the_wait(failure, vendor):
    limited = await failure(HttpFault(429, headers={"retry-after": "7"}))
    silent = await failure(HttpFault(429))

    assert isinstance(limited, RateLimited)
    assert isinstance(silent, RateLimited)
    # Ollama's SDK drops the headers of a refusal.
    assert (limited.retry_after_s, silent.retry_after_s) == (None if vendor == "local" else 7.0, None)


@every_vendor
async def test_the_sdk_does_not_retry_on_its_own(served, ask, vendor, observer):
    asked: list[Ask] = []

    def refuse(request: Ask) -> HttpFault:
        asked.append(request)
        return HttpFault(503)

    async with served(refuse) as (_, provider):
        with pytest.raises(Overloaded):
            await provider.generate(ask(PROFILES[vendor]), observer)

    assert len(asked) == 1


@every_vendor
async def test_no_error_holds_the_key_or_the_prompt(served, ask, vendor, observer, key, prompt):
    statuses = (400, 401, 402, 403, 404, 413, 429, 500, 529)
    leaks = [f"cannot do: {prompt}", f"bad key {key}", f"x\n{key}\x00 \U000e0041"]
    faults = iter([HttpFault(status, message=leak) for status in statuses for leak in leaks])

    async with served(lambda _: next(faults)) as (_, provider):
        said = []
        for _ in range(len(statuses) * len(leaks)):
            with pytest.raises(ProviderError) as caught:
                await provider.generate(ask(PROFILES[vendor]), observer)
            said.append(f"{caught.value} {caught.value!r}")

    # Without a key in the adapter, none can be there to leak.
    hidden = [prompt, key] if vendor in ("claude", "cerebras") else [prompt]
    assert not [text for text in said if any(secret in text for secret in hidden)]
    assert all(text.isprintable() for text in said)
    assert key not in repr(provider)


@every_vendor
async def test_nobody_listening_is_unreachable(unserved, ask, vendor, observer):
    provider = unserved(PROVIDERS[vendor])

    with pytest.raises(Unreachable) as caught:
        await provider.generate(ask(PROFILES[vendor]), observer)

    remedies = {"claude": "ANTHROPIC_BASE_URL", "cerebras": "CEREBRAS_BASE_URL", "local": "ollama serve"}
    assert remedies.get(vendor, "`base_url` in the profile own-qwen") in str(caught.value)
    await provider.aclose()


@every_vendor
async def test_cancelling_closes_the_connection(served, ask, vendor, observer):
    answering = anyio.Event()
    observer.on_progress = lambda progress: answering.set() if progress.phase == "answering" else None

    async with served(lambda _: Stall(GOOD, anyio.Event(), after=6)) as (peer, provider):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(provider.generate, ask(PROFILES[vendor]), observer)
            with anyio.fail_after(30):
                await answering.wait()
            tasks.cancel_scope.cancel()
        exchange = peer.journal.exchanges[-1]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert exchange.client_disconnected


@every_vendor
async def test_our_own_clock_ends_a_silent_answer_and_closes_the_connection(served, ask, vendor, observer):
    async with served(lambda _: Stall(GOOD, anyio.Event(), after=6)) as (peer, provider):
        with pytest.raises(GenerationTimeout, match=r"1\.5 s"):
            await provider.generate(ask(PROFILES[vendor], timeout_s=1.5), observer)
        exchange = peer.journal.exchanges[-1]
        with anyio.fail_after(60):
            await exchange.over.wait()

    assert exchange.client_disconnected


@every_vendor
async def test_one_adapter_serves_many_at_once_and_tells_them_apart(served, ask, vendor, catalogue):
    from_each: dict[int, str] = {}
    bytes_of: dict[int, int] = {}

    class Counter:
        def __init__(self, number: int) -> None:
            self.number = number

        def progressed(self, progress) -> None: ...

        def sent(self, host: str, bytes_sent: int) -> None:
            bytes_of[self.number] = bytes_of.get(self.number, 0) + bytes_sent

    async with served(lambda asked: Reply(asked.messages[0][1])) as (_, provider):

        async def one(number: int) -> None:
            request = ask(PROFILES[vendor], system=f"number {number}" + "x" * 100 * number)
            from_each[number] = (await provider.generate(request, Counter(number))).text

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(one, number)

    assert from_each == {number: f"number {number}" + "x" * 100 * number for number in range(8)}
    assert sorted(bytes_of) == list(range(8))
    assert bytes_of[7] > bytes_of[1]


@keyed_vendor
async def test_a_missing_key_says_where_hosts_keep_keys(served, ask, vendor, observer):
    async with served(lambda _: GOOD, key="  ") as (peer, provider):
        profile = ask(PROFILES[vendor]).profile
        known = await provider.availability([profile])
        with pytest.raises(MissingKey) as caught:
            await provider.generate(ask(PROFILES[vendor]), observer)

    variable = {"claude": "ANTHROPIC_API_KEY", "cerebras": "CEREBRAS_API_KEY"}[vendor]
    assert str(caught.value) == known[profile.id].why_not
    assert variable in str(caught.value)
    assert '"env" block' in str(caught.value)
    assert not known[profile.id].is_reachable
    assert peer.journal.exchanges == []


@keyed_vendor
async def test_a_wrong_key_is_named_by_its_variable_only(served, ask, vendor, observer):
    async with served(lambda _: GOOD, key="sk-not-the-one") as (_, provider):
        with pytest.raises(AuthenticationFailed) as caught:
            await provider.generate(ask(PROFILES[vendor]), observer)

    assert "_API_KEY" in str(caught.value)
    assert "sk-not-the-one" not in f"{caught.value} {caught.value!r} {provider!r}"


@keyed_vendor
async def test_availability_sends_nothing(served, ask, vendor):
    async with served(lambda _: GOOD) as (peer, provider):
        profile = ask(PROFILES[vendor]).profile
        known = await provider.availability([profile])

    assert known[profile.id].is_reachable
    assert not known[profile.id].is_local  # a gateway on loopback: a model with a price runs elsewhere
    assert peer.journal.exchanges == []


@pytest.mark.parametrize(
    ("name", "profile_id"),
    [("anthropic", "claude-haiku-5-5"), ("cerebras", "qwen-3.8-27b"), ("ollama", "qwen3-30b-a3b")],
)
async def test_a_local_only_request_does_not_leave_for_a_vendor_elsewhere(name, profile_id, ask, observer, key):

    settings = VendorSettings(
        ollama_host="ollama.example:11434",
        anthropic_api_key=key,
        cerebras_api_key=key,
        local_hosts=frozenset({"other"}),
    )
    provider = LOADERS[name](settings)

    with pytest.raises(NotLocal) as caught:
        await provider.generate(ask(profile_id, local_only=True), observer)

    assert observer.requests == []
    assert "local_hosts" in str(caught.value)
    await provider.aclose()


@keyed_vendor
async def test_a_local_only_request_does_not_go_through_a_gateway_on_this_machine(served, ask, vendor, observer):
    async with served(lambda _: GOOD) as (peer, provider):
        with pytest.raises(NotLocal):
            await provider.generate(ask(PROFILES[vendor], local_only=True), observer)

    assert peer.journal.exchanges == []


@every_vendor
async def test_a_local_only_request_goes_to_a_host_that_the_user_calls_local(served, ask, vendor, observer):
    async with served(lambda _: GOOD, local_hosts=frozenset({"127.0.0.1"})) as (_, provider):
        generation = await provider.generate(ask(PROFILES[vendor], local_only=True), observer)

    assert generation.text == CODE


@keyed_vendor
async def test_access_is_checked_with_the_key_and_without_a_model(served, vendor):
    async with served(lambda _: GOOD) as (peer, provider):
        problem = await provider.check_access()
    async with served(lambda _: GOOD, key="sk-not-the-one") as (_, provider):
        wrong_key = await provider.check_access()
    async with served(lambda _: GOOD, key="") as (unasked, provider):
        no_key = await provider.check_access()

    assert (problem, no_key) == (None, None)
    assert "_API_KEY" in wrong_key
    assert "sk-not-the-one" not in wrong_key
    assert [exchange.path for exchange in peer.journal.exchanges] == ["/v1/models"]
    assert unasked.journal.exchanges == []


async def test_ollama_lets_everybody_in_who_reaches_it(local):
    async with local(lambda _: GOOD) as (_, provider):
        assert await provider.check_access() is None


@every_vendor
async def test_access_to_nobody_names_the_remedy(unserved, ask, vendor):
    provider = unserved(PROVIDERS[vendor])
    await provider.availability([ask(PROFILES[vendor]).profile])

    problem = await provider.check_access()

    assert "127.0.0.1:9" in problem
    await provider.aclose()


@keyed_vendor
async def test_an_address_that_is_not_the_vendors_is_said_to_be_that(vendor, key):
    async with serving(Starlette()) as url:
        settings = VendorSettings(
            anthropic_api_key=key, anthropic_base_url=url, cerebras_api_key=key, cerebras_base_url=url
        )
        provider = LOADERS["anthropic" if vendor == "claude" else vendor](settings)
        problem = await provider.check_access()
        await provider.aclose()

    assert "_BASE_URL" in problem


@every_vendor
async def test_a_redirect_is_not_followed(served, ask, vendor, observer):
    journal = RequestJournal()

    async def trap(request: Request) -> Response:
        await journal.record(request)
        return Response(status_code=200)

    async with serving(Starlette(routes=[Route("/{rest:path}", trap, methods=["GET", "POST"])])) as elsewhere:
        fault = HttpFault(307, headers={"location": f"{elsewhere}/v1/messages"})
        async with served(lambda _: fault) as (_, provider):
            with pytest.raises(Unreachable, match="redirect"):
                await provider.generate(ask(PROFILES[vendor]), observer)

    assert journal.exchanges == []
