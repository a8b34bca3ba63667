"""`chargehand undo`: reverts what tasks wrote into files."""

from collections.abc import Sequence

from rich.console import Console

from ...tools.editing.undo import UndoAnswer, undo_task
from ..surface.server_state import OpenServices
from .reports import print_json


async def undo_from_shell(open_services: OpenServices, task_ids: Sequence[str], *, as_json: bool) -> int:
    """Undo the tasks in order, and print them, even if one cannot be undone and the rest is skipped. Returns 0."""
    done: list[UndoAnswer] = []
    try:
        async with open_services() as services:
            for task_id in task_ids:
                answer = await undo_task(services, task_id)
                done.append(answer)
    finally:
        if as_json:
            print_json([answer.model_dump(mode="json") for answer in done])
        else:
            for answer in done:
                Console().print(answer.as_text(), markup=False, highlight=False, soft_wrap=True)
    return 0
