"""Models on the user's own Ollama, through its native API: only that has num_ctx and the load time.

The server reports one total of output tokens. It is split into thinking and answer in proportion to their bytes, so
`Usage.thinking_tokens` is an estimate; the total is exact.
"""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import anyio.to_thread
from pydantic import ValidationError

from ...profiles.model import ModelProfile
from ...tools.provider import (
    Availability,
    Generation,
    GenerationRequest,
    NotLocal,
    Observer,
    ProviderError,
    Turn,
    Unavailable,
    Unreachable,
    Usage,
)
from ...tools.some_names import some_names
from .deadline import CONNECT_TIMEOUT_S, deadline
from .egress import Gate, client_options, not_local, on_behalf_of
from .error_text import sanitised, text_in
from .locality import ollama_url
from .ollama_models import InstalledModel, LoadedModel, OllamaModels
from .ollama_sdk import load_ollama_sdk
from .ollama_window import Window, choose_window, was_truncated
from .ollama_wire import full_name, is_named_as_remote
from .own_headers import headers_in
from .reply import PartialReply, ReplyEnding, estimate_prompt_tokens
from .sent_back import SentBack, sent_back
from .vendor import Vendor
from .vendor_errors import (
    ErrorResponse,
    Translation,
    broken_stream,
    connection_lost,
    context_too_long,
    malformed_reply,
    translating,
    typed_error,
    unknown_model,
)
from .vendor_settings import VendorSettings

if TYPE_CHECKING:
    import ollama

_KEEP_LOADED = "10m"
"""Twice Ollama's default, so that checks followed by a repair do not cause another cold load."""
_COLD_LOAD_FROM_S = 0.2
"""A model that is already loaded also reports a few milliseconds of `load_duration`."""
_NANOSECONDS = 1_000_000_000
_NAMES_SHOWN = 3
_CLOUD_HOST = "ollama.com"
_CLOUD = (
    "OLLAMA_HOST is Ollama's cloud itself, which wants a key and bills by token. Add its models as profiles with"
    " `provider: openai_compatible`, `base_url: https://ollama.com/v1`, `api_key_env: OLLAMA_API_KEY` and a `price`"
)
"""Its address and key: https://docs.ollama.com/api/authentication (seen 2026-11-30)."""


def ollama_at(settings: VendorSettings) -> Vendor:
    """Ollama, at its default address unless another is set. Raises InvalidAddress."""
    return Vendor(
        name="Ollama",
        url=ollama_url(settings.ollama_host),
        address_variable="OLLAMA_HOST",
        headers=headers_in("OLLAMA_CUSTOM_HEADERS", settings.ollama_custom_headers),
        key_remedy="Run `ollama signin`, or use a local model.",
        start_command="ollama serve",
        local_hosts=settings.local_hosts,
    )


class OllamaProvider:
    """Implements `Provider` for Ollama."""

    def __init__(self, settings: VendorSettings) -> None:
        """Raises InvalidAddress."""
        self._vendor = ollama_at(settings)
        self._gate = settings.common_gate
        self._clock = settings.clock
        self._models = OllamaModels(self._vendor, self._gate, self._clock)
        self._client: ollama.AsyncClient | None = None
        self._client_lock = anyio.Lock()

    async def availability(
        self, profiles: Sequence[ModelProfile], *, local_only: bool = False
    ) -> Mapping[str, Availability]:
        """See `Provider`. Queries the server at most every few seconds; takes a second when nothing listens."""
        if self._gate.blocks(self._vendor.host, local_only=local_only):
            return {profile.id: self._unavailable(profile, not_local(self._vendor.host)) for profile in profiles}
        if self._vendor.host == _CLOUD_HOST:
            return {profile.id: self._unavailable(profile, _CLOUD) for profile in profiles}
        try:
            api_models = [profile.api_model for profile in profiles]
            found = await self._models.installed(profiles, taken=[full_name(api_model) for api_model in api_models])
            unknown = () if any(found) else await self._models.other_text_models(api_models)
        except Unreachable as error:
            return {profile.id: self._unavailable(profile, str(error), is_set_up=None) for profile in profiles}
        return {
            profile.id: self._availability(profile, model, unknown)
            for profile, model in zip(profiles, found, strict=True)
        }

    async def check_access(self) -> str | None:
        """See `Provider`. There is no key, so any answer counts as access."""
        if self._gate.blocks(self._vendor.host):
            return None
        if self._vendor.host == _CLOUD_HOST:
            return f"{_CLOUD}."
        try:
            await self._models.refresh()
        except Unreachable as error:
            return str(error)
        return None

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """See `Provider`."""
        if request.local_only:
            self._require_local(is_remote=is_named_as_remote(request.profile.api_model))
        client = await self._open()
        reply = PartialReply(request, observer, self._clock)
        table = translations(self._vendor, request, lambda: reply.has_begun)
        with translating(table), deadline(request), on_behalf_of(request, observer):
            model = await self._installed(request)
            window = choose_window(
                estimate_prompt_tokens(request),
                request.max_output_tokens,
                model_max_tokens=model.context_tokens or request.profile.context_tokens,
                loaded_tokens=model.loaded_tokens,
            )
            if window is None:
                raise context_too_long(request)
            is_cold = not model.is_remote and model.loaded_tokens not in (window.num_ctx, 0)
            reply.enter_phase("loading" if is_cold else "waiting")
            last = await self._stream(client, _body(request, model, window), reply)
        usage = _usage(last, reply, request)
        reply.set_usage(usage)
        if last.prompt_eval_count is not None and was_truncated(last.prompt_eval_count, window.num_ctx):
            raise context_too_long(request)
        load_seconds = (last.load_duration or 0) / _NANOSECONDS
        return reply.finish(
            ReplyEnding(
                stop="length" if last.done_reason == "length" else "complete",
                vendor_state=SentBack(request.profile.api_model, reply.thinking),
                load_seconds=load_seconds if is_cold or load_seconds >= _COLD_LOAD_FROM_S else 0.0,
            )
        )

    async def loaded(self) -> Sequence[LoadedModel]:
        """The models in the server's memory now. Raises Unreachable, or NotLocal if requests to it are blocked."""
        if self._gate.blocks(self._vendor.host):
            raise NotLocal(not_local(self._vendor.host))
        return await self._models.loaded()

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._models.aclose()
        if self._client is not None:
            await self._client.close()

    async def _open(self) -> "ollama.AsyncClient":
        async with self._client_lock:
            if self._client is None:
                # In a thread: importing the SDK must not block the server.
                connect = partial(_connect, self._vendor, self._gate)
                self._client = await anyio.to_thread.run_sync(connect, abandon_on_cancel=True)
            return self._client

    async def _installed(self, request: GenerationRequest) -> InstalledModel:
        """The model as the server describes it. Raises Unavailable, UnknownModelId or NotLocal."""
        (model,) = await self._models.installed([request.profile])
        if model is None:
            self._models.forget()  # it may have been pulled since the last listing
            (model,) = await self._models.installed([request.profile])
        if model is None:
            raise unknown_model(self._vendor, request)
        if request.local_only:
            self._require_local(is_remote=model.is_remote)
        if (unpriced := _unpriced(request.profile, model)) is not None:
            raise Unavailable(f"{unpriced}.")
        return model

    async def _stream(
        self, client: "ollama.AsyncClient", body: dict[str, Any], reply: PartialReply
    ) -> "ollama.ChatResponse":
        """Streams into the reply. Returns the final part, which has the counters; raises BrokenStream without one."""
        last: ollama.ChatResponse | None = None
        try:
            # Cast, because the SDK's types are incomplete: parts are untyped, and `aclose` is hidden.
            chat = cast(
                Callable[..., Awaitable[AsyncGenerator["ollama.ChatResponse"]]],
                client.chat,  # pyright: ignore[reportUnknownMemberType] - see above
            )
            async with aclosing(await chat(**body, stream=True)) as stream:
                async for part in stream:
                    reply.has_begun = True
                    if part.message.thinking:
                        reply.add_thinking(part.message.thinking)
                    if part.message.content:
                        reply.add_answer(part.message.content)
                    if part.done:
                        last = part
        finally:
            self._models.forget()
        if last is None:
            raise broken_stream(self._vendor)
        return last

    def _require_local(self, *, is_remote: bool) -> None:
        if not self._vendor.is_local:
            raise NotLocal(not_local(self._vendor.host))
        if is_remote:
            raise NotLocal(not_local("the machine that runs this Ollama cloud model"))

    def _availability(
        self, profile: ModelProfile, model: InstalledModel | None, unknown: Sequence[str]
    ) -> Availability:
        """unknown: installed models without a profile, given only when no model with a profile is installed."""
        if model is None and unknown:
            return self._unavailable(
                profile,
                f"no model with a profile is installed in Ollama, which has"
                f" {some_names([sanitised(name, ()) for name in unknown], _NAMES_SHOWN)}."
                " `chargehand profiles update --from-releases` makes profiles for them",
            )
        if model is None:
            command = profile.setup_command or f"ollama pull {profile.api_model}"
            return self._unavailable(profile, f"{profile.api_model} is not installed in Ollama. Run: {command}")
        if (unpriced := _unpriced(profile, model)) is not None:
            return replace(self._unavailable(profile, unpriced), is_local=False)
        return Availability(
            is_reachable=True,
            is_local=self._vendor.is_local and not model.is_remote,
            host=self._vendor.host,
            is_loaded=None if model.is_remote else model.loaded_tokens is not None,
            context_tokens=model.context_tokens,
            build=model.build,
            api_model=None if model.name == full_name(profile.api_model) else model.name,
            queue=None if model.is_remote else self._vendor.url,
        )

    def _unavailable(self, profile: ModelProfile, why_not: str, *, is_set_up: bool | None = True) -> Availability:
        is_local = self._vendor.is_local and not is_named_as_remote(profile.api_model)
        return Availability(
            is_reachable=False, is_local=is_local, host=self._vendor.host, why_not=why_not, is_set_up=is_set_up
        )


def _unpriced(profile: ModelProfile, model: InstalledModel) -> str | None:
    """Why the model cannot be asked before its profile has a price. None: it can.

    Ollama bills its cloud by token since 2026-08-31 (https://ollama.com/pricing, as those quote it who read it, seen
    2026-11-30).
    """
    if profile.price is not None or not model.is_remote:
        return None
    return (
        f"{profile.api_model} runs in Ollama's cloud, which bills by token, and its profile has no price. Add a `price`"
        " with its source and day, all zeros if your plan covers it"
    )


def translations(
    vendor: Vendor, request: GenerationRequest, began: Callable[[], bool]
) -> dict[type[Exception], Translation]:
    """Our error for each of the SDK's. Imports the SDK.

    began: returns whether part of the answer had arrived.
    """
    import httpx

    ollama = load_ollama_sdk()

    def refused(error: Exception) -> ProviderError:
        response_error = cast("ollama.ResponseError", error)
        # The SDK reports -1 for an error line inside a stream.
        status = response_error.status_code if response_error.status_code > 0 else 500
        error_response = ErrorResponse(status=status, text=text_in(str(response_error.error)), began=began())
        return typed_error(error_response, vendor, request)

    return {
        ollama.ResponseError: refused,
        ConnectionError: connection_lost(vendor, began),
        httpx.HTTPError: connection_lost(vendor, began),
        # The remaining errors: replies that are not Ollama's.
        ollama.RequestError: malformed_reply(vendor),
        json.JSONDecodeError: malformed_reply(vendor),
        ValidationError: malformed_reply(vendor),
    }


def _connect(vendor: Vendor, gate: Gate) -> "ollama.AsyncClient":
    import httpx

    ollama = load_ollama_sdk()

    async def drop_key(request: httpx.Request) -> None:
        # The SDK takes OLLAMA_API_KEY, the key for Ollama's cloud, and sends it wherever OLLAMA_HOST points.
        request.headers.pop("authorization", None)

    return ollama.AsyncClient(
        host=vendor.url,
        timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_S),
        **client_options(vendor, gate, drop_key),
    )


def _body(request: GenerationRequest, model: InstalledModel, window: Window) -> dict[str, Any]:
    """The arguments of the SDK's `chat`, in the vendor's format, hence Any."""
    profile = request.profile
    system = [{"role": "system", "content": request.system}] if request.system else []
    body: dict[str, Any] = {
        "model": model.name,
        "messages": [*system, *(_message(turn, profile) for turn in request.turns)],
        "options": {"num_ctx": window.num_ctx, "num_predict": window.num_predict},
        "keep_alive": _KEEP_LOADED,
    }
    if model.can_think:
        efforts = profile.thinking.efforts if profile.thinking is not None else ()
        with_effort = request.thinking.on and request.thinking.effort in efforts
        body["think"] = request.thinking.effort if with_effort else request.thinking.on
    if request.answer_schema is not None:
        body["format"] = dict(request.answer_schema)
    return body


def _message(turn: Turn, profile: ModelProfile) -> dict[str, str]:
    message: dict[str, str] = {"role": turn.author, "content": turn.text}
    if thinking := sent_back(turn, profile):
        message["thinking"] = thinking
    return message


def _usage(last: "ollama.ChatResponse", reply: PartialReply, request: GenerationRequest) -> Usage:
    output = last.eval_count or 0
    # Old versions omit the count when the whole prompt was cached.
    prompt = last.prompt_eval_count if last.prompt_eval_count is not None else estimate_prompt_tokens(request)
    return Usage(input_tokens=prompt, output_tokens=output, thinking_tokens=reply.thinking_part_of(output))
