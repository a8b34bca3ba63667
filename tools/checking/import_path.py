"""Determines how the tests of a project import one of its Python files."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePath

_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")


@dataclass(frozen=True)
class ImportPath:
    name: str
    """`package.module`."""
    folders: tuple[str, ...]
    """The entries for sys.path, relative to the project, in order."""


def import_path(relative: PurePath, project: Path) -> ImportPath | None:
    """The import path of a file. None: it is not a Python module, or its name cannot be imported.

    relative: from the project's root. A project within it, such as a member of a workspace, is imported from its own
    folder. In the `src` layout the package is below `src`, or below another folder that the project file names. The
    folder of a file outside a package is added to sys.path, as when the file is run as a script.
    """
    if relative.suffix != ".py":
        return None
    home = _innermost_project(relative, project)
    folders = [home]
    parts = relative.relative_to(home).with_suffix("").parts
    if len(parts) > 1 and _holds_packages(project / home, parts[0], parts[1]):
        parts, folders = parts[1:], [home / parts[0], home]
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    if not (project / relative.parent / "__init__.py").exists():
        folders.append(relative.parent)
        if not all(part.isidentifier() for part in parts):
            parts = parts[-1:]
    if not all(map(str.isidentifier, parts)):
        return None
    return ImportPath(".".join(parts), tuple(dict.fromkeys(folder.as_posix() for folder in [*folders, PurePath()])))


def path_beside(relative: PurePath, project: Path) -> ImportPath | None:
    """The import path of a file, or of a module that would be beside it if it is none itself."""
    return import_path(relative if relative.suffix == ".py" else relative.with_name("beside.py"), project)


def _holds_packages(project: Path, folder: str, package: str) -> bool:
    """Whether a folder of a project is none of its packages but holds them, such as `src`."""
    if (project / folder / "__init__.py").exists():
        return False
    if folder == "src" or not (project / folder / package / "__init__.py").exists():
        return folder == "src"
    named = re.compile(rf"""(?:["']|=\s*){re.escape(folder)}(?:["']|\s*$)""", re.MULTILINE)
    files = (project / name for name in _PROJECT_FILES)
    return any(named.search(file.read_text("utf-8", errors="replace")) for file in files if file.is_file())


def _innermost_project(relative: PurePath, project: Path) -> PurePath:
    """The nearest folder above a file that has a project file and is not a package; the project's root if none has."""
    for folder in relative.parents:
        files = {name for name in (*_PROJECT_FILES, "__init__.py") if (project / folder / name).exists()}
        if files and "__init__.py" not in files:
            return folder
    return PurePath()
