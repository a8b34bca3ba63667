"""The user's home folder, if there is one."""

from pathlib import Path


def home_folder() -> Path | None:
    """The home folder. None: HOME is unset and the user id has no account, as in a container run with any uid."""
    try:
        return Path.home()
    except RuntimeError:
        return None
