"""`chargehand bench suite`: whether each task of the suite distinguishes right from wrong answers on this machine."""

from collections.abc import Collection

from rich.progress import Progress
from rich.table import Table

from ..suite.loading import TASKS, read_suite, read_task_file
from ..suite.proof import Proof, prove_all
from ..suite.task import SuiteTask
from .output import output, progress_output, refuse


async def prove_suite(seed: int, names: Collection[str] = ()) -> int:
    """Prove each task and print the results; returns the exit code.

    1: a task is broken, or its file is invalid. 2: there is no such task, or this machine cannot prove one.
    names: the tasks to prove; empty: all.
    """
    console = output()
    suite = read_suite(seed)
    by_name = {_name(task): task for task in suite.tasks}
    broken_files = {str(problem).partition(".yaml")[0] for problem in suite.unusable}
    if unknown := sorted(set(names) - by_name.keys() - broken_files):
        return refuse(f"no task is called {', '.join(unknown)}; there are {', '.join(by_name)}")
    for problem in suite.unusable:
        console.print(f"REFUSED: {problem}", markup=False, soft_wrap=True)
    chosen = [task for name, task in by_name.items() if not names or name in names]
    with Progress(console=progress_output(), transient=True) as progress:
        bar = progress.add_task("proving tasks", total=len(chosen))
        proofs = await prove_all(chosen, on_proof=lambda _: progress.advance(bar))
    console.print(_table(proofs, seed))
    for proof in proofs:
        for fault in proof.faults:
            console.print(f"{proof.verdict.upper()}: {proof.task.id}: {fault}", markup=False, soft_wrap=True)
    verdicts = {proof.verdict for proof in proofs}
    if suite.unusable or "broken" in verdicts:
        return 1
    return 2 if "not provable" in verdicts else 0


def _name(task: SuiteTask) -> str:
    return task.id.partition("@")[0]


def _table(proofs: Collection[Proof], seed: int) -> Table:
    proved = sum(proof.verdict == "proved" for proof in proofs)
    table = Table(
        "task", "kind", "language", "complexity", "variants", "wrong", "verdict", "s",
        title=f"the suite with seed {seed}: {proved} of {len(proofs)} proved",
    )  # fmt: skip
    for proof in sorted(proofs, key=lambda proof: (proof.task.kind, proof.task.complexity)):
        task = proof.task
        variants = read_task_file(TASKS / f"{_name(task)}.yaml").variants
        counts = (f"{task.complexity:g}", str(variants), str(len(task.wrong)), proof.verdict, f"{proof.seconds:.1f}")
        table.add_row(_name(task), task.kind, task.language, *counts)
    return table
