"""What one running server holds: a workshop that opens at the first call, and the delegations under way."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import TYPE_CHECKING

import anyio
import anyio.abc

if TYPE_CHECKING:
    from ...tools.cascade.delegations import Delegations
    from ...tools.workshop import Workshop

OpenWorkshop = Callable[[], AbstractAsyncContextManager["Workshop"]]


class ServerState:
    """Made when the server starts, so that starting costs nothing; see `workshop`."""

    def __init__(
        self, open_workshop: OpenWorkshop, group: anyio.abc.TaskGroup, opened: contextlib.AsyncExitStack
    ) -> None:
        """group: for what goes on in the background. opened: closes the workshop when the group has ended."""
        self._open = open_workshop
        self._group = group
        self._opened = opened
        self._turn = anyio.Lock()
        self._workshop: Workshop | None = None

    @cached_property
    def delegations(self) -> "Delegations":
        """Those under way in this process."""
        from ...tools.cascade.delegations import Delegations

        return Delegations(self._group)

    async def workshop(self) -> "Workshop":
        """The workshop, opened now if it is not yet; when that fails, the next call tries again."""
        async with self._turn:
            if self._workshop is None:
                self._workshop = await self._opened.enter_async_context(self._open())
                self._group.start_soon(self._workshop.memory.keep_up)
            return self._workshop


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

    async def workshop(self) -> "Workshop":
        if self._state is None:
            raise RuntimeError("the server is not running")
        return await self._state.workshop()


@contextlib.asynccontextmanager
async def open_server_state(open_workshop: OpenWorkshop) -> AsyncGenerator[ServerState]:
    """The state of a new server; at the end delegations are cut off and their books closed, and then the workshop."""
    async with contextlib.AsyncExitStack() as opened, anyio.create_task_group() as group:
        try:
            yield ServerState(open_workshop, group, opened)
        finally:
            group.cancel_scope.cancel()
