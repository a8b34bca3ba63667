"""The files for each platform's scheduler, read back by the scheduler or by a parser of the same format."""

import configparser
import os
import plistlib
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from chargehand.server.schedule import launchd, systemd, task_scheduler
from chargehand.server.schedule.weekly import Weekly, parse_day, parse_time
from chargehand.tools.errors import BadArgument

ODD_COMMAND = (
    "/opt/my tools/100%/chargehand",
    'evaluate "it"',
    "--scheduled",
    "/home/me/a $HOME\\b",
    "--models",
    "haiku",
)
TASK_NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"

# systemd.directives(7) of version 252. systemd ignores unknown directives silently, so none may be written.
DIRECTIVES = {
    "Unit": {"Description", "ConditionACPower"},
    "Service": {"Type", "ExecStart", "Nice", "IOSchedulingClass", "TimeoutStartSec", "SuccessExitStatus"},
    "Timer": {"OnCalendar", "Persistent"},
    "Install": {"WantedBy"},
}


def weekly(*command: str, day: int = 0) -> Weekly:
    return Weekly(command=command or ODD_COMMAND, home=Path("/home/me/data"), day=day, hour=4, minute=5)


def sections(unit: bytes) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=True)
    parser.optionxform = str
    parser.read_string(unit.decode())
    return {name: dict(parser[name]) for name in parser.sections()}


def parse_words(line: str) -> list[str]:
    """Parses words as systemd.service(5) and systemd.syntax(7) define them: double quotes, backslashes, %% and $$."""
    found, word, rest = [], None, iter(line)
    for character in rest:
        if word is None:
            word = "" if character == '"' else None
        elif character == '"':
            found.append(word)
            word = None
        else:
            word += next(rest) if character in "\\%$" else character
    return found


def test_systemd_gets_a_timer_that_catches_up_and_a_low_priority_service():
    units = {name: sections(unit) for name, unit in systemd.units(weekly(day=2)).items()}

    assert units.keys() == {"chargehand-evaluate.service", "chargehand-evaluate.timer"}
    assert units["chargehand-evaluate.timer"]["Timer"] == {
        "OnCalendar": "Wed..Sun *-*-* 04:05:00", "Persistent": "true",
    }  # fmt: skip
    assert units["chargehand-evaluate.timer"]["Install"] == {"WantedBy": "timers.target"}
    service = units["chargehand-evaluate.service"]
    assert service["Unit"]["ConditionACPower"] == "true"
    assert (service["Service"]["Nice"], service["Service"]["IOSchedulingClass"]) == ("19", "idle")
    assert tuple(parse_words(service["Service"]["ExecStart"])) == ODD_COMMAND
    for unit in units.values():
        assert all(set(unit[section]) <= DIRECTIVES[section] for section in unit)


def test_systemd_analyze_accepts_the_units(tmp_path: Path):
    for day in (0, 6):
        program = tmp_path / "100% $mine"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        for name, unit in systemd.units(weekly(str(program), '"$HOME" \\', day=day)).items():
            (tmp_path / name).write_bytes(unit)

        # Without systemd, only the test above checks the format.
        command = ["systemd-analyze", "--user", "verify", str(tmp_path / "chargehand-evaluate.timer")]
        if shutil.which(command[0]) is not None:
            environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
            completed = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert (completed.returncode, completed.stderr) == (0, "")
        service = sections((tmp_path / "chargehand-evaluate.service").read_bytes())["Service"]
        assert parse_words(service["ExecStart"]) == [str(program), '"$HOME" \\']


@pytest.mark.parametrize("character", ['"', "'", "\\"])
def test_a_program_path_that_systemd_cannot_start_is_refused(character: str):
    with pytest.raises(BadArgument, match="Install Chargehand elsewhere"):
        systemd.units(weekly(f"/opt/my{character}own/chargehand"))


def test_launchd_gets_a_background_agent_with_days_counted_from_sunday():
    agent = plistlib.loads(launchd.agent(weekly(day=5)))

    assert tuple(agent["ProgramArguments"]) == ODD_COMMAND
    assert agent["StartCalendarInterval"] == [
        {"Weekday": 6, "Hour": 4, "Minute": 5},
        {"Weekday": 0, "Hour": 4, "Minute": 5},
    ]
    assert (agent["ProcessType"], agent["LowPriorityIO"], agent["Nice"]) == ("Background", True, 19)
    assert agent["RunAtLoad"] is False
    assert "EnvironmentVariables" not in agent


def test_the_task_scheduler_gets_a_task_that_catches_up_but_not_on_battery():
    text = task_scheduler.definition(weekly(day=4))

    assert text.startswith((b"\xff\xfe", b"\xfe\xff")), "UTF-16 with its mark, as it says"
    task = ElementTree.fromstring(text.decode("utf-16").partition("?>")[2])

    def element(path: str) -> ElementTree.Element:
        found = task.find("/".join(TASK_NAMESPACE + step for step in path.split("/")))
        assert found is not None, path
        return found

    days = element("Triggers/CalendarTrigger/ScheduleByWeek/DaysOfWeek")
    assert [day.tag.removeprefix(TASK_NAMESPACE) for day in days] == ["Friday", "Saturday", "Sunday"]
    assert (element("Triggers/CalendarTrigger/StartBoundary").text or "").endswith("T04:05:00")
    settings = {child.tag.removeprefix(TASK_NAMESPACE): child.text for child in element("Settings")}
    assert settings["DisallowStartIfOnBatteries"] == settings["StartWhenAvailable"] == "true"
    assert element("Actions/Exec/Command").text == ODD_COMMAND[0]
    assert element("Actions/Exec/Arguments").text == subprocess.list2cmdline(ODD_COMMAND[1:])
    assert element("Actions/Exec/Arguments").text != " ".join(ODD_COMMAND[1:]), "a blank in a path is quoted"


@pytest.mark.parametrize("word", ["a\nExecStart=/bin/evil", "a\x00b"])
def test_an_argument_with_a_control_character_is_refused(word: str):
    with pytest.raises(BadArgument, match="control character"):
        weekly("/bin/chargehand", word)


def test_days_and_times_are_parsed_in_common_notations():
    assert [parse_day(text) for text in ("monday", "Wed", "SUN")] == [0, 2, 6]
    assert [parse_time(text) for text in ("03:30", "4:05", "23:59")] == [(3, 30), (4, 5), (23, 59)]
    for text in ("t", "tu", "someday", ""):
        with pytest.raises(BadArgument, match="--day"):
            parse_day(text)
    for text in ("24:00", "3", "03:60", "3:5", ""):
        with pytest.raises(BadArgument, match="--time"):
            parse_time(text)
