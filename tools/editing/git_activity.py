"""Detects whether git may have changed a project's files: by a checkout, a commit, a reset or a stash."""

from pathlib import Path

_GIT = ".git"
_GIT_FOLDER = "gitdir:"
# These operations write at least one of these files; `git checkout -- FILE` writes none (git 2.39, seen 2026-11-29).
_WRITTEN_WHEN_IT_MOVES = ("HEAD", "logs/HEAD", "ORIG_HEAD", "refs/stash")


def has_git_activity(folder: Path, since_s: float) -> bool:
    """Whether the repository of a folder has moved. since_s: seconds since 1970 UTC. False without a repository."""
    repository = next((git for place in (folder, *folder.parents) if (git := _repository(place))), None)
    if repository is None:
        return False
    return any(_written_s(repository / name) > since_s for name in _WRITTEN_WHEN_IT_MOVES)


def _repository(place: Path) -> Path | None:
    """The git directory of this folder; for a worktree, the one that its `.git` file names."""
    git = place / _GIT
    try:
        if git.is_dir():
            return git
        text = git.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    return place / text.removeprefix(_GIT_FOLDER).strip() if text.startswith(_GIT_FOLDER) else None


def _written_s(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
