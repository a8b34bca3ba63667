"""The environment of a scheduled run: schedulers do not pass on the shell's, and keys do not belong in their files.

`schedule.env` in the data folder has lines NAME=value. The user edits it; only its owner may read it.
"""

import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from ...tools.errors import CallerError

FILE = "schedule.env"

TEMPLATE = """\
# Variables for `chargehand evaluate --scheduled`, one NAME=value per line. No other user may read this file.
# Remove the # to set a variable; a model whose vendor has no key here is not evaluated.
# ANTHROPIC_API_KEY=
# CEREBRAS_API_KEY=
# OLLAMA_HOST=http://127.0.0.1:11434
"""


class EnvironmentRefused(CallerError):
    """An unusable `schedule.env`; the message names file, line and remedy, but no value."""


def write_template(home: Path) -> Path | None:
    """Create the file for the user to edit, and return its path. None: it already exists. Raises OSError."""
    file = home / FILE
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return None
    with os.fdopen(descriptor, "w", encoding="utf-8") as written:
        written.write(TEMPLATE)
    return file


def remove_template(home: Path) -> bool:
    """Remove the file if it is unedited. Returns whether it still exists."""
    file = home / FILE
    try:
        if file.read_text(encoding="utf-8") == TEMPLATE:
            file.unlink()
            return False
    except FileNotFoundError:
        return False
    except UnicodeDecodeError:
        pass  # it was edited
    return True


def read_variables(home: Path) -> Mapping[str, str]:
    """The variables in the file; empty if it does not exist. Raises EnvironmentRefused."""
    file = home / FILE
    try:
        with file.open(encoding="utf-8") as opened:
            if sys.platform != "win32" and os.fstat(opened.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise EnvironmentRefused(
                    f"{file}: other users can read it, and it may hold keys. Run: chmod 600 {file}"
                )
            lines = opened.read().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentRefused(f"{file}: it cannot be read ({type(error).__name__}). Make it UTF-8 text.") from error
    variables: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise EnvironmentRefused(f"{file}, line {number}: it is not NAME=value. Correct it, or begin it with #.")
        variables[name.strip()] = _unquoted(value.strip())
    return variables


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
