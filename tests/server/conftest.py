"""Opens the house that tests/house.py describes."""

import contextlib
from collections.abc import AsyncGenerator

import pytest
from house import House, OpenHouse
from mcp import Client

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.reply import Answer
from chargehand.evaluation.peers.vendors import QWEN, vendors
from chargehand.server.app import build_app
from chargehand.server.cli import own_workshop


@pytest.fixture(params=["auto", "legacy"])
def era(request: pytest.FixtureRequest) -> str:
    """Both protocol eras: 2026-07-28, and the handshake before it."""
    return request.param


@pytest.fixture
def open_house(monkeypatch: pytest.MonkeyPatch, tmp_path) -> OpenHouse:
    """Opens a house: `async with open_house(script) as house`."""

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
            async with Client(build_app(own_workshop), mode=era) as client:
                yield House(client, peers)

    return opening
