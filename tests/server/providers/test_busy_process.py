"""A timeout caused by this process being busy does not make local servers unavailable."""

import asyncio
import time
from typing import Any

import anyio
import pytest

from chargehand.evaluation.peers.reply import Reply
from chargehand.server.providers import deadline, ollama_models, openai_listing

pytestmark = pytest.mark.anyio

REPLY = Reply("print('hello')")
BUSY_S = 0.3


@pytest.fixture(autouse=True)
def hosts_connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Blocks the event loop during the first connection, for longer than its timeout.

    Returns the hosts that were connected to.
    """
    for module in (deadline, ollama_models, openai_listing):
        monkeypatch.setattr(module, "LIST_CONNECT_TIMEOUT_S", BUSY_S / 6)
    connect, hosts = anyio.connect_tcp, list[str]()

    async def connect_tcp(remote_host: str, remote_port: int, **rest: Any) -> Any:
        if not hosts:
            asyncio.get_running_loop().call_soon(time.sleep, BUSY_S)
        hosts.append(remote_host)
        return await connect(remote_host, remote_port, **rest)

    monkeypatch.setattr(anyio, "connect_tcp", connect_tcp)
    return hosts


async def test_ollama_is_asked_again_after_a_timeout_of_a_busy_process(local, catalogue, hosts_connected: list[str]):
    profile = catalogue.profiles["qwen3-30b-a3b"]

    async with local(lambda _: REPLY) as (_, provider):
        known = await provider.availability([profile])

    assert known[profile.id].is_reachable, known
    assert len(hosts_connected) == 2


async def test_an_openai_compatible_server_is_asked_again_after_a_timeout_of_a_busy_process(
    compatible, make_profile, hosts_connected: list[str]
):
    async with compatible(lambda _: REPLY) as (_, provider):
        known = await provider.availability([make_profile()])

    assert known["own-qwen"].is_reachable, known
    assert len(hosts_connected) == 2
