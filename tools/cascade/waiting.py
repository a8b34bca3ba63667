"""Progress reports for callers that wait for a delegation."""

from collections.abc import Awaitable, Callable

from .receipt import Receipt
from .stage import Stage

REPORT_EVERY_S = 2.0

Report = Callable[[Stage], Awaitable[None]]
"""Called with the delegation's stage: at each change of phase, and every REPORT_EVERY_S seconds in between.

For a delegation in this process the first report names the task's id, because a call that breaks off has no answer.
"""


def still_running(task_id: str, stage: Stage, seconds_left: float) -> Receipt:
    """The receipt of a running delegation; its note says how to resume."""
    return Receipt(
        task_id=task_id,
        status="running",
        notes=[
            f'Call delegate_generation(resume="{task_id}") now; about {seconds_left:.0f} s left ({stage.as_text()}).'
        ],
    )
