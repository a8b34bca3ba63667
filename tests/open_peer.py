"""A strict peer for servers of OpenAI's chat completions API; a habit is one server's way of deviating from it.

Sources of the habits, seen 2026-11-25: vLLM's OpenAI-compatible server pages and `protocol.py`, the
README of llama.cpp's `tools/server` (and that server itself), LM Studio's REST and reasoning pages,
https://openrouter.ai/docs/api/reference/errors-and-debugging and .../streaming, and OpenAI's API reference;
`srt/entrypoints/openai` of sglang 0.5.23, seen 2026-11-30.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chargehand.evaluation.peers.journal import Exchange, RequestJournal
from chargehand.evaluation.peers.reply import (
    Answer,
    Ask,
    ErrorInside,
    Fitted,
    HttpFault,
    count_tokens,
    fit,
    pieces,
    reply_of,
)
from chargehand.evaluation.peers.streaming import PieceStream, whole

Habit = Literal["vllm", "sglang", "llama_cpp", "lm_studio", "openrouter", "openai"]

_FINISH_REASONS = {"end": "stop", "length": "length", "refusal": "content_filter"}
_KINDS = {400: "BadRequestError", 404: "NotFoundError", 429: "RateLimitError", 500: "InternalServerError"}


@dataclass(frozen=True)
class OpenModel:
    """A model as its server lists it."""

    id: str
    context_tokens: int = 32_768
    thinks: bool = False
    efforts: tuple[str, ...] = ()
    """The `reasoning_effort` values it takes; `none` among them where thinking can be turned off."""


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Message(_Form):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str
    reasoning_content: str | None = None


class _JsonSchema(_Form):
    name: str = Field(pattern=r"^[\w-]{1,64}$")
    strict: bool = False
    schema_: dict[str, Any] = Field(alias="schema")


class _ResponseFormat(_Form):
    type: Literal["json_schema"]
    json_schema: _JsonSchema


class _StreamOptions(_Form):
    include_usage: bool = False


class _Request(_Form):
    """A request as all of these servers accept it; some habits restrict it."""

    model: str
    messages: list[_Message] = Field(min_length=1)
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    reasoning_effort: str | None = None
    response_format: _ResponseFormat | None = None
    chat_template_kwargs: dict[str, Any] | None = None

    def refusal(self, habit: Habit, model: OpenModel) -> str | None:
        """The reason why this server answers 400. None: it accepts the request."""
        if habit == "openai" and self.max_tokens is not None:
            return (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
        if habit == "openai" and self.chat_template_kwargs is not None:
            return "Unrecognized request argument supplied: chat_template_kwargs"
        if self.reasoning_effort is not None and self.reasoning_effort not in model.efforts:
            return f"reasoning_effort: '{self.reasoning_effort}' is not one of {list(model.efforts)}"
        return None

    def has_thinking_off(self) -> bool:
        return self.reasoning_effort == "none" or (self.chat_template_kwargs or {}).get("enable_thinking") is False


class OpenAICompatiblePeer:
    """Answers `/v1/chat/completions` and `/v1/models` as one of the servers does."""

    def __init__(
        self,
        answer: Answer,
        models: Sequence[OpenModel],
        *,
        habit: Habit = "vllm",
        api_key: str | None = None,
        counts: bool = True,
        cost_usd: object = 0.0,
        claims: Mapping[str, Any] | None = None,
    ) -> None:
        """api_key: None accepts any caller. counts: False omits the usage.

        cost_usd: the cost of each answer that OpenRouter states. claims: fields that replace those of the true usage.
        """
        self.journal = RequestJournal()
        self.strange_headers: set[str] = set()
        """Received headers that belong to an OpenAI account; there should be none."""
        self.authorizations: set[str | None] = set()
        """The values of `Authorization` in all requests; None where there was none."""
        self._answer = answer
        self._models = {model.id: model for model in models}
        self._habit: Habit = habit
        self._api_key = api_key
        self._counts = counts
        self._cost_usd = cost_usd
        self._claims = claims or {}
        self._request_count = 0
        self.app = Starlette(
            routes=[
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/v1/models", self._list_models, methods=["GET"]),
            ]
        )

    async def _complete(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        self.strange_headers |= {name for name in request.headers if name.startswith(("openai-", "x-custom"))}
        if not self._lets_in(request):
            return self._refuse(exchange, HttpFault(401, message="Invalid API Key"))
        try:
            body = _Request.model_validate(exchange.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            return self._refuse(exchange, HttpFault(400, message=f"{place}: {first['msg']}"))
        model = self._models.get(body.model)
        if model is None:
            return self._refuse(exchange, HttpFault(404, message=f"The model `{body.model}` does not exist."))
        if flaw := body.refusal(self._habit, model):
            return self._refuse(exchange, HttpFault(400, message=flaw))
        prompt_tokens = sum(count_tokens(m.content + (m.reasoning_content or "")) for m in body.messages)
        budget = body.max_completion_tokens or body.max_tokens or model.context_tokens - prompt_tokens
        if prompt_tokens > model.context_tokens:
            return self._overflow(exchange, model, prompt_tokens)

        self._request_count += 1
        conversation = tuple((m.role, m.content) for m in body.messages)
        answer = self._answer(Ask(body.model, conversation, exchange.body, self._request_count - 1))
        if isinstance(answer, HttpFault):
            return self._refuse(exchange, answer)
        fitted = fit(reply_of(answer), budget, thinks=model.thinks and not body.has_thinking_off())
        exchange.input_tokens, exchange.output_tokens = prompt_tokens, fitted.output_tokens
        common = {"id": f"chatcmpl-{self._request_count}", "created": 1, "model": body.model}
        usage = self._usage(prompt_tokens, fitted)
        if not body.stream:
            message = {"role": "assistant", "content": fitted.text}
            choice = {"index": 0, "message": message, "finish_reason": _FINISH_REASONS[fitted.stop]}
            return whole(exchange, {**common, "object": "chat.completion", "choices": [choice], "usage": usage})
        wants_usage = self._counts and body.stream_options is not None and body.stream_options.include_usage
        chunks = self._chunks(fitted, usage if wants_usage else None)
        return PieceStream(
            [*(_sse({**common, "object": "chat.completion.chunk", **chunk}) for chunk in chunks), b"data: [DONE]\n\n"],
            answer,
            exchange,
            error_piece=self._error_inside(answer) if isinstance(answer, ErrorInside) else b"",
            garbled_piece=b"data: {not json\n\n",
            media_type="text/event-stream",
        )

    async def _list_models(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        if not self._lets_in(request):
            return self._refuse(exchange, HttpFault(401, message="Invalid API Key"))
        data = [self._listed(model) for model in self._models.values()]
        return whole(exchange, {"object": "list", "data": data})

    def _lets_in(self, request: Request) -> bool:
        self.authorizations.add(request.headers.get("authorization"))
        return self._api_key is None or request.headers.get("authorization") == f"Bearer {self._api_key}"

    def _listed(self, model: OpenModel) -> dict[str, Any]:
        stated: dict[Habit, dict[str, Any]] = {
            "vllm": {"owned_by": "vllm", "max_model_len": model.context_tokens},
            "sglang": {"owned_by": "sglang", "root": model.id, "max_model_len": model.context_tokens},
            "llama_cpp": {"owned_by": "llamacpp", "meta": {"n_ctx": model.context_tokens, "n_ctx_train": 262_144}},
            "openrouter": {"context_length": model.context_tokens, "pricing": {"prompt": "0.0000001"}},
        }
        return {"id": model.id, "object": "model", "created": 1, **stated.get(self._habit, {})}

    def _refuse(self, exchange: Exchange, fault: HttpFault) -> Response:
        return whole(exchange, fault.body or self._error_body(fault), fault.status, fault.headers)

    def _error_body(self, fault: HttpFault | ErrorInside) -> dict[str, Any]:
        kind = fault.kind if fault.kind not in ("", "api_error") else _KINDS.get(fault.status, "server_error")
        match self._habit:
            case "lm_studio":
                return {"error": fault.message}
            case "openrouter":
                return {"error": {"code": fault.status, "message": fault.message, "metadata": {}}}
            case "openai":
                return {"error": {"message": fault.message, "type": kind, "param": None, "code": None}}
            case "sglang":
                body = {"object": "error", "message": fault.message, "type": kind, "param": None, "code": fault.status}
                return {"error": body} if isinstance(fault, ErrorInside) else body
            case _:
                return {"error": {"message": fault.message, "type": kind, "param": None, "code": fault.status}}

    def _error_inside(self, error: ErrorInside) -> bytes:
        body = self._error_body(error)
        if self._habit == "openrouter":
            body["choices"] = [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
        return _sse(body)

    def _overflow(self, exchange: Exchange, model: OpenModel, prompt_tokens: int) -> Response:
        window = model.context_tokens
        match self._habit:
            case "llama_cpp":
                message = (
                    f"request ({prompt_tokens} tokens) exceeds the available context size ({window} tokens), "
                    "try increasing it"
                )
                kind = "exceed_context_size_error"
                error = {
                    "code": 400,
                    "message": message,
                    "type": kind,
                    "n_prompt_tokens": prompt_tokens,
                    "n_ctx": window,
                }
                return whole(exchange, {"error": error}, 400)
            case "lm_studio":
                text = "The number of tokens to keep from the initial prompt is greater than the context length."
            case "sglang":
                text = (
                    f"The input ({prompt_tokens} tokens) is longer than the model's context length ({window} tokens)."
                )
            case "openai":
                text = f"This model's maximum context length is {window} tokens."
                fault = HttpFault(400, kind="invalid_request_error", message=text)
                return whole(exchange, self._error_body(fault), 400)
            case _:
                text = (
                    f"This model's maximum context length is {window} tokens. However, your prompt contains "
                    f"{prompt_tokens} input tokens. Please reduce the length of the input prompt."
                )
        return self._refuse(exchange, HttpFault(400, message=text))

    def _usage(self, prompt_tokens: int, fitted: Fitted) -> dict[str, Any]:
        usage: dict[str, Any] = {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": fitted.output_tokens,
            "total_tokens": prompt_tokens + fitted.output_tokens,
            "prompt_tokens_details": None,
        }
        if self._habit in ("openai", "openrouter"):
            usage["prompt_tokens_details"] = {"cached_tokens": 0}
            usage["completion_tokens_details"] = {"reasoning_tokens": fitted.thinking_tokens}
        if self._habit == "openrouter":
            usage |= {"cost": self._cost_usd, "is_byok": False}
        return {**usage, **self._claims}

    def _chunks(self, fitted: Fitted, usage: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
        yield _choice({"role": "assistant", "content": "" if self._habit == "vllm" else None})
        thinking, text = fitted.thinking, fitted.text
        if self._habit == "lm_studio" and thinking:
            thinking, text = "", f"<think>\n{thinking}</think>\n\n{text}"
        field = "reasoning_content" if self._habit in ("llama_cpp", "sglang") else "reasoning"
        for piece in pieces(thinking):
            yield _choice({field: piece})
        for piece in pieces(text):
            yield _choice({"content": piece})
        yield _choice({}, _FINISH_REASONS[fitted.stop])
        if usage is not None:
            yield {"choices": [], "usage": dict(usage)}


def _choice(delta: Mapping[str, str | None], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish_reason}]}


def _sse(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
