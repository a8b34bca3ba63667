"""Claude through Anthropic's Messages API and its own SDK, which is imported on first use."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from ...profiles.model import ModelProfile
from ...tools.provider import (
    Availability,
    Generation,
    GenerationRequest,
    Observer,
    ProviderError,
    Turn,
    Usage,
)
from .account import Account
from .anthropic_batches import AnthropicBatches
from .deadline import CONNECT_TIMEOUT_S
from .egress import Gate, client_options
from .locality import vendor_url
from .reply import Clock, PartialReply, ReplyEnding, Stop
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

if TYPE_CHECKING:
    import anthropic
    from anthropic.types import Message, RawMessageStreamEvent, RefusalStopDetails

_DEFAULT_URL = "https://api.anthropic.com"
_CACHED = {"type": "ephemeral"}

_STOPS: dict[str, Stop] = {
    "end_turn": "complete",
    "stop_sequence": "complete",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}

# Refusals that are billed even if they come before any output ("How refusals are billed",
# https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback, seen 2026-11-30).
_BILLED_REFUSALS = frozenset({"bio", "frontier_llm", "reasoning_extraction"})

# For inference in the US alone, which a workspace can have as its default
# (https://platform.claude.com/docs/en/manage-claude/data-residency, seen 2026-11-30).
_PRICE_FACTORS = {"us": 1.1}


@dataclass(frozen=True)
class _Blocks:
    """An answer's content blocks as received, signatures included. Only for the model that produced them."""

    model: str
    blocks: tuple[Mapping[str, Any], ...]


def anthropic_at(base_url: str, local_hosts: frozenset[str]) -> Vendor:
    """Anthropic at `base_url`; empty means the default. Raises InvalidAddress."""
    return Vendor(
        name="Anthropic",
        url=vendor_url(base_url, "ANTHROPIC_BASE_URL", _DEFAULT_URL),
        address_variable="ANTHROPIC_BASE_URL",
        key_variable="ANTHROPIC_API_KEY",
        local_hosts=local_hosts,
    )


class AnthropicProvider:
    """Implements `Provider` for Anthropic."""

    def __init__(
        self, *, api_key: str, base_url: str, local_hosts: frozenset[str], clock: Clock, gate: Gate | None = None
    ) -> None:
        """api_key: empty means absent. base_url: empty means Anthropic's own. Raises InvalidAddress."""
        vendor = anthropic_at(base_url, local_hosts)
        self._account: Account[anthropic.AsyncAnthropic] = Account(
            vendor, api_key, _connect, translations, gate or Gate(local_hosts)
        )
        self._clock = clock
        self.batches = AnthropicBatches(self._account, _body, _read_whole)

    async def availability(
        self,
        profiles: Sequence[ModelProfile],
        *,
        local_only: bool = False,  # noqa: ARG002 - sends nothing
    ) -> Mapping[str, Availability]:
        """See `Account`."""
        return self._account.availability(profiles)

    async def check_access(self) -> str | None:
        """See `Account`."""
        return await self._account.check_access(_list_models)

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """See `Provider`."""
        account = self._account
        message = _PartialMessage()
        async with account.asking(request, observer, self._clock) as (client, reply):
            async with await client.messages.create(**_body(request), stream=True) as stream:
                reply.has_begun = True
                async for event in stream:
                    message.take(event, reply)
            if not message.is_whole:
                raise broken_stream(account.vendor)
        return reply.finish(message.ending(request.profile.api_model, reply))

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._account.aclose()


@dataclass
class _PartialMessage:
    """The blocks and token counters of a message while its events arrive."""

    blocks: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    usage: Usage = field(default_factory=Usage)
    price_factor: float = 1.0
    stop_reason: str | None = None
    refusal: str | None = None
    has_ended: bool = False

    @property
    def is_whole(self) -> bool:
        return self.has_ended and self.stop_reason is not None

    def ending(self, model: str, reply: PartialReply) -> ReplyEnding:
        """How the message ended; a refusal that is not billed is charged nothing, though its tokens are counted."""
        if self.stop_reason == "refusal" and not self.blocks and self.refusal not in _BILLED_REFUSALS:
            reply.set_charge(0.0)
        return ReplyEnding(
            stop=_STOPS.get(self.stop_reason or "", "complete"),
            vendor_state=_Blocks(model, self.finished_blocks()),
            refusal=self.refusal,
        )

    def take_whole(self, message: "Message", reply: PartialReply) -> None:
        """Take a complete, unstreamed message."""
        for index, block in enumerate(message.content):
            self.blocks[index] = block.to_dict()
            if block.type == "text":
                reply.add_answer(block.text)
            elif block.type == "thinking":
                reply.add_thinking(block.thinking)
        self._price(message)
        self._count(message.usage.input_tokens, message.usage, reply, is_final=True)
        self._stopped(message.stop_reason, message.stop_details)

    def take(self, event: "RawMessageStreamEvent", reply: PartialReply) -> None:
        """Apply one event. Blocks are distinguished by type, not by order: thinking is optional and comes first."""
        match event.type:
            case "message_start":
                counters = event.message.usage
                self._price(event.message)
                self._count(counters.input_tokens, counters, reply, is_final=False)
            case "content_block_start":
                self.blocks[event.index] = event.content_block.to_dict()
                if event.content_block.type in ("thinking", "redacted_thinking"):
                    reply.add_thinking("")
            case "content_block_delta":
                self._extend(self.blocks[event.index], event.delta, reply)
            case "message_delta":
                self._count(event.usage.input_tokens, event.usage, reply, is_final=True)
                self._stopped(event.delta.stop_reason, event.delta.stop_details)
            case "message_stop":
                self.has_ended = True
            case _:
                pass  # `content_block_stop` adds nothing; events of later API versions are ignored

    def finished_blocks(self) -> tuple[Mapping[str, Any], ...]:
        """The blocks in order, in the form that the vendor accepts in a later request."""
        kept = {"text": ("type", "text"), "thinking": ("type", "thinking", "signature")}
        kept["redacted_thinking"] = ("type", "data")
        blocks = [self.blocks[index] for index in sorted(self.blocks)]
        known = [block for block in blocks if block["type"] in kept and block.get("text") != ""]
        return tuple({name: block[name] for name in kept[block["type"]]} for block in known)

    def _price(self, message: "Message") -> None:
        self.price_factor = _PRICE_FACTORS.get(message.usage.inference_geo or "", 1.0)

    def _stopped(self, reason: str | None, details: "RefusalStopDetails | None") -> None:
        self.stop_reason = reason
        if details is not None:
            self.refusal = details.category

    def _extend(self, block: dict[str, Any], delta: Any, reply: PartialReply) -> None:
        # `delta` is a union that grows with the SDK, hence Any: only the kinds below matter.
        match delta.type:
            case "text_delta":
                block["text"] = block.get("text", "") + delta.text
                reply.add_answer(delta.text)
            case "thinking_delta":
                block["thinking"] = block.get("thinking", "") + delta.thinking
                reply.add_thinking(delta.thinking)
            case "signature_delta":
                block["signature"] = delta.signature
            case _:
                pass

    def _count(self, fresh_tokens: int | None, counters: Any, reply: PartialReply, *, is_final: bool) -> None:
        # Two SDK classes with the same fields, hence Any. The prompt is the sum of fresh, cache-read and cache-written.
        read = counters.cache_read_input_tokens
        written = counters.cache_creation_input_tokens
        details = counters.output_tokens_details
        if fresh_tokens is not None:
            whole = fresh_tokens + (read or 0) + (written or 0)
            self.usage = Usage(input_tokens=whole, cache_read_tokens=read or 0, cache_write_tokens=written or 0)
        self.usage = Usage(
            input_tokens=self.usage.input_tokens,
            output_tokens=counters.output_tokens,
            thinking_tokens=details.thinking_tokens if details is not None else 0,
            cache_read_tokens=self.usage.cache_read_tokens,
            cache_write_tokens=self.usage.cache_write_tokens,
            price_factor=self.price_factor,
        )
        reply.set_usage(self.usage, is_final=is_final)


def _read_whole(message: "Message", reply: PartialReply) -> ReplyEnding:
    so_far = _PartialMessage()
    so_far.take_whole(message, reply)
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
            text=status_error.api_message or "",
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
    }


async def _list_models(client: "anthropic.AsyncAnthropic") -> None:
    await client.models.list(limit=1)


def _connect(api_key: str, vendor: Vendor, gate: Gate) -> "anthropic.AsyncAnthropic":
    import anthropic
    import httpx2

    # The profile's lifecycle already reports deprecation to the user.
    warnings.filterwarnings("ignore", r"The model '.*' is deprecated", DeprecationWarning)
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)
    return anthropic.AsyncAnthropic(
        api_key=api_key,
        base_url=vendor.url,
        max_retries=0,
        timeout=timeout,
        http_client=httpx2.AsyncClient(
            timeout=timeout,
            **client_options(vendor, gate),
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
    if may_send_back and isinstance(state, _Blocks) and state.model == profile.api_model and state.blocks:
        return {"role": turn.author, "content": [dict(block) for block in state.blocks]}
    return {"role": turn.author, "content": [{"type": "text", "text": turn.text}]}


def _mark_for_cache(body: dict[str, Any]) -> None:
    """Set cache breakpoints after the system prompt, shared by tasks, and the last turn, repeated by a repair."""
    if "system" in body:
        body["system"][-1]["cache_control"] = _CACHED
    body["messages"][-1]["content"][-1]["cache_control"] = _CACHED
