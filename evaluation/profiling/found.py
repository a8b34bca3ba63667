"""What one source has to say of the profiles."""

from dataclasses import dataclass, field

from ...profiles.proposal import Proposal


@dataclass(frozen=True)
class ProfileFindings:
    proposals: tuple[Proposal, ...] = field(default=())
    problems: tuple[str, ...] = field(default=())
    """What could not be read or used, and the remedy."""
    notices: tuple[str, ...] = field(default=())
    """What is worth knowing and changes no profile by itself."""
