"""The result of a recall, as used for model selection."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .confidence import Belief


@dataclass(frozen=True)
class Recollection:
    """A summary of the outcomes of similar tasks."""

    best_model: str | None = None
    """Profile id of the best model on them. None: no similar task is remembered."""
    best_model_confidence: float = 0.0
    """Lower bound of its success rate on such tasks, 0 to 1."""
    similar_tasks: int = 0
    """Remembered tasks within the similarity threshold."""
    evidence: float = 0.0
    """Effective number of similar tasks, with near-duplicates merged."""
    beliefs: Mapping[str, Belief] = field(default_factory=dict[str, Belief])
    """By profile id; absent: no evidence on that model."""
    chances: Mapping[str, float] = field(default_factory=dict[str, float])
    """By profile id, the probability, 0 to 1, that the model solves the task, from all near tasks; absent:
    no near task is remembered."""
    tasks_known: Mapping[str, float] = field(default_factory=dict[str, float])
    """By profile id, the effective number of near tasks behind its chance, discounted by age; absent: none."""
    note: str | None = None
    """Why memory is unavailable or incomplete. None: it is neither."""
