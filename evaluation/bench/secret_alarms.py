"""False alarms of the secret search in code without secrets, and its time on a large context."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.markup import escape
from rich.progress import track
from rich.table import Table

from ...tools.guarding.secrets import Secret, SecretSearch
from ..json_lines import read_rows
from .output import output, progress_output, refuse

CONTEXT_CHARACTERS = 2_000_000
_PLAIN_CHARACTERS = 200_000
"""Length of text for the slow baseline, which runs each pattern over the whole text; its time is scaled up."""
_RUNS = 5
_SOURCES = (".py", ".mjs", ".js", ".ts", ".yaml", ".yml", ".toml", ".json", ".md", ".txt", ".sh", ".cfg")


@dataclass
class _Alarms:
    texts: int = 0
    characters: int = 0
    secrets: int = 0

    def add(self, text: str, found: Sequence[Secret]) -> None:
        self.texts += 1
        self.characters += len(text)
        self.secrets += len(found)


def measure_secrets(data: Path | None, sources: Sequence[Path]) -> int:
    """Print alarms and speed; returns the exit code, 2 if a folder is missing.

    data: a folder of `*.jsonl.gz`, all texts of which are searched. sources: folders of code. Hits are reported by kind
    and place, never shown.
    """
    console, search = output(), SecretSearch()
    given = [*sources, *([data] if data is not None else [])]
    if missing := [str(folder) for folder in given if not folder.is_dir()]:
        return refuse(f"{', '.join(missing)}: there is no such folder. Name one that is there.")
    table = Table("texts from", "texts", "million characters", "alarms", "alarms per million", title="alarms")
    sample = ""
    for folder in sources:
        alarms = _Alarms()
        for file in track(list(_files(folder)), escape(str(folder)), console=progress_output(), transient=True):
            text = file.read_text(encoding="utf-8", errors="replace")
            sample += text if len(sample) < CONTEXT_CHARACTERS else ""
            found = search.find(text)
            alarms.add(text, found)
            for secret in found:
                console.print(f"{file.relative_to(folder)}:{secret.line}: {secret.kind}", highlight=False)
        table.add_row(str(folder), *_row(alarms))
    for file in sorted(data.glob("*.jsonl.gz")) if data is not None else ():
        alarms = _Alarms()
        for number, row in enumerate(read_rows(file), start=1):
            for text in _texts(row):
                found = search.find(text)
                alarms.add(text, found)
                for secret in found:
                    console.print(f"{file.name}:{number}: {secret.kind}", highlight=False)
        table.add_row(file.name, *_row(alarms))
    console.print(table)
    if sample:
        console.print(_speed(search, sample))
    return 0


def _files(folder: Path) -> Iterator[Path]:
    hidden = {".git", ".venv", "node_modules", "__pycache__"}
    for file in sorted(folder.rglob("*")):
        if file.suffix in _SOURCES and file.is_file() and not hidden & set(file.relative_to(folder).parts):
            yield file


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in cast(dict[str, object], value).values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in cast(list[object], value):
            yield from _texts(part)


def _row(alarms: _Alarms) -> tuple[str, str, str, str]:
    million = alarms.characters / 1_000_000
    return (
        f"{alarms.texts:,}",
        f"{million:.2f}",
        str(alarms.secrets),
        f"{alarms.secrets / million:.2f}" if million else "-",
    )


def _speed(search: SecretSearch, sample: str) -> Table:
    """The best of several runs, in CPU time, so that load on the machine does not matter."""
    context = (sample * (CONTEXT_CHARACTERS // len(sample) + 1))[:CONTEXT_CHARACTERS]
    search.find(context)
    taken = min(_taken(lambda: search.find(context)) for _ in range(_RUNS))
    patterns = [re.compile(pattern.regex) for pattern in search.shipped]
    plain = _taken(lambda: [len(p.findall(context[:_PLAIN_CHARACTERS])) for p in patterns])
    plain *= CONTEXT_CHARACTERS / _PLAIN_CHARACTERS
    repeated = ", repeated" if len(sample) < CONTEXT_CHARACTERS else ""
    title = f"{CONTEXT_CHARACTERS:,} characters of these sources{repeated}; {len(patterns)} patterns"
    table = Table("search", "seconds of processor time", "ratio", title=title)
    table.add_row("from the needles on", f"{taken:.2f}", "1")
    table.add_row(
        f"each pattern over the text (scaled up from {_PLAIN_CHARACTERS:,})", f"{plain:.2f}", f"{plain / taken:.0f}"
    )
    return table


def _taken(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
