"""Validates Messages requests as Anthropic does.

Fields: `anthropic/types/message_create_params.py` of anthropic 2.13.0. Refusals: the model pages of
https://platform.claude.com/docs (seen 2026-11-23). Unknown fields are refused, and so are
`temperature`, `top_p` and `top_k`, which 5.x models no longer take.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

MAX_OUTPUT_TOKENS = 128_000

ThinkingType = Literal["adaptive", "disabled", "between_tools", "enabled"]

# Keywords that a structured output's schema may not use: bounds on values, which the vendor does not enforce.
_UNSUPPORTED_KEYWORDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
    }
)


@dataclass(frozen=True)
class ClaudeModel:
    """A model in the peer's listing."""

    id: str
    thinking_types: frozenset[ThinkingType] = frozenset()
    """The `thinking.type` values it accepts. Empty: it does not think."""
    efforts: tuple[str, ...] = ()
    lifecycle: Literal["active", "deprecated", "retired"] = "active"
    line: str | None = None
    max_input_tokens: int = 1_000_000
    created_at: str = "2026-01-01T00:00:00Z"
    retires_at: str | None = None
    """None: no retirement is scheduled."""

    @property
    def thinks_by_default(self) -> bool:
        return "adaptive" in self.thinking_types


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CacheControl(_Form):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class TextBlock(_Form):
    type: Literal["text"]
    text: str
    cache_control: CacheControl | None = None
    citations: None = None


class ThinkingBlock(_Form):
    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlock(_Form):
    type: Literal["redacted_thinking"]
    data: str


Block = Annotated[TextBlock | ThinkingBlock | RedactedThinkingBlock, Field(discriminator="type")]


class Message(_Form):
    role: Literal["user", "assistant"]
    content: str | list[Block]

    @property
    def blocks(self) -> list[Block]:
        return [TextBlock(type="text", text=self.content)] if isinstance(self.content, str) else self.content


class ThinkingConfig(_Form):
    type: ThinkingType
    budget_tokens: int | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(_Form):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(_Form):
    effort: str | None = None
    format: OutputFormat | None = None


class ToolChoice(_Form):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool = False


class CountRequest(_Form):
    """The body of a `count_tokens` request."""

    model: str
    messages: list[Message] = Field(min_length=1)
    system: str | list[TextBlock] = ""
    cache_control: CacheControl | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    tool_choice: ToolChoice | None = None
    tools: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])

    @property
    def system_blocks(self) -> list[TextBlock]:
        if isinstance(self.system, str):
            return [TextBlock(type="text", text=self.system)] if self.system else []
        return self.system


class MessagesRequest(CountRequest):
    """The body of a `/v1/messages` request."""

    max_tokens: int = Field(ge=0, le=MAX_OUTPUT_TOKENS)
    stream: bool = False
    stop_sequences: list[str] = Field(default_factory=list[str])
    metadata: dict[str, Any] | None = None
    service_tier: Literal["auto", "standard_only"] = "auto"
    inference_geo: str | None = None
    speed: Literal["standard", "fast"] | None = None

    def refusal(self, model: ClaudeModel) -> str | None:
        """Why the vendor answers 400 for this model. None: it accepts the request."""
        thinking = self.thinking
        if thinking is not None and thinking.type not in model.thinking_types:
            return f"thinking.type: '{thinking.type}' is not supported by {model.id}"
        effort = self.output_config.effort if self.output_config else None
        if thinking is not None and thinking.type in ("disabled", "between_tools") and effort in ("xhigh", "max"):
            return f"thinking.type: '{thinking.type}' is not supported at effort '{effort}'"
        if effort is not None and effort not in model.efforts:
            return f"output_config.effort: '{effort}' is not supported by {model.id}"
        if self.tool_choice is not None and self.tool_choice.type in ("any", "tool"):
            return f"tool_choice: forced tool use is not supported by {model.id}"
        if self.messages[-1].role == "assistant":
            return "messages: the conversation must end with a user message; prefill is not supported"
        if self.messages[0].role != "user":
            return "messages: the first message must use the user role"
        if any(isinstance(block, TextBlock) and not block.text for m in self.messages for block in m.blocks):
            return "messages: text content blocks must be non-empty"
        if self.output_config and self.output_config.format:
            return next(_schema_errors(self.output_config.format.schema_, "output_config.format.schema"), None)
        return None


def _schema_errors(schema: Mapping[str, Any], place: str) -> Iterator[str]:
    """Errors in a structured output's schema, outermost first."""
    if unsupported := sorted(_UNSUPPORTED_KEYWORDS & set(schema)):
        yield f"{place}: property '{unsupported[0]}' is not supported"
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            yield f"{place}: for 'object' type, 'additionalProperties' must be explicitly set to false"
        missing = set(schema.get("properties", {})) - set(schema.get("required", []))
        if missing:
            yield f"{place}: 'required' must list every property, '{min(missing)}' is missing"
    for keyword in ("properties", "$defs"):
        for name, child in cast(Mapping[str, Any], schema.get(keyword, {})).items():
            yield from _schema_errors(child, f"{place}.{keyword}.{name}")
    if isinstance(schema.get("items"), dict):
        yield from _schema_errors(schema["items"], f"{place}.items")
