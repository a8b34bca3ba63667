"""The words that decisions, checks, receipts and tool schemas share, and what holds where a call is silent.

Light to import: a server publishes its tools' schemas at its start, before it needs the tools.
"""

from typing import Literal

Source = Literal["memory", "rules", "checkpoint", "constraint", "override"]
"""What decided for a model."""

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
"""`edit` (whether it can be placed), `parse`, `lint`, `tests`, `review`, or a command that the user configured."""

Output = Literal["inline", "apply"]
"""Where the result goes: into the receipt, or into files."""

Depth = Literal["static", "review"]
Verdict = Literal["pass", "fail", "uncertain"]
"""On code."""
Direction = Literal["continue", "redirect", "stop"]
"""The director's verdict on a project."""

# What a call may ask for at most, and what holds if it does not say.
MAX_USD = 100
MAX_SECONDS, DEFAULT_MAX_SECONDS = 3600, 300
MAX_ATTEMPTS, DEFAULT_MAX_ATTEMPTS = 20, 6
MAX_WAIT_S, DEFAULT_WAIT_S = 600, 45
