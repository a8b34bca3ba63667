"""What each platform's scheduler is given: read back by what reads it, or by a reader of the same form."""

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

ODD = ("/opt/my tools/100%/chargehand", 'evaluate "it"', "--scheduled", "/home/me/a $HOME\\b", "--models", "haiku")
TASK_NAMESPACE = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"

# systemd.directives(7) of 252: what is not known there is ignored in silence, so it must not be here.
DIRECTIVES = {
    "Unit": {"Description", "ConditionACPower"},
    "Service": {"Type", "ExecStart", "Nice", "IOSchedulingClass", "TimeoutStartSec", "SuccessExitStatus"},
    "Timer": {"OnCalendar", "Persistent"},
    "Install": {"WantedBy"},
}


def weekly(*command: str, day: int = 0) -> Weekly:
    return Weekly(command=command or ODD, home=Path("/home/me/data"), day=day, hour=4, minute=5)


def sections(unit: bytes) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=True)
    parser.optionxform = str
    parser.read_string(unit.decode())
    return {name: dict(parser[name]) for name in parser.sections()}


def words(line: str) -> list[str]:
    """As systemd.service(5) and systemd.syntax(7) have them: in double quotes, with backslashes, %% and $$."""
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


def test_systemd_gets_a_timer_that_makes_up_for_a_missed_week_and_a_service_that_stays_in_the_background():
    units = {name: sections(unit) for name, unit in systemd.units(weekly(day=2)).items()}

    assert units.keys() == {"chargehand-evaluate.service", "chargehand-evaluate.timer"}
    assert units["chargehand-evaluate.timer"]["Timer"] == {
        "OnCalendar": "Wed..Sun *-*-* 04:05:00", "Persistent": "true",
    }  # fmt: skip
    assert units["chargehand-evaluate.timer"]["Install"] == {"WantedBy": "timers.target"}
    service = units["chargehand-evaluate.service"]
    assert service["Unit"]["ConditionACPower"] == "true"
    assert (service["Service"]["Nice"], service["Service"]["IOSchedulingClass"]) == ("19", "idle")
    assert tuple(words(service["Service"]["ExecStart"])) == ODD
    for unit in units.values():
        assert all(set(unit[section]) <= DIRECTIVES[section] for section in unit)


def test_systemd_itself_finds_nothing_wrong_with_the_units(tmp_path: Path):
    for day in (0, 6):
        program = tmp_path / "100% $mine"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        for name, unit in systemd.units(weekly(str(program), '"$HOME" \\', day=day)).items():
            (tmp_path / name).write_bytes(unit)

        # Where there is no systemd the test above has the form by heart.
        command = ["systemd-analyze", "--user", "verify", str(tmp_path / "chargehand-evaluate.timer")]
        if shutil.which(command[0]) is not None:
            environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
            seen = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert (seen.returncode, seen.stderr) == (0, "")
        assert words(sections((tmp_path / "chargehand-evaluate.service").read_bytes())["Service"]["ExecStart"]) == [
            str(program), '"$HOME" \\',
        ]  # fmt: skip


@pytest.mark.parametrize("character", ['"', "'", "\\"])
def test_a_program_that_systemd_would_not_start_is_refused(character: str):
    with pytest.raises(BadArgument, match="Install Chargehand elsewhere"):
        systemd.units(weekly(f"/opt/my{character}own/chargehand"))


def test_launchd_gets_an_agent_that_counts_its_days_from_sunday():
    agent = plistlib.loads(launchd.agent(weekly(day=5)))

    assert tuple(agent["ProgramArguments"]) == ODD
    assert agent["StartCalendarInterval"] == [
        {"Weekday": 6, "Hour": 4, "Minute": 5},
        {"Weekday": 0, "Hour": 4, "Minute": 5},
    ]
    assert (agent["ProcessType"], agent["LowPriorityIO"], agent["Nice"]) == ("Background", True, 19)
    assert agent["RunAtLoad"] is False
    assert "EnvironmentVariables" not in agent


def test_the_task_scheduler_gets_a_task_that_starts_late_rather_than_never_and_not_on_battery():
    text = task_scheduler.definition(weekly(day=4))

    assert text.startswith((b"\xff\xfe", b"\xfe\xff")), "UTF-16 with its mark, as it says"
    task = ElementTree.fromstring(text.decode("utf-16").partition("?>")[2])

    def named(path: str) -> ElementTree.Element:
        found = task.find("/".join(TASK_NAMESPACE + step for step in path.split("/")))
        assert found is not None, path
        return found

    days = named("Triggers/CalendarTrigger/ScheduleByWeek/DaysOfWeek")
    assert [day.tag.removeprefix(TASK_NAMESPACE) for day in days] == ["Friday", "Saturday", "Sunday"]
    assert (named("Triggers/CalendarTrigger/StartBoundary").text or "").endswith("T04:05:00")
    settings = {child.tag.removeprefix(TASK_NAMESPACE): child.text for child in named("Settings")}
    assert settings["DisallowStartIfOnBatteries"] == settings["StartWhenAvailable"] == "true"
    assert named("Actions/Exec/Command").text == ODD[0]
    assert named("Actions/Exec/Arguments").text == subprocess.list2cmdline(ODD[1:])
    assert named("Actions/Exec/Arguments").text != " ".join(ODD[1:]), "a blank in a path is quoted"


@pytest.mark.parametrize("word", ["a\nExecStart=/bin/evil", "a\x00b"])
def test_a_word_that_would_begin_a_line_of_its_own_is_refused(word: str):
    with pytest.raises(BadArgument, match="control character"):
        weekly("/bin/chargehand", word)


def test_days_and_times_are_read_as_people_write_them():
    assert [parse_day(text) for text in ("monday", "Wed", "SUN")] == [0, 2, 6]
    assert [parse_time(text) for text in ("03:30", "4:05", "23:59")] == [(3, 30), (4, 5), (23, 59)]
    for text in ("t", "tu", "someday", ""):
        with pytest.raises(BadArgument, match="--day"):
            parse_day(text)
    for text in ("24:00", "3", "03:60", "3:5", ""):
        with pytest.raises(BadArgument, match="--time"):
            parse_time(text)
