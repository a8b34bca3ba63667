"""The laboratory: services over real adapters and local peers, opened by a test with its script."""

import contextlib
from collections.abc import AsyncGenerator

import anyio
import pytest
from laboratory import Lab
from running_server import Script

from chargehand.evaluation.peers.vendors import vendors
from chargehand.server.cli import preloaded_services
from chargehand.tools.cascade.delegations import Delegations


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch):
    @contextlib.asynccontextmanager
    async def open_lab(script: Script) -> AsyncGenerator[Lab]:
        async with vendors(script) as peers:
            for name, value in peers.environment.items():
                monkeypatch.setenv(name, value)
            async with preloaded_services() as services, anyio.create_task_group() as group:
                yield Lab(services, Delegations(group), peers)
                group.cancel_scope.cancel()

    return open_lab
