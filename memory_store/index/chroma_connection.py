"""A direct connection to a Chroma server, with deterministic closing.

Chroma's own client uses proxies from the environment, even for this machine, and keeps its sockets open until
garbage collection (chromadb 1.5.9). Import this module lazily: it loads Chroma.
"""

import httpx
from chromadb import Collection
from chromadb.api.fastapi import FastAPI
from chromadb.config import Settings, System

from .chroma_library import COLLECTION_CONFIGURATION


class _DirectAPI(FastAPI):
    """Chroma's HTTP client with our own session."""

    def __init__(self, system: System) -> None:
        super().__init__(system)
        taken, verify = self._session, system.settings.chroma_server_ssl_verify
        # An explicit transport applies to every address and disables proxies from the environment.
        transport = httpx.HTTPTransport(limits=self.http_limits, verify=True if verify is None else verify)
        self._session = httpx.Client(timeout=None, headers=taken.headers, transport=transport)  # noqa: S113 - the worker's limits hold
        taken.close()

    def close_session(self) -> None:
        self._session.close()


class ChromaConnection:
    """The server operations that an index needs. Raises Chroma's and httpx's errors."""

    def __init__(self, host: str, port: int, *, ssl: bool, settings: Settings) -> None:
        """Sends nothing."""
        settings.chroma_server_host = host
        settings.chroma_server_http_port = port
        settings.chroma_server_ssl_enabled = ssl
        self._system = System(settings)
        self._api = self._system.instance(_DirectAPI)
        self._system.start()

    def heartbeat(self) -> None:
        """Returns once the server has answered."""
        self._api.heartbeat()

    def collection(self, name: str, *, renew: bool) -> Collection:
        """The collection with this name, created if missing. renew: delete an existing one first."""
        if renew and name in {known.name for known in self._api.list_collections()}:
            self._api.delete_collection(name)
        model = self._api.get_or_create_collection(name, configuration=COLLECTION_CONFIGURATION)
        return Collection(client=self._api, model=model, embedding_function=None)

    def close(self) -> None:
        self._system.stop()
        self._api.close_session()
