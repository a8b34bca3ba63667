"""What an Ollama server says of its models: installed, loaded, able to think, here or elsewhere.

Read with plain HTTP: the ollama package drops `remote_host`, and with it whether a model is local.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import anyio
from pydantic import BaseModel, ValidationError

from .deadline import LIST_CONNECT_TIMEOUT_S, LIST_TTL_S, with_list_timeout
from .egress import Gate, client_options
from .ollama_wire import Listed, Running, Shown, Tags, full_name, is_remote
from .reply import Clock
from .vendor import Vendor
from .vendor_errors import unreachable

if TYPE_CHECKING:
    import httpx

_Form = TypeVar("_Form", bound=BaseModel)


@dataclass(frozen=True)
class InstalledModel:
    """A model that the server has, as it describes it."""

    build: str
    """Digest and quantization of the weights."""
    is_remote: bool
    """True: the server only passes requests on to a host elsewhere."""
    can_think: bool
    context_tokens: int | None
    """None: the server does not say."""
    loaded_tokens: int | None
    """The window it is loaded with; 0 when loaded with one the server does not state. None: not loaded."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory."""

    name: str
    """With its tag."""
    memory_bytes: int
    """All that it takes; 0 where the server does not say."""
    video_memory_bytes: int
    """That of it which lies in the memory of a graphics card."""
    expires_at: dt.datetime | None
    """When it goes if nobody asks it. None: the server does not say."""


class OllamaModels:
    """Asks the server, and remembers the answer for a few seconds. Safe to use from many tasks."""

    def __init__(self, vendor: Vendor, gate: Gate, clock: Clock) -> None:
        self._vendor = vendor
        self._gate = gate
        self._clock = clock
        self._latest: _Listing | None = None
        self._shown: dict[tuple[str, str], Shown] = {}
        """By name and digest: what `show` says of given weights does not change."""
        self._lock = anyio.Lock()
        self._client: httpx.AsyncClient | None = None

    async def installed(self, api_model: str) -> InstalledModel | None:
        """The model of a wire id, whose tag is `latest` unless it names one. None: the server has no such model.

        What is loaded is at most a few seconds old. Raises Unreachable.
        """
        async with self._lock:
            listing = self._latest = await self._fresh()
            if listing.models is None:
                raise unreachable(self._vendor, listing.problem)
            listed = listing.models.get(full_name(api_model))
            shown = None if listed is None else await self._show(listed)
        if listed is None or shown is None:
            return None
        return InstalledModel(
            build=listed.build,
            is_remote=is_remote(listed, shown),
            can_think="thinking" in shown.capabilities,
            context_tokens=shown.context_tokens,
            loaded_tokens=listing.loaded.get(full_name(listed.name)),
        )

    async def other_text_models(self, api_models: Collection[str]) -> Sequence[str]:
        """The installed models that write text and are none of these wire ids, by name. Raises Unreachable."""
        known = {full_name(api_model) for api_model in api_models}
        async with self._lock:
            listing = self._latest = await self._fresh()
            others = [listed for name, listed in sorted((listing.models or {}).items()) if name not in known]
            shown = [(listed.name, await self._show(listed)) for listed in others]
        return [name for name, details in shown if details is not None and "completion" in details.capabilities]

    async def refresh(self) -> None:
        """Ask the server now, whatever is remembered. Raises Unreachable."""
        async with self._lock:
            self._latest = await self._list()
            if self._latest.models is None:
                raise unreachable(self._vendor, self._latest.problem)

    async def loaded(self) -> Sequence[LoadedModel]:
        """What is in memory at this moment. Raises Unreachable."""
        import httpx

        try:
            running = await with_list_timeout(lambda: self._get("/api/ps", Running))
        except (httpx.HTTPError, TimeoutError, ValidationError) as error:
            raise unreachable(self._vendor, error) from error
        return [LoadedModel(full_name(m.name), m.size, m.size_vram, m.expires_at) for m in running.models]

    def forget(self) -> None:
        """Ask anew next time: something has changed, such as which model is loaded."""
        self._latest = None

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _fresh(self) -> "_Listing":
        """The latest answer, asked for anew when it is too old."""
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
        """What the server says of a model that it lists. None: it cannot describe it, so it cannot run it."""
        import httpx

        known = self._shown.get((listed.name, listed.digest))
        if known is None:
            try:
                known = await with_list_timeout(lambda: self._ask("POST", "/api/show", Shown, {"model": listed.name}))
            except (httpx.HTTPStatusError, ValidationError):
                return None
            except (httpx.HTTPError, TimeoutError) as error:
                raise unreachable(self._vendor, error) from error
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

        if self._client is None:
            self._client = httpx.AsyncClient(
                base_url=self._vendor.url,
                timeout=httpx.Timeout(None, connect=LIST_CONNECT_TIMEOUT_S),
                **client_options(self._vendor, self._gate),
            )
        return self._client


@dataclass(frozen=True)
class _Listing:
    """What the server had at one moment."""

    taken_s: float
    models: Mapping[str, Listed] | None
    """By full name. None: it did not answer."""
    loaded: Mapping[str, int]
    """The window of each loaded model, by full name; 0 where the server states none."""
    problem: Exception | None = None
    """Why it did not answer."""
