"""How a Python file of a project is imported by its tests."""

from dataclasses import dataclass
from pathlib import Path, PurePath


@dataclass(frozen=True)
class ImportPath:
    name: str
    """`package.module`."""
    folders: tuple[str, ...]
    """What must be on sys.path, relative to the project, the first first."""


def import_path(relative: PurePath, project: Path) -> ImportPath | None:
    """The way to import a file. None: it is no Python module, or its name cannot be imported.

    relative: from the project's root. In the `src` layout the package stands below `src`; a script beside
    others sees them, as it does when it is run.
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
