"""A process that is too busy to look at the clock is no reason to leave one's own models aside."""

import asyncio
import time
from typing import Any

import anyio
import pytest

from chargehand.evaluation.peers.reply import Reply
from chargehand.server.providers import deadline, ollama_models, openai_listing

pytestmark = pytest.mark.anyio

SAYS = Reply("print('hello')")
BUSY_S = 0.3


@pytest.fixture(autouse=True)
def busy_at_the_first_connection(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The event loop stands still while the first connection is made, for longer than that may take.

    Gives where connections were made to.
    """
    for module in (deadline, ollama_models, openai_listing):
        monkeypatch.setattr(module, "LIST_CONNECT_TIMEOUT_S", BUSY_S / 6)
    connect, made = anyio.connect_tcp, list[str]()

    async def connect_tcp(remote_host: str, remote_port: int, **rest: Any) -> Any:
        if not made:
            asyncio.get_running_loop().call_soon(time.sleep, BUSY_S)
        made.append(remote_host)
        return await connect(remote_host, remote_port, **rest)

    monkeypatch.setattr(anyio, "connect_tcp", connect_tcp)
    return made


async def test_ollama_is_asked_again(local, catalogue, busy_at_the_first_connection: list[str]):
    profile = catalogue.profiles["qwen3-30b-a3b"]

    async with local(lambda _: SAYS) as (_, provider):
        known = await provider.availability([profile])

    assert known[profile.id].is_reachable, known
    assert len(busy_at_the_first_connection) == 2


async def test_an_openai_compatible_server_is_asked_again(compatible, own, busy_at_the_first_connection: list[str]):
    async with compatible(lambda _: SAYS) as (_, provider):
        known = await provider.availability([own()])

    assert known["own-qwen"].is_reachable, known
    assert len(busy_at_the_first_connection) == 2
