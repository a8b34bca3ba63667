"""From a task's text to a decision: its type, its complexity, and the model to ask."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import anyio.to_thread

from ...profiles.vocabulary import Checkpoint, TaskType
from ..asking.tokens import estimate_tokens
from ..editing.context import ContextFile
from ..editing.packing import Packing
from ..services import Services
from .candidates import Circumstances, Constraints
from .complexity import Complexity, ContextFileFacts, score_complexity
from .decision import Decision, Question
from .expectation import expected_output_tokens
from .plan import Check, PlanLimits
from .selection import select_model
from .task_type import infer_task_type

# What is sent beside the caller's own text: the system prompt and the tags.
_FRAME_TOKENS = 200


@dataclass(frozen=True)
class Job:
    """A task with its type, complexity and context."""

    task: str
    task_type: TaskType
    complexity: Complexity
    files: tuple[ContextFile, ...] = ()
    context: str | None = None
    target: str | None = None
    """The file that the result goes into, as the caller named it."""
    notes: tuple[str, ...] = ()
    """Remarks for the caller on the context files."""

    @cached_property
    def packing(self) -> Packing:
        return Packing(self.task, self.files, self.target)

    @property
    def prompt_tokens(self) -> int:
        """Estimate for its prompt, with complete files."""
        return self._beside_files_tokens + self.packing.whole_tokens

    @property
    def least_prompt_tokens(self) -> int:
        """The same with only the essential parts of the files; slow, because it parses them all."""
        return self._beside_files_tokens + self.packing.min_tokens

    @property
    def _beside_files_tokens(self) -> int:
        return _FRAME_TOKENS + estimate_tokens(self.task) + estimate_tokens(self.context or "")


def analyze(
    task: str,
    task_type: TaskType | None,
    files: Sequence[ContextFile],
    context: str | None = None,
    *,
    target: str | None = None,
    notes: Sequence[str] = (),
) -> Job:
    """The task with its type, inferred if it is None, and its complexity."""
    facts = [ContextFileFacts(path=file.path, size_bytes=len(file.text.encode())) for file in files]
    if context:
        facts.append(ContextFileFacts(path="", size_bytes=len(context.encode())))
    kind, complexity = _read(task, task_type, tuple(facts))
    return Job(task, kind, complexity, tuple(files), context, target, tuple(notes))


@lru_cache(maxsize=16)  # the same task is often routed, then delegated
def _read(task: str, task_type: TaskType | None, facts: tuple[ContextFileFacts, ...]) -> tuple[TaskType, Complexity]:
    kind = task_type or infer_task_type(task)
    return kind, score_complexity(task, kind, facts)


async def decide(
    job: Job,
    services: Services,
    circumstances: Circumstances,
    *,
    checkpoint: Checkpoint | None = None,
    model: str | None = None,
    local_only: bool = False,
    max_cost_usd: float | None = None,
    max_latency_s: float | None = None,
    check: Check | None = None,
    limits: PlanLimits | None = None,
    every_model: bool = False,
    within_daily_budget: bool = True,
) -> Decision:
    """Choose a model under the caller's and the user's constraints. Raises UnknownModel or a LedgerError.

    check: reliability of the check that will be executed on answers; None: no check. limits: of all attempts
    together. every_model: several models per role may be tried, one after the other.
    within_daily_budget: whether a model that exceeds the day's budget is ruled out.
    """
    constraints = Constraints(
        local_only=local_only or services.rules.local_only,
        max_cost_usd=max_cost_usd,
        left_today_usd=await left_today_usd(services) if within_daily_budget else None,
        max_latency_s=max_latency_s,
        prompt_tokens=job.prompt_tokens,
    )
    least: int | None = None
    if _may_be_packed(job, circumstances):
        least = await anyio.to_thread.run_sync(lambda: job.least_prompt_tokens)
    return select_model(
        Question(
            complexity=job.complexity,
            task_type=job.task_type,
            checkpoint=checkpoint,
            pinned=services.catalogue.named(model, services.today) if model else (),
            constraints=replace(constraints, least_prompt_tokens=least),
            policy=services.rules.policy,
            check=check,
            limits=replace(limits or PlanLimits(), usd=constraints.usd),
            every_model=every_model,
            task=job.task,
        ),
        circumstances,
    )


def assess(text: str) -> tuple[TaskType, float]:
    """The type of task that a text asks for, and its complexity, 1 to 10."""
    job = analyze(text, None, ())
    return job.task_type, job.complexity.score


async def left_today_usd(services: Services) -> float | None:
    """US dollars left of the day's budget, not counting reservations of requests under way. None: no limit.

    Reservations are mostly released: a request waits for that, and a decision ignores them.
    """
    cap_usd = services.rules.daily_budget_usd
    return None if cap_usd is None else max(0.0, cap_usd - await services.ledger.settled_today_usd())


def _may_be_packed(job: Job, circumstances: Circumstances) -> bool:
    """Whether the files exceed the context window of at least one reachable model."""
    answer_tokens = expected_output_tokens(job.complexity.score, thinking=True)
    windows = (
        there.window_of(profile)
        for profile in circumstances.catalogue
        if (there := circumstances.availability.get(profile.id)) is not None and there.is_reachable
    )
    return bool(job.files) and any(w is not None and w < job.prompt_tokens + answer_tokens for w in windows)
