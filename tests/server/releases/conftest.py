"""The vendors of tests/changed_vendors.py, and the command that reads their listings."""

import contextlib
import sys
from collections.abc import AsyncGenerator

import pytest
from changed_vendors import CEREBRAS_AT_A_HIGHER_PRICE, CLAUDE_WITH_SUCCESSOR, NEW_WEIGHTS
from command_line import CommandResult, standard_input

from chargehand.evaluation.peers.reply import Answer, Reply
from chargehand.evaluation.peers.vendors import QWEN, Vendors, vendors
from chargehand.server.cli import own_services
from chargehand.server.command.profile_updates import update_profiles
from chargehand.server.surface.server_state import OpenServices


@pytest.fixture
def open_vendors(monkeypatch: pytest.MonkeyPatch):
    """Opens the vendors: Sonnet is deprecated and has a successor, Cerebras costs more, Ollama has a new model."""

    @contextlib.asynccontextmanager
    async def opening(answer: Answer = lambda _: Reply("def f(): ...")) -> AsyncGenerator[Vendors]:
        async with vendors(
            answer, installed=(QWEN, NEW_WEIGHTS), claude=CLAUDE_WITH_SUCCESSOR, at_cerebras=CEREBRAS_AT_A_HIGHER_PRICE
        ) as peers:
            for name, value in peers.environment.items():
                monkeypatch.setenv(name, value)
            yield peers

    return opening


@pytest.fixture
def update(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Runs `profiles update --from-releases`. answer: what the user types at the prompt; None: no terminal."""
    monkeypatch.setenv("COLUMNS", "300")

    async def run(
        *, apply: bool = False, as_json: bool = True, answer: str | None = None, services: OpenServices = own_services
    ) -> CommandResult:
        monkeypatch.setattr(sys, "stdin", standard_input(answer))
        code = await update_profiles(services, ["releases"], apply=apply, as_json=as_json)
        printed = capsys.readouterr()
        return CommandResult(code, printed.out, printed.err)

    return run
