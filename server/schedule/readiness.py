"""Whether a machine has nothing better to do than to evaluate models."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from ...memory_store.ledger import Ledger
from ...memory_store.ownership import Owner
from ..providers.ollama_models import LoadedModel

BUSY_FROM_LOAD = 0.5
"""Processes that ran or waited in the last minute, per core."""

_LONGEST_KEPT = dt.timedelta(hours=1)
"""A model that stays loaded for longer is one that its user keeps loaded for good, asked or not."""


@dataclass(frozen=True)
class Machine:
    """What goes on here."""

    on_battery: bool | None
    """None, here and below: not known, and no reason to wait."""
    load_per_core: float | None
    loaded: Sequence[LoadedModel] = ()
    """In Ollama's memory."""
    tasks: int = 0
    """That other processes of Chargehand's have under way."""


def reason_to_wait(machine: Machine, now: dt.datetime) -> str | None:
    """Why nothing is to be evaluated now. None: nothing speaks against it."""
    if machine.on_battery:
        return "the machine is running on battery"
    if machine.tasks:
        return f"{machine.tasks} task(s) are running in other processes"
    if machine.load_per_core is not None and machine.load_per_core >= BUSY_FROM_LOAD:
        return f"the processors are busy: a load of {machine.load_per_core:.1f} per core; the limit is {BUSY_FROM_LOAD}"
    for model in machine.loaded:
        if model.expires_at is not None and now < model.expires_at <= now + _LONGEST_KEPT:
            return f"{model.name} was used recently, and is still in Ollama's memory"
    return None


async def tasks_of_others(ledger: Ledger, owner: Owner) -> int:
    """Tasks that other living processes have under way, and requests that they wait with."""
    rows = await ledger.rows(
        "SELECT owner FROM tasks WHERE status = 'running' AND owner IS NOT NULL UNION ALL SELECT owner FROM tickets"
    )
    return sum([name != owner.id and await owner.is_alive(name) for (name,) in rows])
