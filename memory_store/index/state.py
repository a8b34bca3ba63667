"""How the index stands, as values and as one line for people."""

from dataclasses import dataclass
from typing import Literal

Phase = Literal["absent", "warming", "ready", "rebuilding", "unavailable"]


@dataclass(frozen=True)
class IndexState:
    phase: Phase
    done: int = 0
    """Vectors in the index."""
    total: int = 0
    """Vectors that belong in it; identical ones count once."""
    reason: str | None = None
    """Why, and what to do, where that needs saying."""

    def as_text(self) -> str:
        """`memory: rebuilding, 120 of 900`."""
        amount = f", {self.done} of {self.total}" if self.phase == "rebuilding" else ""
        return f"memory: {self.phase}{amount}" + (f" ({self.reason})" if self.reason else "")
