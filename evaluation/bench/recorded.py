"""Reads recorded tasks with tests and models' answers from a data set on disk."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..json_lines import read_rows

# The recorded models that stand for each tier: for the first request, then for the second. A tier's pass rate is not
# that of its present models; what counts is that the answers are real ones.
_MBPP_TIERS: Mapping[str, Sequence[str]] = {
    "local": ("mistralai/mixtral-8x7b-chat", "zero-one-ai/Yi-34B-Chat"),
    "fast_coder": ("claude-instant-v1", "claude-v1"),
    "economy": ("gpt-3.5-turbo-1106", "claude-v1"),
    "validator": ("claude-v2", "claude-v1"),
    "director": ("gpt-4-1106-preview", "gpt-3.5-turbo-1106"),
}

# An answer's function may have another name than the tests expect, so the last one defined is bound to it.
_BIND_LAST_FUNCTION = """\
def _last_function():
    import types
    functions = [value for value in globals().values() if isinstance(value, types.FunctionType)]
    own = [f for f in functions if f.__globals__ is globals() and f is not _last_function]
    return max(own, key=lambda f: f.__code__.co_firstlineno)

if "{name}" not in globals():
    {name} = _last_function()
"""


class UnknownRecording(ValueError):
    """A file that is neither of the supported data sets."""


@dataclass(frozen=True)
class RecordedAnswer:
    text: str
    passes: bool
    """Whether it passes the task's tests, according to the data set."""


@dataclass(frozen=True)
class RecordedTask:
    task_id: str
    prompt: str
    tests: str
    answers: Mapping[str, Sequence[RecordedAnswer]]
    """By tier, one per request in order; the last one repeats."""

    def answer(self, tier: str, request: int) -> RecordedAnswer:
        """request: counted from 0."""
        given = self.answers.get(tier) or self.answers["local"]
        return given[min(request, len(given) - 1)]


def read_recording(path: Path) -> list[RecordedTask]:
    """The tasks of a `replay_mbpp` or `code_humaneval` file (gzipped JSON Lines; shared/data/README.md).

    Raises UnknownRecording, or OSError when there is no such file.
    """
    return list(_tasks(read_rows(path), path))


def _tasks(rows: Sequence[dict[str, Any]], path: Path) -> Iterator[RecordedTask]:
    for row in rows:
        if "answers" in row and "entry_point" in row:
            yield _mbpp(row)
        elif "canonical_solution" in row and "entry_point" in row and "test" in row:
            yield _humaneval(row)
        else:
            raise UnknownRecording(f"{path}: its rows have {', '.join(row)}; expected replay_mbpp or code_humaneval.")


def _mbpp(row: Mapping[str, Any]) -> RecordedTask:
    return RecordedTask(
        task_id=row["task_id"],
        prompt=row["prompt"],
        tests="\n".join((_BIND_LAST_FUNCTION.format(name=row["entry_point"]), row["setup"], *row["tests"])),
        answers={tier: [_recorded(row["answers"][model]) for model in models] for tier, models in _MBPP_TIERS.items()},
    )


def _recorded(answer: Mapping[str, Any]) -> RecordedAnswer:
    return RecordedAnswer(answer["response"], bool(answer["passes"]))


def _humaneval(row: Mapping[str, Any]) -> RecordedTask:
    solution = RecordedAnswer(f"```python\n{row['prompt']}{row['canonical_solution']}\n```\n", passes=True)
    return RecordedTask(
        task_id=row["task_id"],
        prompt=f"Complete this function:\n\n{row['prompt']}",
        tests=f"{row['test']}\ncheck({row['entry_point']})\n",
        answers={"local": [solution]},
    )
