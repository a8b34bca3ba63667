"""How much a solved task is worth under each policy."""

from typing import Literal

Policy = Literal["reference", "balanced", "frugal", "quality"]

# The value of a solved task, in answers of the director: a task that fails here is done by the user's own
# assistant, at about a director's price and after a wait. So an answer of the director is bought if its chance
# is at least one in three, ten or fifty. The three are our own judgement; `bench plan` shows what each buys on
# published outcomes. Policy `reference` only chooses the first model; after a failure it plans as `balanced`.
WORTH_IN_DIRECTORS: dict[Policy, float] = {"reference": 10.0, "balanced": 10.0, "frugal": 3.0, "quality": 50.0}
