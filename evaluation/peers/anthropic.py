"""A strict mock server of Anthropic's Messages API.

Event sequence: https://platform.claude.com/docs/en/build-with-claude/streaming; fields and error
bodies: the types of anthropic 2.13.0 (seen 2026-11-24). The text of thinking is left out unless `thinking.display`
asks for it (https://platform.claude.com/docs/en/build-with-claude/thinking, seen 2026-11-30).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...profiles.validation import first_problem
from .anthropic_batches import BatchPeer
from .anthropic_errors import error_body, refuse
from .anthropic_request import Block, ClaudeModel, CountRequest, MessagesRequest, TextBlock, ThinkingBlock
from .journal import RequestJournal
from .preserved_thinking import ThinkingBlocks
from .prompt_cache import CacheCount, PromptCache
from .reply import (
    Answer,
    Ask,
    Cut,
    ErrorInside,
    Fitted,
    HttpFault,
    Reply,
    Stall,
    StreamFault,
    count_tokens,
    fit,
    padded,
    pieces,
    reply_of,
)
from .streaming import PieceStream, whole

_STOP_REASONS = {"end": "end_turn", "length": "max_tokens", "refusal": "refusal"}


class AnthropicPeer:
    """Serves `/v1/messages`, `/v1/messages/count_tokens`, `/v1/messages/batches` and `/v1/models`."""

    def __init__(self, answer: Answer, models: Sequence[ClaudeModel], *, api_key: str) -> None:
        self.journal = RequestJournal()
        self.listing: Response | None = None
        """Replaces the response to a request for all models. None: the models."""
        self.batches = BatchPeer(self._answer_of_batch, self._access_fault, self.journal)
        self.default_inference_geo = "global"
        """Where the workspace lets models run, unless a request says otherwise."""
        self._answer = answer
        self._models = {model.id: model for model in models}
        self._api_key = api_key
        self._asked = 0
        self._cache = PromptCache()
        self._thinking = ThinkingBlocks()
        self.app = Starlette(
            routes=[
                Route("/v1/messages", self._messages, methods=["POST"]),
                Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
                Route("/v1/models", self._list_models, methods=["GET"]),
                Route("/v1/models/{id}", self._one_model, methods=["GET"]),
                *self.batches.routes,
            ]
        )

    async def _messages(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        if refused := self._access_fault(request):
            return refuse(exchange, refused)
        built = self._build_message(exchange.body)
        if isinstance(built, HttpFault):
            return refuse(exchange, built)
        message, answer, count = built
        exchange.input_tokens, exchange.output_tokens = count.input_tokens, message["usage"]["output_tokens"]
        if not exchange.body.get("stream") and not isinstance(answer, Cut | Stall):
            return whole(exchange, message)
        error = answer if isinstance(answer, ErrorInside) else ErrorInside(Reply(""))
        return PieceStream(
            [_sse(event) for event in _events(message)],
            answer,
            exchange,
            error_piece=_sse(error_body(error.kind, error.message)),
            garbled_piece=b"event: content_block_delta\ndata: {not json\n\n",
            media_type="text/event-stream",
            headers={"request-id": "req_1"},
        )

    def _answer_of_batch(self, body: Mapping[str, Any]) -> dict[str, Any] | HttpFault:
        built = self._build_message(body)
        return built if isinstance(built, HttpFault) else built[0]

    def _build_message(
        self, body: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Reply | StreamFault, CacheCount] | HttpFault:
        """The complete message, the scripted answer behind it, and its prompt's token count; or a refusal."""
        try:
            asked = MessagesRequest.model_validate(body)
        except ValidationError as error:
            return HttpFault(400, message=first_problem(error))
        model = self._models.get(asked.model)
        if model is None or model.lifecycle == "retired":
            return HttpFault(404, message=f"model: {asked.model}")
        flaw = asked.refusal(model) or self._thinking.flaw(asked)
        if flaw:
            return HttpFault(400, message=flaw)
        count = self._cache.count(self._segments(asked))
        if count.input_tokens > model.max_input_tokens:
            message = f"prompt is too long: {count.input_tokens} tokens > {model.max_input_tokens} maximum"
            return HttpFault(400, message=message)
        self._asked += 1
        answer = self._answer(Ask(asked.model, _conversation(asked), body, self._asked - 1))
        if isinstance(answer, HttpFault):
            return answer
        fitted = fit(reply_of(answer), asked.max_tokens, thinks=_thinks(asked, model))
        category = reply_of(answer).refusal_category if fitted.stop == "refusal" else None
        return self._message(asked, fitted, count, category), answer, count

    async def _count_tokens(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        if refused := self._access_fault(request):
            return refuse(exchange, refused)
        try:
            asked = CountRequest.model_validate(exchange.body)
        except ValidationError as error:
            return refuse(exchange, HttpFault(400, message=first_problem(error)))
        if asked.model not in self._models:
            return refuse(exchange, HttpFault(404, message=f"model: {asked.model}"))
        if flaw := self._thinking.flaw(asked):
            return refuse(exchange, HttpFault(400, message=flaw))
        return whole(exchange, {"input_tokens": sum(count_tokens(text) for text, _ in self._segments(asked))})

    async def _list_models(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        if refused := self._access_fault(request):
            return refuse(exchange, refused)
        if self.listing is not None:
            return self.listing
        asked = request.query_params
        wanted = asked.getlist("lifecycle") + asked.getlist("lifecycle[]") or ["active", "deprecated"]
        listed = [model for model in self._models.values() if model.lifecycle in wanted]
        begin = [model.id for model in listed].index(asked["after_id"]) + 1 if "after_id" in asked else 0
        data = [_model_info(model) for model in listed[begin : begin + int(asked.get("limit", "20"))]]
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        has_more = begin + len(data) < len(listed)
        return whole(exchange, {"data": data, "has_more": has_more, "first_id": first, "last_id": last})

    async def _one_model(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        if refused := self._access_fault(request):
            return refuse(exchange, refused)
        model = self._models.get(request.path_params["id"])
        if model is None:
            return refuse(exchange, HttpFault(404, message=f"model: {request.path_params['id']}"))
        return whole(exchange, _model_info(model))

    def _access_fault(self, request: Request) -> HttpFault | None:
        # Either header: the SDK sent keys as `x-api-key` before 2.13, and as a bearer token since.
        sent = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        if sent != self._api_key:
            return HttpFault(401, message="invalid x-api-key")
        if "anthropic-version" not in request.headers:
            return HttpFault(400, message="anthropic-version: header is required")
        return None

    def _segments(self, asked: CountRequest) -> list[tuple[str, bool]]:
        """The texts of the prompt's blocks in order, each with whether it ends with a cache breakpoint."""
        blocks: list[Block] = [*asked.system_blocks, *(block for message in asked.messages for block in message.blocks)]
        marks = [isinstance(block, TextBlock) and block.cache_control is not None for block in blocks]
        if asked.cache_control is not None and marks:
            marks[-1] = True
        return [(self._text(block, asked.model), mark) for block, mark in zip(blocks, marks, strict=True)]

    def _text(self, block: Block, model: str) -> str:
        if isinstance(block, TextBlock):
            return block.text
        return self._thinking.text_of(block, model) if isinstance(block, ThinkingBlock) else block.data

    def _message(
        self, asked: MessagesRequest, fitted: Fitted, count: CacheCount, refusal: str | None
    ) -> dict[str, Any]:
        """The complete message. refusal: its category. None: it is not refused."""
        content: list[dict[str, Any]] = []
        if fitted.thinking_tokens:
            shown = fitted.thinking if asked.thinking and asked.thinking.display == "summarized" else ""
            signature = self._thinking.issue(asked, padded(fitted.thinking, fitted.thinking_tokens))
            content.append({"type": "thinking", "thinking": shown, "signature": signature})
        if fitted.text:
            content.append({"type": "text", "text": fitted.text, "citations": None})
        return {
            "id": f"msg_{self._asked}",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": content,
            "stop_reason": _STOP_REASONS[fitted.stop],
            "stop_sequence": None,
            "stop_details": refusal and {"type": "refusal", "category": refusal, "explanation": None},
            "usage": {
                "input_tokens": count.fresh_tokens,
                "cache_creation_input_tokens": count.written_tokens,
                "cache_read_input_tokens": count.read_tokens,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": count.written_tokens,
                    "ephemeral_1h_input_tokens": 0,
                },
                "output_tokens": fitted.output_tokens,
                "output_tokens_details": {"thinking_tokens": fitted.thinking_tokens},
                "inference_geo": asked.inference_geo or self.default_inference_geo,
                "service_tier": "standard",
            },
        }


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The stream events of one message."""
    begun = {**message["usage"], "output_tokens": 1}
    del begun["output_tokens_details"]
    start: dict[str, Any] = {**message, "content": [], "stop_reason": None, "stop_details": None, "usage": begun}
    yield {"type": "message_start", "message": start}
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        kind = block["type"]
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": "", "citations": None}}[kind]
        yield {"type": "content_block_start", "index": index, "content_block": {"type": kind, **empty}}
        for piece in pieces(block[kind]) or [""]:
            delta = {"type": f"{kind}_delta", kind: piece}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        if kind == "thinking":
            delta = {"type": "signature_delta", "signature": block["signature"]}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {
        "type": "message_delta",
        "delta": {key: message[key] for key in ("stop_reason", "stop_sequence", "stop_details")},
        "usage": {
            key: message["usage"][key]
            for key in (
                "input_tokens",
                "cache_creation_input_tokens",
                "cache_read_input_tokens",
                "output_tokens",
                "output_tokens_details",
            )
        },
    }
    yield {"type": "message_stop"}


def _thinks(asked: MessagesRequest, model: ClaudeModel) -> bool:
    if asked.thinking is None:
        return model.thinks_by_default
    return asked.thinking.type in ("adaptive", "enabled")


def _conversation(asked: MessagesRequest) -> tuple[tuple[str, str], ...]:
    system = "\n".join(block.text for block in asked.system_blocks)
    turns = [(m.role, "".join(b.text for b in m.blocks if isinstance(b, TextBlock))) for m in asked.messages]
    return (("system", system), *turns) if system else tuple(turns)


def _model_info(model: ClaudeModel) -> dict[str, Any]:
    types = ("adaptive", "between_tools", "disabled", "enabled")
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": model.created_at,
        "lifecycle": model.lifecycle,
        "line": model.line,
        "deprecated_at": None,
        "retires_at": model.retires_at,
        "max_input_tokens": model.max_input_tokens,
        "max_tokens": 128_000,
        "capabilities": {
            "thinking": {
                "supported": bool(model.thinking_types),
                "types": {name: {"supported": name in model.thinking_types} for name in types},
            },
            "effort": {
                "supported": bool(model.efforts),
                **{name: {"supported": name in model.efforts} for name in ("low", "medium", "high", "xhigh", "max")},
            },
        },
    }


def _sse(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
