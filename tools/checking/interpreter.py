"""Determines which folders a Python needs, so that a sandbox can expose only these.

The Python is our own, without packages, or the one that the user configured, with its packages. The latter is
inspected by reading files only, because no code of a project may run outside the sandbox.
"""

import ast
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import cache_from_source, find_spec
from pathlib import Path

from ..guarding.home import home_folder
from .sandbox import SandboxFailed

_OLDEST = (3, 10)
"""The oldest version supported by pytest 9 and the checker's files."""
_MOST_LINKS = 40
_SETTINGS = "pyvenv.cfg"
"""The file of a virtual environment (PEP 405)."""
_MAPPING = re.compile(r"^MAPPING(?:: [^=\n]+)? = (\{.*\})$", re.MULTILINE)
"""Package names and their folders (setuptools 65 and 80, `command/editable_wheel.py`, seen 2026-11-30)."""

_PYTEST_MODULES = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
"""pytest 9 and its imports on Linux (its METADATA, seen 2026-11-24)."""

_IMPORT_PYTEST = """
import importlib
from _pytest.config import default_plugins
for name in default_plugins:
    importlib.import_module(f"_pytest.{name}")
"""
"""Imports what a run of pytest imports, without reading any project's settings."""


@dataclass(frozen=True)
class Interpreter:
    """A Python to run in a sandbox."""

    executable: Path
    folders: tuple[Path, ...]
    """The folders it needs to run, outside /usr."""
    package_folders: tuple[Path, ...]
    """The package folders inside `folders`, which must be hidden."""
    packages: str | None = None
    """The environment whose packages can be imported. None: no packages."""


def base_interpreter() -> Interpreter:
    """The base Python of our virtual environment (from pyenv, uv, conda or the system), without packages."""
    # CPython stores the base interpreter of a virtual environment in `_base_executable`.
    executable = Path(getattr(sys, "_base_executable", "") or sys.executable).resolve()
    prefix = Path(sys.base_prefix).resolve()
    return Interpreter(executable, tuple(_needed(executable, prefix)), tuple(_package_folders(prefix)))


def named_interpreter(executable: Path) -> Interpreter:
    """The Python that the user configured, in a virtual environment or not, with its installed packages.

    Raises SandboxFailed if it is too old. Packages installed as a link to another folder (`pip install -e`) are not
    visible; those of the project itself are in its copy, see `linked_folders`.
    """
    if not re.match(r"(?i)python|pypy", executable.name):
        raise SandboxFailed(f"[sandbox] python: {executable} is not named like a Python; name its `bin/python`")
    environment = executable.parent.parent
    settings = _read_settings(environment / _SETTINGS)
    version = re.search(
        r"\d+\.\d+", settings.get("version") or settings.get("version_info") or executable.resolve().name
    )
    if version is not None and tuple(map(int, version[0].split("."))) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        raise SandboxFailed(f"[sandbox] python: {executable} is Python {version[0]}; name one of {wanted} or newer")
    return Interpreter(executable, python_folders(executable), (), packages=str(environment))


def python_folders(executable: Path) -> tuple[Path, ...]:
    """The folders outside /usr that a Python needs: its environment's, and those of the Pythons that it links to."""
    settings = _read_settings(executable.parent.parent / _SETTINGS)
    places = [*_links(executable), executable.resolve()]
    if "home" in settings:
        places.append(Path(settings["home"]) / "python")
    needed = dict.fromkeys(folder for place in places for folder in _needed(place, place.parent.parent))
    return tuple(folder for folder in needed if folder.exists() and not any(up in needed for up in folder.parents))


def python_of(folder: Path) -> Path | None:
    """The Python of a virtual environment. None: the folder is none."""
    return folder / "bin" / "python" if (folder / _SETTINGS).is_file() else None


def linked_folders(environment: Path, project: Path) -> tuple[str, ...]:
    """The folders of a project that an environment imports from (`pip install -e`), relative to the project.

    Read from `.pth` files, and from the import hooks that setuptools writes for packages outside a `src` folder.
    """
    files = sorted(environment.glob("lib/*/site-packages/*.pth"))
    lines = [line.strip() for file in files for line in file.read_text("utf-8", errors="replace").splitlines()]
    folders = [Path(line).resolve() for line in lines if line.startswith("/")]
    for hook in sorted(environment.glob("lib/*/site-packages/__editable___*_finder.py")):
        folders += _hooked(hook.read_text("utf-8", errors="replace"))
    inside = [folder.relative_to(project).as_posix() for folder in folders if folder.is_relative_to(project)]
    return tuple(dict.fromkeys(inside))


def has_module(environment: Path, name: str) -> bool:
    """Whether a package or module is installed in an environment, other than by a link."""
    return any(any(environment.glob(f"lib/python3*/*-packages/{file}")) for file in (name, f"{name}.py"))


def _hooked(code: str) -> Iterator[Path]:
    """The folders that hold the packages of setuptools' import hook, if they are called as they are imported."""
    found = _MAPPING.search(code)
    if found is None:
        return
    with contextlib.suppress(ValueError, SyntaxError):
        for name, place in ast.literal_eval(found[1]).items():
            folder, parts = Path(place).resolve(), tuple(name.split("."))
            if folder.parts[-len(parts) :] == parts:
                yield folder.parents[len(parts) - 1]


def pytest_modules() -> Mapping[str, Path]:
    """pytest and its dependencies in our environment, packages and single files, by file name.

    Raises ModuleNotFoundError, with the module's name, if one is not installed.
    """
    found: dict[str, Path] = {}
    for name in _PYTEST_MODULES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{name} is not installed with Chargehand: reinstall Chargehand", name=name)
        file = Path(spec.origin)
        shown = file.parent if spec.submodule_search_locations else file
        found[shown.name] = shown
    return found


def compile_pytest(pytest: Path, python: Path) -> None:
    """Let a Python import its pytest once, so that it writes its bytecode, which no run in a sandbox can do.

    Without it, each run compiles all of pytest, which doubles its startup time; installers such as uv do not compile.
    pytest: its package folder. Does nothing if there is bytecode, if the folder cannot be written, or if this process
    was told to write none (PYTHONDONTWRITEBYTECODE).
    """
    bytecode = Path(cache_from_source(str(pytest / "__init__.py")))
    if sys.dont_write_bytecode or bytecode.exists() or not os.access(pytest, os.W_OK):
        return
    # Isolated, as the working folder and the environment may belong to a project.
    subprocess.run([python, "-I", "-c", _IMPORT_PYTEST], env={}, capture_output=True, check=False)


def _needed(executable: Path, prefix: Path) -> Iterator[Path]:
    """The paths that a Python under a prefix needs, except /usr, which every sandbox exposes."""
    home = home_folder()
    if prefix == Path("/usr") or Path("/usr") in prefix.parents:
        return
    if home is not None and home.is_relative_to(prefix):
        # A Python installed directly into a home folder: expose only its parts, never the home folder.
        yield from (executable, prefix / "lib")
    elif Path("/nix/store") in prefix.parents:
        yield Path("/nix/store")
    elif prefix in executable.parents:
        yield prefix
    else:
        yield from (prefix, executable)


def _links(path: Path) -> Iterator[Path]:
    """The path, and each target of its chain of symbolic links."""
    for _ in range(_MOST_LINKS):
        yield path
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))


def _read_settings(file: Path) -> dict[str, str]:
    """The `name = value` lines of a pyvenv.cfg; empty if there is no file."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {
        name.strip().lower(): value.strip() for name, equals, value in (line.partition("=") for line in lines) if equals
    }


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
