"""Proposals, problems and notices about the profiles from one source of evidence."""

from dataclasses import dataclass, field

from ...profiles.proposal import Proposal


@dataclass(frozen=True)
class ProfileFindings:
    proposals: tuple[Proposal, ...] = field(default=())
    problems: tuple[str, ...] = field(default=())
    """Data that could not be read or used, each with its remedy."""
    notices: tuple[str, ...] = field(default=())
    """Information that changes no profile by itself."""
