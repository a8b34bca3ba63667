"""Errors in profiles and in the files that hold them.

ProfileError
├── InvalidProfile    a file is invalid: fix the named field
├── UnknownModel      no profile has this name: choose one of the closest
└── OverlayError      measured facts cannot be read or written: follow the message
├── Superseded    another update was written first: start again
    └── NothingToUndo
"""

from collections.abc import Sequence


class ProfileError(Exception):
    """A problem with a model profile that the user can fix."""


class InvalidProfile(ProfileError):
    """A YAML file that is not a valid profile; the message names file, field, value and remedy."""

    def __init__(self, message: str, file: str | None = None, fault: str = "") -> None:
        """file: the file below `profiles/` that is ignored because of it; empty for the folder itself.

        fault: a short description that quotes no value.
        """
        self.file = file
        self.fault = fault
        super().__init__(message)


class UnknownModel(ProfileError):
    """A model name that matches no profile, role, line or wire id."""

    def __init__(self, name: str, nearest: Sequence[str]) -> None:
        """nearest: up to three known names, closest first."""
        self.name = name
        self.nearest = tuple(nearest)
        known = ", ".join(nearest)
        super().__init__(
            f"unknown model {name[:80]!r}. Nearest: {known}. `chargehand profiles list` shows all;"
            " `chargehand profiles update --from-releases` adds those installed in Ollama."
        )


class OverlayError(ProfileError):
    """The folder of measured facts, or a file in it, cannot be used; the message names it and the remedy."""


class Superseded(OverlayError):
    """Another update was written after the facts were read."""


class NothingToUndo(OverlayError):
    """No update is in force."""
