"""The state of a running server: services that open on the first call, and the running delegations."""

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
    """Created when the server starts; the services open later, so that starting is fast."""

    def __init__(
        self, open_services: OpenServices, group: anyio.abc.TaskGroup, opened: contextlib.AsyncExitStack
    ) -> None:
        """group: runs background tasks. opened: closes the services after the group has ended."""
        self._open = open_services
        self._group = group
        self._opened = opened
        self._lock = anyio.Lock()
        self._services: Services | None = None

    @cached_property
    def delegations(self) -> "Delegations":
        """The delegations running in this process."""
        from ...tools.cascade.delegations import Delegations

        return Delegations(self._group)

    async def services(self) -> "Services":
        """The services, opened on the first call; if that fails, the next call tries again."""
        if self._services is not None:
            return self._services
        async with self._lock:
            if self._services is None:
                self._services = await self._opened.enter_async_context(self._open())
                self._group.start_soon(self._services.memory.keep_up)
            return self._services


class CurrentServer:
    """The current server's state, for handlers that are called without a request context."""

    def __init__(self) -> None:
        self._state: ServerState | None = None

    @contextlib.contextmanager
    def set_to(self, state: ServerState) -> Generator[None]:
        """Makes the state available until the block ends."""
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
    """The state of a new server. At the end delegations are cancelled and settled, then the services are closed."""
    failure: Exception | None = None
    async with contextlib.AsyncExitStack() as opened, anyio.create_task_group() as group:
        try:
            yield ServerState(open_services, group, opened)
        except Exception as error:  # noqa: BLE001  # out of a task group it would be raised as an exception group
            failure = error
        finally:
            group.cancel_scope.cancel()
    if failure is not None:
        raise failure
