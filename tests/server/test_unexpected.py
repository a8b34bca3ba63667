"""The text of an unexpected exception is logged and not shown to the calling model."""

import contextlib
import logging
from collections.abc import AsyncGenerator

import pytest
from mcp import Client
from rename_task import RENAME, RIGHT
from running_server import OpenServer, Script, text_of

from chargehand.server.app import build_app
from chargehand.tools.services import Services

pytestmark = pytest.mark.anyio

CANARY = "canary-in-an-exception-0123456789"


@contextlib.asynccontextmanager
async def broken_services() -> AsyncGenerator[Services]:
    raise RuntimeError(CANARY)
    yield  # makes this a generator


@pytest.mark.in_process("no user action breaks the server like this")
async def test_the_text_of_an_unexpected_exception_is_logged_and_not_returned(
    era: str, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.ERROR):
        async with Client(build_app(broken_services), mode=era) as client:
            result = await client.call_tool("route_task", {"task": "Rename a"})

    assert result.is_error
    assert CANARY not in text_of(result)
    assert CANARY in caplog.text


@pytest.mark.in_process("no user action breaks a delegation like this")
async def test_a_delegation_that_breaks_unexpectedly_is_logged_and_the_next_one_succeeds(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def breaks(*_: object, **__: object) -> None:
        raise RuntimeError(CANARY)

    async with open_server(Script({"qwen3:30b-a3b": [RIGHT]})) as server:
        with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
            broken.setattr("chargehand.tools.cascade.delegations.decide", breaks)
            result = await server.client.call_tool("delegate_generation", {"task": RENAME})
        receipt = await server.call("delegate_generation", task=RENAME)

    assert result.is_error
    assert CANARY not in text_of(result)
    assert CANARY in caplog.text
    assert receipt["status"] == "unverified"
