"""`chargehand undo`: what a task wrote into files is taken back."""

from rich.console import Console

from ..tools.undo import undo_task
from .premises import OpenWorkshop
from .reports import MENDABLE, complain, print_json


async def undo_from_shell(open_workshop: OpenWorkshop, task_id: str, *, as_json: bool) -> int:
    """Take a task back; gives the exit code: 1 when nothing was, and standard error says why."""
    try:
        async with open_workshop() as shop:
            answer = await undo_task(shop, task_id)
    except MENDABLE as error:
        return complain(error)
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        Console().print(answer.as_text(), markup=False, highlight=False, soft_wrap=True)
    return 0
