"""A strict mock server of Ollama's native API.

Formats: `docs/openapi.yaml` and `api/types.go` of ollama/ollama; durations are nanoseconds. Truncation of prompts
that are too long: `llm/llama_server.go` at 0.34 (seen 2026-11-24).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .journal import Exchange, RequestJournal
from .reply import Answer, Ask, Cut, ErrorInside, Fitted, HttpFault, Reply, Stall, count_tokens, fit, pieces, reply_of
from .streaming import PieceStream, whole

_DEFAULT_NUM_CTX = 4096
"""Default with less than 24 GiB of video memory (https://docs.ollama.com/context-length)."""
_KEPT_TOKENS = 4
_TIME = "2026-11-24T00:00:00Z"
_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True)
class OllamaModel:
    """A model installed in the peer."""

    name: str
    context_tokens: int = 40_960
    capabilities: tuple[str, ...] = ("completion",)
    digest: str = "0123456789abcdef" * 4
    quantization: str = "Q4_K_M"
    family: str = "qwen3"
    parameter_size: str = "30B"
    remote_host: str | None = None
    """The host that runs it. None: this machine."""
    density: int = 1
    """Prompt tokens of its tokenizer per token of the peers' own."""
    reads_past_num_ctx: bool = False
    """True: as the MLX runner, which takes prompts up to the model's own window (ollama issue 18125, 2026-08-30)."""


class _Options(BaseModel):
    # Options accept any name: the server only warns.
    model_config = ConfigDict(extra="allow", frozen=True)

    num_ctx: int = Field(default=_DEFAULT_NUM_CTX, ge=1)
    num_predict: int = -1


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    thinking: str = ""


class _Chat(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    messages: list[_Message] = Field(default_factory=list[_Message])
    stream: bool = True
    think: bool | Literal["low", "medium", "high"] | None = None
    format: str | dict[str, Any] | None = None
    options: _Options = _Options()
    keep_alive: float | str | None = None


class OllamaPeer:
    """Serves `/api/version`, `tags`, `ps`, `show`, `chat` and `embed`."""

    def __init__(self, answer: Answer, models: Sequence[OllamaModel], *, version: str = "0.34.0") -> None:
        self.journal = RequestJournal()
        self.listing: Response | None = None
        """Replaces the response to a request for all models. None: the models."""
        self.is_listed_per_runner = False
        """Whether `tags` lists each model again, for a second runner, with another digest."""
        self.loaded: dict[str, int] = {}
        """num_ctx of each loaded model; tests may preset it."""
        self.expires_at = _TIME
        """When loaded models are unloaded, in RFC 3339."""
        self.loads: list[tuple[str, int]] = []
        """Every load as (model, num_ctx), including reloads for another num_ctx."""
        self._answer = answer
        self._models = {model.name: model for model in models}
        self._version = version
        self._asked = 0
        self.app = Starlette(
            routes=[
                Route("/api/version", self._version_info, methods=["GET"]),
                Route("/api/tags", self._tags, methods=["GET"]),
                Route("/api/ps", self._ps, methods=["GET"]),
                Route("/api/show", self._show, methods=["POST"]),
                Route("/api/chat", self._chat, methods=["POST"]),
                Route("/api/embed", self._embed, methods=["POST"]),
            ]
        )

    async def _version_info(self, request: Request) -> Response:
        return whole(await self.journal.record(request), {"version": self._version})

    async def _tags(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        listed = list(self._models.values())
        if self.is_listed_per_runner:
            listed += [replace(model, digest="fedcba9876543210" * 4) for model in listed]
        return self.listing or whole(exchange, {"models": [_summary(model) for model in listed]})

    async def _ps(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        loaded = [(self._models[name], num_ctx) for name, num_ctx in self.loaded.items()]
        running = [
            {**_summary(model), "expires_at": self.expires_at, "size_vram": 750_000, "context_length": num_ctx}
            for model, num_ctx in loaded
        ]
        return whole(exchange, {"models": running})

    async def _show(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        model = self._find(str(exchange.body.get("model", "")))
        if model is None:
            return _refuse(exchange, HttpFault(404, message=f"model '{exchange.body.get('model')}' not found"))
        info = {"general.architecture": model.family, f"{model.family}.context_length": model.context_tokens}
        shown = {
            "modelfile": "",
            "parameters": "",
            "template": "",
            "details": _details(model),
            "model_info": info,
            "capabilities": list(model.capabilities),
            "modified_at": _TIME,
        }
        return whole(exchange, {**shown, **_remote(model)})

    async def _chat(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        try:
            asked = _Chat.model_validate(exchange.body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            return _refuse(exchange, HttpFault(400, message=f"json: cannot unmarshal field {place}"))
        model = self._find(asked.model)
        if model is None:
            return _refuse(exchange, HttpFault(404, message=f"model '{asked.model}' not found"))
        can_think = "thinking" in model.capabilities
        if asked.think and not can_think:
            return _refuse(exchange, HttpFault(400, message=f'"{asked.model}" does not support thinking'))
        if isinstance(asked.format, str) and asked.format not in ("", "json"):
            return _refuse(exchange, HttpFault(400, message='invalid format; expected "json" or a JSON Schema object'))

        self._asked += 1
        conversation = tuple((message.role, message.content) for message in asked.messages)
        answer = self._answer(Ask(asked.model, conversation, exchange.body, self._asked - 1))
        if isinstance(answer, HttpFault):
            return _refuse(exchange, answer)
        reply = reply_of(answer)
        load_seconds = reply.load_seconds if self._load(model, asked.options.num_ctx) else 0.0
        window = model.context_tokens if model.reads_past_num_ctx else asked.options.num_ctx
        prompt_tokens = _evaluated_tokens(asked.messages, window, model.density)
        room = max(0, window - prompt_tokens)
        budget = room if asked.options.num_predict < 0 else min(room, asked.options.num_predict)
        fitted = fit(reply, budget, thinks=can_think and asked.think is not False)
        exchange.input_tokens, exchange.output_tokens = prompt_tokens, fitted.output_tokens
        last = _last(asked.model, fitted, prompt_tokens, load_seconds)
        if not asked.stream and not isinstance(answer, Cut | Stall):
            message = {"role": "assistant", "content": fitted.text}
            if fitted.thinking:
                message["thinking"] = fitted.thinking
            return whole(exchange, {**last, "message": message})
        error = answer if isinstance(answer, ErrorInside) else ErrorInside(Reply(""))
        return PieceStream(
            [_line(event) for event in (*_events(asked.model, fitted), last)],
            answer,
            exchange,
            error_piece=_line({"error": error.message}),
            garbled_piece=b"{not json\n",
            media_type="application/x-ndjson",
        )

    async def _embed(self, request: Request) -> Response:
        exchange = await self.journal.record(request)
        name, texts = str(exchange.body.get("model", "")), exchange.body.get("input", [])
        model = self._find(name)
        if model is None:
            return _refuse(exchange, HttpFault(404, message=f"model '{name}' not found"))
        texts = [texts] if isinstance(texts, str) else texts
        self._load(model, _DEFAULT_NUM_CTX)
        return whole(
            exchange,
            {
                "model": name,
                "embeddings": [_vector(text) for text in texts],
                "total_duration": 2_000_000,
                "load_duration": 1_000_000,
                "prompt_eval_count": sum(count_tokens(text) for text in texts),
            },
        )

    def _find(self, name: str) -> OllamaModel | None:
        return self._models.get(name) or self._models.get(f"{name}:latest")

    def _load(self, model: OllamaModel, num_ctx: int) -> bool:
        """Load the model if needed; True when it was not loaded with this num_ctx."""
        if model.remote_host is not None or self.loaded.get(model.name) == num_ctx:
            return False
        self.loaded[model.name] = num_ctx
        self.loads.append((model.name, num_ctx))
        return True


def prompt_tokens_of(messages: Sequence[tuple[str, str]]) -> int:
    """Tokens of (role, content) messages in the peer's template, without truncation."""
    return sum(count_tokens(content) + 4 for _, content in messages)


def _evaluated_tokens(messages: Sequence[_Message], num_ctx: int, density: int) -> int:
    """Prompt tokens after the server's silent truncation, as reported in `prompt_eval_count`.

    Older messages are dropped first, never the last or a system message; a prompt that is still too long loses its
    middle, down to about half the window, to leave room for generation.
    """
    kept = list(messages)
    while _size(kept) * density > num_ctx:
        dropped = next((m for m in kept[:-1] if m.role != "system"), None)
        if dropped is None:
            break
        kept.remove(dropped)
    tokens = _size(kept) * density
    return tokens if tokens <= num_ctx - 1 else num_ctx - max((num_ctx - _KEPT_TOKENS) // 2, 1)


def _size(messages: Sequence[_Message]) -> int:
    return prompt_tokens_of([(message.role, message.content + message.thinking) for message in messages])


def _refuse(exchange: Exchange, fault: HttpFault) -> Response:
    return whole(exchange, fault.body or {"error": fault.message}, fault.status, fault.headers)


def _events(model: str, fitted: Fitted) -> Iterator[dict[str, Any]]:
    for piece in pieces(fitted.thinking):
        yield _event(model, {"content": "", "thinking": piece})
    for piece in pieces(fitted.text):
        yield _event(model, {"content": piece})


def _event(model: str, message: Mapping[str, str], *, done: bool = False) -> dict[str, Any]:
    return {"model": model, "created_at": _TIME, "message": {"role": "assistant", **message}, "done": done}


def _last(model: str, fitted: Fitted, prompt_tokens: int, load_seconds: float) -> dict[str, Any]:
    load = round(load_seconds * _NANOSECONDS) or 1_000_000
    prompt, output = prompt_tokens * 1_000_000, fitted.output_tokens * 10_000_000
    return {
        **_event(model, {"content": ""}, done=True),
        "done_reason": "length" if fitted.stop == "length" else "stop",
        "total_duration": load + prompt + output,
        "load_duration": load,
        "prompt_eval_count": prompt_tokens,
        "prompt_eval_duration": prompt,
        "eval_count": fitted.output_tokens,
        "eval_duration": output,
    }


def _summary(model: OllamaModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": _TIME,
        "size": 1_000_000,
        "digest": model.digest,
        "details": _details(model),
        **_remote(model),
    }


def _details(model: OllamaModel) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.family,
        "families": [model.family],
        "parameter_size": model.parameter_size,
        "quantization_level": model.quantization,
    }


def _remote(model: OllamaModel) -> dict[str, str]:
    return {"remote_model": model.name, "remote_host": model.remote_host} if model.remote_host else {}


def _vector(text: str) -> list[float]:
    return [byte / 255 for byte in hashlib.sha256(text.encode()).digest()[:8]]


def _line(event: Mapping[str, Any]) -> bytes:
    return json.dumps(event).encode() + b"\n"
