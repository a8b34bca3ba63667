"""Shared SQL expressions for good work and its cost, over `tasks t` and `attempts a`."""

from .records import BAD_OUTCOMES, GOOD_OUTCOMES, Outcome


def _listed(outcomes: tuple[Outcome, ...]) -> str:
    return "(" + ", ".join(f"'{word}'" for word in outcomes) + ")"


GOOD_WORDS, BAD_WORDS = _listed(GOOD_OUTCOMES), _listed(BAD_OUTCOMES)

IS_CALLED_BAD = f"EXISTS (SELECT 1 FROM outcomes o WHERE o.task_id = t.id AND o.outcome IN {BAD_WORDS})"  # noqa: S608 - constants, here and below
IS_VERIFIED_OR_PRAISED = f"""(t.status = 'succeeded'
    OR EXISTS (SELECT 1 FROM outcomes o WHERE o.task_id = t.id AND o.outcome IN {GOOD_WORDS}))"""  # noqa: S608
IS_GOOD = f"({IS_VERIFIED_OR_PRAISED} AND NOT {IS_CALLED_BAD})"

COST_USD = "COALESCE(a.cost_usd, a.reserved_usd)"
"""Settled cost, or the worst case of an unsettled attempt."""


def cost_of_task(task_id: str) -> str:
    """SQL for the cost of all attempts of a task, in US dollars. task_id: the column with its id."""
    return f"(SELECT TOTAL({COST_USD}) FROM attempts a WHERE a.task_id = {task_id})"  # noqa: S608
