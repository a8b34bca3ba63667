"""From a task's text to a decision: what kind of work it is, how hard, and who does it."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..profiles.vocabulary import Checkpoint, TaskType
from .editing.context import ContextFile
from .routing.candidates import Circumstances, Constraints
from .routing.complexity import Complexity, ContextFileFacts, score_complexity
from .routing.decision import Decision, Question
from .routing.plan import Check, Means
from .routing.selection import select_model
from .routing.task_type import infer_task_type
from .tokens import estimate_tokens
from .workshop import Workshop

# What goes out beside the caller's own text: the system prompt and the tags.
_FRAME_TOKENS = 200


@dataclass(frozen=True)
class Job:
    """A task, read and understood."""

    task: str
    task_type: TaskType
    complexity: Complexity
    files: tuple[ContextFile, ...] = ()
    context: str | None = None

    @property
    def prompt_tokens(self) -> int:
        """About how many tokens a prompt for it takes."""
        texts = (self.task, self.context or "", *(file.text for file in self.files))
        return _FRAME_TOKENS + sum(map(estimate_tokens, texts))


def understand(task: str, task_type: TaskType | None, files: Sequence[ContextFile], context: str | None = None) -> Job:
    """The task with its type, inferred when it is not given, and its complexity."""
    kind = task_type or infer_task_type(task)
    facts = [ContextFileFacts(path=file.path, size_bytes=len(file.text.encode())) for file in files]
    if context:
        facts.append(ContextFileFacts(path="", size_bytes=len(context.encode())))
    return Job(task, kind, score_complexity(task, kind, facts), tuple(files), context)


def decide(
    job: Job,
    shop: Workshop,
    circumstances: Circumstances,
    *,
    checkpoint: Checkpoint | None = None,
    model: str | None = None,
    local_only: bool = False,
    max_cost_usd: float | None = None,
    max_latency_s: float | None = None,
    check: Check | None = None,
    means: Means | None = None,
    every_model: bool = False,
) -> Decision:
    """Who does the job under the caller's constraints and the user's. Raises UnknownModel.

    check: what will be executed on an answer; None is nothing. means: what all attempts together may use.
    every_model: a role may have several players, one after the other.
    """
    return select_model(
        Question(
            complexity=job.complexity,
            task_type=job.task_type,
            checkpoint=checkpoint,
            pinned=shop.catalogue.named(model, shop.today) if model else (),
            constraints=Constraints(
                local_only=local_only or shop.rules.local_only,
                max_cost_usd=max_cost_usd,
                max_latency_s=max_latency_s,
                prompt_tokens=job.prompt_tokens,
            ),
            policy=shop.rules.policy,
            check=check,
            means=means or Means(usd=max_cost_usd),
            every_model=every_model,
        ),
        circumstances,
    )
