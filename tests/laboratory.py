"""The test harness of evaluations: services with the real adapters; only the vendors are local peers."""

from dataclasses import dataclass, field

import anyio
from suite_rows import item

from chargehand.evaluation.evaluating import evaluate
from chargehand.evaluation.peers.vendors import Vendors
from chargehand.evaluation.progress import EvaluationProgress
from chargehand.evaluation.terms import EvaluationTerms
from chargehand.memory_store.evaluation_runs import EvaluationRow
from chargehand.memory_store.evaluations import read_measurements
from chargehand.tools.cascade.delegations import Delegations
from chargehand.tools.services import Services

ITEMS = tuple(item(f"{name}@1", wrong=()) for name in ("a", "b", "c"))


@dataclass
class Lab:
    services: Services
    delegations: Delegations
    peers: Vendors
    waited: list[float] = field(default_factory=list)

    async def evaluate(self, *models: str, items=ITEMS, progress=None, in_batches=False, **terms) -> EvaluationRow:
        async def wait(seconds: float) -> None:
            self.waited.append(seconds)
            await anyio.lowlevel.checkpoint()

        evaluation_terms = EvaluationTerms(suite="own", seed=1, models=models, **terms)
        progress = progress or EvaluationProgress()
        return await evaluate(
            self.services,
            self.delegations,
            items,
            models,
            evaluation_terms,
            progress=progress,
            in_batches=in_batches,
            wait=wait,
        )

    async def measured(self) -> list[tuple[str, str, bool | None]]:
        rows = await read_measurements(self.services.ledger)
        return sorted((row.item, row.model, row.passed) for row in rows)
