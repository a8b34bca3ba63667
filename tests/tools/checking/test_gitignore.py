"""Ignore rules, compared with git's own results."""

import subprocess
from pathlib import Path

import pytest

from chargehand.tools.checking.gitignore import ignoring_in

NAMES = (
    "a.py", "a.log", "logs/a.log", "logs/keep.log", "build/x", "src/build/x", "docs/build", "src/a.tmp",
    "foo/bar/baz.c", "foo/x/bar/baz.c", "foo.c", "#hash", "!bang", "trail ", "data/1.csv", "data/ab.csv", "data/a.json",
    "deep/a/b/c.txt", "deep/c.txt", "Weird[1].txt", "x/y/only.md", "only.md",
)  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        "*.log\n!keep.log\n",
        "build/\n",
        "/build\n",
        "docs/build\n",
        "foo/**/baz.c\n",
        "**/bar\n",
        "deep/**\n!deep/c.txt\n",
        "\\#hash\n\\!bang\ntrail\\ \n",
        "data/[0-9].csv\ndata/??.csv\n",
        "data/[!a]*\n",
        "# comment\n\n   \nfoo.?\n",
        "*\n!*.py\n!*/\n",
        "/*.md\n",
        "Weird\\[1\\].txt\n",
        "x/*\n",
        "src/*.tmp  \n",
        "[\n",
    ],
)
def test_the_same_files_are_ignored_as_by_git(tmp_path, rules):
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".gitignore").write_text(rules)

    assert not_ignored(tmp_path) == not_ignored_by_git(tmp_path)


def test_rules_of_subfolders_take_precedence(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.log").write_text("")
    (tmp_path / "sub" / "b.txt").write_text("")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "sub" / ".gitignore").write_text("!a.log\n/b.txt\n")

    assert not_ignored(tmp_path) == not_ignored_by_git(tmp_path)


def test_rules_above_the_root_apply_up_to_the_repository(tmp_path):
    (tmp_path / ".git" / "info").mkdir(parents=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("private\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    root = tmp_path / "packages" / "one"
    root.mkdir(parents=True)

    ignoring = ignoring_in(root)

    assert ignoring.ignores(root / "a.log", is_folder=False)
    assert ignoring.ignores(root / "private", is_folder=True)
    assert not ignoring.ignores(root / "a.py", is_folder=False)


@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_the_exclude_file_counts_where_git_keeps_it_elsewhere(tmp_path: Path, kind: str):
    root, settings = tmp_path / "root", tmp_path / "settings"
    if kind == "worktree":
        author = ["-c", "user.name=A", "-c", "user.email=a@localhost"]
        subprocess.run(["git", "init", "-q", "--separate-git-dir", settings, tmp_path / "first"], check=True)
        git = ["git", "-C", tmp_path / "first", *author]
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "start"], check=True)
        subprocess.run([*git, "worktree", "add", "-q", root], check=True)
    else:
        subprocess.run(["git", "init", "-q", "--separate-git-dir", settings, root], check=True)
    (settings / "info").mkdir(exist_ok=True)
    (settings / "info" / "exclude").write_text("private\n")
    for name in ("private", "a.py"):
        (root / name).write_text("")

    assert not_ignored(root) == not_ignored_by_git(root) == {"a.py"}


def not_ignored(root: Path) -> set[str]:
    def walk(folder: Path, ignoring):
        for path in folder.iterdir():
            if path.name == ".git" or ignoring.ignores(path, is_folder=path.is_dir()):
                continue
            if path.is_dir():
                yield from walk(path, ignoring.below(path))
            else:
                yield path.relative_to(root).as_posix()

    return set(walk(root, ignoring_in(root)))


def not_ignored_by_git(root: Path) -> set[str]:
    subprocess.run(["git", "init", "-q", root], check=True)
    command = ["git", "-C", root, "-c", "core.excludesFile=", "ls-files", "-z", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(listed.split("\0")) - {""}
