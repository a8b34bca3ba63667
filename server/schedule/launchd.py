"""The weekly run as macOS has it: a launch agent of the user.

Keys: launchd.plist(5). launchd starts what came due while the machine slept once it wakes, and misses what
came due while it was off; the later days of the week make up for that. It knows no condition of power, so
the run itself looks. Not tried on a Mac here.
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
        # launchd counts from Sunday, which is 0.
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
