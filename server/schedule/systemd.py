"""The weekly run in systemd: a user timer and the service that it starts.

Directives: systemd.timer(5), systemd.service(5), systemd.exec(5) and systemd.unit(5) of systemd 252.
`Persistent=` starts the run once after the machine was off, however many starts were missed.
"""

from collections.abc import Mapping

from ...tools.errors import BadArgument
from .weekly import DAYS, DESCRIPTION, MAX_HOURS, NAME, Weekly

# Exit status 3: the run is incomplete, and the next one continues it.
_SERVICE = """\
[Unit]
Description={description}
ConditionACPower=true

[Service]
Type=oneshot
ExecStart={command}
Nice=19
IOSchedulingClass=idle
TimeoutStartSec={hours}h
SuccessExitStatus=3
"""

_TIMER = """\
[Unit]
Description={description}

[Timer]
OnCalendar={calendar}
Persistent=true

[Install]
WantedBy=timers.target
"""


def units(weekly: Weekly) -> Mapping[str, bytes]:
    """The unit files by name. Raises BadArgument."""
    if unfit := [character for character in "\"'\\" if character in weekly.command[0]]:
        raise BadArgument(
            f"{weekly.command[0]}: systemd cannot start a program whose path contains {unfit[0]}. Install Chargehand"
            " elsewhere."
        )
    service = _SERVICE.format(
        description=DESCRIPTION,
        command=" ".join(_quoted(word) for word in weekly.command),
        hours=MAX_HOURS,
    )
    timer = _TIMER.format(description=DESCRIPTION, calendar=_calendar(weekly))
    return {f"{NAME}.service": service.encode(), f"{NAME}.timer": timer.encode()}


def _calendar(weekly: Weekly) -> str:
    days = "..".join(DAYS[day][:3].capitalize() for day in sorted({weekly.days[0], weekly.days[-1]}))
    return f"{days} *-*-* {weekly.hour:02}:{weekly.minute:02}:00"


def _quoted(word: str) -> str:
    # % begins a specifier, and $ a variable.
    for special, escaped in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(special, escaped)
    return f'"{word}"'
