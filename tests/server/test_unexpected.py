"""The text of an unexpected exception is logged and not shown to the calling model."""

import contextlib
import logging
from collections.abc import AsyncGenerator

import pytest
from mcp import Client
from running_server import text_of

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
