"""Determines how the tests of a project import one of its Python files."""

from dataclasses import dataclass
from pathlib import Path, PurePath


@dataclass(frozen=True)
class ImportPath:
    name: str
    """`package.module`."""
    folders: tuple[str, ...]
    """The entries for sys.path, relative to the project, in order."""


def import_path(relative: PurePath, project: Path) -> ImportPath | None:
    """The import path of a file. None: it is not a Python module, or its name cannot be imported.

    relative: from the project's root. In the `src` layout the package is below `src`. The folder of a file outside
    a package is added to sys.path, as when the file is run as a script.
    """
    if relative.suffix != ".py":
        return None
    folders = ["."]
    parts = relative.with_suffix("").parts
    if parts[0] == "src" and len(parts) > 1 and not (project / "src" / "__init__.py").exists():
        parts, folders = parts[1:], ["src", "."]
    if len(parts) > 1 and parts[-1] == "__init__":
        parts = parts[:-1]
    if not (project / relative.parent / "__init__.py").exists():
        folders.append(relative.parent.as_posix())
        if not all(part.isidentifier() for part in parts):
            parts = parts[-1:]
    return ImportPath(".".join(parts), tuple(dict.fromkeys(folders))) if all(map(str.isidentifier, parts)) else None
