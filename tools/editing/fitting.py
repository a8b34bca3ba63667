"""Fits the context files into one model's window."""

from ..routing.candidates import Candidate
from ..routing.deciding import Job
from .packing import Packed, room_in


def packed_for(candidate: Candidate, job: Job, beside_tokens: int) -> Packed:
    """The context files, packed for the candidate's window; whole if the expected answer fits beside them.

    beside_tokens: the tokens of the rest of the prompt.
    """
    window, output_tokens = candidate.window_tokens, candidate.expected.output_tokens
    if window is None or job.packing.whole_tokens + beside_tokens + output_tokens <= window:
        return job.packing.pack(None)
    return job.packing.pack(room_in(window, output_tokens) - beside_tokens)
