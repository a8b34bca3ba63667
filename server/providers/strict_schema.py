"""Adapts an answer schema to the vendors' constrained decoding.

Anthropic and Cerebras require closed objects and every property as required, and refuse bounds on numbers, lengths and
counts (structured-outputs pages of both, seen 2026-11-23). Bounds are moved into the description for the model to
read; callers must validate them in the answer.
"""

from collections.abc import Mapping
from typing import Any, cast

_BOUNDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "pattern",
    }
)
_NAMED_CHILDREN = ("properties", "$defs")
_LISTED_CHILDREN = ("anyOf", "allOf")


def strict_schema(schema: Mapping[str, object]) -> dict[str, Any]:
    """The schema with closed objects, all properties required, and bounds moved into descriptions."""
    strict: dict[str, Any] = {key: value for key, value in schema.items() if key not in _BOUNDS}
    bounds = [f"{key}: {schema[key]}" for key in sorted(_BOUNDS & set(schema))]
    if bounds:
        strict["description"] = f"{schema.get('description', '')} ({', '.join(bounds)})".strip()
    for keyword in _NAMED_CHILDREN:
        if keyword in schema:
            children = cast(Mapping[str, Mapping[str, object]], schema[keyword])
            strict[keyword] = {name: strict_schema(child) for name, child in children.items()}
    for keyword in _LISTED_CHILDREN:
        if keyword in schema:
            strict[keyword] = [strict_schema(child) for child in cast(list[Mapping[str, object]], schema[keyword])]
    if isinstance(schema.get("items"), dict):
        strict["items"] = strict_schema(cast(Mapping[str, object], schema["items"]))
    if schema.get("type") == "object":
        strict["additionalProperties"] = False
        strict["required"] = list(cast(Mapping[str, object], schema.get("properties", {})))
    return strict
