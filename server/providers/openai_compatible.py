"""Models on any server with OpenAI's chat completions API, through OpenAI's SDK, imported on first use.

Each profile names its own server, so one adapter handles several. Fields and errors are those of vLLM,
llama.cpp's server, LM Studio and OpenRouter (their pages and sources, seen 2026-11-25).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import anyio
from pydantic import ValidationError

from ...profiles.model import Endpoint, ModelProfile
from ...tools.provider import (
    Availability,
    Generation,
    GenerationRequest,
    Observer,
    ProviderError,
    Turn,
    Unreachable,
)
from .account import Account
from .deadline import CONNECT_TIMEOUT_S
from .egress import Gate, client_options, not_local
from .locality import InvalidAddress, vendor_url
from .openai_listing import Listing, ModelList
from .openai_wire import Chunk, ChunkAccumulator, ErrorBody
from .own_headers import headers_of
from .reply import ReplyEnding, Stop
from .sent_back import SentBack, sent_back
from .strict_schema import strict_schema
from .vendor import Vendor
from .vendor_errors import (
    ErrorResponse,
    Translation,
    broken_stream,
    connection_lost,
    malformed_reply,
    seconds_of,
    typed_error,
)
from .vendor_settings import VendorSettings

if TYPE_CHECKING:
    import openai
    from openai.types.chat import ChatCompletionChunk

_STOPS: dict[str, Stop] = {"length": "length", "content_filter": "refused"}
_BROKEN_OFF = (None, "error", "abort")
"""`error`: OpenRouter. `abort`: vLLM (`v1/engine/__init__.py`) and sglang 0.5.23, when the server ends the request."""
_PLACEHOLDER_KEY = "none"
"""For a server that needs no key, because the SDK requires one; it is not sent."""
_ALLOWED_HEADERS = frozenset(
    {"accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host", "user-agent"}
)


@dataclass
class _Server:
    """One server, identified by its endpoint."""

    account: "Account[openai.AsyncOpenAI]"
    models: ModelList
    limit_fields: dict[str, str] = field(default_factory=dict[str, str])
    """By wire id: the request field that limits the model's output, if the model refused the usual one."""

    @property
    def is_polled(self) -> bool:
        """Whether its models are listed before each decision: true for the user's own servers, not for vendors."""
        return self.account.vendor.is_local or not self.account.vendor.credentials


def compatible_at(profile: ModelProfile, settings: VendorSettings) -> Vendor:
    """The server named by a profile. Raises InvalidAddress."""
    place = f"`base_url` in the profile {profile.id}"
    url = vendor_url(profile.base_url or "", place, "")
    return Vendor(
        name=url.partition("://")[2].partition("/")[0],
        url=url,
        address_variable=place,
        key_variable=profile.api_key_env,
        headers=headers_of(profile, settings.key_of),
        key_remedy=f"Name the variable that holds its key: `api_key_env` in the profile {profile.id}.",
        local_hosts=settings.local_hosts,
    )


class OpenAICompatibleProvider:
    """Implements `Provider` for the servers that profiles name in `base_url`."""

    def __init__(self, settings: VendorSettings) -> None:
        self._settings = settings
        self._key_of = settings.key_of
        self._gate = settings.common_gate
        self._clock = settings.clock
        self._servers: dict[Endpoint, _Server] = {}

    async def availability(
        self, profiles: Sequence[ModelProfile], *, local_only: bool = False
    ) -> Mapping[str, Availability]:
        """See `Provider`. Queries the user's own servers concurrently; for a vendor only the key is checked."""
        found: dict[str, Availability] = {}

        async def look(profile: ModelProfile) -> None:
            found[profile.id] = await self._availability(profile, local_only=local_only)

        async with anyio.create_task_group() as group:
            for profile in profiles:
                group.start_soon(look, profile)
        return found

    async def check_access(self) -> str | None:
        """See `Provider`. Queries all servers seen so far; access to one of them is enough.

        Errors of the others appear in their models' availability for LIST_TTL_S.
        """
        listings: list[Listing] = []

        async def ask(server: _Server) -> None:
            listings.append(await server.models.refresh())

        async with anyio.create_task_group() as group:
            for server in self._servers.values():
                if server.account.why_unusable is None and not self._gate.blocks(server.account.vendor.host):
                    group.start_soon(ask, server)
        problems = [str(listing.problem) for listing in listings if listing.problem is not None]
        return problems[0] if problems and len(problems) == len(listings) else None

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """See `Provider`."""
        server = self._server_of(request.profile)
        account = server.account
        async with account.asking(request, observer, self._clock) as (client, reply):
            answer = ChunkAccumulator(reply)
            async with await _open_stream(client, server, request) as stream:
                account.check_answer(stream.response)
                reply.has_begun = True
                async for piece in stream:
                    answer.take(Chunk.model_validate(piece))
            answer.end()
            if answer.finish_reason in _BROKEN_OFF:
                raise broken_stream(account.vendor)
        return reply.finish(
            ReplyEnding(
                stop=_STOPS.get(answer.finish_reason, "complete"),
                vendor_state=SentBack(request.profile.api_model, reply.thinking),
            )
        )

    async def aclose(self) -> None:
        """See `Provider`."""
        for server in self._servers.values():
            await server.account.aclose()

    async def _availability(self, profile: ModelProfile, *, local_only: bool) -> Availability:
        try:
            server = self._server_of(profile)
        except Unreachable as error:
            return Availability(is_reachable=False, is_local=False, host=profile.base_url or "", why_not=str(error))
        known = server.account.availability([profile])[profile.id]
        if not known.is_reachable:
            return known
        is_blocked = self._gate.blocks(known.host, local_only=local_only)
        if is_blocked and server.is_polled:
            return _unavailable(known, not_local(known.host))
        polls = server.is_polled and not is_blocked
        listing = await server.models.read() if polls else server.models.cached
        if listing is None:
            return known
        if why_not := listing.why_not(profile.api_model, server.account.vendor.name):
            return _unavailable(known, why_not)
        return Availability(
            is_reachable=True,
            is_local=known.is_local,
            host=known.host,
            context_tokens=listing.window_of(profile.api_model),
        )

    def _server_of(self, profile: ModelProfile) -> _Server:
        """The server of a profile. Raises Unreachable when its address is invalid."""
        try:
            vendor = compatible_at(profile, self._settings)
        except InvalidAddress as error:
            raise Unreachable(str(error)) from error
        endpoint = profile.endpoint
        if endpoint not in self._servers:
            self._servers[endpoint] = self._new_server(vendor, profile)
        return self._servers[endpoint]

    def _new_server(self, vendor: Vendor, profile: ModelProfile) -> _Server:
        key = self._key_of(profile.api_key_env).strip() if profile.api_key_env else ""
        account: Account[openai.AsyncOpenAI] = Account(vendor, key, _connect, translations, self._gate)
        return _Server(account, ModelList(vendor, key, self._gate, self._clock))


def translations(
    vendor: Vendor, request: GenerationRequest | None, key: str, began: Callable[[], bool]
) -> dict[type[Exception], Translation]:
    """Our error for each of the SDK's. Imports the SDK.

    request: None when only the model list was requested. began: returns whether part of the answer had arrived.
    """
    import httpx2
    import openai

    def refused(error: Exception) -> ProviderError:
        status_error = cast("openai.APIStatusError", error)
        error_body = ErrorBody.of(status_error.body)
        wait_s = seconds_of(status_error.response.headers.get("retry-after"))
        error_response = ErrorResponse(
            status_error.status_code, error_body.kind, error_body.text, wait_s, began=began()
        )
        return typed_error(error_response, vendor, request, key)

    def broken_off(error: Exception) -> ProviderError:
        # For an error inside a stream the SDK raises its base class, with the error object as the body.
        error_body = ErrorBody.of(cast("openai.APIError", error).body)
        error_response = ErrorResponse(error_body.status or 200, error_body.kind, error_body.text, began=True)
        return typed_error(error_response, vendor, request, key)

    return {
        openai.APIStatusError: refused,
        openai.APIConnectionError: connection_lost(vendor, began),
        openai.APIResponseValidationError: malformed_reply(vendor),
        openai.APIError: broken_off,
        httpx2.HTTPError: connection_lost(vendor, began),
        # The remaining errors: unused credential sources and sockets, and malformed replies.
        openai.OpenAIError: malformed_reply(vendor),
        json.JSONDecodeError: malformed_reply(vendor),
        ValidationError: malformed_reply(vendor),
    }


async def _open_stream(
    client: "openai.AsyncOpenAI", server: _Server, request: GenerationRequest
) -> "openai.AsyncStream[ChatCompletionChunk]":
    """The stream of an answer. Retries once with `max_completion_tokens` for a model that requires that name.

    OpenAI's reasoning models refuse `max_tokens`, and llama-cpp-python supports nothing else; a refusal is free.
    """
    import openai

    model = request.profile.api_model
    limit_field = server.limit_fields.get(model, "max_tokens")
    # Servers differ, and the SDK's types describe only OpenAI's own, hence Any.
    create: Any = client.chat.completions.create
    try:
        return await create(**_body(request, limit_field), stream=True)
    except openai.BadRequestError as error:
        if limit_field != "max_tokens" or "max_completion_tokens" not in ErrorBody.of(error.body).text:
            raise
    stream = await create(**_body(request, "max_completion_tokens"), stream=True)
    server.limit_fields[model] = "max_completion_tokens"
    return stream


def _connect(api_key: str, vendor: Vendor, gate: Gate) -> "openai.AsyncOpenAI":
    import httpx2
    import openai

    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)

    async def strip(request: httpx2.Request) -> None:
        # The SDK adds headers from OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS for every server.
        for name in set(request.headers) - _ALLOWED_HEADERS:
            del request.headers[name]
        if not api_key:
            del request.headers["authorization"]

    key = api_key or _PLACEHOLDER_KEY
    return openai.AsyncOpenAI(
        api_key=key,
        # Also set explicitly, so that OPENAI_CUSTOM_HEADERS cannot replace the key.
        default_headers={"Authorization": f"Bearer {key}"},
        base_url=vendor.url,
        max_retries=0,
        timeout=timeout,
        http_client=httpx2.AsyncClient(
            timeout=timeout,
            **client_options(vendor, gate, strip),
        ),
    )


def _body(request: GenerationRequest, limit_field: str) -> dict[str, Any]:
    """The request body in the vendors' format, hence Any. Without sampling, which reasoning models refuse."""
    profile, rules = request.profile, request.profile.thinking
    system = [{"role": "system", "content": request.system}] if request.system else []
    body: dict[str, Any] = {
        "model": profile.api_model,
        "messages": [*system, *(_message(turn, profile) for turn in request.turns)],
        limit_field: request.max_output_tokens,
        "stream_options": {"include_usage": True},
    }
    if rules is not None:
        if not request.thinking.on and rules.turned_off_by is not None:
            body["reasoning_effort"] = rules.turned_off_by
        elif request.thinking.effort in rules.efforts:
            body["reasoning_effort"] = request.thinking.effort
        elif not (rules.always_on or rules.efforts or rules.turned_off_by):
            # On or off only, as vLLM and llama.cpp pass it to Qwen's template.
            body["extra_body"] = {"chat_template_kwargs": {"enable_thinking": request.thinking.on}}
    if request.answer_schema is not None and "structured_output" in profile.capabilities:
        schema = {"name": "answer", "strict": True, "schema": strict_schema(request.answer_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _message(turn: Turn, profile: ModelProfile) -> dict[str, str]:
    message: dict[str, str] = {"role": turn.author, "content": turn.text}
    if thinking := sent_back(turn, profile):
        message["reasoning_content"] = thinking
    return message


def _unavailable(known: Availability, why_not: str) -> Availability:
    return Availability(is_reachable=False, is_local=known.is_local, host=known.host, why_not=why_not)
