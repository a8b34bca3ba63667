"""Runs first inside the sandbox: copies the folder, drops root, sets the limits, and executes the command.

Started as a file, with the standard library only: `launcher.py OPTIONS COMMAND...`, the options as a Python
literal, because importing `json` would double the startup time. It writes `ok` to the setup descriptor right before it
executes the command, or an error. If a container engine passes only the three standard streams, both descriptors are
standard output, and printed output goes to standard error.
"""

import errno
import os
import sys

REPORT_FD = 3
MEGABYTE = 1024 * 1024


def main() -> None:
    options = eval(sys.argv[1], {})  # noqa: S307  # written by us, see above
    setup_fd = options["setup_fd"]
    try:
        if options.get("ends_after_s") is not None:
            forget_environment()
        os.chdir(options.get("folder", "."))
        if options["copy_from"] is not None:
            copy(options["copy_from"], options["uid"])
        raise_oom_score()
        if options.get("ends_after_s") is not None:
            remain_first_process(options["ends_after_s"])
        if options["uid"] is not None:
            drop_root(options["uid"])
        limit(options)
        environment = options.get("environment") or dict(os.environ)
        environment.setdefault("PATH", os.environ.get("PATH", os.defpath))
        if setup_fd == options["report_fd"]:
            require_program(sys.argv[2], environment)
        setup_fd = close_other_descriptors(options["report_fd"], setup_fd)
        os.write(setup_fd, b"ok")
        os.execvpe(sys.argv[2], sys.argv[2:], environment)  # noqa: S606  # the whole purpose
    except (OSError, ValueError) as error:
        os.write(setup_fd, f"the sandbox could not be set up: {error}".encode())
        os._exit(96)


def copy(source: str, owner: int | None) -> None:
    """Copy a tree into the working folder, preserving links, owned by the user who will run in it."""
    import shutil  # imported only if there is something to copy: a quarter of the startup time
    from pathlib import Path

    for original in Path(source).iterdir():
        if original.is_dir() and not original.is_symlink():
            shutil.copytree(original, original.name, symlinks=True)
        else:
            shutil.copy2(original, original.name, follow_symlinks=False)
    for original in Path(source).rglob("*"):
        path = original.relative_to(source)
        if path.is_symlink():
            continue
        if owner is not None:
            os.chown(path, owner, owner)
        path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))
    if owner is not None:
        os.chown(".", owner, owner)


def raise_oom_score() -> None:
    """Make this the first process that the kernel kills when memory runs out; macOS has no such setting."""
    if sys.platform == "linux":
        with open("/proc/self/oom_score_adj", "w") as score:  # see `copy`
            score.write("1000")


def forget_environment() -> None:
    """Start again without the variables of the image and its engine: the command can read those of this process."""
    if not {"PATH", "LC_CTYPE"}.issuperset(os.environ):
        os.execve(sys.executable, sys.orig_argv, {"PATH": os.environ.get("PATH", os.defpath)})  # noqa: S606  # itself


def remain_first_process(seconds: float) -> None:
    """Continue in a child; this process ends with it or after `seconds`, and all others of the container with this one.

    Nobody else ends a container whose server was killed. And the kernel spares a first process its own signals.
    """
    import signal  # as in `copy`

    child = os.fork()
    if child == 0:
        return

    def end(*_: object) -> None:
        os._exit(128 + signal.SIGKILL)

    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def drop_root(uid: int) -> None:
    """Become a user who owns nothing; the kernel then drops all capabilities."""
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


def limit(options: dict[str, int]) -> None:
    import resource  # imported here because Windows, where this module is also imported, lacks it

    for kind, most in (
        (resource.RLIMIT_CPU, options["cpu_s"]),
        *([] if sys.platform == "darwin" else [(resource.RLIMIT_AS, options["memory_mb"] * MEGABYTE)]),
        (resource.RLIMIT_NPROC, options["processes"]),
        (resource.RLIMIT_FSIZE, options["file_mb"] * MEGABYTE),
        (resource.RLIMIT_NOFILE, options["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        # The soft CPU limit sends a signal that identifies the cause; the hard limit would merely kill.
        spare = 1 if kind == resource.RLIMIT_CPU else 0
        hard = resource.getrlimit(kind)[1]
        ceiling = most + spare if hard == resource.RLIM_INFINITY else min(most + spare, hard)
        resource.setrlimit(kind, (min(most, ceiling), ceiling))


def require_program(name: str, environment: dict[str, str]) -> None:
    """Raises FileNotFoundError. Needed if an error after `ok` would be mistaken for the command's own report."""
    import shutil  # as in `copy`

    if shutil.which(name, path=environment.get("PATH")) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def close_other_descriptors(report_fd: int, setup_fd: int) -> int:
    """Keep only the standard streams and the report open for the command; returns the new setup descriptor."""
    import fcntl  # as `resource`

    above = max(report_fd, setup_fd, REPORT_FD) + 1
    report, setup = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for fd in (report_fd, setup_fd))
    os.closerange(REPORT_FD, above)
    os.dup2(report, REPORT_FD, inheritable=True)
    if report_fd == 1:
        os.dup2(2, 1)
    return setup


if __name__ == "__main__":
    main()
