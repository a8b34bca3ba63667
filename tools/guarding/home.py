"""The user's home folder, where there is one."""

from pathlib import Path


def home_folder() -> Path | None:
    """None: HOME is not set, and the system knows no user of this number, as in a container started for any."""
    try:
        return Path.home()
    except RuntimeError:
        return None
