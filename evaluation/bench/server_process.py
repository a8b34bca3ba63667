"""The server as benchmarks start it: in a folder of its own, with nothing of this process's environment."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcp import StdioServerParameters

SERVER = (sys.executable, "-m", "chargehand.server")
"""The command; without arguments it serves over stdio."""


def own_environment(folder: Path | str) -> dict[str, str]:
    """An environment whose home is the folder, and whose data folder is `data` in it."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "CHARGEHAND_HOME": f"{folder}/data"}


def over_stdio(environment: Mapping[str, str], folder: Path | str) -> "StdioServerParameters":
    """A server for a client over stdio. folder: its working directory."""
    from mcp import StdioServerParameters  # would weigh on processes whose memory is measured

    return StdioServerParameters(command=SERVER[0], args=[*SERVER[1:]], env=dict(environment), cwd=folder)


def resident_mb(pid: int | str) -> float | None:
    """A process's resident memory; `self` is this one. None: this system does not report it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), None)
