"""`chargehand undo`: reverts what tasks wrote into files."""

from collections.abc import Sequence

from rich.console import Console

from ...tools.editing.undo import UndoAnswer, undo_task
from ..surface.server_state import OpenServices
from .reports import USER_FIXABLE, print_error, print_json


async def undo_from_shell(open_services: OpenServices, task_ids: Sequence[str], *, as_json: bool) -> int:
    """Undo the tasks in order. Returns the exit code.

    It is 1 if one cannot be undone: standard error says why, and the remaining ones are skipped.
    """
    done: list[UndoAnswer] = []
    problem: Exception | None = None
    try:
        async with open_services() as services:
            for task_id in task_ids:
                answer = await undo_task(services, task_id)
                done.append(answer)
    except USER_FIXABLE as error:
        problem = error
    if as_json:
        print_json([answer.model_dump(mode="json") for answer in done])
    else:
        for answer in done:
            Console().print(answer.as_text(), markup=False, highlight=False, soft_wrap=True)
    return 0 if problem is None else print_error(problem)
