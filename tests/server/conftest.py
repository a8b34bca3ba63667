"""The fixtures that start the real server, `connect` and `open_server`; tests/running_server.py has their types."""

import contextlib
import json
import os
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client, StdioServerParameters
from running_server import Connect, OpenServer, RunningServer
from server_process import COMMAND

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Answer
from chargehand.evaluation.peers.vendors import QWEN, vendors
from chargehand.server.app import build_app
from chargehand.server.cli import own_services
from chargehand.server.config_tables import HttpSettings
from chargehand.server.http.application import http_app
from chargehand.server.http.binding import AccessRules, Binding
from chargehand.server.http.serving import listen, serving


@pytest.fixture(scope="session", autouse=True)
def _check_each_schema_once() -> Iterator[None]:
    """Every client checks the same few result schemas; checking each once saves a fifth of a short test's time."""
    check, checked = Draft202012Validator.check_schema, set[str]()

    def check_once(schema: Any) -> None:
        text = json.dumps(schema)
        if text not in checked:
            check(schema)
            checked.add(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft202012Validator, "check_schema", staticmethod(check_once))
        yield


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras: 2026-07-28 ("auto"), and the one with a handshake before it ("legacy")."""
    return request.param


@pytest.fixture
def connect(request: pytest.FixtureRequest) -> Connect:
    """Starts a server in the test's environment and connects a client to it: `async with connect(era) as client`.

    `--over` selects the transport. All other arguments go to the client.
    """
    over: str = request.config.getoption("--over")

    @contextlib.asynccontextmanager
    async def connecting(era: str = "auto", **client_options: Any) -> AsyncGenerator[Client]:
        if over == "memory":
            async with Client(build_app(own_services), mode=era, **client_options) as client:
                yield client
        elif over == "stdio":
            # By default the SDK passes only a few variables on to the child process.
            server = StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]), env=dict(os.environ))
            async with Client(server, mode=era, **client_options) as client:
                yield client
        else:
            binding = Binding(port=0)
            with listen(binding) as listener:
                binding = binding.at_port(listener.getsockname()[1])
                app = http_app(own_services, binding, AccessRules(), HttpSettings())
                async with serving(app, listener), Client(binding.url, mode=era, **client_options) as client:
                    yield client

    return connecting


@pytest.fixture
def open_server(monkeypatch: pytest.MonkeyPatch, tmp_path, connect: Connect) -> OpenServer:
    """Starts a server with local peers as its vendors: `async with open_server(script) as server`."""

    @contextlib.asynccontextmanager
    async def opening(
        answer: Answer,
        *,
        installed: tuple[OllamaModel, ...] = (QWEN,),
        era: str = "auto",
        without: tuple[str, ...] = (),
        **client_options: Any,
    ) -> AsyncGenerator[RunningServer]:
        async with vendors(answer, installed=installed) as peers:
            for name, value in peers.environment.items():
                if name not in without:
                    monkeypatch.setenv(name, value)
            project = tmp_path / "project"
            project.mkdir(exist_ok=True)
            monkeypatch.setenv("CHARGEHAND_ROOTS", str(project))
            async with connect(era, **client_options) as client:
                yield RunningServer(client, peers)

    return opening
