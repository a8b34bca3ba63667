"""Git histories for tests, written object by object: with reproducible ids, and with trees that git never writes."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}
_FIRST_S = 1_700_000_000
_STEP_S = 3600


@dataclass(frozen=True)
class TreeEntry:
    """An entry of a tree that is not an ordinary file."""

    mode: str
    id: str


Content = str | bytes | TreeEntry


@dataclass
class GitHistory:
    """A repository with one branch that commits are added to; nothing is checked out."""

    folder: Path
    head: str | None = None
    files: dict[str, Content] = field(default_factory=dict)
    count: int = 0

    @classmethod
    def at(cls, folder: Path, object_format: str = "sha1") -> "GitHistory":
        folder.mkdir(parents=True)
        history = cls(folder)
        history.git("init", "--quiet", "--initial-branch=main", f"--object-format={object_format}")
        return history

    def commit(self, message: str, changed: Mapping[str, Content | None], *, merged: str | None = None) -> str:
        """Add a commit that changes these files; None removes a file. Returns the commit's id."""
        for path, content in changed.items():
            self.files.pop(path, None)
            if content is not None:
                self.files[path] = content
        parents = [parent for parent in (self.head, merged) if parent is not None]
        date = f"{_FIRST_S + self.count * _STEP_S} +0000"
        self.count += 1
        self.head = self.git(
            "commit-tree", self.tree(self.files), *(word for parent in parents for word in ("-p", parent)),
            stdin=message.encode(), GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date,
        )  # fmt: skip
        self.git("update-ref", "refs/heads/main", self.head)
        return self.head

    def tree(self, files: Mapping[str, Content]) -> str:
        """Write a tree object; the names may be ones that git refuses. Returns its id."""
        folders: dict[str, dict[str, Content]] = {}
        entries: list[tuple[str, str, str]] = []
        for path, content in files.items():
            name, slash, rest = path.partition("/")
            if slash and name:
                folders.setdefault(name, {})[rest] = content
            elif isinstance(content, TreeEntry):
                entries.append((path, content.mode, content.id))
            else:
                entries.append((path, "100644", self.blob(content)))
        entries += [(name, "40000", self.tree(children)) for name, children in folders.items()]
        entries.sort(
            key=lambda entry: entry[0].encode("utf-8", "surrogateescape") + (b"/" if entry[1] == "40000" else b"")
        )
        raw = b"".join(
            f"{mode} ".encode() + os.fsencode(name) + b"\0" + bytes.fromhex(content) for name, mode, content in entries
        )
        return self.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", stdin=raw)

    def blob(self, content: str | bytes) -> str:
        data = content if isinstance(content, bytes) else content.encode()
        return self.git("hash-object", "-w", "--stdin", stdin=data)

    def git(self, *command: str, stdin: bytes = b"", **environment: str) -> str:
        process = subprocess.run(
            ["git", *command], cwd=self.folder, input=stdin, env={**ENVIRONMENT, **environment}, check=True,
            capture_output=True,
        )  # fmt: skip
        return process.stdout.decode().strip()


TOTAL = "def total(prices):\n    return sum(prices)\n"
TOTAL_TESTS = "from shop.total import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"
ROUNDED = "def total(prices):\n    return round(sum(prices), 2)\n"
ROUNDED_TESTS = TOTAL_TESTS + "\n\ndef test_cents():\n    assert total([0.1, 0.2]) == 0.3\n"
ROUNDING = "Round totals to cents\n\nSums of floats showed 17 digits.\n\nSigned-off-by: Ada <ada@example.org>\n"


def shop_history(folder: Path, object_format: str = "sha1") -> GitHistory:
    """Two commits: a small shop, then a change that rounds its totals, with a test."""
    history = GitHistory.at(folder, object_format)
    history.commit("Sell things", {"shop/__init__.py": "", "shop/total.py": TOTAL, "tests/test_total.py": TOTAL_TESTS})
    history.commit(ROUNDING, {"shop/total.py": ROUNDED, "tests/test_total.py": ROUNDED_TESTS})
    return history
