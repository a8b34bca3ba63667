"""The format of a task file; CONTRIBUTING.md describes how to write one.

A seed chooses one value for each entry of `varies`, which changes what a right answer does, and of `names`, which does
not. Neighbouring seeds choose different values of the first entry of `varies`, and any `variants` consecutive seeds
choose distinct combinations.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from .filling import marks
from .task import Kind

_GOLDEN = (math.sqrt(5) - 1) / 2


def _is_text_or_number(value: object) -> object:
    if isinstance(value, bool) or value is None:
        raise ValueError(f"YAML reads it as {value}: put it into quotes, as the code is to have it")
    return value


_Value = Annotated[str | int | float, BeforeValidator(_is_text_or_number)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Strict):
    """A range of integers, both ends included."""

    first: int = Field(alias="from")
    last: int = Field(alias="to")

    @model_validator(mode="after")
    def _goes_up(self) -> "Range":
        if self.last <= self.first:
            raise ValueError(f"`to` must be above `from` ({self.first}), got {self.last}")
        return self


_Options = Annotated[list[_Value | dict[str, _Value]], Field(min_length=2)] | Range


class Wrong(_Strict):
    """An answer that must fail: the reference with one piece replaced, or an answer of its own."""

    slip: str
    """The mistake it makes, for a reader."""
    replace: str | None = None
    """Text that occurs exactly once in the reference."""
    by: str = ""
    answer: str | None = None

    @model_validator(mode="after")
    def _is_one_of_both(self) -> "Wrong":
        if (self.replace is None) == (self.answer is None):
            raise ValueError("give `replace` and `by`, or `answer`")
        return self


class TaskFile(_Strict):
    """A task template. In all texts «name» stands for a value, «name.field» for one field of it."""

    kind: Kind
    language: Literal["python", "javascript"]
    complexity: float = Field(ge=1, le=10)
    varies: dict[str, _Options] = Field(min_length=1)
    """Parameters that a right answer depends on."""
    names: dict[str, _Options] = Field(default_factory=dict[str, _Options])
    """Names that do not change what a right answer does."""
    given: str | None = None
    """Code that the prompt shows as «given»; returned unchanged, it is a wrong answer."""
    prompt: str
    tests: str
    reference: str
    """Code, or a complete reply with fences."""
    wrong: list[Wrong] = Field(min_length=2)
    files: dict[str, str] = Field(default_factory=dict[str, str])
    target: str | None = None

    @model_validator(mode="after")
    def _hangs_together(self) -> "TaskFile":
        if (self.target is None) != (not self.files):
            raise ValueError("`files` and `target` go together")
        if self.target is not None and self.target not in self.files:
            raise ValueError(f"target: {self.target} is not among `files`")
        if twice := self.varies.keys() & self.names.keys():
            raise ValueError(f"names: {', '.join(sorted(twice))} varies already")
        asked = self._used_in(self.prompt, self.given or "", *self.files.values())
        checked = self._used_in(self.tests, self.reference, *self.files.values())
        for name in self.varies:
            for used, where in ((asked, "prompt"), (checked, "tests and the reference")):
                if name not in used:
                    raise ValueError(f"varies: {name} changes nothing in the {where}")
        return self

    @property
    def variants(self) -> int:
        """The number of combinations of `varies`."""
        return math.prod(_size(options) for options in self.varies.values())

    def values(self, task: str, seed: int) -> Mapping[str, str]:
        """The value of each mark."""
        return dict([*_chosen(self.varies, f"{task} varies", seed), *_chosen(self.names, f"{task} names", seed)])

    def _used_in(self, *texts: str) -> set[str]:
        """The names that the texts use, directly or inside of values."""
        used = {mark.partition(".")[0] for text in texts for mark in marks(text)}
        while True:
            inside = {
                mark.partition(".")[0]
                for name in used
                for text in _texts(self.varies.get(name) or self.names.get(name))
                for mark in marks(text)
            }
            if inside <= used:
                return used
            used |= inside


def _texts(options: "list[_Value | dict[str, _Value]] | Range | None") -> Iterator[str]:
    for option in options if isinstance(options, list) else ():
        yield from (str(value) for value in (option.values() if isinstance(option, dict) else (option,)))


def _size(options: "list[_Value | dict[str, _Value]] | Range") -> int:
    return options.last - options.first + 1 if isinstance(options, Range) else len(options)


def _chosen(
    choices: "Mapping[str, list[_Value | dict[str, _Value]] | Range]", salt: str, seed: int
) -> Iterator[tuple[str, str]]:
    """The values of one combination. Consecutive seeds move through all combinations in large steps."""
    space = math.prod(_size(options) for options in choices.values())
    step = next(step for step in range(max(1, round(space * _GOLDEN)), 2 * space + 2) if math.gcd(step, space) == 1)
    place = (int.from_bytes(hashlib.sha256(salt.encode()).digest()) + seed * step) % space
    for name, options in choices.items():
        place, index = divmod(place, _size(options))
        option = options.first + index if isinstance(options, Range) else options[index]
        if isinstance(option, dict):
            yield from ((f"{name}.{field}", str(value)) for field, value in option.items())
        else:
            yield name, str(option)
