"""A connection to a Chroma server that nobody stands between, and that is closed when it is closed.

Chroma's own client takes a proxy from the environment, even to this machine, and keeps its sockets until
it is collected (chromadb 1.5.9). Imported when it is needed: this loads Chroma.
"""

import httpx
from chromadb import Collection
from chromadb.api.fastapi import FastAPI
from chromadb.config import Settings, System

from .chroma_library import COLLECTION_CONFIGURATION


class _DirectAPI(FastAPI):
    """Chroma's client of a server, with a session of its own."""

    def __init__(self, system: System) -> None:
        super().__init__(system)
        taken, verify = self._session, system.settings.chroma_server_ssl_verify
        # A transport that is given is used for every address: no proxy of the environment is.
        transport = httpx.HTTPTransport(limits=self.http_limits, verify=True if verify is None else verify)
        self._session = httpx.Client(timeout=None, headers=taken.headers, transport=transport)  # noqa: S113 - the worker's limits hold
        taken.close()

    def hang_up(self) -> None:
        self._session.close()


class ChromaConnection:
    """What an index needs of a server. Raises Chroma's errors and httpx's."""

    def __init__(self, host: str, port: int, *, ssl: bool, settings: Settings) -> None:
        """Sends nothing yet."""
        settings.chroma_server_host = host
        settings.chroma_server_http_port = port
        settings.chroma_server_ssl_enabled = ssl
        self._system = System(settings)
        self._api = self._system.instance(_DirectAPI)
        self._system.start()

    def heartbeat(self) -> None:
        """Nothing, once the server has answered."""
        self._api.heartbeat()

    def collection(self, name: str, *, renew: bool) -> Collection:
        """The collection of that name, made where there is none. renew: it is empty, what was there is gone."""
        if renew and name in {known.name for known in self._api.list_collections()}:
            self._api.delete_collection(name)
        model = self._api.get_or_create_collection(name, configuration=COLLECTION_CONFIGURATION)
        return Collection(client=self._api, model=model, embedding_function=None)

    def close(self) -> None:
        self._system.stop()
        self._api.hang_up()
