"""Validates shell arguments against the bounds of the tools' arguments."""

import sys
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ...tools.errors import BadArgument
from ..surface.arguments import TaskText

_SHOWN = 60
"""Maximum characters of a refused value to show; for a longer text only its length is shown."""


def task_text(given: str) -> str:
    """The task's text; `-` reads it from standard input. Raises BadArgument."""
    task = _standard_input() if given == "-" else given
    if not task.strip():
        raise BadArgument("task: it is empty. Say what to do.")
    keep_bounds("task", TaskText, task)
    return task


def keep_bounds(option: str, argument: Any, value: object) -> None:
    """Raise BadArgument for a value that the server would refuse.

    argument: an annotated type from `arguments.py`, for which typing has no type, hence Any.
    """
    try:
        TypeAdapter(argument).validate_python(value)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]["msg"]
        shown = f"{len(value):,} characters" if isinstance(value, str) and len(value) > _SHOWN else f"{value!r:.60}"
        raise BadArgument(f"{option}: {wrong}; got {shown}. Correct it.") from error


def _standard_input() -> str:
    if sys.stdin is None:
        raise BadArgument("task: standard input is closed. Pipe the task into it, or give its text instead of -.")
    encoding = sys.stdin.encoding
    try:
        text = sys.stdin.read()
        text.encode()  # in some locales an undecodable byte becomes a lone surrogate
    except UnicodeError as error:
        raise BadArgument(f"task: standard input is not {encoding} text. Convert it, and pipe it in again.") from error
    except OSError as error:
        raise BadArgument(f"task: standard input cannot be read ({error.strerror}). Pipe the task into it.") from error
    return text
