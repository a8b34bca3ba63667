"""`chargehand undo`: what tasks wrote into files is taken back."""

from collections.abc import Sequence

from rich.console import Console

from ...tools.editing.undo import UndoAnswer, undo_task
from ..surface.server_state import OpenServices
from .reports import MENDABLE, complain, print_json


async def undo_from_shell(open_services: OpenServices, task_ids: Sequence[str], *, as_json: bool) -> int:
    """Take the tasks back, one after the other; gives the exit code.

    It is 1 when one could not be taken back: standard error says why, and those behind it are left.
    """
    done: list[UndoAnswer] = []
    problem: Exception | None = None
    try:
        async with open_services() as services:
            for task_id in task_ids:
                answer = await undo_task(services, task_id)
                done.append(answer)
    except MENDABLE as error:
        problem = error
    if as_json:
        print_json([answer.model_dump(mode="json") for answer in done])
    else:
        for answer in done:
            Console().print(answer.as_text(), markup=False, highlight=False, soft_wrap=True)
    return 0 if problem is None else complain(problem)
