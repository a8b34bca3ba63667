"""The peers' server: real HTTP on a free port, gone without a trace."""

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


async def test_two_apps_are_served_at_once_on_ports_of_their_own():
    async def name(request: Request) -> Response:
        return PlainTextResponse(request.app.state.name)

    first, second = (Starlette(routes=[Route("/", name)]) for _ in range(2))
    first.state.name, second.state.name = "first", "second"

    async with serving(first) as one, serving(second) as two, httpx.AsyncClient() as client:
        answers = [(await client.get(url)).text for url in (one, two)]

    assert answers == ["first", "second"]


async def test_nothing_listens_once_the_block_is_left():
    async with serving(Starlette()) as url:
        pass

    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_an_error_in_the_block_leaves_it_as_it_is():
    with pytest.raises(KeyError, match="mine"):
        async with serving(Starlette()):
            raise KeyError("mine")


async def test_leaving_the_block_cuts_a_stream_that_is_still_open():
    journal, failures = RequestJournal(), []

    async def stall(request: Request) -> Response:
        exchange = await journal.record(request)
        answer = Stall(Reply("x"), anyio.Event(), after=1)
        return PieceStream([b"a", b"b"], answer, exchange, error_piece=b"", garbled_piece=b"", media_type="text/plain")

    async def read(url: str, begun: anyio.Event) -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            try:
                async with client.stream("GET", url) as response:
                    async for _ in response.aiter_bytes():
                        begun.set()
            except httpx.HTTPError as error:
                failures.append(error)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, serving(Starlette(routes=[Route("/", stall)])) as url:
            begun = anyio.Event()
            tasks.start_soon(read, url, begun)
            await begun.wait()

    assert len(failures) == 1
    assert journal.exchanges[0].over.is_set()


async def test_the_journal_keeps_no_keys():
    journal = RequestJournal()

    async def take(request: Request) -> Response:
        await journal.record(request)
        return PlainTextResponse("taken")

    headers = {"Authorization": "Bearer sk-secret", "X-Api-Key": "sk-secret", "X-Other": "kept"}
    async with serving(Starlette(routes=[Route("/", take, methods=["POST"])])) as url, httpx.AsyncClient() as client:
        await client.post(url, headers=headers, json={"model": "m"})

    assert journal.exchanges[0].body == {"model": "m"}
    assert journal.exchanges[0].headers["x-other"] == "kept"
    assert "sk-secret" not in repr(journal.exchanges[0])


@pytest.mark.parametrize(
    ("budget", "text_tokens", "thinking_tokens", "stop"),
    [(100, 10, 10, "end"), (20, 10, 10, "end"), (15, 5, 10, "length"), (10, 0, 10, "length"), (4, 0, 4, "length")],
)
async def test_thinking_comes_first_in_the_budget(budget, text_tokens, thinking_tokens, stop):
    fitted = fit(Reply("x" * 40, thinking="y" * 40), budget, thinks=True)

    assert (fitted.text_tokens, fitted.thinking_tokens, fitted.stop) == (text_tokens, thinking_tokens, stop)
