"""The ollama package without the client that it makes on import, from the environment.

That client raises for what it cannot use there, though a server on this machine needs none of it: a proxy, a
certificate file, an IPv6 address without brackets (ollama 0.6.3).
"""

import importlib
import importlib.util
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ollama

_lock = threading.Lock()


@dataclass(frozen=True)
class OllamaSdk:
    AsyncClient: "type[ollama.AsyncClient]"
    ResponseError: "type[ollama.ResponseError]"
    RequestError: "type[ollama.RequestError]"


def load_ollama_sdk() -> OllamaSdk:
    """What the adapter uses of the package; whoever else imports it gets all of it."""
    with _lock:
        specification = None if "ollama" in sys.modules else importlib.util.find_spec("ollama")
        if specification is not None:
            sys.modules["ollama"] = importlib.util.module_from_spec(specification)
        try:
            client, types = map(importlib.import_module, ("ollama._client", "ollama._types"))
        finally:
            if specification is not None:
                del sys.modules["ollama"]
    return OllamaSdk(client.AsyncClient, types.ResponseError, types.RequestError)
