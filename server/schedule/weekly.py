"""What is to be started every week, and when: the same for each platform's scheduler."""

import re
from dataclasses import dataclass
from pathlib import Path

from ...tools.errors import BadArgument

NAME = "chargehand-evaluate"
DESCRIPTION = "Weekly evaluation of models by Chargehand"

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

LONGEST_HOURS = 12
"""After so many hours a run is ended; what it measured is kept, and the next one goes on from there."""


@dataclass(frozen=True)
class Weekly:
    """It is started on a day of the week, and on each later day of it: whoever is started looks whether the week's
    evaluation is done, and whether the machine is free. So a Monday on battery is made up for on the Tuesday.
    """

    command: tuple[str, ...]
    """Absolute program, then arguments, the data folder among them; no shell reads them, and it gets no variables."""
    home: Path
    """The data folder, absolute."""
    day: int = 0
    """0 is Monday, 6 Sunday: weeks are those of ISO 8601."""
    hour: int = 3
    minute: int = 30
    """On this machine's clock."""

    def __post_init__(self) -> None:
        for word in (*self.command, str(self.home)):
            if any(ord(character) < 32 for character in word):
                raise BadArgument(f"{word!r}: a scheduler's file cannot contain a control character. Remove it.")

    @property
    def days(self) -> range:
        """The days on which it is started, 0 to 6."""
        return range(self.day, len(DAYS))

    def in_words(self) -> str:
        first = f"{DAYS[self.day].capitalize()}s at {self.hour:02}:{self.minute:02}"
        if len(self.days) == 1:
            return first
        return f"{first}; a run that is skipped is tried again at that time until Sunday"


def day_named(text: str) -> int:
    """The number of a day that is named in full or by its first letters, three at least. Raises BadArgument."""
    for number, name in enumerate(DAYS):
        if len(text) >= 3 and name.startswith(text.lower()):
            return number
    raise BadArgument(f"--day: {text!r:.40} is not a day of the week. Use one of {', '.join(DAYS)}.")


def time_of_day(text: str) -> tuple[int, int]:
    """Hour and minute of a time such as 03:30. Raises BadArgument."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise BadArgument(f"--time: {text!r:.40} is not a time of day. Use HH:MM, from 00:00 to 23:59.")
    return int(found[1]), int(found[2])
