"""What one running server holds: a workshop that opens at the first call, and the delegations in it."""

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


class Premises:
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


class Address:
    """Where the premises of a server are, for what is called without the context of a request."""

    def __init__(self) -> None:
        self._here: Premises | None = None

    @contextlib.contextmanager
    def of(self, place: Premises) -> Generator[None]:
        """To be found here until the block ends."""
        self._here = place
        try:
            yield
        finally:
            self._here = None

    async def workshop(self) -> "Workshop":
        if self._here is None:
            raise RuntimeError("the server is not running")
        return await self._here.workshop()


@contextlib.asynccontextmanager
async def premises(open_workshop: OpenWorkshop) -> AsyncGenerator[Premises]:
    """The premises; at the end delegations are cut off and their books closed, and then the workshop."""
    async with contextlib.AsyncExitStack() as opened, anyio.create_task_group() as group:
        try:
            yield Premises(open_workshop, group, opened)
        finally:
            group.cancel_scope.cancel()
