"""OpenAI's response formats as various servers fill them, and the accumulation of a streamed answer."""

from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidatorFunctionWrapHandler, field_validator

from ...tools.provider import Usage
from .error_text import text_in
from .reply import PartialReply
from .think_tags import Piece, ThinkTags

_STATUS_LENGTH = 3
_MAX_MODELS = 20_000


class _Part(BaseModel):
    # The SDK does not validate responses: its objects may hold anything, or be missing.
    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)


class _Delta(_Part):
    content: str | None = None
    reasoning: str | None = None
    """vLLM and OpenRouter."""
    reasoning_content: str | None = None
    """llama.cpp, LM Studio, LiteLLM, and vLLM before 2026; some send both, with the same text."""

    @property
    def thinking(self) -> str:
        return self.reasoning or self.reasoning_content or ""


class _Choice(_Part):
    delta: _Delta = _Delta()
    finish_reason: str | None = None


class _PromptDetails(_Part):
    cached_tokens: int | None = None


class _CompletionDetails(_Part):
    reasoning_tokens: int | None = None


class _CostDetails(_Part):
    upstream_inference_cost: float | None = None


class Counters(_Part):
    """The token counts and cost that a server reports for an answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    cost: float | None = None
    """US dollars that OpenRouter charged. None: not stated, or not a number ("free")."""
    is_byok: bool | None = None
    """True: a key of the user's own paid the model's vendor, and `cost` is only OpenRouter's fee
    (https://openrouter.ai/docs/cookbook/administration/usage-accounting, seen 2026-11-30)."""
    cost_details: _CostDetails | None = None

    @field_validator("cost", "is_byok", "cost_details", mode="wrap")
    @classmethod
    def _if_usable(cls, given: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        # No error, so that a paid answer is not lost; its cost then follows from the price and the token counts.
        try:
            return handler(given)
        except ValidationError:
            return None

    def apply_to(self, reply: PartialReply) -> None:
        """Set the reply's usage and charge, as far as they are stated."""
        if (charge_usd := self._charge_usd()) is not None:
            reply.set_charge(charge_usd)
        if (usage := self._usage(reply)) is not None:
            reply.set_usage(usage)

    def _charge_usd(self) -> float | None:
        if self.cost is None or not self.is_byok:
            return self.cost
        upstream_usd = self.cost_details.upstream_inference_cost if self.cost_details else None
        return None if upstream_usd is None else self.cost + upstream_usd

    def _usage(self, reply: PartialReply) -> Usage | None:
        if not self.prompt_tokens or self.completion_tokens is None:
            return None
        details = self.completion_tokens_details
        reasoning_tokens = details.reasoning_tokens if details else None
        cached = self.prompt_tokens_details.cached_tokens if self.prompt_tokens_details else None
        return Usage(
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            thinking_tokens=reply.thinking_part_of(self.completion_tokens)
            if reasoning_tokens is None
            else reasoning_tokens,
            cache_read_tokens=cached or 0,
        )


class Chunk(_Part):
    """A chunk of the stream, reduced to the fields that all servers share."""

    choices: list[_Choice] = Field(default_factory=list[_Choice])
    usage: Counters | None = None


class ErrorBody(_Part):
    """A server's error object. `code` is a number in OpenRouter and llama.cpp, a word in OpenAI, either in vLLM."""

    message: str | None = None
    type: str | None = None
    code: int | str | None = None
    param: str | None = None

    @classmethod
    def of(cls, body: object) -> "ErrorBody":
        """The error in a body: an object, or plain text (LM Studio)."""
        try:
            stated = cls.model_validate(body) if isinstance(body, dict) else cls()
        except ValidationError:
            return cls()
        return stated if stated.message else stated.model_copy(update={"message": text_in(cast(object, body))})

    @property
    def text(self) -> str:
        return self.message or ""

    @property
    def status(self) -> int | None:
        """The HTTP status in `code`, for errors inside a stream. None: `code` is not a status."""
        code = str(self.code)
        return int(code) if len(code) == _STATUS_LENGTH and code.isascii() and code.isdigit() else None

    @property
    def kind(self) -> str:
        return f"{self.type or ''} {self.code or ''}".strip()


class _Meta(_Part):
    """llama.cpp: `n_ctx` is the window it was started with, `n_ctx_train` the one the weights were trained for."""

    n_ctx: int | None = None
    n_ctx_train: int | None = None


class ServedModel(_Part):
    """A model in a server's list. None means not stated, in every field."""

    id: str = Field(min_length=1, max_length=300)
    max_model_len: int | None = None
    """vLLM."""
    context_length: int | None = None
    """OpenRouter."""
    meta: _Meta | None = None

    @property
    def window(self) -> int | None:
        """The context window available to a request now, in tokens."""
        return self._stated(self.meta.n_ctx if self.meta else None)

    @property
    def full_window(self) -> int | None:
        """The model's own context window, for its profile, even if the server was started with a smaller one."""
        return self._stated(self.meta.n_ctx_train if self.meta else None)

    def _stated(self, by_llama_cpp: int | None) -> int | None:
        stated = self.max_model_len or self.context_length or by_llama_cpp
        return stated if stated is not None and stated > 0 else None


class ServedModels(_Part):
    data: list[ServedModel] = Field(max_length=_MAX_MODELS)


class ChunkAccumulator:
    """Adds the chunks of a stream to a reply."""

    def __init__(self, reply: PartialReply) -> None:
        self.finish_reason: str | None = None
        self._reply = reply
        self._tags = ThinkTags()
        self._counters: Counters | None = None

    def take(self, chunk: Chunk) -> None:
        # Some servers send counts in each chunk, most in a final one without choices.
        if chunk.usage is not None:
            self._counters = chunk.usage
            self._counters.apply_to(self._reply)
        if not chunk.choices:
            return
        choice = chunk.choices[0]
        if choice.delta.thinking:
            self._reply.add_thinking(choice.delta.thinking)
        for piece in self._tags.take(choice.delta.content or ""):
            self._add(piece)
        self.finish_reason = choice.finish_reason or self.finish_reason

    def end(self) -> None:
        """Flush buffered text at the end of the stream, and apply the final counts."""
        for piece in self._tags.flush():
            self._add(piece)
        if self._counters is not None:
            self._counters.apply_to(self._reply)

    def _add(self, piece: Piece) -> None:
        if piece.kind == "thinking":
            self._reply.add_thinking(piece.text)
        else:
            self._reply.add_answer(piece.text)
