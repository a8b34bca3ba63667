"""The schema of `routing.yaml`: roles, ladder, thresholds and rules."""

from typing import Self

from pydantic import Field, model_validator

from .model import Facts
from .vocabulary import ROLES, Checkpoint, Role, TaskType


class Rule(Facts):
    """One row of the routing table; the first that fits determines the role."""

    complexity_at_most: float = Field(ge=1, le=10)
    """The highest complexity (1 to 10) the rule applies to."""
    task_types: tuple[TaskType, ...] = ()
    """The task types it applies to. Empty: all."""
    role: Role

    def fits(self, complexity: float, task_type: TaskType) -> bool:
        return complexity <= self.complexity_at_most and (not self.task_types or task_type in self.task_types)


class Prior(Facts):
    """The assumed success rate of a model without measurements."""

    tasks: float = Field(gt=0)
    """Its weight, in tasks."""
    success: float = Field(gt=0, lt=1)
    """The share that succeeds, 0 to 1."""


class RoutingRules(Facts):
    """The contents of `routing.yaml`."""

    ladder: tuple[Role, ...]
    """All roles, weakest first."""
    local_roles: tuple[Role, ...]
    """The roles whose models run on the user's machine."""
    memory_confidence_above: float = Field(ge=0, le=1)
    """Memory overrides the rules only above this confidence."""
    prior: Prior
    baseline_role: Role
    """The role whose price is the baseline for savings."""
    checkpoints: dict[Checkpoint, Role]
    local_checkpoint_role: Role
    """The role for checkpoints when nothing may leave the machine."""
    rules: tuple[Rule, ...]
    local_rules: tuple[Rule, ...]
    """The rules when nothing may leave the machine."""

    @model_validator(mode="after")
    def _every_role_stands_on_the_ladder_once(self) -> Self:
        if sorted(self.ladder) != sorted(ROLES):
            raise ValueError(f"ladder must name each role once: {', '.join(ROLES)}")
        return self

    @model_validator(mode="after")
    def _every_complexity_has_a_rule(self) -> Self:
        for name, table in (("rules", self.rules), ("local_rules", self.local_rules)):
            if not table or table[-1].complexity_at_most < 10 or table[-1].task_types:
                raise ValueError(f"the last of {name} must fit every task: complexity_at_most: 10, no task_types")
        return self

    def role_for(self, complexity: float, task_type: TaskType, *, local_only: bool) -> Role:
        """The role for a task of this complexity (1 to 10) and type."""
        table = self.local_rules if local_only else self.rules
        return next(rule.role for rule in table if rule.fits(complexity, task_type))
