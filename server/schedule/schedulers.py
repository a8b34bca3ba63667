"""The schedulers that we know: where each keeps its files, and how it is told of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import launchd, systemd, task_scheduler
from .weekly import NAME, Weekly

FOLDER = "schedule"
"""In the data folder: what belongs to no folder of the system's."""


@dataclass(frozen=True)
class Scheduler:
    title: str
    files: Mapping[Path, bytes]
    """What it reads, by absolute path."""
    switch_on: tuple[tuple[str, ...], ...]
    """Commands, in order, that make it start the run from now on; doing so again changes nothing."""
    switch_off: tuple[tuple[str, ...], ...]
    """Commands that make it forget the run, before its files go."""
    after_removal: tuple[tuple[str, ...], ...] = ()


def scheduler_of(platform: str, weekly: Weekly, user_home: Path, environment: Mapping[str, str]) -> Scheduler:
    """The scheduler of a platform (`sys.platform`), with the files for a weekly run."""
    return _SCHEDULERS.get(platform, _systemd)(weekly, user_home, environment)


def _systemd(weekly: Weekly, user_home: Path, environment: Mapping[str, str]) -> Scheduler:
    config = environment.get("XDG_CONFIG_HOME")
    folder = (Path(config) if config else user_home / ".config") / "systemd" / "user"
    reload = ("systemctl", "--user", "daemon-reload")
    return Scheduler(
        title="systemd",
        files={folder / name: text for name, text in systemd.units(weekly).items()},
        switch_on=(reload, ("systemctl", "--user", "enable", "--now", f"{NAME}.timer")),
        switch_off=(("systemctl", "--user", "disable", "--now", f"{NAME}.timer"),),
        after_removal=(reload,),
    )


def _launchd(weekly: Weekly, user_home: Path, _: Mapping[str, str]) -> Scheduler:
    file = launchd.folder(user_home) / launchd.FILE
    return Scheduler(
        title="launchd",
        files={file: launchd.agent(weekly)},
        switch_on=(("launchctl", "load", "-w", str(file)),),
        switch_off=(("launchctl", "unload", "-w", str(file)),),
    )


def _task_scheduler(weekly: Weekly, _: Path, __: Mapping[str, str]) -> Scheduler:
    file = weekly.home / FOLDER / task_scheduler.FILE
    return Scheduler(
        title="the Task Scheduler",
        files={file: task_scheduler.definition(weekly)},
        switch_on=(("schtasks", "/Create", "/F", "/TN", task_scheduler.TASK, "/XML", str(file)),),
        switch_off=(("schtasks", "/Delete", "/F", "/TN", task_scheduler.TASK),),
    )


_SCHEDULERS: Mapping[str, Callable[[Weekly, Path, Mapping[str, str]], Scheduler]] = {
    "linux": _systemd,
    "darwin": _launchd,
    "win32": _task_scheduler,
}
