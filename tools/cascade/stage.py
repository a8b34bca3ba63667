"""The progress of a delegation, as it is reported and written down for other processes."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Self

# Seconds reported as left if unknown, and at least, since an answer is also checked.
UNKNOWN_S = 30.0
LEAST_LEFT_S = 5.0


@dataclass(frozen=True)
class Stage:
    """The progress of a delegation."""

    phase: str = "selecting"
    """selecting, asking, waiting, loading, thinking, answering, checking, repairing, finished."""
    model: str | None = None
    attempt: int = 0
    """Counted from 1; 0 before the first."""
    output_tokens: int = 0
    """Of the current attempt."""
    ahead: int = 0
    """Number of requests ahead in the queue of the model's server."""
    task_id: str | None = None
    """The id to resume with. None: the recipient knows it."""

    def as_text(self) -> str:
        task = f"task {self.task_id}: " if self.task_id else ""
        if self.model is None:
            return f"{task}{self.phase}"
        tokens = f", {self.output_tokens} tokens" if self.output_tokens else ""
        ahead = f", {self.ahead} ahead" if self.ahead else ""
        return f"{task}attempt {self.attempt}: {self.model} {self.phase}{tokens}{ahead}"

    def as_json(self) -> str:
        """For other processes; without the token count, which changes too often to be written."""
        return json.dumps(asdict(replace(self, output_tokens=0)))

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """The inverse of `as_json`. None: nothing is written yet."""
        return cls(**json.loads(text)) if text else cls()
