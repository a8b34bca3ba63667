"""A Chroma server that several processes share: `chroma run`, named by CHARGEHAND_CHROMA_URL.

Only vectors and their ids go there, no text.
"""

import hashlib
import logging
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from .chroma_collection import ChromaCollection
from .chroma_library import COLLECTION_CONFIGURATION, load_chroma, quiet_settings
from .errors import IndexFailed, IndexUnavailable
from .slots import remedy
from .vector_index import Opened
from .worker import Worker

if TYPE_CHECKING:
    from chromadb.api.client import Client

_OPEN_LIMIT_S = 30.0
_CLOSE_LIMIT_S = 2.0
_NAME_FILE = "ledger.name"

_log = logging.getLogger(__name__)


class ChromaServer:
    """A shelf: the index of one embedder, of one ledger, in a collection of its own on a server."""

    def __init__(self, url: str, root: Path, embedder: str) -> None:
        """root: the folder where this ledger's name on servers is kept. Raises ValueError for no URL."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"CHARGEHAND_CHROMA_URL must be like http://127.0.0.1:8000, got {url}")
        self._address = f"{parts.scheme}://{parts.hostname}"
        self._host = parts.hostname
        self._ssl = parts.scheme == "https"
        self._port = parts.port or (443 if self._ssl else 8000)
        self._root = root
        self._embedder = embedder
        self._worker: Worker | None = None
        self._client: Client | None = None

    async def open(self) -> Opened:
        return await self._connect(renew=False)

    async def renew(self) -> Opened:
        return await self._connect(renew=True)

    async def note(self, row: int) -> None:
        """Nothing: the server may have been emptied meanwhile, so each opening compares."""

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
        if self._worker is None or self._worker.is_stuck:
            self._worker = Worker("chargehand-chroma-server")
        worker = self._worker

        def connect() -> Opened:
            self._close()
            load_chroma()
            import chromadb

            name = collection_name(self._root, self._embedder)
            client = chromadb.HttpClient(self._host, self._port, self._ssl, settings=quiet_settings())
            # Only the class behind the interface can be closed.
            self._client = cast("Client", client)
            if renew and name in {collection.name for collection in client.list_collections()}:
                client.delete_collection(name)
            collection = client.get_or_create_collection(
                name, configuration=COLLECTION_CONFIGURATION, embedding_function=None
            )
            return Opened(ChromaCollection(worker, collection), None)

        try:
            return await worker.run(connect, limit_s=_OPEN_LIMIT_S)
        except IndexFailed as failure:
            raise IndexUnavailable(
                f"the Chroma server {self._address}:{self._port} cannot be used ({failure}). Start it with"
                " `chroma run`, or unset CHARGEHAND_CHROMA_URL to use the built-in index"
            ) from failure

    def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def collection_name(root: Path, embedder: str) -> str:
    """The collection of a ledger and an embedder; ledgers that share a server do not share collections.

    Raises IndexUnavailable when the ledger has no name yet and none can be written.
    """
    readable = re.sub(r"[^A-Za-z0-9]+", "-", embedder).strip("-")[:40]
    digest = hashlib.blake2b(embedder.encode(), digest_size=4).hexdigest()
    return f"chargehand-{_ledger_name(root)}-{readable}-{digest}"


def _ledger_name(root: Path) -> str:
    path = root / _NAME_FILE
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            draft = root / f"{_NAME_FILE}.{secrets.token_hex(4)}"
            draft.write_text(secrets.token_hex(6), encoding="ascii")
            try:
                os.link(draft, path)  # of several processes, one wins
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return re.sub(r"[^0-9a-f]", "", path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise IndexUnavailable(remedy(root, error)) from error
