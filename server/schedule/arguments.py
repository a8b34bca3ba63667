"""The scheduling options of `chargehand evaluate`, such as `--install-schedule`."""

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ..command.user_errors import WrongOptions

if TYPE_CHECKING:
    from ..surface.server_state import OpenServices
    from .schedulers import Scheduler
    from .weekly import Weekly

Schedule = Callable[["OpenServices"], int]

RunCommand = Callable[[Sequence[str]], str | None]
"""Runs a scheduler command. Returns why it failed, None on success."""

_NOT_ENABLED = 3
_COMMAND_TIMEOUT_S = 60.0


def add_schedule_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "every week",
        "Once a week, at low priority, not on battery and not when the machine is busy; --models, --kinds,"
        " --budget-usd, --repeat, --batch and --html apply to each run.",
    )
    either = group.add_mutually_exclusive_group()
    either.add_argument("--install-schedule", action="store_true", help="have the system's scheduler start it")
    either.add_argument("--uninstall-schedule", action="store_true", help="undo that, and remove what was written")
    group.add_argument("--day", metavar="DAY", help="monday to sunday (monday); if it cannot run then, later that week")
    group.add_argument("--time", metavar="HH:MM", help="on this machine's clock (03:30)")
    group.add_argument("--only-write", action="store_true", help="write the files without enabling anything")
    either.add_argument("--scheduled", nargs="?", const="", metavar="FOLDER", help=argparse.SUPPRESS)


def refuse_conflicts(chosen: argparse.Namespace) -> None:
    """Raise WrongOptions for options that cannot be combined."""
    of_installing = {"--day": chosen.day, "--time": chosen.time, "--only-write": chosen.only_write or None}
    alone = [name for name, value in of_installing.items() if value is not None]
    if alone and not chosen.install_schedule:
        raise WrongOptions(f"evaluate: {', '.join(alone)} goes with --install-schedule.")
    if not (chosen.install_schedule or chosen.uninstall_schedule or chosen.scheduled is not None):
        return
    never = {"--seed": chosen.seed, "--resume": chosen.resume or None, "--report": chosen.report}
    never["--from-repo"] = chosen.from_repo
    never["--json"] = chosen.json or None
    if given := [name for name, value in never.items() if value is not None]:
        raise WrongOptions(f"evaluate: {', '.join(given)} cannot go with a schedule: each week has its own tasks.")


def schedule_of(chosen: argparse.Namespace) -> Schedule | None:
    """The action that the scheduling options request. None: there are no such options."""
    if chosen.install_schedule:
        return partial(_install, chosen)
    if chosen.uninstall_schedule:
        return _uninstall
    if chosen.scheduled is not None:
        return partial(_scheduled, chosen)
    return None


def _install(chosen: argparse.Namespace, _: "OpenServices") -> int:
    from ...profiles.loading import load_catalogue
    from ..command.evaluating import refuse_unknown_kinds
    from ..data_folder import PROFILES_FOLDER
    from ..hosts.installing import own_command
    from ..settings import load_settings
    from ..wiring import utc_now
    from .weekly import Weekly, parse_day, parse_time

    refuse_unknown_kinds(chosen.kinds or ())
    day = 0 if chosen.day is None else parse_day(chosen.day)
    hour, minute = (3, 30) if chosen.time is None else parse_time(chosen.time)
    home = load_settings().home
    catalogue = load_catalogue(home / PROFILES_FOLDER)
    for model in chosen.models or ():
        catalogue.named(model, utc_now().date())
    command = (*own_command(), *run_arguments(chosen, home))
    weekly = Weekly(command=command, home=home, day=day, hour=hour, minute=minute)
    return install_schedule(weekly, run=None if chosen.only_write else run_command)


def run_arguments(chosen: argparse.Namespace, home: Path) -> Sequence[str]:
    """The arguments of a scheduled run that correspond to the given options."""
    words = ["evaluate", "--scheduled", str(home)]
    for option, values in (("--models", chosen.models), ("--kinds", chosen.kinds)):
        if values:
            words += [option, *values]
    if chosen.budget_usd is not None:
        words += ["--budget-usd", "none" if math.isinf(chosen.budget_usd) else f"{chosen.budget_usd:g}"]
    if chosen.repeat is not None:
        words += ["--repeat", str(chosen.repeat)]
    if chosen.batch:
        words += ["--batch"]
    if chosen.html is not None:
        words += ["--html", str(chosen.html.absolute())]
    return words


def install_schedule(weekly: "Weekly", *, run: RunCommand | None, platform: str = sys.platform) -> int:
    """Write the files, enable the run, and report it. Returns the exit code.

    run: runs the scheduler's commands; None only writes the files. Raises ScheduleRefused, or BadArgument for a user
    without a home folder.
    """
    from .environment import FILE, write_template
    from .installing import is_installed, write_schedule
    from .scheduled import LOG_FILE
    from .schedulers import scheduler_of

    scheduler = scheduler_of(platform, weekly, _user_home(), os.environ)
    was_there = is_installed(weekly.home)
    changed = write_schedule(weekly.home, scheduler.files)
    write_template(weekly.home)
    for file in scheduler.files:
        _say(f"{file}: {'written' if file in changed else 'unchanged'}")
    if run is not None and was_there and changed:
        for command in scheduler.disable:
            run(command)  # so that the new files take effect; an error is ignored, as it may not be enabled
    code = _enable(scheduler, run)
    _say(
        f"When: {weekly.in_words()}. On battery, or when the machine is busy, it waits; a missed week is made up once."
    )
    _say(f"Keys: {scheduler.title} does not see your shell's variables. Put what it needs into {weekly.home / FILE}.")
    _say(f"Log: {weekly.home / LOG_FILE}; results: `chargehand evaluate --report`.")
    return code


def _user_home() -> Path:
    from ...tools.errors import BadArgument
    from ...tools.guarding.home import home_folder

    home = home_folder()
    if home is None:
        raise BadArgument("evaluate: this user has no home folder for the scheduler's files. Set HOME to one.")
    return home


def _enable(scheduler: "Scheduler", run: RunCommand | None) -> int:
    if run is not None:
        failed = next((why for command in scheduler.enable if (why := run(command)) is not None), None)
        if failed is None:
            _say(f"Enabled in {scheduler.title}.")
            return 0
        _say(f"Not enabled: {failed}")
    _say("To enable it:")
    for command in scheduler.enable:
        _say(f"  {_shell_quoted(command)}")
    return 0 if run is None else _NOT_ENABLED


def _uninstall(_: "OpenServices") -> int:
    from ..settings import load_settings

    return uninstall_schedule(load_settings().home, run=run_command)


def uninstall_schedule(home: Path, *, run: RunCommand, platform: str = sys.platform) -> int:
    """Disable the run and remove its files. Returns the exit code. Raises ScheduleRefused."""
    from .environment import FILE, remove_template
    from .installing import is_installed, remove_schedule
    from .schedulers import scheduler_of
    from .weekly import Weekly

    if not is_installed(home):
        _say(f"Nothing to remove: {home} has no schedule.")
        return 0
    scheduler = scheduler_of(platform, Weekly(command=("chargehand",), home=home), _user_home(), os.environ)
    problems = [why for command in scheduler.disable if (why := run(command)) is not None]
    removal = remove_schedule(home)
    problems += [why for command in scheduler.after_removal if (why := run(command)) is not None]
    for file in removal.removed:
        _say(f"{file}: removed")
    for file in removal.kept:
        _say(f"{file}: kept, because it was changed since. Remove it yourself.")
    if remove_template(home):
        _say(f"{home / FILE}: kept, because you added something to it.")
    for problem in dict.fromkeys(problems):
        _say(f"{scheduler.title} could not be updated: {problem}")
    return 0


def _scheduled(chosen: argparse.Namespace, open_services: "OpenServices") -> int:
    from ...tools.errors import BadArgument, CallerError
    from ..command.evaluating import EvaluateArguments
    from ..settings import load_settings
    from .environment import read_variables
    from .scheduled import log_failure, run_scheduled

    if chosen.scheduled:
        os.environ["CHARGEHAND_HOME"] = chosen.scheduled
    home = Path(chosen.scheduled) if chosen.scheduled else load_settings().home
    if not home.is_dir():
        raise BadArgument(
            f"evaluate: {home}, the data folder of this weekly run, is not there. Move it back, or set CHARGEHAND_HOME"
            " to where it is now and run `chargehand evaluate --install-schedule` again."
        )
    try:
        for name, value in read_variables(home).items():
            # Each scheduler sets a PATH of its own.
            if name == "PATH" or name not in os.environ:
                os.environ[name] = value
    except CallerError as error:
        log_failure(home, error)
        raise
    return anyio.run(partial(run_scheduled, open_services, EvaluateArguments.of(chosen), home, page=chosen.html))


def run_command(command: Sequence[str]) -> str | None:
    """See `RunCommand`."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_COMMAND_TIMEOUT_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    if done.returncode == 0:
        return None
    return (done.stderr or done.stdout).strip() or f"{command[0]} ended with exit code {done.returncode}"


def _shell_quoted(command: Sequence[str]) -> str:
    import shlex

    return subprocess.list2cmdline(command) if sys.platform == "win32" else shlex.join(command)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
