"""Which folders of this machine our own Python needs, so that a sandbox can show these and no others."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_PYTEST_MODULES = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
"""pytest 9 and what it imports on Linux (its METADATA, seen 2026-11-24)."""


@dataclass(frozen=True)
class Interpreter:
    """The Python under our virtual environment, without anybody's packages."""

    executable: Path
    folders: tuple[Path, ...]
    """What it needs to run, outside /usr too."""
    package_folders: tuple[Path, ...]
    """Where packages are installed inside `folders`: to be hidden."""


def base_interpreter() -> Interpreter:
    """The interpreter this process runs on, wherever pyenv, uv, conda or the system keep it."""
    # `_base_executable` is CPython's own word for the interpreter under a virtual environment.
    executable = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    prefix = Path(sys.base_prefix).resolve()
    home = Path.home()
    if prefix == Path("/usr") or Path("/usr") in prefix.parents:
        folders: tuple[Path, ...] = ()
    elif prefix == home or prefix in home.parents:
        # A Python installed straight into a home folder: only its own parts, never the home.
        folders = (executable, prefix / "lib")
    elif Path("/nix/store") in prefix.parents:
        folders = (Path("/nix/store"),)
    else:
        folders = (prefix,) if prefix in executable.parents else (prefix, executable)
    return Interpreter(executable, folders, tuple(_package_folders(prefix)))


def pytest_modules() -> Mapping[str, Path]:
    """pytest and what it needs from our environment: packages and single files, by their file name.

    Raises ModuleNotFoundError, with the module's name, for one that is not installed.
    """
    found: dict[str, Path] = {}
    for name in _PYTEST_MODULES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{name} is not installed beside Chargehand: install it again", name=name)
        file = Path(spec.origin)
        shown = file.parent if spec.submodule_search_locations else file
        found[shown.name] = shown
    return found


def _package_folders(prefix: Path) -> list[Path]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [
        base / library / python / packages
        for base in (prefix, prefix / "local")
        for library in ("lib", "lib64")
        for python in (version, "python3")
        for packages in ("site-packages", "dist-packages")
    ]
    return [folder for folder in candidates if folder.is_dir()]
