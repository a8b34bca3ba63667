"""Open models on Cerebras, through its own SDK, which is imported on first use."""

import json
from collections.abc import Callable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from ...profiles.model import ModelProfile
from ...tools.provider import (
    Generation,
    GenerationRequest,
    Observer,
    ProviderError,
    Turn,
)
from .account import Account, OneAccountProvider
from .deadline import CONNECT_TIMEOUT_S
from .egress import Gate, client_options
from .locality import vendor_url
from .openai_wire import Chunk, ErrorBody
from .own_headers import headers_in
from .reply import PartialReply, ReplyEnding, Stop
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
    from cerebras.cloud import sdk
    from cerebras.cloud.sdk.types.chat import ChatCompletion

_DEFAULT_URL = "https://api.cerebras.ai"

_STOPS: dict[str, Stop] = {"stop": "complete", "length": "length", "content_filter": "refused"}


def cerebras_at(settings: VendorSettings) -> Vendor:
    """Cerebras, or what stands at the address set instead. Raises InvalidAddress."""
    return Vendor(
        name="Cerebras",
        # The SDK adds the version itself, which other clients expect in the address.
        url=vendor_url(settings.cerebras_base_url, "CEREBRAS_BASE_URL", _DEFAULT_URL).removesuffix("/v1"),
        own_url=_DEFAULT_URL,
        address_variable="CEREBRAS_BASE_URL",
        key_variable="CEREBRAS_API_KEY",
        headers=headers_in("CEREBRAS_CUSTOM_HEADERS", settings.cerebras_custom_headers),
        local_hosts=settings.local_hosts,
    )


class CerebrasProvider(OneAccountProvider["sdk.AsyncCerebras"]):
    """Implements `Provider` for Cerebras."""

    def __init__(self, settings: VendorSettings) -> None:
        """Raises InvalidAddress."""
        vendor, key = cerebras_at(settings), settings.cerebras_api_key
        account = Account(vendor, key, _connect, translations, settings.common_gate)
        super().__init__(account, settings.clock, _list_models)

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """See `Provider`."""
        account = self._account
        finish_reason: str | None = None
        async with account.asking(request, observer, self._clock) as (client, reply):
            # The SDK types every reply as stream or response, regardless of `stream`.
            opened = await client.chat.completions.create(**_body(request), stream=True)
            async with cast("sdk.AsyncStream[ChatCompletion]", opened) as stream:
                account.check_answer(stream.response)
                reply.has_begun = True
                async for piece in stream:
                    finish_reason = _take(Chunk.model_validate(piece), reply) or finish_reason
            if finish_reason is None:
                raise broken_stream(account.vendor)
        return reply.finish(
            ReplyEnding(
                stop=_STOPS.get(finish_reason, "complete"),
                vendor_state=SentBack(request.profile.api_model, reply.thinking),
            )
        )


def _take(chunk: Chunk, reply: PartialReply) -> str | None:
    """Apply one chunk. Returns its finish reason, if any."""
    if chunk.usage is not None:
        chunk.usage.apply_to(reply)
    if not chunk.choices:
        return None
    choice = chunk.choices[0]
    if choice.delta.thinking:
        reply.add_thinking(choice.delta.thinking)
    if choice.delta.content:
        reply.add_answer(choice.delta.content)
    return choice.finish_reason


def translations(
    vendor: Vendor, request: GenerationRequest | None, key: str, began: Callable[[], bool]
) -> dict[type[Exception], Translation]:
    """Our error for each of the SDK's. Imports the SDK.

    request: None when only the model list was requested. began: returns whether part of the answer had arrived.
    """
    import httpx
    from cerebras.cloud import sdk

    def refused(error: Exception) -> ProviderError:
        status_error = cast("sdk.APIStatusError", error)
        # The SDK has already unwrapped the body's `error` field, if there was one.
        error_body = ErrorBody.of(status_error.body)
        wait_s = _wait_s(status_error.response.headers, error_body.text)
        # An error chunk is raised with the stream's status, 200, unless it states its own.
        error_response = ErrorResponse(
            status_error.status_code, error_body.kind, error_body.text, wait_s, began=began()
        )
        return typed_error(error_response, vendor, request, key)

    return {
        sdk.APIStatusError: refused,
        sdk.APIConnectionError: connection_lost(vendor, began),
        httpx.HTTPError: connection_lost(vendor, began),
        # The remaining errors: a missing key (one is always passed) and malformed replies.
        sdk.CerebrasError: malformed_reply(vendor),
        json.JSONDecodeError: malformed_reply(vendor),
        ValidationError: malformed_reply(vendor),
    }


def _wait_s(headers: Mapping[str, str], message: str) -> float | None:
    """Seconds until the exceeded limit resets. None: the headers do not say.

    A limit is exceeded when nothing of it remains, or when less remains than the request needs; in the latter case
    only the message names it.
    https://inference-docs.cerebras.ai/support/rate-limits (seen 2026-11-30; it names headers only in copies before
    July 2026, when tokens got two limits, uncached and total)
    """
    if (wait_s := seconds_of(headers.get("retry-after"))) is not None:
        return wait_s
    waits = [
        seconds_of(headers.get(f"x-ratelimit-reset-{unit}-{span}"))
        for unit, span in product(("requests", "tokens"), ("minute", "hour", "day"))
        if seconds_of(headers.get(f"x-ratelimit-remaining-{unit}-{span}")) == 0
        or f"{unit} per {span}" in message.lower()
    ]
    return max((wait_s for wait_s in waits if wait_s is not None), default=None)


async def _list_models(client: "sdk.AsyncCerebras") -> None:
    await client.models.list()


def _connect(api_key: str, vendor: Vendor, gate: Gate) -> "sdk.AsyncCerebras":
    import httpx
    from cerebras.cloud import sdk

    timeout = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S)
    return sdk.AsyncCerebras(
        api_key=api_key,
        base_url=vendor.url,
        max_retries=0,
        timeout=timeout,
        http_client=httpx.AsyncClient(
            timeout=timeout,
            **client_options(vendor, gate),
        ),
        # Otherwise the constructor makes a blocking request.
        warm_tcp_connection=False,
    )


def _body(request: GenerationRequest) -> dict[str, Any]:
    """The request body in the vendor's format, hence Any."""
    profile, rules = request.profile, request.profile.thinking
    system = [{"role": "system", "content": request.system}] if request.system else []
    body: dict[str, Any] = {
        "model": profile.api_model,
        "messages": [*system, *(_message(turn, profile) for turn in request.turns)],
        "max_completion_tokens": request.max_output_tokens,
        "stream_options": {"include_usage": True},
    }
    if rules is not None:
        # Otherwise some models put their thinking into the visible text.
        body["reasoning_format"] = "parsed"
        if not request.thinking.on and rules.turned_off_by is not None:
            body["reasoning_effort"] = rules.turned_off_by
        elif request.thinking.effort in rules.efforts:
            body["reasoning_effort"] = request.thinking.effort
    if request.answer_schema is not None:
        schema = {"name": "answer", "strict": True, "schema": strict_schema(request.answer_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _message(turn: Turn, profile: ModelProfile) -> dict[str, str]:
    message: dict[str, str] = {"role": turn.author, "content": turn.text}
    if thinking := sent_back(turn, profile):
        message["reasoning"] = thinking
    return message
