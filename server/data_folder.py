"""The data folder's location, determined without loading the other settings."""

import os
from pathlib import Path

from .environment import value_of

VARIABLE = "CHARGEHAND_HOME"
PROFILES_FOLDER = "profiles"
"""Subfolder of the data folder for the user's own profiles and measured facts."""


def default_folder() -> Path:
    """The system's default location for user data. Raises RuntimeError for a user without a home folder."""
    import platformdirs

    return platformdirs.user_data_path("chargehand")


def data_folder() -> Path:
    """The folder from the environment, or the default. Raises RuntimeError if there is no home folder."""
    named = value_of(VARIABLE, os.environ)
    return Path(named).expanduser().absolute() if named else default_folder()
