"""Runs inside the sandbox, tries to escape as hostile code would, and reports what it reached on descriptor 3.

Started as a file, with the standard library only: `escape.py JSON`. The JSON names the targets: `read` and `write`
(paths), `port` (a listener of ours on 127.0.0.1). It exits 0 whatever it reached.
"""

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path

REPORT_FD = 3
IS_MAC = sys.platform == "darwin"
SIOCGIFFLAGS = 0x8913
IFF_UP = 1
"""netdevice(7): the request for an interface's flags, and the flag of an active one."""
SECONDS = 0.3
CHILD_SECONDS = 30
"""The child's own time limit, in case no sandbox ends it."""


def main() -> None:
    targets = json.loads(sys.argv[1])
    leave_a_child()
    reached = {
        "read": [path for path in targets["read"] if can_read(path)],
        "wrote": [path for path in targets["write"] if can_write(path)],
        "environment": environment_names(),
        "connected": connections(targets["port"]),
        "processes": len(list(Path("/proc").glob("[0-9]*"))),
        "interfaces": interfaces(),
        "status": status(),
        "unlimited": unlimited(),
    }
    os.write(REPORT_FD, json.dumps(reached).encode())
    os._exit(0)  # leaving the child behind


def leave_a_child() -> None:
    """Start a detached process in its own session that would far outlive this one."""
    try:
        first = os.fork()
    except OSError:
        return  # processes cannot be started, so none can be left behind
    if first == 0:
        os.setsid()
        if os.fork() == 0:
            signal.alarm(CHILD_SECONDS)
            signal.pause()
        os._exit(0)


def can_read(path: str) -> bool:
    for way in (path, f"/proc/self/root{path}", f"/proc/1/root{path}", f"/proc/1/cwd{path}"):
        with contextlib.suppress(OSError), Path(way).open("rb"):
            return True
    return False


def can_write(path: str) -> bool:
    for way in (path, f"/proc/1/root{path}"):
        with contextlib.suppress(OSError), Path(way).open("wb") as file:
            file.write(b"out")
            return True
    return False


def environment_names() -> list[str]:
    """The environment variables of every visible process."""
    names = set(os.environ)
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            names.update(entry.split("=")[0] for entry in path.read_text(errors="replace").split("\0") if entry)
    return sorted(names)


def connections(port: int) -> list[str]:
    """Addresses that respond or have a route. Nothing is sent: connecting a datagram socket only looks up a route."""
    reached: list[str] = []
    for kind, address in (
        (socket.SOCK_STREAM, ("127.0.0.1", port)),
        (socket.SOCK_DGRAM, ("192.0.2.1", 9)),  # TEST-NET-1, RFC 5737
        (socket.SOCK_DGRAM, ("1.1.1.1", 53)),
    ):
        with socket.socket(socket.AF_INET, kind) as peer, contextlib.suppress(OSError):
            peer.settimeout(SECONDS)
            peer.connect(address)
            reached.append(address[0])
    return reached


def interfaces() -> list[str]:
    """Active network interfaces, except loopback. Not checked on macOS, where all are visible and only use matters.

    Some kernels put inactive tunnels into every network namespace, Docker Desktop's among them
    (https://github.com/docker/docs/issues/10415, seen 2026-11-30).
    """
    if IS_MAC:
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        return [name for _, name in socket.if_nameindex() if name != "lo" and is_up(name, asking)]


def is_up(name: str, asking: socket.socket) -> bool:
    """Whether the interface is active. Also True if its flags cannot be read."""
    request = struct.pack("16sh14x", name.encode(), 0)
    try:
        return bool(struct.unpack_from("h", fcntl.ioctl(asking, SIOCGIFFLAGS, request), 16)[0] & IFF_UP)
    except OSError:
        return True


def status() -> dict[str, str]:
    """The process status reported by the kernel: user ids, effective capabilities, whether privileges can be gained."""
    if IS_MAC:  # macOS has neither capabilities nor /proc, and its sandbox also applies to set-uid programs
        return {"Uid": str(os.getuid()), "CapEff": "0", "NoNewPrivs": "1"}
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return {name: fields[name] for name in ("Uid", "CapEff", "NoNewPrivs")}


def unlimited() -> list[str]:
    kinds = ["RLIMIT_CPU", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_NOFILE"]
    kinds += [] if IS_MAC else ["RLIMIT_AS"]  # macOS accepts but does not enforce it
    return [kind for kind in kinds if resource.getrlimit(getattr(resource, kind))[1] == resource.RLIM_INFINITY]


if __name__ == "__main__":
    main()
