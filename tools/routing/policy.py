"""What a user wants of the money: how much a solved task is worth under each policy."""

from typing import Literal

Policy = Literal["reference", "balanced", "frugal", "quality"]

# What a solved task is worth, in answers of the director: whatever fails here the user's own assistant
# does in its place, at about a director's price and after a wait. So an answer of the director is bought
# from a chance of one in three, in ten, or in fifty. Our own judgement of the three; `bench plan` shows what
# each buys on published outcomes.
# Policy `reference` says who begins; what follows a failure is planned as under `balanced`.
WORTH_IN_DIRECTORS: dict[Policy, float] = {"reference": 10.0, "balanced": 10.0, "frugal": 3.0, "quality": 50.0}
