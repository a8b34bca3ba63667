"""A strict mock server of Cerebras's chat completions API.

Fields, chunks and errors: the types of cerebras-cloud-sdk 1.91.0; efforts per model:
https://inference-docs.cerebras.ai (seen 2026-11-23).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...profiles.validation import first_problem
from .journal import Exchange, RequestJournal
from .reply import Answer, Ask, Cut, ErrorInside, Fitted, HttpFault, Reply, Stall, count_tokens, fit, pieces, reply_of
from .streaming import PieceStream, whole

_KINDS = {
    400: ("invalid_request_error", "invalid_request"),
    401: ("invalid_request_error", "wrong_api_key"),
    402: ("payment_required_error", "payment_required"),
    404: ("not_found_error", "model_not_found"),
    429: ("too_many_requests_error", "request_quota_exceeded"),
    503: ("server_error", "service_unavailable"),
}
_FINISH_REASONS = {"end": "stop", "length": "length", "refusal": "content_filter"}


@dataclass(frozen=True)
class CerebrasModel:
    """A model in the peer's listing."""

    id: str
    efforts: tuple[str, ...] = ()
    """The `reasoning_effort` values it accepts, including `none` if thinking can be turned off."""
    context_tokens: int = 131_072
    input_usd_per_million_tokens: float = 0.0
    output_usd_per_million_tokens: float = 0.0
    created: int = 1
    """Seconds since 1970."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Message(_Form):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | None = None
    reasoning: str | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class _JsonSchema(_Form):
    name: str
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool = False


class _ResponseFormat(_Form):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(_Form):
    include_usage: bool = False


class _Request(_Form):
    model: str
    messages: list[_Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    reasoning_effort: str | None = None
    reasoning_format: Literal["none", "parsed", "text_parsed", "raw", "hidden"] = "none"
    response_format: _ResponseFormat | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    clear_thinking: bool | None = None
    prediction: dict[str, Any] | None = None
    prompt_cache_key: str | None = None
    seed: int | None = None
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    stop: str | list[str] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = None
    user: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None

    def refusal(self, model: CerebrasModel) -> str | None:
        """Why the vendor answers 400 for this model. None: it accepts the request."""
        if self.reasoning_effort is not None and self.reasoning_effort not in model.efforts:
            return f"reasoning_effort: '{self.reasoning_effort}' is not supported by {model.id}"
        if self.response_format and self.response_format.type == "json_schema":
            wanted = self.response_format.json_schema
            if wanted is None or wanted.schema_ is None:
                return "response_format.json_schema.schema: field required"
            if wanted.strict:
                return next(_schema_errors(wanted.schema_), None)
        return None


class CerebrasPeer:
    """Serves `/v1/chat/completions`, `/v1/models` and `/v1/tcp_warming`."""

    def __init__(self, answer: Answer, models: Sequence[CerebrasModel], *, api_key: str) -> None:
        self.journal = RequestJournal()
        self.listing: Response | None = None
        """Replaces the response to a request for all models. None: the models."""
        self.connections_warmed = 0
        """Number of requests to `/v1/tcp_warming`, which a client should not make, as it delays its start."""
        self._answer = answer
        self._models = {model.id: model for model in models}
        self._api_key = api_key
        self._asked = 0
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/v1/models", self._list_models, methods=["GET"]),
                Route("/v1/tcp_warming", self._warm, methods=["GET"]),
            ]
        )

    async def _complete(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        if not self._is_authorized(request):
            return _refuse(exchange, HttpFault(401, message="Wrong API Key"))
        try:
            asked = _Request.model_validate(exchange.body)
        except ValidationError as error:
            return _refuse(exchange, HttpFault(400, message=first_problem(error)))
        model = self._models.get(asked.model)
        if model is None:
            message = f"Model {asked.model} does not exist or you do not have access to it."
            return _refuse(exchange, HttpFault(404, message=message))
        if flaw := asked.refusal(model):
            return _refuse(exchange, HttpFault(400, message=flaw))
        prompt_tokens = sum(count_tokens((m.content or "") + (m.reasoning or "")) for m in asked.messages)
        budget = asked.max_completion_tokens or asked.max_tokens or model.context_tokens - prompt_tokens
        if prompt_tokens > model.context_tokens:
            message = f"Please reduce the length of the messages: {prompt_tokens} of {model.context_tokens} tokens"
            return _refuse(exchange, HttpFault(400, kind="context_length_exceeded", message=message))

        self._asked += 1
        conversation = tuple((m.role, m.content or "") for m in asked.messages)
        answer = self._answer(Ask(asked.model, conversation, exchange.body, self._asked - 1))
        if isinstance(answer, HttpFault):
            return _refuse(exchange, answer)
        fitted = fit(reply_of(answer), budget, thinks=bool(model.efforts) and asked.reasoning_effort != "none")
        exchange.input_tokens, exchange.output_tokens = prompt_tokens, fitted.output_tokens
        common = {"id": f"chatcmpl-{self._asked}", "created": 1, "model": asked.model, "system_fingerprint": "fp_peer"}
        last = {"usage": _usage(prompt_tokens, fitted), "time_info": _time_info(reply_of(answer))}
        if not asked.stream and not isinstance(answer, Cut | Stall):
            message = {"role": "assistant", "content": fitted.text}
            if fitted.thinking:
                message["reasoning"] = fitted.thinking
            choice = {"index": 0, "message": message, "finish_reason": _FINISH_REASONS[fitted.stop]}
            return whole(exchange, {**common, "object": "chat.completion", "choices": [choice], **last})
        if not (asked.stream_options and asked.stream_options.include_usage):
            last = {}
        error = answer if isinstance(answer, ErrorInside) else ErrorInside(Reply(""))
        error_chunk = {"error": _error_body(error.kind, error.kind, error.message), "status_code": error.status}
        chunks = ({**common, "object": "chat.completion.chunk", **chunk} for chunk in _chunks(fitted, last))
        return PieceStream(
            [*(_sse(chunk) for chunk in chunks), b"data: [DONE]\n\n"],
            answer,
            exchange,
            error_piece=_sse(error_chunk),
            garbled_piece=b"data: {not json\n\n",
            media_type="text/event-stream",
        )

    async def _list_models(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        if not self._is_authorized(request):
            return _refuse(exchange, HttpFault(401, message="Wrong API Key"))
        if self.listing is not None:
            return self.listing
        with_prices = request.query_params.get("format") == "huggingface"
        data = [_model_info(model, with_prices=with_prices) for model in self._models.values()]
        return whole(exchange, {"object": "list", "data": data})

    async def _warm(self, request: Request) -> Response:
        self.connections_warmed += 1
        return whole(await self.journal.record(request), {})

    def _is_authorized(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self._api_key}"


def _refuse(exchange: Exchange, fault: HttpFault) -> Response:
    kind, code = _KINDS.get(fault.status, ("server_error", "server_error"))
    body = fault.body or _error_body(kind, fault.kind or code, fault.message)
    return whole(exchange, body, fault.status, fault.headers)


def _error_body(kind: str, code: str, message: str) -> dict[str, Any]:
    return {"message": message, "type": kind, "param": None, "code": code}


def _chunks(fitted: Fitted, last: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield _choice({"role": "assistant"})
    for piece in pieces(fitted.thinking):
        yield _choice({"reasoning": piece})
    for piece in pieces(fitted.text):
        yield _choice({"content": piece})
    yield {**_choice({}, _FINISH_REASONS[fitted.stop]), **last}


def _choice(delta: Mapping[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": dict(delta), "finish_reason": finish_reason}]}


def _usage(prompt_tokens: int, fitted: Fitted) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": fitted.output_tokens,
        "total_tokens": prompt_tokens + fitted.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": fitted.thinking_tokens},
    }


def _time_info(reply: Reply) -> dict[str, float]:
    return {
        "queue_time": 0.001,
        "prompt_time": 0.001,
        "completion_time": reply.seconds,
        "total_time": reply.seconds + 0.002,
        "created": 1.0,
    }


def _model_info(model: CerebrasModel, *, with_prices: bool) -> dict[str, Any]:
    info: dict[str, Any] = {"id": model.id, "object": "model", "created": model.created, "owned_by": "Cerebras"}
    if not with_prices:
        return info
    prices = {"input": model.input_usd_per_million_tokens, "output": model.output_usd_per_million_tokens}
    return {**info, "context_length": model.context_tokens, "pricing": prices}


def _schema_errors(schema: Mapping[str, Any]) -> Iterator[str]:
    """Errors in a strict schema, outermost first."""
    properties = cast(Mapping[str, Any], schema.get("properties", {}))
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield "response_format: 'additionalProperties' must be false in a strict schema"
        if set(properties) - set(schema.get("required", [])):
            yield "response_format: every property must be required in a strict schema"
    for child in properties.values():
        yield from _schema_errors(child)
    if isinstance(schema.get("items"), dict):
        yield from _schema_errors(schema["items"])


def _sse(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
