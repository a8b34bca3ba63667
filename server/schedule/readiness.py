"""Whether the machine is idle enough to evaluate models."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from ...memory_store.ledger import Ledger
from ...memory_store.ownership import Owner
from ..providers.ollama_models import LoadedModel

BUSY_FROM_LOAD = 0.5
"""Load average over 1 minute, per core."""

_MAX_KEEP_ALIVE = dt.timedelta(hours=1)
"""A model that stays loaded for longer is kept loaded permanently, so it does not show recent use."""


@dataclass(frozen=True)
class Machine:
    """The current activity on this machine."""

    on_battery: bool | None
    """None, also below: not known, which is no reason to wait."""
    load_per_core: float | None
    loaded: Sequence[LoadedModel] = ()
    """Models in Ollama's memory."""
    tasks: int = 0
    """Running tasks and waiting requests of other Chargehand processes."""


def reason_to_wait(machine: Machine, now: dt.datetime) -> str | None:
    """Why the evaluation has to wait. None: it can start."""
    if machine.on_battery:
        return "the machine is running on battery"
    if machine.tasks:
        return f"{machine.tasks} task(s) are running in other processes"
    if machine.load_per_core is not None and machine.load_per_core >= BUSY_FROM_LOAD:
        return f"the processors are busy: a load of {machine.load_per_core:.1f} per core; the limit is {BUSY_FROM_LOAD}"
    for model in machine.loaded:
        if model.expires_at is not None and now < model.expires_at <= now + _MAX_KEEP_ALIVE:
            return f"{model.name} was used recently, and is still in Ollama's memory"
    return None


async def tasks_of_other_processes(ledger: Ledger, owner: Owner) -> int:
    """The number of running tasks and queued requests of other live processes."""
    rows = await ledger.rows(
        "SELECT owner FROM tasks WHERE status = 'running' AND owner IS NOT NULL UNION ALL SELECT owner FROM tickets"
    )
    return sum([name != owner.id and await owner.is_alive(name) for (name,) in rows])
