"""The state of an evaluation while it runs, and what its report says of it afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class EvaluationProgress:
    """The state of a running evaluation; `on_change` is called after each change."""

    evaluation_id: str = ""
    total: dict[str, int] = field(default_factory=dict[str, int])
    """Answers wanted, by model."""
    done: dict[str, int] = field(default_factory=dict[str, int])
    """Answers measured or skipped, by model."""
    broken: dict[str, str] = field(default_factory=dict[str, str])
    """Items with a wrong check, which no model is asked, and why."""
    given_up: dict[str, str] = field(default_factory=dict[str, str])
    """Models that are no longer asked, and why."""
    unaffordable: dict[str, int] = field(default_factory=dict[str, int])
    """Number of answers that the evaluation's budget does not cover, by model."""
    unmeasured: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    """Number of answers asked for that taught nothing about the model, by model and reason."""
    staying: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    """Items whose texts must stay on this machine, and why."""
    withheld: dict[str, int] = field(default_factory=dict[str, int])
    """Number of answers not requested for that reason, by remote model."""
    resumed: bool = False
    on_change: Callable[[], None] = lambda: None

    @property
    def is_whole(self) -> bool:
        """Whether everything is measured that the budget covers and that may be sent. Batches are not considered."""
        return not (self.given_up or self.unmeasured or self.broken)
