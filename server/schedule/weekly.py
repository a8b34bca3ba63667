"""The weekly run's command and time, independent of the platform's scheduler."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import BadArgument

NAME = "chargehand-evaluate"
DESCRIPTION = "Weekly evaluation of models by Chargehand"

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MAX_HOURS = 12
"""A run is stopped after this time; its measurements are kept, and the next run continues it."""


@dataclass(frozen=True)
class Weekly:
    """The run is started on a day of the week and on every later day of that week. Each start checks whether the
    week's evaluation is done and the machine idle, so a Monday on battery is made up for on Tuesday.
    """

    command: tuple[str, ...]
    """Absolute path of the program, then its arguments, including the data folder. No shell is used, and no
    environment variables are set."""
    home: Path
    """The data folder, absolute."""
    day: int = 0
    """0 is Monday, 6 Sunday (ISO 8601 weeks)."""
    hour: int = 3
    minute: int = 30
    """In this machine's local time, as is `hour`."""

    def __post_init__(self) -> None:
        for word in (*self.command, str(self.home)):
            if any(ord(character) < 32 for character in word):
                raise BadArgument(f"{word!r}: a scheduler's file cannot contain a control character. Remove it.")

    @property
    def days(self) -> range:
        """The days on which the run is started, 0 to 6."""
        return range(self.day, len(DAYS))

    def in_words(self) -> str:
        first = f"{DAYS[self.day].capitalize()}s at {self.hour:02}:{self.minute:02}"
        if len(self.days) == 1:
            return first
        return f"{first}; a run that is skipped is tried again at that time until Sunday"


def parse_day(text: str) -> int:
    """The number of a day given by name or by at least its first three letters. Raises BadArgument."""
    for number, name in enumerate(DAYS):
        if len(text) >= 3 and name.startswith(text.lower()):
            return number
    raise BadArgument(f"--day: {text!r:.40} is not a day of the week. Use one of {', '.join(DAYS)}.")


def parse_time(text: str) -> tuple[int, int]:
    """The hour and minute of a time such as 03:30. Raises BadArgument."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise BadArgument(f"--time: {text!r:.40} is not a time of day. Use HH:MM, from 00:00 to 23:59.")
    return int(found[1]), int(found[2])
