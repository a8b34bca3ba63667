"""Where Chargehand keeps its data: known before any other setting is read, and without the cost of reading them."""

import os
from pathlib import Path

from .environment import value_of

VARIABLE = "CHARGEHAND_HOME"
PROFILES_FOLDER = "profiles"
"""Of the data folder; holds the user's own profiles, and what was measured."""


def usual_folder() -> Path:
    """The system's place for a user's data. Raises RuntimeError for a user without a home folder."""
    import platformdirs

    return platformdirs.user_data_path("chargehand")


def data_folder() -> Path:
    """What the environment names, else the usual one. Raises RuntimeError where there is no home folder."""
    named = value_of(VARIABLE, os.environ)
    return Path(named).expanduser().absolute() if named else usual_folder()
