"""Shared by the tests of changes and writing: answers, workspaces, changes, and the state of a folder."""

import hashlib
import os
from pathlib import Path

from chargehand.tools.editing.answer import Answer
from chargehand.tools.editing.change import Change, plan_change
from chargehand.tools.editing.context import ContextFile
from chargehand.tools.editing.protected import Protection
from chargehand.tools.editing.reply_changes import Edit, Part
from chargehand.tools.editing.workspace import Workspace, snapshot_workspace
from chargehand.tools.guarding.roots import Roots


def answer(files: dict[str, str] | None = None, edits: tuple[Edit, ...] = (), *, is_whole: bool = True) -> Answer:
    parts = tuple(Part(path or None, "python", text) for path, text in (files or {}).items())
    return Answer("".join(part.text for part in parts), "python", is_whole, parts, edits)


async def workspace_of(
    project: Path, target: str | None, *named: str, allowed: tuple[str, ...] = (), test_files=()
) -> Workspace:
    roots = Roots((project,))
    files = [ContextFile(name, roots.read(name, "context_files")) for name in named]
    test_places = frozenset((project, Path(test_file)) for test_file in test_files)
    return await snapshot_workspace(target, files, roots, Protection(allowed), test_places)


async def change_of(project: Path, files: dict[str, str], *named: str) -> Change:
    """The change that writes these texts into the files; the first file is the target."""
    workspace = await workspace_of(project, next(iter(files)), *named)
    change = plan_change(workspace, answer(files))
    assert not change.failures
    return change


def tree(folder: Path) -> dict[str, tuple[int, str]]:
    """The mode and content hash of everything below a folder, by path."""
    entries: dict[str, tuple[int, str]] = {}
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base, name)
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
            entries[path.relative_to(folder).as_posix()] = (path.lstat().st_mode, content)
    return entries
