"""What one running server holds: services that open at the first call, and the delegations under way."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING

import anyio
import anyio.abc

if TYPE_CHECKING:
    from ...tools.cascade.delegations import Delegations
    from ...tools.services import Services

OpenServices = Callable[[], AbstractAsyncContextManager["Services"]]


class ServerState:
    """Made when the server starts, so that starting costs nothing; see `services`."""

    def __init__(
        self, open_services: OpenServices, group: anyio.abc.TaskGroup, opened: contextlib.AsyncExitStack
    ) -> None:
        """group: for what goes on in the background. opened: closes the services when the group has ended."""
        self._open = open_services
        self._group = group
        self._opened = opened
        self._turn = anyio.Lock()
        self._services: Services | None = None

    @cached_property
    def delegations(self) -> "Delegations":
        """Those under way in this process."""
        from ...tools.cascade.delegations import Delegations

        return Delegations(self._group)

    async def services(self) -> "Services":
        """The services, opened now if they are not yet; when that fails, the next call tries again."""
        async with self._turn:
            if self._services is None:
                self._services = await self._opened.enter_async_context(self._open())
                self._group.start_soon(self._services.memory.keep_up)
            return self._services


class CurrentServer:
    """The state of the server that runs now, for what is called without the context of a request."""

    def __init__(self) -> None:
        self._state: ServerState | None = None

    @contextlib.contextmanager
    def set_to(self, state: ServerState) -> Generator[None]:
        """Known here until the block ends."""
        self._state = state
        try:
            yield
        finally:
            self._state = None

    async def services(self) -> "Services":
        if self._state is None:
            raise RuntimeError("the server is not running")
        return await self._state.services()


@contextlib.asynccontextmanager
async def open_server_state(open_services: OpenServices) -> AsyncGenerator[ServerState]:
    """The state of a new server; at the end delegations are cut off and their books closed, and then the services."""
    async with contextlib.AsyncExitStack() as opened, anyio.create_task_group() as group:
        try:
            yield ServerState(open_services, group, opened)
        finally:
            group.cancel_scope.cancel()
