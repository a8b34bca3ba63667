"""What can go wrong between a file of facts and the catalogue.

ProfileError
├── InvalidProfile    one file is wrong: fix the field it names
├── UnknownModel      a name that no profile answers to: pick one of the nearest
└── OverlayError      the measured facts cannot be read or written: mend what it names
    ├── Superseded    another update came first: look again
    └── NothingToUndo
"""

from collections.abc import Sequence


class ProfileError(Exception):
    """Something about a model profile that its owner can mend."""


class InvalidProfile(ProfileError):
    """A YAML file that does not hold a profile: the message names file, field, value and remedy."""

    def __init__(self, message: str, file: str | None = None, fault: str = "") -> None:
        """file: the one that is not in force for it. fault: what is wrong with it, in short and without a value."""
        self.file = file
        self.fault = fault
        super().__init__(message)


class UnknownModel(ProfileError):
    """A model name that no profile, role, line or wire id answers to."""

    def __init__(self, name: str, nearest: Sequence[str]) -> None:
        """nearest: up to three known names, the most alike first."""
        self.name = name
        self.nearest = tuple(nearest)
        known = ", ".join(nearest)
        super().__init__(
            f"unknown model {name[:80]!r}. Nearest: {known}. `chargehand profiles list` shows all;"
            " `chargehand profiles update --from-releases` adds those installed in Ollama."
        )


class OverlayError(ProfileError):
    """The folder of measured facts, or a file in it, cannot be used: the message names it and the remedy."""


class Superseded(OverlayError):
    """Another update was written since the facts were read."""


class NothingToUndo(OverlayError):
    """No update is in force."""
