"""Shortens and tightens pydantic's JSON schemas for publication to hosts."""

from collections.abc import Mapping
from typing import Any, cast

# JSON schemas are arbitrary trees, hence Any in this module.
Schema = dict[str, Any]

_BY_NAME = ("properties", "$defs")
"""Keywords whose values map arbitrary names, possibly equal to keywords, to schemas."""


def published(schema: Mapping[str, Any], *, closed: bool) -> Schema:
    """The schema without titles, null branches and empty defaults.

    closed: True forbids additional properties.
    """
    plain = _plain(schema)
    if closed:
        plain["additionalProperties"] = False
    return plain


def _plain(schema: Mapping[str, Any]) -> Schema:
    result: Schema = {}
    for key, value in schema.items():
        if key == "title" or (key == "default" and not value):
            continue
        if key in _BY_NAME:
            result[key] = {name: _plain(inner) for name, inner in cast(Mapping[str, Any], value).items()}
        elif key == "anyOf":
            result |= _without_null([_plain(branch) for branch in cast(list[Mapping[str, Any]], value)])
        elif isinstance(value, Mapping):
            result[key] = _plain(cast(Mapping[str, Any], value))
        else:
            result[key] = value
    return result


def _without_null(branches: list[Schema]) -> Schema:
    real = [branch for branch in branches if branch.get("type") != "null"]
    return real[0] if len(real) == 1 else {"anyOf": real}
