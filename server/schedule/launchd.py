"""The weekly run on macOS: a launch agent of the user.

Keys: launchd.plist(5). launchd catches up on runs that were due while the machine slept, but not while it was off;
the starts on later days of the week make up for those. It has no condition for power, so the run itself checks.
Not tried on a Mac.
"""

import plistlib
from pathlib import Path

from .weekly import NAME, Weekly

LABEL = f"io.github.{NAME}"
FILE = f"{LABEL}.plist"
OUTPUT_FILE = "schedule-output.log"


def agent(weekly: Weekly) -> bytes:
    """The property list."""
    output = str(weekly.home / OUTPUT_FILE)
    entry = {
        "Label": LABEL,
        "ProgramArguments": list(weekly.command),
        # In launchd, 0 is Sunday.
        "StartCalendarInterval": [
            {"Weekday": (day + 1) % 7, "Hour": weekly.hour, "Minute": weekly.minute} for day in weekly.days
        ],
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "Nice": 19,
        "RunAtLoad": False,
        "StandardOutPath": output,
        "StandardErrorPath": output,
    }
    return plistlib.dumps(entry, sort_keys=False)


def folder(user_home: Path) -> Path:
    return user_home / "Library" / "LaunchAgents"
