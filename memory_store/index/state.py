"""The state of the index, and its description in one line."""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["absent", "warming", "ready", "rebuilding", "unavailable"]


@dataclass(frozen=True)
class IndexState:
    phase: Phase
    done: int = 0
    """Vectors in the index."""
    total: int = 0
    """Vectors that should be in it; identical ones count once."""
    reason: str | None = None
    """Cause and remedy, where needed."""

    def as_text(self) -> str:
        """`memory: rebuilding, 120 of 900`."""
        amount = f", {self.done} of {self.total}" if self.phase == "rebuilding" else ""
        return f"memory: {self.phase}{amount}" + (f" ({self.reason})" if self.reason else "")
