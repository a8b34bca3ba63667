"""What memory has to say about a task, as the selector reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .confidence import Belief


@dataclass(frozen=True)
class Recollection:
    """The outcomes of similar tasks, summed up."""

    best_model: str | None = None
    """Profile id of the model that did best. None: nothing similar is remembered."""
    best_model_confidence: float = 0.0
    """Lower bound of its success on tasks like this, 0 to 1."""
    similar_tasks: int = 0
    """Remembered tasks within the similarity threshold."""
    evidence: float = 0.0
    """Their effective number, near-duplicates merged."""
    beliefs: Mapping[str, Belief] = field(default_factory=dict[str, Belief])
    """Per profile id; absent: nothing remembered of that model."""
    chances: Mapping[str, float] = field(default_factory=dict[str, float])
    """Per profile id, the probability, 0 to 1, that the model solves the task, by all that is near; absent:
    nothing near is remembered."""
    tasks_known: Mapping[str, float] = field(default_factory=dict[str, float])
    """Per profile id, how many of the tasks near its chance rests on, old ones counted less; absent: none."""
    note: str | None = None
    """Why there is nothing, where that needs saying."""
