"""An index on a Chroma server shared by several processes: `chroma run`, at CHARGEHAND_CHROMA_URL.

Only vectors and their ids are sent there, no text.
"""

import contextlib
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from .chroma_collection import ChromaCollection
from .chroma_library import load_chroma, quiet_settings
from .errors import IndexFailed, IndexFailure, IndexUnavailable
from .vector_index import Filling, Opened, VectorIndex
from .worker import Worker

if TYPE_CHECKING:
    from ..ledger import Ledger
    from .chroma_connection import ChromaConnection

_OPEN_LIMIT_S = 30.0
_CHECK_LIMIT_S = 5.0
_CLOSE_LIMIT_S = 2.0

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class ChromaServer:
    """A `IndexStorage` in a collection on a server, separate for each ledger and embedder."""

    filling_threshold = 0

    def __init__(self, url: str, ledger: "Ledger", embedder: str) -> None:
        """Raises ValueError for an invalid URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"CHARGEHAND_CHROMA_URL must be like http://127.0.0.1:8000, got {url}")
        self._host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._ssl = parts.scheme == "https"
        self._port = parts.port or (443 if self._ssl else 8000)
        self.address = f"{parts.scheme}://{self._host}:{self._port}"
        self._ledger = ledger
        self._embedder = embedder
        self._worker: Worker | None = None
        self._connection: ChromaConnection | None = None

    async def check(self, *, limit_s: float = _CHECK_LIMIT_S) -> None:
        """Check that the server answers, without changing anything. Raises IndexUnavailable."""

        def ask(_: Worker) -> None:
            self._reconnect().heartbeat()

        await self._work(ask, limit_s=limit_s)

    async def open(self) -> Opened:
        return await self._connect(renew=False)

    async def renew(self) -> Opened:
        return await self._connect(renew=True)

    @contextlib.asynccontextmanager
    async def filling(self, index: VectorIndex) -> AsyncGenerator[Filling]:
        """See `IndexStorage`. The server builds its own graph, so no other process is needed."""
        yield index

    async def note(self, row: int) -> None:
        """Does nothing: the server may be emptied at any time, so each opening compares contents."""

    async def aclose(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None or worker.is_stuck:
            return
        try:
            await worker.run(self._close, limit_s=_CLOSE_LIMIT_S)
        except (IndexFailed, IndexUnavailable) as failure:
            _log.debug("the connection to Chroma was not closed: %s", failure)
        worker.stop()

    async def _connect(self, *, renew: bool) -> Opened:
        name = collection_name(await self._ledger.identity(), self._embedder)

        def connect(worker: Worker) -> Opened:
            return Opened(ChromaCollection(worker, self._reconnect().collection(name, renew=renew)), None)

        return await self._work(connect, limit_s=_OPEN_LIMIT_S)

    async def _work(self, work: Callable[[Worker], _T], limit_s: float) -> _T:
        if self._worker is None or self._worker.is_stuck:
            self._worker = Worker("chargehand-chroma-server")
        worker = self._worker
        try:
            return await worker.run(partial(work, worker), limit_s=limit_s)
        except IndexFailure as failure:
            if isinstance(failure, IndexUnavailable) and not worker.is_stuck:
                raise
            why = f"no answer in {limit_s:g} s" if worker.is_stuck else failure
            raise IndexUnavailable(
                f"the Chroma server {self.address} cannot be used ({why}). Start it with `chroma run`, or unset"
                " CHARGEHAND_CHROMA_URL to use the built-in index"
            ) from failure

    def _reconnect(self) -> "ChromaConnection":
        self._close()
        load_chroma()
        from .chroma_connection import ChromaConnection

        self._connection = ChromaConnection(self._host, self._port, ssl=self._ssl, settings=quiet_settings())
        return self._connection

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def collection_name(ledger: str, embedder: str) -> str:
    """The collection's name for a ledger id and an embedder, so that ledgers on one server are kept apart."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", embedder).strip("-")[:40]
    digest = hashlib.blake2b(embedder.encode(), digest_size=4).hexdigest()
    return f"chargehand-{ledger}-{readable}-{digest}"
