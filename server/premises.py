"""What one running server holds: a workshop that opens at the first call, and the delegations in it."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager

import anyio
import anyio.abc

from ..tools.cascade.delegations import Delegations
from ..tools.workshop import Workshop

OpenWorkshop = Callable[[], AbstractAsyncContextManager[Workshop]]


class Premises:
    """Made when the server starts, so that starting costs nothing; see `workshop`."""

    def __init__(self, open_workshop: OpenWorkshop, group: anyio.abc.TaskGroup) -> None:
        self.delegations = Delegations(group)
        self._open = open_workshop
        self._stack = contextlib.AsyncExitStack()
        self._turn = anyio.Lock()
        self._workshop: Workshop | None = None

    async def workshop(self) -> Workshop:
        """The workshop, opened now if it is not yet; when that fails, the next call tries again."""
        async with self._turn:
            if self._workshop is None:
                self._workshop = await self._stack.enter_async_context(self._open())
            return self._workshop

    async def aclose(self) -> None:
        await self._stack.aclose()


@contextlib.asynccontextmanager
async def premises(open_workshop: OpenWorkshop) -> AsyncGenerator[Premises]:
    """The premises; at the end delegations are cut off, their books closed, and the workshop after them."""
    async with anyio.create_task_group() as group:
        place = Premises(open_workshop, group)
        try:
            yield place
        finally:
            group.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await place.delegations.all_ended()
                await place.aclose()
