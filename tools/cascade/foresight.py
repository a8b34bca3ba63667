"""How long the next attempt will take, and whether that is known well enough to leave it out."""

from ..deciding import Job
from ..fitting import prompt_tokens_for
from ..routing.candidates import Candidate
from ..routing.expectation import expected_seconds
from ..routing.thinking import decide_thinking


def foreseen_seconds(candidate: Candidate, job: Job, *, is_repair: bool) -> float | None:
    """What the candidate's next reply is expected to take; a repair finds its model loaded. None: nobody knows."""
    complexity = job.complexity.score
    return expected_seconds(
        candidate.profile,
        complexity=complexity,
        prompt_tokens=prompt_tokens_for(candidate, job),
        thinking=decide_thinking(candidate.profile, complexity, is_repair=is_repair).on,
        pace=candidate.pace,
        is_cold=candidate.availability.is_loaded is False and not is_repair,
    )


def is_known_here(candidate: Candidate) -> bool:
    """Whether its speed is a fact of this installation.

    A local model's profile was measured on another machine: good for a guess, no ground to leave it out.
    """
    return candidate.pace is not None or candidate.profile.price is not None
