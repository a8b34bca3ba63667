"""Measurements and evaluations for tests of what is computed from them."""

from dataclasses import replace

from chargehand.memory_store.evaluation_runs import claim_evaluation, release_evaluation
from chargehand.memory_store.evaluations import Measurement, NewEvaluation
from chargehand.memory_store.ledger import Ledger
from chargehand.memory_store.ownership import Owner

_ONE = Measurement(
    evaluation_id="e1",
    item="a",
    model="small",
    repetition=0,
    build=None,
    kind="repair",
    task_type="code_repair",
    language="python",
    complexity=4.0,
    passed=True,
    outcome="passed",
    task_id="t1",
    at=1_000.0,
    seconds=2.0,
    first_token_seconds=0.5,
    output_tokens=60,
    thinking_tokens=0,
    cost_usd=0.0,
)


def measurement(item: str, **changed) -> Measurement:
    return replace(_ONE, item=item, **changed)


async def insert_evaluation(ledger: Ledger, evaluation_id: str, now: float, suite: str = "own") -> None:
    """Write an evaluation that measurements can belong to; no process is running it any more."""
    owner = await Owner.enter(ledger.path.parent)
    await claim_evaluation(ledger, owner, NewEvaluation(evaluation_id, suite, 1, None, "{}"), now)
    await release_evaluation(ledger, evaluation_id)
    await owner.leave()
