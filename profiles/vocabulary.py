"""Enumerations shared by profiles, decisions and tool schemas."""

from typing import Literal, get_args

ProviderName = Literal["ollama", "cerebras", "anthropic", "openai_compatible"]

Role = Literal[
    "local",
    "local_coder",
    "local_fallback",
    "economy",
    "fast_coder",
    "validator",
    "director",
]

TaskType = Literal[
    "code_generation",
    "code_repair",
    "debugging",
    "tests",
    "documentation",
    "formatting",
    "translation",
    "refactoring",
    "review",
    "architecture",
    "reasoning",
    "other",
]

Checkpoint = Literal["validation", "strategic"]

Capability = Literal["tools", "vision", "structured_output", "prompt_caching"]

ROLES: tuple[Role, ...] = get_args(Role)
TASK_TYPES: tuple[TaskType, ...] = get_args(TaskType)
