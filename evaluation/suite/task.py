"""One task of a suite: its prompt, its check, and answers known to be right and wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from ...profiles.vocabulary import TaskType

Kind = Literal[
    "simple_generation",
    "complex_generation",
    "repair",
    "debugging",
    "tests",
    "documentation",
    "formatting",
    "translation",
    "refactoring",
    "multi_file_change",
    "reasoning",
]
KINDS: tuple[Kind, ...] = get_args(Kind)

TASK_TYPE_OF: Mapping[Kind, TaskType] = {
    "simple_generation": "code_generation",
    "complex_generation": "code_generation",
    "repair": "code_repair",
    "debugging": "debugging",
    "tests": "tests",
    "documentation": "documentation",
    "formatting": "formatting",
    "translation": "translation",
    "refactoring": "refactoring",
    "multi_file_change": "refactoring",
    "reasoning": "reasoning",
}
"""The task type of a delegation of each kind."""


@dataclass(frozen=True)
class Origin:
    """The project that a task was mined from, whose privacy rules apply to the task."""

    project_folders: tuple[Path, ...]
    """The project's folders, resolved; the user's rules for a file there apply to the task's file."""
    touched: tuple[str, ...]
    """Paths of files whose content the task's texts may reveal: those that a right answer changes, and the tests."""


@dataclass(frozen=True)
class SuiteTask:
    """A task filled in for a seed: the same id always means the same text and check."""

    id: str
    """Name and seed, such as `parse-duration@7`; for a mined task the commit's short id."""
    kind: Kind
    language: Literal["python", "javascript"]
    """Of the answer."""
    complexity: float
    """1 (rename a variable) to 10 (design a module), rated by its author; for a mined task estimated from its size."""
    prompt: str
    """The complete task text for the model."""
    tests: str
    """As for the `tests` argument of a delegation: Python or JavaScript that an answer must pass; with `files`, paths
    of test files among them."""
    reference: str
    """An answer that passes, as a model would write it (with fences); with `files`, in the form of changes."""
    wrong: tuple[str, ...]
    """Answers that must fail, in the same form."""
    slips: tuple[str, ...] = ()
    """What each wrong answer gets wrong, for a reader. Empty: not described."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """A project, text by relative path, that is unpacked for the task and changed in a copy. Empty: the answer is
    stand-alone code."""
    shown: tuple[str, ...] | None = None
    """Paths of the files that the model sees. None: all but the tests."""
    target: str | None = None
    """The main file to change. None: there is no project."""
    origin: Origin | None = None
    """None: the task was not mined."""
