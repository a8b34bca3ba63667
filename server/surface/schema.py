"""Shortens and tightens pydantic's JSON schemas for publication to hosts."""

from collections.abc import Mapping
from typing import Any, cast

# JSON schemas are arbitrary trees, hence Any in this module.
Schema = dict[str, Any]

_REFERENCE = "#/$defs/"


def published(schema: Mapping[str, Any], *, closed: bool) -> Schema:
    """The schema without titles, null branches and empty defaults, and with its definitions in place.

    Some clients follow no `$ref`: Google ADK 2.0 for JavaScript turns each into an object without properties
    (2026-12-01). A definition must not refer to itself.

    closed: True forbids additional properties.
    """
    plain = _plain({key: value for key, value in schema.items() if key != "$defs"}, schema.get("$defs", {}))
    if closed:
        plain["additionalProperties"] = False
    return plain


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    if "$ref" in schema:
        named = definitions[str(schema["$ref"]).removeprefix(_REFERENCE)]
        return _plain({**named, **{key: value for key, value in schema.items() if key != "$ref"}}, definitions)
    result: Schema = {}
    for key, value in schema.items():
        if key == "title" or (key == "default" and not value):
            continue
        if key == "properties":
            named = cast(Mapping[str, Any], value)
            result[key] = {name: _plain(inner, definitions) for name, inner in named.items()}
        elif key == "anyOf":
            result |= _without_null([_plain(branch, definitions) for branch in cast(list[Mapping[str, Any]], value)])
        elif isinstance(value, Mapping):
            result[key] = _plain(cast(Mapping[str, Any], value), definitions)
        else:
            result[key] = value
    return result


def _without_null(branches: list[Schema]) -> Schema:
    real = [branch for branch in branches if branch.get("type") != "null"]
    return real[0] if len(real) == 1 else {"anyOf": real}
