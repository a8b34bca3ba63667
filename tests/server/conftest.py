"""Opens the house that tests/house.py describes."""

import contextlib
import os
from collections.abc import AsyncGenerator

import pytest
from house import House, OpenHouse
from mcp import Client, StdioServerParameters
from server_process import COMMAND

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Answer
from chargehand.evaluation.peers.vendors import QWEN, vendors
from chargehand.server.app import build_app
from chargehand.server.cli import own_workshop
from chargehand.server.http.application import http_app
from chargehand.server.http.binding import Binding, Entrance
from chargehand.server.http.serving import listen, serving
from chargehand.server.settings import Http


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras: 2026-07-28, and the handshake before it."""
    return request.param


@contextlib.asynccontextmanager
async def _client(over: str, era: str) -> AsyncGenerator[Client]:
    if over == "memory":
        async with Client(build_app(own_workshop), mode=era) as client:
            yield client
    elif over == "stdio":
        # The house has set the environment, which a child process gets none of by itself.
        server = StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]), env=dict(os.environ))
        async with Client(server, mode=era) as client:
            yield client
    else:
        binding = Binding(port=0)
        with listen(binding) as listener:
            binding = binding.at_port(listener.getsockname()[1])
            app = http_app(own_workshop, binding, Entrance(), Http())
            async with serving(app, listener), Client(binding.url, mode=era) as client:
                yield client


@pytest.fixture
def open_house(monkeypatch: pytest.MonkeyPatch, tmp_path, request: pytest.FixtureRequest) -> OpenHouse:
    """Opens a house: `async with open_house(script) as house`; `--over` says how its server is reached."""
    over: str = request.config.getoption("--over")

    @contextlib.asynccontextmanager
    async def opening(
        answer: Answer,
        *,
        installed: tuple[OllamaModel, ...] = (QWEN,),
        era: str = "auto",
        without: tuple[str, ...] = (),
    ) -> AsyncGenerator[House]:
        async with vendors(answer, installed=installed) as peers:
            for name, value in peers.environment.items():
                if name not in without:
                    monkeypatch.setenv(name, value)
            project = tmp_path / "project"
            project.mkdir(exist_ok=True)
            monkeypatch.setenv("CHARGEHAND_ROOTS", str(project))
            async with _client(over, era) as client:
                yield House(client, peers)

    return opening
