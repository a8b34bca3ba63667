"""Claude through Anthropic's Messages API and its own SDK, which is imported on first use."""

import json
import warnings
from collections.abc import Callable
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
from .anthropic_batches import AnthropicBatches
from .anthropic_wire import Blocks, Event, Message, PartialMessage
from .deadline import CONNECT_TIMEOUT_S
from .egress import Gate, client_options
from .error_text import text_in
from .locality import vendor_url
from .own_headers import headers_in
from .reply import PartialReply, ReplyEnding
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
    import anthropic

_DEFAULT_URL = "https://api.anthropic.com"
_CACHED = {"type": "ephemeral"}


def anthropic_at(settings: VendorSettings) -> Vendor:
    """Anthropic, or what stands at the address set instead. Raises InvalidAddress."""
    return Vendor(
        name="Anthropic",
        # The SDK adds the version itself, which other clients expect in the address.
        url=vendor_url(settings.anthropic_base_url, "ANTHROPIC_BASE_URL", _DEFAULT_URL).removesuffix("/v1"),
        own_url=_DEFAULT_URL,
        address_variable="ANTHROPIC_BASE_URL",
        key_variable="ANTHROPIC_API_KEY",
        headers=headers_in("ANTHROPIC_CUSTOM_HEADERS", settings.anthropic_custom_headers),
        local_hosts=settings.local_hosts,
    )


class AnthropicProvider(OneAccountProvider["anthropic.AsyncAnthropic"]):
    """Implements `Provider` for Anthropic."""

    def __init__(self, settings: VendorSettings) -> None:
        """Raises InvalidAddress."""
        vendor, key = anthropic_at(settings), settings.anthropic_api_key
        account = Account(vendor, key, _connect, translations, settings.common_gate)
        super().__init__(account, settings.clock, _list_models)
        self.batches = AnthropicBatches(self._account, _body, _read_whole)

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """See `Provider`."""
        account = self._account
        message = PartialMessage()
        async with account.asking(request, observer, self._clock) as (client, reply):
            async with await client.messages.create(**_body(request), stream=True) as stream:
                account.check_answer(stream.response)
                reply.has_begun = True
                async for event in stream:
                    message.take(Event.model_validate(event.to_dict(warnings=False)), reply)
            if not message.is_whole:
                raise broken_stream(account.vendor)
        return reply.finish(message.ending(request.profile.api_model, reply))


def _read_whole(message: "anthropic.types.Message", reply: PartialReply) -> ReplyEnding:
    so_far = PartialMessage()
    so_far.take_whole(Message.model_validate(message.to_dict(warnings=False)), reply)
    return so_far.ending(message.model, reply)


def translations(
    vendor: Vendor, request: GenerationRequest | None, key: str, began: Callable[[], bool]
) -> dict[type[Exception], Translation]:
    """Our error for each of the SDK's. Imports the SDK.

    request: None when only the model list was requested. began: returns whether part of the answer had arrived.
    """
    import anthropic
    import httpx2

    def refused(error: Exception) -> ProviderError:
        status_error = cast(anthropic.APIStatusError, error)
        error_response = ErrorResponse(
            status=status_error.status_code,
            kind=f"{status_error.type or ''} {status_error.error_code or ''}".strip(),
            text=text_in(status_error.body),
            retry_after_s=seconds_of(status_error.response.headers.get("retry-after")),
            began=began(),
        )
        return typed_error(error_response, vendor, request, key)

    return {
        anthropic.APIStatusError: refused,
        anthropic.APIConnectionError: connection_lost(vendor, began),
        httpx2.HTTPError: connection_lost(vendor, began),
        # The remaining errors: unused credential sources, disabled retries, and malformed replies.
        anthropic.AnthropicError: malformed_reply(vendor),
        json.JSONDecodeError: malformed_reply(vendor),
        ValidationError: malformed_reply(vendor),
    }


async def _list_models(client: "anthropic.AsyncAnthropic") -> None:
    await client.models.list(limit=1)


def _connect(api_key: str, vendor: Vendor, gate: Gate) -> "anthropic.AsyncAnthropic":
    import anthropic
    import httpx2

    # The profile's lifecycle already reports deprecation to the user.
    warnings.filterwarnings("ignore", r"The model '.*' is deprecated", DeprecationWarning)
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)

    async def keep_to_address(request: httpx2.Request) -> None:
        # For the results of a batch the SDK asks whatever address a reply names, which behind a gateway is another one.
        own, asked = httpx2.URL(vendor.url), request.url
        if (asked.scheme, asked.netloc) != (own.scheme, own.netloc):
            request.url = own.copy_with(raw_path=own.raw_path.rstrip(b"/") + asked.raw_path)
            request.headers["host"] = own.netloc.decode("ascii")

    return anthropic.AsyncAnthropic(
        api_key=api_key,
        base_url=vendor.url,
        max_retries=0,
        timeout=timeout,
        http_client=httpx2.AsyncClient(
            timeout=timeout,
            **client_options(vendor, gate, keep_to_address),
        ),
    )


def _body(request: GenerationRequest) -> dict[str, Any]:
    """The request body in the vendor's format, hence Any. Without sampling and prefill, which 5.x models refuse."""
    profile = request.profile
    body: dict[str, Any] = {
        "model": profile.api_model,
        "max_tokens": request.max_output_tokens,
        "messages": [_message(turn, profile) for turn in request.turns],
    }
    if request.system:
        body["system"] = [{"type": "text", "text": request.system}]
    if "prompt_caching" in profile.capabilities:
        _mark_for_cache(body)
    output_config: dict[str, Any] = {}
    rules = profile.thinking
    if rules is not None:
        if not request.thinking.on and rules.turned_off_by is not None:
            body["thinking"] = {"type": rules.turned_off_by}
        elif request.thinking.on and not rules.always_on:
            body["thinking"] = {"type": "adaptive"}
        if request.thinking.effort in rules.efforts:
            output_config["effort"] = request.thinking.effort
    if request.answer_schema is not None:
        output_config["format"] = {"type": "json_schema", "schema": strict_schema(request.answer_schema)}
    if output_config:
        body["output_config"] = output_config
    return body


def _message(turn: Turn, profile: ModelProfile) -> dict[str, Any]:
    state = turn.vendor_state
    may_send_back = profile.thinking is not None and profile.thinking.sent_back
    if may_send_back and isinstance(state, Blocks) and state.model == profile.api_model and state.blocks:
        return {"role": turn.author, "content": [dict(block) for block in state.blocks]}
    return {"role": turn.author, "content": [{"type": "text", "text": turn.text}]}


def _mark_for_cache(body: dict[str, Any]) -> None:
    """Set cache breakpoints after the system prompt, shared by tasks, and the last turn, repeated by a repair."""
    if "system" in body:
        body["system"][-1]["cache_control"] = _CACHED
    body["messages"][-1]["content"][-1]["cache_control"] = _CACHED
