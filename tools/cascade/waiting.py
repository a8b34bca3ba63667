"""What whoever waits for a delegation is told meanwhile."""

from collections.abc import Awaitable, Callable

from .delegations import Stage
from .receipt import Receipt

REPORT_EVERY_S = 2.0

Report = Callable[[Stage], Awaitable[None]]
"""Told where the delegation is: at each change of phase, and every REPORT_EVERY_S seconds between them.

Of one in this process it is told the task's id first: a call that breaks off may give no answer that names it.
"""


def still_running(task_id: str, stage: Stage, seconds_left: float) -> Receipt:
    """The receipt of a delegation that is under way; its note is an instruction."""
    return Receipt(
        task_id=task_id,
        status="running",
        notes=[
            f'Call delegate_generation(resume="{task_id}") now; about {seconds_left:.0f} s left ({stage.as_text()}).'
        ],
    )
