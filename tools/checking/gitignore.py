"""Determines which files git would ignore, from the `.gitignore` files alone; git itself is not run.

Follows https://git-scm.com/docs/gitignore (seen 2026-11-24), including `.git/info/exclude` but not the user's
`core.excludesFile`. A tracked file that matches a pattern counts as ignored.
"""

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class _Rule:
    matches: re.Pattern[str]
    """Matched against the path relative to the folder of the `.gitignore` file."""
    ignores: bool
    folders_only: bool


@dataclass(frozen=True)
class Ignoring:
    """The rules for one folder: its own and those of its parents up to the repository."""

    layers: tuple[tuple[Path, tuple[_Rule, ...]], ...] = ()
    """Folders and their rules, outermost first."""

    def below(self, folder: Path) -> "Ignoring":
        """The rules for a subfolder, including its own."""
        rules = _rules_in(folder / ".gitignore")
        return Ignoring((*self.layers, (folder, rules))) if rules else self

    def ignores(self, path: Path, *, is_folder: bool) -> bool:
        """Whether a path directly in this folder is ignored; the last matching rule decides."""
        for folder, rules in reversed(self.layers):
            relative = path.relative_to(folder).as_posix()
            for rule in reversed(rules):
                if (is_folder or not rule.folders_only) and rule.matches.fullmatch(relative):
                    return rule.ignores
        return False


def ignoring_in(root: Path) -> Ignoring:
    """The rules for a folder that is a repository, is inside one, or neither."""
    repository = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), root)
    ignoring = Ignoring(((repository, _rules_in(_git_folder(repository) / "info" / "exclude")),))
    between = [folder for folder in root.parents if folder == repository or repository in folder.parents]
    for folder in [*reversed(between), root]:
        ignoring = ignoring.below(folder)
    return ignoring


def _git_folder(repository: Path) -> Path:
    """The folder of the repository's settings, which a worktree shares; worktrees and submodules name theirs in a file.

    https://git-scm.com/docs/gitrepository-layout (seen 2026-11-30).
    """
    folder = repository / ".git"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if folder.is_file():
            folder = repository / folder.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
            folder = folder / (folder / "commondir").read_text(encoding="utf-8").strip()
    return folder


def _rules_in(file: Path) -> tuple[_Rule, ...]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()  # usually because there is no such file
    return tuple(rule for line in lines if (rule := _rule(line)))


def _rule(line: str) -> _Rule | None:
    pattern = re.sub(r"(?<!\\)[ \t]+$", "", line)
    if not pattern or pattern.startswith("#"):
        return None
    ignores = not pattern.startswith("!")
    pattern = pattern.removeprefix("!")
    folders_only = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    if not pattern:
        return None
    anywhere = "" if "/" in pattern else "(?:.*/)?"
    try:
        return _Rule(re.compile(anywhere + _expression(pattern.removeprefix("/"))), ignores, folders_only)
    except re.error:
        return None  # git treats a pattern with an unclosed [ as matching nothing


_PARTS = re.compile(r"^\*\*/|/\*\*/|/\*\*$|\*+|\?|\[[!^]?\]?[^\]]*\]|\\.|.")
_WILDCARDS = {"**/": "(?:.*/)?", "/**/": "/(?:.*/)?", "/**": "/.*", "?": "[^/]"}


def _expression(pattern: str) -> str:
    """A wildcard pattern as a regular expression."""
    parts: list[str] = []
    for part in _PARTS.findall(pattern):
        if part in _WILDCARDS:
            parts.append(_WILDCARDS[part])
        elif part.startswith("*"):
            parts.append("[^/]*")
        elif part.startswith("[") and len(part) > 1:
            inside = part[1:-1].replace("\\", "\\\\")
            parts.append(f"[^{inside[1:]}]" if inside.startswith(("!", "^")) else f"[{inside}]")
        else:
            parts.append(re.escape(part.removeprefix("\\") or part))
    return "".join(parts)
