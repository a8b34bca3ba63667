"""The weekly run on Windows: a task definition for `schtasks /Create /XML`.

Elements: https://learn.microsoft.com/windows/win32/taskschd/task-scheduler-schema-elements (seen 2026-11-25).
`StartWhenAvailable` makes up for a missed start. Not tried on Windows.
"""

import subprocess
from xml.etree import ElementTree

from .weekly import DAYS, DESCRIPTION, MAX_HOURS, NAME, Weekly

TASK = NAME
FILE = f"{NAME}.xml"

_NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_FIRST_DAY = "2026-01-05"
"""Any past day: a trigger needs a start date."""

_SETTINGS = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "true",
    "StopIfGoingOnBatteries": "false",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "Enabled": "true",
    "Hidden": "false",
    "WakeToRun": "false",
    "ExecutionTimeLimit": f"PT{MAX_HOURS}H",
    "Priority": "9",  # 0 to 10, 10 is the lowest; below the user's own programs
}


def definition(weekly: Weekly) -> bytes:
    """The XML in UTF-16, as the Task Scheduler itself writes it."""
    program, *arguments = weekly.command
    task = ElementTree.Element("Task", {"version": "1.2", "xmlns": _NAMESPACE})
    _add(_add(task, "RegistrationInfo"), "Description", DESCRIPTION)
    trigger = _add(_add(task, "Triggers"), "CalendarTrigger")
    _add(trigger, "StartBoundary", f"{_FIRST_DAY}T{weekly.hour:02}:{weekly.minute:02}:00")
    _add(trigger, "Enabled", "true")
    by_week = _add(trigger, "ScheduleByWeek")
    _add(by_week, "WeeksInterval", "1")
    days = _add(by_week, "DaysOfWeek")
    for day in weekly.days:
        _add(days, DAYS[day].capitalize())
    principal = _add(_add(task, "Principals"), "Principal")
    principal.set("id", "Author")
    _add(principal, "LogonType", "InteractiveToken")
    _add(principal, "RunLevel", "LeastPrivilege")
    settings = _add(task, "Settings")
    for name, value in _SETTINGS.items():
        _add(settings, name, value)
    actions = _add(task, "Actions")
    actions.set("Context", "Author")
    run = _add(actions, "Exec")
    _add(run, "Command", program)
    _add(run, "Arguments", subprocess.list2cmdline(arguments))
    ElementTree.indent(task)
    return ElementTree.tostring(task, encoding="utf-16", xml_declaration=True)


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    child.text = text
    return child
