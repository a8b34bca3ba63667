"""Quality of the static checks: invalid code caught, valid code rejected, and time per thousand lines."""

import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from pydantic import BaseModel
from rich.progress import track
from rich.table import Table

from ...tools.checking.parse import check_static
from ...tools.checking.result import CheckResult
from ..json_lines import read_rows
from .output import output, progress_output, refuse

SNIPPETS = "code_syntax.jsonl.gz"
LINES = 1000
_RUNS = 7

_BLOCKS: Mapping[str, str] = {
    "python": "def total_{n}(items, rate=0.2):\n    net = sum(i.price * i.count for i in items)\n"
    "    if net > 100 and rate:\n        net -= 5\n    return round(net * (1 + rate), 2)\n",
    "javascript": "export function total{n}(items, rate = 0.2) {\n  let net = items.reduce((s, i) => s + i.price, 0);\n"
    "  if (net > 100 && rate) net -= 5;\n  return Math.round(net * (1 + rate));\n}\n",
    "typescript": "export function total{n}(items: Item[], rate = 0.2): number {\n  let net = 0;\n"
    "  for (const i of items) net += i.price;\n  return Math.round(net * (1 + rate));\n}\n",
    "rust": "fn total_{n}(items: &[Item], rate: f64) -> f64 {\n    let mut net: f64 = items.iter().map(price).sum();\n"
    "    if net > 100.0 { net -= 5.0; }\n    (net * (1.0 + rate)).round()\n}\n",
    "json": '  "total{n}": [\n    1,\n    {"price": 2.5, "count": 3},\n    null,\n    "text"],\n',
    "yaml": "total{n}:\n  - name: net\n    price: 2.5\n    tags: [a, b]\n    text: 'x'\n",
}
"""Five lines each; `{n}` makes the names unique."""


class _Snippet(BaseModel):
    """A row of code_syntax (../shared/data/README.md)."""

    code: str
    language: str
    valid: bool


@dataclass
class _Count:
    """Number of snippets by outcome."""

    passed: int = 0
    failed: int = 0
    suspect: int = 0
    """Neither passed nor failed, but with findings."""
    not_checked: int = 0

    def add(self, checks: Sequence[CheckResult]) -> None:
        if any(check.outcome == "failed" for check in checks):
            self.failed += 1
        elif all(check.outcome == "passed" for check in checks):
            self.passed += 1
        elif any(check.findings for check in checks):
            self.suspect += 1
        else:
            self.not_checked += 1

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.suspect + self.not_checked


async def measure_checking(folder: Path) -> int:
    """Print how the static checks judge code_syntax, and their speed; returns the exit code.

    folder: contains `code_syntax.jsonl.gz`.
    """
    console = output()
    file = folder / SNIPPETS
    if not await anyio.Path(file).is_file():
        return refuse(f"{file}: there is no such file. Give --data the folder that holds it.")
    console.print(await _caught(file))
    console.print(await _speed())
    return 0


async def _caught(file: Path) -> Table:
    valid: defaultdict[str, _Count] = defaultdict(_Count)
    invalid: defaultdict[str, _Count] = defaultdict(_Count)
    snippets = [_Snippet.model_validate(row) for row in read_rows(file)]
    for snippet in track(snippets, "checking snippets", console=progress_output(), transient=True):
        counts = valid if snippet.valid else invalid
        counts[snippet.language].add(await check_static(snippet.code, snippet.language))
    table = Table(
        "language", "invalid", "caught", "suspect", "valid", "false alarms", "suspect, valid", title=str(file.name)
    )
    for language in sorted(valid.keys() | invalid.keys()):
        bad, good = invalid[language], valid[language]
        table.add_row(
            language,
            str(bad.total),
            _share(bad.failed, bad.total),
            _share(bad.suspect, bad.total),
            str(good.total),
            _share(good.failed, good.total),
            _share(good.suspect, good.total),
        )
    return table


async def _speed() -> Table:
    table = Table("language", "median ms", "slowest ms", title=f"static checks of {LINES:,} lines, {_RUNS} runs")
    for language, block in _BLOCKS.items():
        code = "".join(block.replace("{n}", str(n)) for n in range(LINES // block.count("\n")))
        code = f'{{\n{code}  "end": 0}}\n' if language == "json" else code
        took_ms: list[float] = []
        for _ in range(_RUNS):
            began = time.perf_counter()
            checks = await check_static(code, language)
            took_ms.append((time.perf_counter() - began) * 1000)
            if any(check.outcome != "passed" for check in checks):
                raise RuntimeError(f"the sample in {language} does not pass: {checks}")
        table.add_row(language, f"{statistics.median(took_ms):.0f}", f"{max(took_ms):.0f}")
    return table


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "-"
