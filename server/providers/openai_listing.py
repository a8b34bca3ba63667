"""The models of an OpenAI-compatible server, from `/models`.

Read with plain HTTP: the SDK takes most of a second to import, and supports neither `max_model_len` (vLLM)
nor `meta` (llama.cpp) nor `context_length` (OpenRouter). Seen 2026-11-25.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import anyio
from pydantic import ValidationError

from ...tools.provider import ProviderError, Unreachable
from ...tools.some_names import some_names
from .deadline import LIST_CONNECT_TIMEOUT_S, LIST_TTL_S, with_list_timeout
from .egress import Gate, client_options
from .error_text import sanitised
from .openai_wire import ErrorBody, ServedModels
from .reply import Clock
from .unreachable import unreachable
from .vendor import Vendor
from .vendor_errors import ErrorResponse, seconds_of, typed_error

if TYPE_CHECKING:
    import httpx

_MAX_BYTES = 16_000_000
"""A router's list of a few hundred models with prices takes about 1 MB."""
_MAX_ERROR_CHARACTERS = 10_000
_NAMES_SHOWN = 3
_VERSIONED = re.compile(r"/v\d+$")


@dataclass(frozen=True)
class Listing:
    """A model list, or the error that prevented it."""

    taken_s: float
    problem: ProviderError | None = None
    context_tokens: Mapping[str, int | None] | None = None
    """The context window of each model by id, None where the server does not state it. None: no answer."""

    def why_not(self, api_model: str, host: str) -> str | None:
        """Why a model is unavailable, with the remedy. None: it is available."""
        if self.problem is not None or self.context_tokens is None:
            return str(self.problem)
        if self._holds(api_model):
            return None
        names = [sanitised(name, ()) for name in sorted(self.context_tokens)]
        has = f"It has {some_names(names, _NAMES_SHOWN)}" if names else "It has none"
        return f"{host} does not list the model {api_model}. {has}: load it there, or correct `api_model`."

    def window_of(self, api_model: str) -> int | None:
        return (self.context_tokens or {}).get(api_model)

    def _holds(self, api_model: str) -> bool:
        # OpenRouter accepts `model:nitro`, which it does not list, although it does list `model:free`.
        known = self.context_tokens or {}
        return api_model in known or api_model.rpartition(":")[0] in known


class ModelList:
    """Queries one server and caches the result for LIST_TTL_S. Safe for concurrent use."""

    def __init__(self, vendor: Vendor, api_key: str, gate: Gate, clock: Clock) -> None:
        """api_key: empty means none."""
        self._vendor = vendor
        self._api_key = api_key
        self._gate = gate
        self._clock = clock
        self._latest: Listing | None = None
        self._lock = anyio.Lock()

    @property
    def cached(self) -> Listing | None:
        """The latest listing if it has not expired. Nothing is sent."""
        fresh = self._latest is not None and self._clock() - self._latest.taken_s < LIST_TTL_S
        return self._latest if fresh else None

    async def read(self) -> Listing:
        """A listing at most LIST_TTL_S old. Never raises for network errors."""
        async with self._lock:
            listing = self.cached or await self._ask()
            self._latest = listing
            return listing

    async def refresh(self) -> Listing:
        """A new listing, bypassing the cache."""
        async with self._lock:
            self._latest = await self._ask()
            return self._latest

    async def _ask(self) -> Listing:
        import httpx

        taken_s = self._clock()
        try:
            return Listing(taken_s, context_tokens=await with_list_timeout(self._fetch))
        except (httpx.HTTPError, TimeoutError) as error:
            return Listing(taken_s, unreachable(self._vendor, error))
        except ValidationError:
            return Listing(taken_s, _not_understood(self._vendor))
        except ProviderError as error:
            return Listing(taken_s, error)

    async def _fetch(self) -> Mapping[str, int | None]:
        import httpx

        headers = {"authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        client = httpx.AsyncClient(
            timeout=httpx.Timeout(None, connect=LIST_CONNECT_TIMEOUT_S),
            **client_options(self._vendor, self._gate),
        )
        async with client, client.stream("GET", f"{self._vendor.url}/models", headers=headers) as response:
            if response.status_code != 200:
                raise await self._refusal(response)
            raw = b""
            async for piece in response.aiter_bytes():
                raw += piece
                if len(raw) > _MAX_BYTES:
                    raise _not_understood(self._vendor)
        return {model.id: model.window for model in ServedModels.model_validate_json(raw).data}

    async def _refusal(self, response: "httpx.Response") -> ProviderError:
        if response.status_code in (404, 405):
            return _no_list(self._vendor, response.status_code)
        body = ErrorBody.of(_decoded(await anext(response.aiter_text(_MAX_ERROR_CHARACTERS), "")))
        wait_s = seconds_of(response.headers.get("retry-after"))
        error_response = ErrorResponse(response.status_code, body.kind, body.text, wait_s)
        return typed_error(error_response, self._vendor, None, self._api_key)


def _decoded(text: str) -> object:
    """The error in a body of JSON, which vendors wrap in `error`; the text itself if it is none."""
    try:
        body: object = json.loads(text)
    except ValueError:
        return text
    return cast(dict[str, object], body).get("error", cast(object, body)) if isinstance(body, dict) else text


def _no_list(vendor: Vendor, status: int) -> ProviderError:
    has_version = _VERSIONED.search(vendor.url)
    hint = ", or use a server or proxy that has such a list." if has_version else ": it usually ends in /v1."
    return Unreachable(
        f"{vendor.name} has no list of models at {vendor.url}/models ({status})."
        f" Correct {vendor.address_variable}{hint}"
    )


def _not_understood(vendor: Vendor) -> ProviderError:
    return Unreachable(
        f"{vendor.url} does not answer as an OpenAI-compatible server does: its list of models cannot be understood. "
        f"Correct {vendor.address_variable}."
    )
