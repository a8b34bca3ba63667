"""How much of the context one model gets to see."""

from ..routing.candidates import Candidate
from ..routing.deciding import Job
from .packing import Packed, room_in


def packed_for(candidate: Candidate, job: Job, beside_tokens: int) -> Packed:
    """The context files, packed for the candidate's window; whole as long as its answer fits in beside them.

    beside_tokens: what the rest of the prompt takes.
    """
    window, output_tokens = candidate.window_tokens, candidate.expected.output_tokens
    if window is None or job.packing.whole_tokens + beside_tokens + output_tokens <= window:
        return job.packing.pack(None)
    return job.packing.pack(room_in(window, output_tokens) - beside_tokens)
