"""FIFO queues across processes for servers with limited concurrency."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable
from typing import cast

import anyio

from .ledger import Ledger
from .ownership import Owner

_LOOK_EVERY_S = 0.2


class RequestQueue:
    """This process's access to the queues of all servers."""

    def __init__(self, ledger: Ledger, owner: Owner, *, at_once: int) -> None:
        """at_once: concurrent requests per server."""
        self._ledger = ledger
        self._owner = owner
        self._at_once = at_once
        self._moved: dict[str, anyio.Event] = defaultdict(anyio.Event)
        """By server; set and replaced when a ticket of this process leaves its queue."""

    async def take_turn(self, server: str, waits: Callable[[int], None]) -> int:
        """Wait for a turn and return the ticket, to be released with `leave`. Releases it itself when cancelled.

        server: a name shared by all processes, such as its address. waits: called with the number of tickets
        that must leave first, whenever it changes.
        """
        ticket = await self._draw(server)
        told = 0
        try:
            while True:
                moved = self._moved[server]
                before = await self._before(server, ticket)
                ahead = len(before) - self._at_once + 1
                if ahead <= 0:
                    return ticket
                if ahead != told:
                    told = ahead
                    waits(ahead)
                if not await self._drop_dead(set(before)):
                    with anyio.move_on_after(_LOOK_EVERY_S):
                        await moved.wait()
        except BaseException:
            await self.leave(server, ticket)
            raise

    async def leave(self, server: str, ticket: int) -> None:
        """Release a ticket and wake this process's waiters."""

        def write(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM tickets WHERE id = ?", (ticket,))

        await self._ledger.write(write)
        self._moved.pop(server, anyio.Event()).set()

    async def _draw(self, server: str) -> int:
        def write(db: sqlite3.Connection) -> int:
            cursor = db.execute("INSERT INTO tickets (server, owner) VALUES (?, ?)", (server, self._owner.id))
            return cast(int, cursor.lastrowid)

        return await self._ledger.write(write)

    async def _before(self, server: str, ticket: int) -> list[str]:
        """The owners of all earlier tickets."""
        rows = await self._ledger.rows("SELECT owner FROM tickets WHERE server = ? AND id < ?", (server, ticket))
        return [owner for (owner,) in rows]

    async def _drop_dead(self, owners: set[str]) -> bool:
        """Remove the tickets of dead owners; whether there were any."""
        dead = [owner for owner in owners if not await self._owner.is_alive(owner)]
        if not dead:
            return False

        def write(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM tickets WHERE owner = ?", [(owner,) for owner in dead])

        await self._ledger.write(write)
        return True
