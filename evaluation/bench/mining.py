"""`chargehand bench mine`: the tasks that a git history yields, and whether their checks work."""

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ...tools.checking.sandbox_search import SandboxConfig, find_sandbox
from ...tools.errors import BadArgument, CallerError
from ...tools.guarding.text import visible
from ..mining.mining import Extent, Mined, mine
from ..mining.output import progress_bar, summary_lines
from ..mining.releases import write_history
from ..suite.proof import prove_all
from .output import output


async def mine_history(path: Path | None, releases: Sequence[Path], extent: Extent, python: Path | None) -> int:
    """Mine tasks, prove each once more like those of the suite, and print both; returns the exit code.

    path: a repository. releases: source packages to build one from instead.
    """
    console, errors = output(), Console(stderr=True)
    find = partial(find_sandbox, SandboxConfig(python=python))
    with tempfile.TemporaryDirectory(prefix="chargehand-releases-") as folder:
        try:
            sandbox = await find()
            if sandbox.sandbox is None:
                raise BadArgument(f"bench mine: nothing can be proved here: {sandbox.reason}. {sandbox.remedy or ''}")
            begun = time.perf_counter()
            if path is None:
                path = await write_history(releases, Path(folder))
            with progress_bar(errors) as progress:
                mined = await mine(path, extent, find, progress=progress)
        except CallerError as error:
            errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
            return 1
    seconds = time.perf_counter() - begun
    for line in summary_lines(mined, has_packages=python is not None):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for dropped in mined.dropped:
        if dropped.detail:
            first, *_ = visible(dropped.detail).splitlines() or [""]
            console.print(f"  {dropped.commit.short_id} {dropped.reason}: {first[:200]}", markup=False, highlight=False)
    proofs = await prove_all(mined.tasks, find)
    console.print(_table(mined))
    verdicts = Counter(proof.verdict for proof in proofs)
    wrong = sum(len(task.wrong) for task in mined.tasks)
    console.print(
        f"Proved again: {verdicts['proved']} of {len(proofs)} tasks, by their commit and {wrong} wrong answers."
        f" Mining took {seconds:.0f} s.",
        highlight=False,
    )
    for proof in proofs:
        for fault in proof.faults:
            console.print(f"{proof.verdict.upper()}: {proof.task.id}: {fault}", markup=False, soft_wrap=True)
    return 0 if proofs and verdicts["proved"] == len(proofs) else 1


def _table(mined: Mined) -> Table:
    table = Table("commit", "subject", "kind", "complexity", "target", "tests", "wrong")
    for task in mined.tasks:
        counts = (f"{task.complexity:g}", visible(task.target or ""), str(len(task.tests.splitlines())))
        table.add_row(task.id, visible(mined.subjects[task.id]), task.kind, *counts, str(len(task.wrong)))
    return table
