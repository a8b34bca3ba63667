"""The one gate that every outgoing HTTP request passes: chat, embedding, availability and model lists.

Each vendor SDK uses one HTTP client for all requests, so a context variable tells the gate which generation a request
belongs to. The gate cannot see what a proxy from the environment does with the data.
"""

import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypedDict, cast

import anyio.to_thread

from ...tools.guarding.secrets import Secret, SecretSearch
from ...tools.provider import GenerationRequest, NotLocal, Observer, Unreachable
from .locality import is_local_host
from .proxies import unusable_certificates, unusable_proxy
from .vendor import Vendor

# Their debug records contain request bodies, and thus prompts and code.
_VERBOSE_LOGGERS = ("anthropic", "cerebras", "openai", "httpx", "httpx2", "httpcore", "httpcore2")


class Url(Protocol):
    @property
    def host(self) -> str: ...


class OutgoingRequest(Protocol):
    """The interface shared by httpx and httpx2."""

    @property
    def url(self) -> Url: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    async def aread(self) -> bytes: ...


@dataclass(frozen=True)
class _Generation:
    """The generation that a request is made for."""

    observer: Observer
    local_only: bool
    is_priced: bool


_generation: ContextVar[_Generation | None] = ContextVar("generation", default=None)


class Gate:
    """Counts outgoing data, and blocks what must stay on the machine."""

    def __init__(
        self, local_hosts: frozenset[str], *, local_only: bool = False, secrets: SecretSearch | None = None
    ) -> None:
        """local_only: block every remote host. secrets: block remote requests that contain one. None: no such check."""
        self._local_hosts = local_hosts
        self._secrets = secrets
        self.local_only = local_only

    async def check_outgoing(self, request: OutgoingRequest) -> None:
        """The HTTP client's request hook. Raises NotLocal before a connection is made."""
        generation, host = _generation.get(), request.url.host
        is_local = is_local_host(host, self._local_hosts)
        if not is_local and (self.local_only or (generation is not None and generation.local_only)):
            raise NotLocal(not_local(host))
        # Behind a loopback address a model with a price is reached through a gateway: see `Vendor.keeps_local`.
        leaves = not is_local or (generation is not None and generation.is_priced and host not in self._local_hosts)
        if leaves and self._secrets is not None:
            # Callers have already checked; this catches paths that were overlooked.
            found = await anyio.to_thread.run_sync(_secret_in, await request.aread(), self._secrets)
            if found is not None:
                raise NotLocal(f"What {host} was about to be sent holds what looks like a secret ({found.kind}).")
        if generation is not None:
            generation.observer.sent(host, int(request.headers.get("content-length", "0")))

    def blocks(self, host: str, *, local_only: bool = False) -> bool:
        """Whether requests to this host are blocked. local_only: the setting of the individual call."""
        return (self.local_only or local_only) and not is_local_host(host, self._local_hosts)


class ClientOptions(TypedDict):
    """Options accepted by httpx, httpx2 and Ollama's SDK."""

    follow_redirects: bool
    event_hooks: dict[str, list[Callable[[Any], Awaitable[None]]]]
    """Each library passes its own request type to the hooks, hence Any."""
    trust_env: bool
    verify: ssl.SSLContext | bool


def client_options(vendor: Vendor, gate: Gate, *first: Callable[[Any], Awaitable[None]]) -> ClientOptions:
    """The options for every HTTP client that connects to a vendor. Call it after the SDK was imported.

    It also keeps request bodies out of the logs. first: hooks that run before the gate.
    """
    _keep_bodies_out_of_logs()
    unusable = _unusable(vendor)

    async def add_headers(request: Any) -> None:
        request.headers.update(vendor.headers.values)

    # A client cannot even be constructed with a proxy or with certificates that it cannot use.
    last = gate.check_outgoing if unusable is None else partial(_refuse, unusable)
    return {
        "follow_redirects": False,
        "event_hooks": {"request": [*first, add_headers, last]},
        # Local traffic must not go through a proxy from the environment.
        "trust_env": not vendor.is_local and unusable is None,
        "verify": _certificates(vendor) if unusable is None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    }


def _unusable(vendor: Vendor) -> str | None:
    """What is wrong with the environment's proxies or certificates for this vendor. None: nothing."""
    if not vendor.is_local and (proxy := unusable_proxy()) is not None:
        return f"{vendor.name} cannot be reached through the proxy of the environment. {proxy}"
    return None if _needs_no_certificates(vendor) else unusable_certificates()


async def _refuse(why: str, _: object) -> None:
    raise Unreachable(why)


def _certificates(vendor: Vendor) -> ssl.SSLContext | bool:
    """For a local address those of SSL_CERT_FILE and SSL_CERT_DIR, which clients otherwise use only with `trust_env`.

    Without TLS none are loaded, which takes 20 ms per client.
    """
    import httpx

    if _needs_no_certificates(vendor):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.create_ssl_context() if vendor.is_local else True


def _needs_no_certificates(vendor: Vendor) -> bool:
    return vendor.is_local and not vendor.url.startswith("https:")


@contextmanager
def on_behalf_of(request: GenerationRequest, observer: Observer) -> Generator[None]:
    """Attributes requests made inside the block to this generation: its observer and privacy rules apply."""
    token = _generation.set(_Generation(observer, request.local_only, is_priced=request.profile.price is not None))
    try:
        yield
    finally:
        _generation.reset(token)


def not_local(host: str) -> str:
    """Why a local-only request is refused, with the remedy."""
    return (
        f"This task may not leave the machine, and what {host} is sent does. Choose a local model, or list the host "
        "under [privacy] local_hosts in Chargehand's config when it is yours."
    )


def _secret_in(body: bytes, secrets: SecretSearch) -> Secret | None:
    """The first secret in the texts of a request. A body that is not JSON is searched as plain text."""
    try:
        texts = _texts(json.loads(body)) if body else ()
    except (ValueError, RecursionError):
        texts = (body.decode(errors="replace"),)
    return next((found for text in texts for found in secrets.find(text)), None)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in cast(Mapping[str, object], value).values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in cast(list[object], value):
            yield from _texts(part)


def _keep_bodies_out_of_logs() -> None:
    """Raise the SDKs' loggers above the level at which they log request bodies."""
    for name in _VERBOSE_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
