"""What packing shows of a project's files in a small context window, compared with truncating them.

Each task names one function of the project, and all its files are the context. A function refers to the names in its
text that the same files define. The baseline takes the files whole, in order, until the window is full.
"""

import random
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
from rich.console import Console
from rich.table import Table

from ...tools.asking.tokens import estimate_tokens
from ...tools.editing.context import ContextFile, read_context
from ...tools.editing.outline import Unit, all_units, outline
from ...tools.editing.packing import Packing, room_in
from ...tools.editing.patterns import find_files
from ...tools.errors import CallerError
from ...tools.guarding.roots import Roots
from ...tools.routing.expectation import expected_output_tokens
from .output import output, refuse

_WINDOWS = (4_096, 8_192, 32_768)
_COMPLEXITY = 4.0
_BESIDE_TOKENS = 400
"""Reserved for system prompt, task and markup."""
_LEAST_LINES = 5
_SEED = 0
_WORD = re.compile(r"[A-Za-z_]\w{2,}")


@dataclass(frozen=True)
class _Question:
    """A task about one function, and the texts that a good context contains."""

    task: str
    text: str
    """The function's full text."""
    signatures: tuple[str, ...]
    """The first lines of the definitions that it refers to."""


@dataclass(frozen=True)
class _Seen:
    """How much a context shows."""

    named: float
    """1 if it contains the whole function, else 0."""
    referred: float | None
    """Share of the referred definitions whose signature it contains. None: the function refers to nothing."""
    filled: float
    """Share of the token budget used."""


async def measure_context(folder: Path, pattern: str, tasks: int) -> int:
    """Print the figures and their ratios; returns the exit code.

    folder: absolute. pattern: selects the files that are the context.
    """
    console = output()
    roots = Roots(folders=(folder,))
    try:
        found = await find_files([pattern], roots)
        files = await read_context(found.paths, roots)
    except CallerError as error:
        return refuse(str(error))
    return await anyio.to_thread.run_sync(partial(_measure, files, tasks, console))


def _measure(files: Sequence[ContextFile], tasks: int, console: Console) -> int:
    questions = _questions(files)
    if not questions:
        return refuse(f"no function of {_LEAST_LINES} lines or more in these files: give others with --pattern")
    chosen = random.Random(_SEED).sample(questions, min(tasks, len(questions)))  # noqa: S311 - no secret
    packings = [Packing(question.task, tuple(files)) for question in chosen]
    begun = time.perf_counter()
    least = [packing.min_tokens for packing in packings]
    reading_ms = 1_000 * (time.perf_counter() - begun) / len(packings)
    whole_tokens = packings[0].whole_tokens
    table = Table(
        "window", "fits", "named", "referred to", "room used", "ms", title="packed / cut off where the window ends"
    )
    for window in _WINDOWS:
        room = room_in(window, expected_output_tokens(_COMPLEXITY, thinking=False)) - _BESIDE_TOKENS
        cut = _cut_off(files, room)
        begun = time.perf_counter()
        packed = [packing.pack(room) for packing in packings]
        ms = 1_000 * (time.perf_counter() - begun) / len(packings)
        ours = [_seen(q, [f.text for f in p.files], p.tokens / room) for q, p in zip(chosen, packed, strict=True)]
        theirs = [_seen(question, cut, 1.0) for question in chosen]
        table.add_row(
            f"{window:,}",
            f"{sum(tokens <= room for tokens in least)} of {len(least)}",
            *(_ratio(ours, theirs, what) for what in ("named", "referred", "filled")),
            f"{ms:.1f}",
        )
    console.print(table)
    console.print(
        f"{len(files)} files of about {whole_tokens:,} tokens, {len(chosen)} tasks of {len(questions)} functions;"
        f" reading the files by their grammars took {reading_ms:.0f} ms a task."
    )
    return 0


def _questions(files: Sequence[ContextFile]) -> list[_Question]:
    signature_of: dict[str, str] = {}
    places: dict[str, int] = {}
    for file, unit in _functions(files):
        places[unit.name] = places.get(unit.name, 0) + 1
        signature_of[unit.name] = file.text.split("\n")[unit.signature_last_line]
    questions: list[_Question] = []
    for file, unit in _functions(files):
        if places[unit.name] > 1 or unit.last_line - unit.first_line + 1 < _LEAST_LINES or unit.members:
            continue
        text = "\n".join(file.text.split("\n")[unit.first_line : unit.last_line + 1])
        names = {name for name in _WORD.findall(text) if places.get(name) == 1} - {unit.name}
        signatures = tuple(signature_of[name] for name in sorted(names))
        questions.append(_Question(f"Let `{unit.name}` take one more argument, `limit`.", text, signatures))
    return questions


def _functions(files: Sequence[ContextFile]) -> Iterator[tuple[ContextFile, Unit]]:
    for file in files:
        for unit in all_units(outline(file.path, file.text)):
            if re.fullmatch(r"\w{3,}", unit.name):
                yield file, unit


def _cut_off(files: Sequence[ContextFile], room_tokens: int) -> list[str]:
    texts: list[str] = []
    for file in files:
        text = file.text
        while text and estimate_tokens(text) > room_tokens:
            text = text[: int(len(text) * max(0.5, room_tokens / estimate_tokens(text)))] if room_tokens > 0 else ""
        if text:
            texts.append(text)
            room_tokens -= estimate_tokens(text)
        if len(text) < len(file.text):
            break
    return texts


def _seen(question: _Question, texts: Sequence[str], filled: float) -> _Seen:
    lines = {line for text in texts for line in text.split("\n")}
    referred = [signature in lines for signature in question.signatures]
    return _Seen(
        named=float(any(question.text in text for text in texts)),
        referred=statistics.fmean(referred) if referred else None,
        filled=filled,
    )


def _ratio(ours: Sequence[_Seen], theirs: Sequence[_Seen], what: str) -> str:
    ours_of, theirs_of = ([v for one in seen if (v := getattr(one, what)) is not None] for seen in (ours, theirs))
    if not ours_of or not theirs_of:
        return "-"
    a, b = statistics.fmean(ours_of), statistics.fmean(theirs_of)
    return f"{a:.2f} / {b:.2f}" + (f" = {a / b:.3g}" if b else "")
