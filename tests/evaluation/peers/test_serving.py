"""The peers' HTTP server: it listens on a free port and is closed after its block."""

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from chargehand.evaluation.peers.journal import RequestJournal
from chargehand.evaluation.peers.reply import Reply, Stall, fit
from chargehand.evaluation.peers.serving import serving
from chargehand.evaluation.peers.streaming import PieceStream

pytestmark = pytest.mark.anyio


async def test_two_apps_are_served_at_once_on_different_ports():
    async def name(request: Request) -> Response:
        return PlainTextResponse(request.app.state.name)

    first, second = (Starlette(routes=[Route("/", name)]) for _ in range(2))
    first.state.name, second.state.name = "first", "second"

    async with serving(first) as one, serving(second) as two, httpx.AsyncClient() as client:
        answers = [(await client.get(url)).text for url in (one, two)]

    assert answers == ["first", "second"]


async def test_the_port_is_closed_after_the_block():
    async with serving(Starlette()) as url:
        pass

    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_an_error_raised_in_the_block_is_reraised_unchanged():
    with pytest.raises(KeyError, match="mine"):
        async with serving(Starlette()):
            raise KeyError("mine")


async def test_leaving_the_block_closes_an_open_stream_and_its_exchange():
    journal, failures = RequestJournal(), []

    async def stall(request: Request) -> Response:
        exchange = await journal.record(request)
        answer = Stall(Reply("x"), anyio.Event(), after=1)
        return PieceStream([b"a", b"b"], answer, exchange, error_piece=b"", garbled_piece=b"", media_type="text/plain")

    async def read(url: str, first_piece_received: anyio.Event) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            try:
                async with client.stream("GET", url) as response:
                    async for _ in response.aiter_bytes():
                        first_piece_received.set()
            except httpx.HTTPError as error:
                failures.append(error)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, serving(Starlette(routes=[Route("/", stall)])) as url:
            first_piece_received = anyio.Event()
            tasks.start_soon(read, url, first_piece_received)
            await first_piece_received.wait()

    assert len(failures) == 1
    assert journal.exchanges[0].over.is_set()


async def test_the_journal_records_bodies_and_headers_but_no_keys():
    journal = RequestJournal()

    async def record(request: Request) -> Response:
        await journal.record(request)
        return PlainTextResponse("taken")

    headers = {"Authorization": "Bearer sk-secret", "X-Api-Key": "sk-secret", "X-Other": "kept"}
    async with serving(Starlette(routes=[Route("/", record, methods=["POST"])])) as url, httpx.AsyncClient() as client:
        await client.post(url, headers=headers, json={"model": "m"})

    assert journal.exchanges[0].body == {"model": "m"}
    assert journal.exchanges[0].headers["x-other"] == "kept"
    assert "sk-secret" not in repr(journal.exchanges[0])


@pytest.mark.parametrize(
    ("budget", "text_tokens", "thinking_tokens", "stop"),
    [(100, 10, 10, "end"), (20, 10, 10, "end"), (15, 5, 10, "length"), (10, 0, 10, "length"), (4, 0, 4, "length")],
)
async def test_thinking_uses_the_token_budget_before_the_text(budget, text_tokens, thinking_tokens, stop):
    fitted = fit(Reply("x" * 40, thinking="y" * 40), budget, thinks=True)

    assert (fitted.text_tokens, fitted.thinking_tokens, fitted.stop) == (text_tokens, thinking_tokens, stop)
