"""An Ollama server's models: which are installed, loaded, able to think, local or remote.

Read with plain HTTP: the ollama package drops `remote_host`, which tells whether a model is local.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import anyio
from pydantic import BaseModel, ValidationError

from ...profiles.model import ModelProfile
from ...tools.errors import WHERE_VARIABLES_ARE_SET
from ...tools.provider import Unreachable
from .deadline import LIST_CONNECT_TIMEOUT_S, LIST_TTL_S, with_list_timeout
from .egress import Gate, client_options
from .ollama_names import installed_name
from .ollama_wire import Listed, Running, Shown, Tags, full_name, is_remote
from .reply import Clock
from .unreachable import unreachable
from .vendor import Vendor

if TYPE_CHECKING:
    import httpx

_Form = TypeVar("_Form", bound=BaseModel)


@dataclass(frozen=True)
class InstalledModel:
    """An installed model, as the server describes it."""

    name: str
    """Including the tag."""
    build: str
    """Digest and quantization of the weights."""
    is_remote: bool
    """True: the server forwards requests to a remote host."""
    can_think: bool
    context_tokens: int | None
    """None: the server does not say."""
    loaded_tokens: int | None
    """Context window it is loaded with, in tokens; 0: loaded, but the server does not state it. None: not loaded."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory."""

    name: str
    """Including the tag."""
    memory_bytes: int
    """Total memory; 0 if the server does not say."""
    video_memory_bytes: int
    """The part of `memory_bytes` on a graphics card."""
    expires_at: dt.datetime | None
    """When it is unloaded if unused. None: the server does not say."""


class OllamaModels:
    """Queries the server and caches the result for LIST_TTL_S. Safe for concurrent use."""

    def __init__(self, vendor: Vendor, gate: Gate, clock: Clock) -> None:
        self._vendor = vendor
        self._gate = gate
        self._clock = clock
        self._latest: _Listing | None = None
        self._shown: dict[tuple[str, str], Shown] = {}
        """By name and digest: the result of `show` for given weights does not change."""
        self._lock = anyio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def named(self, api_model: str) -> InstalledModel | None:
        """The model with this wire id; a tag defaults to `latest`. None: not installed. Raises Unreachable."""
        async with self._lock:
            listing, _ = await self._reached()
            return await self._installed(listing, full_name(api_model))

    async def installed(
        self, profiles: Sequence[ModelProfile], taken: Collection[str] = ()
    ) -> Sequence[InstalledModel | None]:
        """The models of these profiles, in order. None: not installed.

        A profile whose own model is not installed gets another build of it (`installed_name`), but none of those
        `taken`. `loaded_tokens` is at most LIST_TTL_S old. Raises Unreachable.
        """
        async with self._lock:
            listing, models = await self._reached()
            names = [installed_name(profile, models.values(), taken) for profile in profiles]
            return [await self._installed(listing, name) for name in names]

    async def other_text_models(self, api_models: Collection[str]) -> Sequence[str]:
        """Sorted names of installed text models other than these wire ids. Raises Unreachable."""
        known = {full_name(api_model) for api_model in api_models}
        async with self._lock:
            listing = self._latest = await self._fresh()
            others = [listed for name, listed in sorted((listing.models or {}).items()) if name not in known]
            shown = [(listed.name, await self._show(listed)) for listed in others]
        return [name for name, details in shown if details is not None and "completion" in details.capabilities]

    async def refresh(self) -> None:
        """Query the server now, bypassing the cache. Raises Unreachable."""
        async with self._lock:
            self._latest = await self._list()
            if self._latest.models is None:
                raise _unreachable(self._vendor, self._latest.problem)

    async def loaded(self) -> Sequence[LoadedModel]:
        """The models in memory now, bypassing the cache. Raises Unreachable."""
        import httpx

        try:
            running = await with_list_timeout(lambda: self._get("/api/ps", Running))
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            raise _unreachable(self._vendor, error) from error
        return [LoadedModel(full_name(m.name), m.size, m.size_vram, m.expires_at) for m in running.models]

    def forget(self) -> None:
        """Drop the cached listing, as when another model may have been loaded."""
        self._latest = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _installed(self, listing: "_Listing", name: str) -> InstalledModel | None:
        listed = (listing.models or {}).get(name)
        shown = None if listed is None else await self._show(listed)
        if listed is None or shown is None:
            return None
        return InstalledModel(
            name=name,
            build=listed.build,
            is_remote=is_remote(listed, shown),
            can_think="thinking" in shown.capabilities,
            context_tokens=shown.context_tokens,
            loaded_tokens=listing.loaded.get(full_name(listed.name)),
        )

    async def _reached(self) -> "tuple[_Listing, Mapping[str, Listed]]":
        """The listing with its models. Raises Unreachable."""
        listing = self._latest = await self._fresh()
        if listing.models is None:
            raise _unreachable(self._vendor, listing.problem)
        return listing, listing.models

    async def _fresh(self) -> "_Listing":
        """The cached listing, or a new one when it has expired."""
        latest = self._latest
        if latest is None or self._clock() - latest.taken_s >= LIST_TTL_S:
            return await self._list()
        return latest

    async def _list(self) -> "_Listing":
        import httpx

        taken_s = self._clock()
        try:
            tags, running = await with_list_timeout(self._tags_and_running)
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            return _Listing(taken_s, None, {}, error)
        models = {full_name(model.name): model for model in tags.models}
        return _Listing(taken_s, models, {full_name(m.name): m.context_length or 0 for m in running.models})

    async def _tags_and_running(self) -> "tuple[Tags, Running]":
        return await self._get("/api/tags", Tags), await self._get("/api/ps", Running)

    async def _show(self, listed: "Listed") -> "Shown | None":
        """The server's details of a listed model. None: it cannot describe it, and so cannot run it."""
        import httpx

        known = self._shown.get((listed.name, listed.digest))
        if known is None:
            try:
                known = await with_list_timeout(lambda: self._ask("POST", "/api/show", Shown, {"model": listed.name}))
            except (httpx.HTTPStatusError, ValidationError):
                return None
            except (httpx.HTTPError, TimeoutError) as error:
                raise _unreachable(self._vendor, error) from error
            self._shown[listed.name, listed.digest] = known
        return known

    async def _get(self, path: str, form: type[_Form]) -> _Form:
        return await self._ask("GET", path, form, None)

    async def _ask(self, method: str, path: str, form: type[_Form], body: Mapping[str, str] | None) -> _Form:
        response = await self._open().request(method, path, json=body)
        response.raise_for_status()
        return form.model_validate_json(response.content)

    def _open(self) -> "httpx.AsyncClient":
        import httpx

        if self._vendor.headers.problem is not None:
            raise Unreachable(self._vendor.headers.problem)
        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._vendor.url,
                timeout=httpx.Timeout(None, connect=LIST_CONNECT_TIMEOUT_S),
                **client_options(self._vendor, self._gate),
            )
        return self._client


@dataclass(frozen=True)
class _Listing:
    """A snapshot of the server's models."""

    taken_s: float
    models: Mapping[str, Listed] | None
    """By full name. None: the server did not answer."""
    loaded: Mapping[str, int]
    """The context window of each loaded model, by full name; 0 if the server states none."""
    problem: Exception | None = None
    """Why the server did not answer."""


def _unreachable(vendor: Vendor, cause: Exception | None) -> Unreachable:
    """The error for a listing that could not be read. Ollama wants no key, but a proxy before it may."""
    import httpx

    if not isinstance(cause, httpx.HTTPStatusError) or cause.response.status_code not in (401, 403):
        return unreachable(vendor, cause)
    known = vendor.headers.variables
    remedy = f"Correct {known[0]}" if known else "Set OLLAMA_CUSTOM_HEADERS to `Authorization: Bearer KEY`"
    return Unreachable(
        f"{vendor.url} wants a key ({cause.response.status_code}). {remedy} {WHERE_VARIABLES_ARE_SET};"
        f" or correct {vendor.address_variable}."
    )
