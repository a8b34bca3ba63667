"""The Linux sandbox: bubblewrap (https://github.com/containers/bubblewrap) around a scratch copy.

Available inside: the system's programs and libraries and one interpreter, read-only; a working folder, `/tmp` and
`/dev/shm` in memory, of limited size. There is no network, no other process, and nothing of our environment; the code
runs as an unprivileged user without capabilities, on x86-64 and ARM64 under a system call filter.

It does not protect against vulnerabilities of the shared kernel, side channels between processes of one machine, what
`/usr` itself reveals, or the total memory of all processes, which is bounded only by `processes` times `memory_mb`.
The paths of the interpreter and of the read-only files are visible in /proc/self/mountinfo.
"""

import os
import random
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .interpreter import Interpreter, base_interpreter
from .sandbox import ENVIRONMENT, WORK_FOLDER, Command, Limits, SandboxRun
from .seccomp import filter_program
from .supervision import supervise

_MEGABYTE = 1024 * 1024
_LAUNCHER = "/checker/launcher.py"
_INPUT = "/input"
_NOBODY = 65534

_NAMESPACES = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_ETC = {
    "hosts": "127.0.0.1 localhost sandbox\n",
    "nsswitch.conf": "hosts: files\n",
    "gitconfig": "[user]\nname = sandbox\nemail = {USER}@localhost\n[safe]\ndirectory = *\n",
    "passwd": "sandbox:x:{user}:{user}::{HOME}:/bin/sh\n",
}
"""Files of /etc by name: servers that tests start are reached as `localhost`, Java and Node.js know who runs them, and
git commits, in the working folder too if it belongs to root."""
_SETTINGS = ("java*", "maven/m2.conf", "maven/logging", "php/*/cli", "php/*/mods-available")
"""What Java, Maven and PHP need of /etc on Debian 12 (seen 2026-11-30); not Maven's settings.xml, which may hold
passwords."""

_BESIDE_USR = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")


class Bubblewrap:
    """Runs each command in new namespaces; keeps no state between runs."""

    def __init__(self, bwrap: Path, name: str, interpreter: Interpreter | None = None) -> None:
        """bwrap: the executable, 0.8 or later. name: name and version, for receipts."""
        self._bwrap = bwrap
        self._interpreter = interpreter or base_interpreter()
        self._filter = filter_program(os.uname().machine)
        self.name = name
        self.python: Sequence[str] = (str(self._interpreter.executable), "-I", "-B")
        self.packages = self._interpreter.packages

    async def run(self, command: Command) -> SandboxRun:
        shown = {_LAUNCHER: Path(__file__).with_name("inside_launcher.py"), **command.read_only}
        if command.folder is not None:
            shown[_INPUT] = command.folder
        limits = command.limits
        user = _spare_user()
        files = [text.format(user=_NOBODY if user is None else user, **ENVIRONMENT).encode() for text in _ETC.values()]

        def build(report_fd: int, setup_fd: int) -> Sequence[str]:
            options = {
                "uid": user,
                "copy_from": None if command.folder is None else _INPUT,
                "report_fd": report_fd,
                "setup_fd": setup_fd,
                "cpu_s": limits.cpu_s,
                "memory_mb": limits.memory_mb,
                "processes": limits.processes + (_processes_already() if user is None else 0),
                "file_mb": limits.file_mb,
                "open_files": limits.open_files,
            }
            launch = [*self.python, "-S", _LAUNCHER, repr(options)]
            filtered = [word for fd in filters for word in ("--seccomp", str(fd))]
            etc = [
                word
                for fd, name in zip(contents, _ETC, strict=True)
                for word in ("--perms", "0644", "--ro-bind-data", str(fd), f"/etc/{name}")
            ]
            return [
                str(self._bwrap),
                *filtered,
                *self._arguments(user, shown, limits, etc),
                "--",
                *launch,
                *command.words,
            ]

        with _opened(self._filter) as filters, _opened(*files) as contents:
            # bwrap itself gets an empty environment too: the code inside can read /proc/1/environ.
            return await supervise(build, limits, command.stdin, {}, also_pass=(*filters, *contents))

    def _arguments(self, user: int | None, shown: Mapping[str, Path], limits: Limits, etc: Sequence[str]) -> list[str]:
        scratch = ["--size", str(limits.scratch_mb * _MEGABYTE), "--perms", "1777", "--tmpfs"]
        arguments = [*_NAMESPACES, *_privileges(user), "--hostname", "sandbox", "--die-with-parent"]
        # No --new-session, which would leave the process group that is killed on cancellation: until the namespaces
        # exist, the forks of bwrap do not yet die with it (0.8 and 0.11, seen 2026-11-25).
        arguments += [*_system_folders(), *etc]
        arguments += ["--proc", "/proc", "--dev", "/dev", *scratch, "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
        arguments += [*scratch, "/tmp", *scratch, WORK_FOLDER]  # noqa: S108
        # After /tmp and the working folder: a Python may be installed below such a path.
        for path in self._interpreter.folders:
            arguments += _read_only(str(path), path)
        for path in self._interpreter.package_folders:
            arguments += ["--tmpfs", str(path), "--remount-ro", str(path)]
        for inside, outside in shown.items():
            arguments += _read_only(inside, outside)
        arguments += ["--remount-ro", "/", "--chdir", WORK_FOLDER, "--clearenv"]
        for name, value in ENVIRONMENT.items():
            arguments += ["--setenv", name, value]
        return arguments


@contextmanager
def _opened(*contents: bytes | None) -> Generator[Sequence[int]]:
    """A descriptor to read each of the contents from; None has none."""
    with ExitStack() as opened:
        descriptors: list[int] = []
        for content in contents:
            if content is not None:
                file = opened.enter_context(os.fdopen(os.memfd_create("sandbox"), "wb"))
                file.write(content)
                file.flush()
                file.seek(0)
                descriptors.append(file.fileno())
        yield descriptors


def _spare_user() -> int | None:
    """An unused user id for this run; None if we are not root, or root with too few user ids.

    Code must not run as root, and inside a user namespace root would still be root for the kernel, which exempts it
    from RLIMIT_NPROC (kernel/fork.c, copy_process, seen 2026-11-24). So under root the launcher switches to this user,
    who owns only the processes of this run.
    """
    if os.geteuid() != 0:
        return None
    ids = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    first, count = max(((int(inside), int(length)) for inside, _, length in ids), key=lambda ids: ids[1])
    last = min(first + count - 2, 2**31 - 2)
    if last - first < 2 * _NOBODY // 3:
        return None
    return random.SystemRandom().randint(last - 20_000, last)


def _privileges(user: int | None) -> list[str]:
    if user is None:
        nobody = str(_NOBODY)
        return ["--unshare-user", "--disable-userns", "--uid", nobody, "--gid", nobody, "--cap-drop", "ALL"]
    # What the launcher needs to copy the folder and switch users; the kernel drops them when it does.
    kept = ("CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE")
    return ["--cap-drop", "ALL", *(word for name in kept for word in ("--cap-add", name))]


def _processes_already() -> int:
    """How many existing threads count against the sandbox's process limit: none since Linux 5.14.

    Since then the kernel counts per user namespace (ucounts); before, per user of the machine.
    """
    release = os.uname().release.split(".")
    if (int(release[0]), int(release[1])) >= (5, 14):
        return 0
    ours, threads = os.getuid(), 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == ours:
                threads += sum(1 for _ in (process / "task").iterdir())
        except OSError:
            continue  # it has exited meanwhile
    return threads


def _system_folders() -> list[str]:
    # Created by a bind, /etc would be closed to the user inside, and programs take that for a failure: npm ends.
    arguments = ["--ro-bind", "/usr", "/usr", "--perms", "0755", "--dir", "/etc"]
    for path in ("/etc/ld.so.cache", "/etc/alternatives"):  # Debian's awk, cc and java are links into the second
        arguments += ["--ro-bind-try", path, path]
    for path in (path for pattern in _SETTINGS for path in Path("/etc").glob(pattern)):
        arguments += _read_only(str(path), path)
    for name in _BESIDE_USR:
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            arguments += ["--ro-bind", name, name]
    return arguments


def _read_only(inside: str, outside: Path) -> list[str]:
    """Expose one of our paths; its parent folders are created empty and accessible for every user."""
    if inside == str(outside) and any(outside.is_relative_to(name) for name in _BESIDE_USR):
        return []  # `_system_folders` shows it; bubblewrap 0.13 mounts on no link
    above = [parent for parent in reversed(Path(inside).parents) if parent != Path("/")]
    folders = [word for parent in above for word in ("--perms", "0755", "--dir", str(parent))]
    return [*folders, "--ro-bind", str(outside), inside]
