"""One task of a suite, as it is given to a model: its text, its check, and answers known to be right and wrong."""

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
"""What a delegation of each kind is called."""


@dataclass(frozen=True)
class Origin:
    """Where a task that was mined is from: the user's rules for that project hold for it."""

    homes: tuple[Path, ...]
    """The project's folders, resolved; what the user's rules say of a file there, they say of the task's."""
    touched: tuple[str, ...]
    """Files that the task's texts tell of, shown or not: those that a right answer changes, and the tests."""


@dataclass(frozen=True)
class SuiteTask:
    """A task with its seed put in: the same id always means the same text and check."""

    id: str
    """Name and seed, as `parse-duration@7`; of a mined one the commit."""
    kind: Kind
    language: Literal["python", "javascript"]
    """Of the answer."""
    complexity: float
    """1 (rename a variable) to 10 (design a module), as its author judges it."""
    prompt: str
    """What the model is told, whole."""
    tests: str
    """What the product's `tests` argument takes: Python or JavaScript that an answer must pass; with `files`, paths
    of test files among them."""
    reference: str
    """An answer that passes, as a model would write it (with fences); with `files`, in the form of changes."""
    wrong: tuple[str, ...]
    """Answers that must fail, two at least, in the same form."""
    slips: tuple[str, ...] = ()
    """What each of them gets wrong, for a reader. Empty: nobody said."""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """A small project, text by relative path, that is unpacked for the task and changed in a copy. Empty: the answer
    is code by itself."""
    shown: tuple[str, ...] | None = None
    """Of `files`, those that the model sees. None: all but the tests."""
    target: str | None = None
    """The file of the project that the change is about. None: there is no project."""
    origin: Origin | None = None
    """None: it was written for a suite."""
