"""Reads environment variables; a placeholder that a host left unexpanded counts as unset."""

import re
from collections.abc import Mapping

# Observed in @anthropic-ai/mcpb 2.1.2 (2026-11-30): an option that the user left blank stays as `${user_config.…}`.
_PLACEHOLDER = re.compile(r"\s*\$\{[^{}]*\}\s*")


def value_of(variable: str, environment: Mapping[str, str]) -> str:
    """The value, stripped. Empty: the variable is unset."""
    return "" if is_placeholder(value := environment.get(variable, "")) else value.strip()


def is_placeholder(value: str) -> bool:
    """Whether the whole value is one `${…}`."""
    return _PLACEHOLDER.fullmatch(value) is not None
