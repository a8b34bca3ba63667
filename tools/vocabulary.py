"""Enumerations shared by decisions, checks, receipts and tool schemas, and the default limits of a call.

Light to import: a server publishes its tool schemas at startup, before it needs the tools.
"""

from typing import Literal

Source = Literal["memory", "rules", "checkpoint", "constraint", "override"]
"""What determined the choice of a model."""

AttemptOutcome = Literal[
    "passed",
    "failed_check",
    "unverified",
    "truncated",
    "refused",
    "empty",
    "unreachable",
    "rate_limited",
    "timeout",
    "over_context",
    "cancelled",
    "error",
]

Severity = Literal["error", "warning", "info"]
CheckName = str
"""`edit` (whether the change fits its file), `parse`, `lint`, `tests`, `review`, or a user-configured command."""

Output = Literal["inline", "apply"]
"""Where the result goes: the receipt or files."""

Depth = Literal["static", "review"]
Verdict = Literal["pass", "fail", "uncertain"]
"""On code."""
Direction = Literal["continue", "redirect", "stop"]
"""The director's verdict on a project."""

# Maximum and default values of a call's arguments.
MAX_USD = 100
MAX_SECONDS, DEFAULT_MAX_SECONDS = 3600, 300
MAX_ATTEMPTS, DEFAULT_MAX_ATTEMPTS = 20, 6
MAX_WAIT_S, DEFAULT_WAIT_S = 600, 45
