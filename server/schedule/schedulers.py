"""The supported schedulers: where each keeps its files, and the commands that enable and disable the run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import launchd, systemd, task_scheduler
from .weekly import NAME, Weekly

FOLDER = "schedule"
"""Subfolder of the data folder for files that belong in no system folder."""


@dataclass(frozen=True)
class Scheduler:
    title: str
    files: Mapping[Path, bytes]
    """Contents of its files by absolute path."""
    enable: tuple[tuple[str, ...], ...]
    """Commands, in order, that enable the run; they are idempotent."""
    disable: tuple[tuple[str, ...], ...]
    """Commands that disable the run, executed before its files are removed."""
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
        enable=(reload, ("systemctl", "--user", "enable", "--now", f"{NAME}.timer")),
        disable=(("systemctl", "--user", "disable", "--now", f"{NAME}.timer"),),
        after_removal=(reload,),
    )


def _launchd(weekly: Weekly, user_home: Path, _: Mapping[str, str]) -> Scheduler:
    file = launchd.folder(user_home) / launchd.FILE
    return Scheduler(
        title="launchd",
        files={file: launchd.agent(weekly)},
        enable=(("launchctl", "load", "-w", str(file)),),
        disable=(("launchctl", "unload", "-w", str(file)),),
    )


def _task_scheduler(weekly: Weekly, _: Path, __: Mapping[str, str]) -> Scheduler:
    file = weekly.home / FOLDER / task_scheduler.FILE
    return Scheduler(
        title="the Task Scheduler",
        files={file: task_scheduler.definition(weekly)},
        enable=(("schtasks", "/Create", "/F", "/TN", task_scheduler.TASK, "/XML", str(file)),),
        disable=(("schtasks", "/Delete", "/F", "/TN", task_scheduler.TASK),),
    )


_SCHEDULERS: Mapping[str, Callable[[Weekly, Path, Mapping[str, str]], Scheduler]] = {
    "linux": _systemd,
    "darwin": _launchd,
    "win32": _task_scheduler,
}
