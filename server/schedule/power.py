"""Whether this machine runs on battery, and its processor load."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

SUPPLIES = Path("/sys/class/power_supply")

_ANSWER_TIMEOUT_S = 10.0


def is_on_battery(platform: str = sys.platform, supplies: Path = SUPPLIES) -> bool | None:
    """Whether the machine runs on battery. None: the system does not say."""
    if platform == "darwin":
        return is_drawing_from_battery(_run_pmset())
    if platform == "win32":
        return _query_windows()
    return is_unplugged(supplies)


def is_unplugged(supplies: Path) -> bool | None:
    """Whether no external supply is online and, if there is a system battery, one is discharging.

    Batteries of devices such as mice are ignored. None: there is neither supply nor battery.
    https://docs.kernel.org/power/power_supply_class.html
    """
    mains: list[bool] = []
    discharging: list[bool] = []
    for supply in sorted(supplies.iterdir()) if supplies.is_dir() else ():
        kind = _read(supply / "type")
        if kind == "Battery" and _read(supply / "scope") != "Device":
            discharging.append(_read(supply / "status") == "Discharging")
        elif kind in ("Mains", "USB", "USB_C", "USB_PD", "Wireless"):
            mains.append(_read(supply / "online") not in ("", "0"))
    if any(mains):
        return False
    if discharging:
        return any(discharging)
    return True if mains else None


def is_drawing_from_battery(output: str) -> bool | None:
    """From the output of `pmset -g batt`, whose first line names the power source. None: it does not."""
    first = output.partition("\n")[0]
    if "'Battery Power'" in first:
        return True
    return False if "'AC Power'" in first else None


def load_per_core() -> float | None:
    """The 1-minute load average per core. None: not available (Windows)."""
    if sys.platform == "win32":
        return None
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:  # not every supply has every attribute, and one may just have been unplugged
        return ""


def _run_pmset() -> str:
    try:
        return subprocess.run(
            ["/usr/bin/pmset", "-g", "batt"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_ANSWER_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _query_windows() -> bool | None:
    """https://learn.microsoft.com/windows/win32/api/winbase/ns-winbase-system_power_status (seen 2026-11-25)."""
    status = (ctypes.c_ubyte * 12)()
    # `windll` exists only on Windows, and its functions are untyped.
    kernel: object = getattr(ctypes, "windll").kernel32  # noqa: B009
    ask = cast(Callable[[object], int], getattr(kernel, "GetSystemPowerStatus"))  # noqa: B009
    if not ask(ctypes.byref(status)):
        return None
    return {0: True, 1: False}.get(status[0])
