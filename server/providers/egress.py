"""The one gate that every HTTP request to a vendor passes on its way out.

The vendors' SDKs share one HTTP client for all requests, so the gate learns from a context variable
on whose behalf a request leaves. It does not see what a proxy of the environment does with the bytes.
"""

import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from ...tools.provider import GenerationRequest, NotLocal, Observer
from .locality import is_local_host

# Their debug records hold request bodies, and with them prompts and code.
_TALKATIVE_LOGGERS = ("anthropic", "cerebras", "httpx", "httpx2", "httpcore", "httpcore2")


class Url(Protocol):
    @property
    def host(self) -> str: ...


class OutgoingRequest(Protocol):
    """What httpx and httpx2 have in common."""

    @property
    def url(self) -> Url: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class _Errand:
    observer: Observer
    local_only: bool


_errand: ContextVar[_Errand | None] = ContextVar("errand", default=None)


class Gate:
    """Counts what leaves, and keeps a local-only request from leaving."""

    def __init__(self, local_hosts: frozenset[str]) -> None:
        self._local_hosts = local_hosts

    async def let_out(self, request: OutgoingRequest) -> None:
        """The HTTP client's request hook. Raises NotLocal before a byte leaves."""
        errand = _errand.get()
        if errand is None:
            return
        host = request.url.host
        if errand.local_only and not is_local_host(host, self._local_hosts):
            raise NotLocal(not_local(host))
        errand.observer.sent(host, int(request.headers.get("content-length", "0")))


@contextmanager
def on_behalf_of(request: GenerationRequest, observer: Observer) -> Generator[None]:
    """Requests made inside the block are this generation's: counted for it, and held to its privacy."""
    token = _errand.set(_Errand(observer, request.local_only))
    try:
        yield
    finally:
        _errand.reset(token)


def not_local(host: str) -> str:
    """Why a local-only request is refused, with the remedy."""
    return (
        f"This task may not leave the machine, and what {host} is sent does. Choose a local model, or list the host "
        "under [privacy] local_hosts in Chargehand's config when it is yours."
    )


def keep_bodies_out_of_logs() -> None:
    """Raise the SDKs' loggers above the level at which they write request bodies."""
    for name in _TALKATIVE_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
