"""Scenarios of delegations that write into a project, each with the exact bytes expected afterwards."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = "chargehand_trial"
"""Folder for the scenarios' own files inside the project."""


class TooFewFiles(Exception):
    """The project is too small. The message says how many files are needed, without naming it."""


@dataclass(frozen=True)
class Scenario:
    name: str
    arguments: Mapping[str, Any]
    """Arguments of `delegate_generation` besides task and output."""
    answers: Sequence[str]
    """The models' answers, in order; the last one repeats."""
    status: str
    """Final status; `error` when the call is refused before a model is asked."""
    after: Mapping[str, bytes | None] = field(default_factory=dict[str, bytes | None])
    """Changed files afterwards, by path. None: the file is deleted."""
    before: Mapping[str, bytes] = field(default_factory=dict[str, bytes])
    """Files that the scenario needs beforehand, by path."""
    modes: Mapping[str, int] = field(default_factory=dict[str, int])
    links: Mapping[str, str] = field(default_factory=dict[str, str])
    interfere: Callable[[Path], None] | None = None
    """Changes the project while the model answers."""
    cancelled: bool = False
    crash_at: str | None = None
    """The step of writing at which the server crashes. None: it does not."""
    says: str = ""
    """Text that the receipt or the refusal must contain."""


def scenarios(project: Path) -> list[Scenario]:
    """All scenarios for a project; some change its own Python files."""
    return [*_plain(), *_in_the_project(project), *_forms(), *_refused(), *_disturbed(), *_crashes()]


def whole(path: str, text: str) -> str:
    return f"{path}\n```python\n{text}```\n"


def edit(path: str, *pairs: tuple[str, str]) -> str:
    blocks = (f"<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n" for search, replace in pairs)
    return f"{path}\n```python\n{''.join(blocks)}```\n"


def _at(name: str) -> str:
    return f"{FOLDER}/{name}"


def _plain() -> list[Scenario]:
    new, beside, deep, named, a, b = map(_at, ("new.py", "beside.py", "deep/er/new.py", "named.py", "a.py", "b.py"))
    one, two, plus_one = (
        _at("pair/one.py"),
        _at("pair/two.py"),
        "from .two import TWO\n\ndef one():\n    return TWO + 1\n",
    )
    double = "def double(n):\n    return 2 * n\n"
    return [
        Scenario("a new file", {"target": new}, [whole(new, double)], "unverified", {new: double.encode()}),
        Scenario(
            "a new file that passes its tests",
            {"target": _at("tested.py"), "tests": "assert double(4) == 8"},
            [whole(_at("tested.py"), double)],
            "succeeded",
            {_at("tested.py"): double.encode()},
        ),
        Scenario("a missing folder", {"target": deep}, [whole(deep, "D = 1\n")], "unverified", {deep: b"D = 1\n"}),
        Scenario(
            "a new file beside the target",
            {"target": named},
            [whole(named, "N = 2\n") + whole(beside, "B = 1\n")],
            "unverified",
            {named: b"N = 2\n", beside: b"B = 1\n"},
            {named: b"N = 1\n"},
        ),
        Scenario(
            "several files of one package, tested together",
            {"target": one, "context_files": [two], "tests": f"from {FOLDER}.pair.one import one\nassert one() == 3"},
            [whole(one, plus_one) + edit(two, ("TWO = 3\n", "TWO = 2\n"))],
            "succeeded",
            {one: plus_one.encode(), two: b"TWO = 2\n"},
            {two: b"TWO = 3\n"},
        ),
        Scenario(
            "the whole of a file that is there", {"target": a}, [whole(a, "A = 2\nX = 1\n")], "unverified",
            {a: b"A = 2\nX = 1\n"}, {a: b"A = 1\n"},
        ),
        Scenario(
            "an answer that changes nothing", {"target": b}, [whole(b, "B = 1\n")], "unverified", {}, {b: b"B = 1\n"},
            says="The files already contain this",
        ),
    ]  # fmt: skip


def _in_the_project(project: Path) -> list[Scenario]:
    """Edits in the middle of the project's own files."""
    files = _editable(project, wanted=6)
    one, two, *three = files
    return [
        Scenario(
            "an edit in the middle of a real file", {"target": one.path}, [one.answer(1)], "unverified",
            {one.path: one.edited(1)},
        ),
        Scenario(
            "two edits in one real file", {"target": two.path}, [two.answer(2)], "unverified", {two.path: two.edited(2)}
        ),
        Scenario(
            "edits in several real files",
            {"context_files": [file.path for file in three]},
            ["".join(file.answer(1) for file in three)],
            "unverified",
            {file.path: file.edited(1) for file in three},
        ),
    ]  # fmt: skip


@dataclass(frozen=True)
class _RealFile:
    path: str
    data: bytes
    lines: Sequence[str]
    """Lines that occur exactly once in it, in order."""

    def answer(self, edits: int) -> str:
        return edit(self.path, *((line, f"{line}# seen\n") for line in self.lines[:edits]))

    def edited(self, edits: int) -> bytes:
        text = self.data.decode()
        for line in self.lines[:edits]:
            text = text.replace(f"\n{line}", f"\n{line}# seen\n", 1)
        return text.encode()


def _editable(project: Path, wanted: int) -> list[_RealFile]:
    """The largest Python files in which a comment can follow lines in the middle."""
    found: list[_RealFile] = []
    for path in sorted(project.rglob("*.py"), key=lambda path: (-path.stat().st_size, path)):
        data = path.read_bytes()
        is_hidden = any(part.startswith(".") for part in path.relative_to(project).parts)
        is_odd = path.is_symlink() or b"\r" in data or len(data) > 60_000 or b"=======" in data
        if is_hidden or is_odd or not data.isascii() or path.name in ("setup.py", "conftest.py", "noxfile.py"):
            continue
        lines = data.decode().splitlines(keepends=True)
        middle = lines[len(lines) // 3 : 2 * len(lines) // 3]
        # A comment may follow any line that does not continue on the next one.
        single = [line for line in middle if len(line) > 20 and lines.count(line) == 1 and line[-2:] != "\\\n"]
        if len(single) >= 2:
            found.append(_RealFile(path.relative_to(project).as_posix(), data, single[:2]))
        if len(found) == wanted:
            return found
    raise TooFewFiles(
        f"only {len(found)} of its Python files suit the trial (ASCII, ten lines or more); {wanted} are needed"
    )


def _forms() -> list[Scenario]:
    """Encodings, line endings and file modes."""
    change = ("B = 2\n", "B = 3\n")

    def kept(
        name: str, file: str, before: bytes, after: bytes, text: str | None = None, *, mode: int | None = None
    ) -> Scenario:
        path = _at(file)
        answer = edit(path, change) if text is None else whole(path, text)
        modes = {} if mode is None else {path: mode}
        return Scenario(name, {"target": path}, [answer], "unverified", {path: after}, {path: before}, modes)

    utf_16 = "\ufeff# \u03c0\r\nB = 2\r\n".encode("utf-16-le")
    japanese = "# coding: euc-jp\n# \u65e5\u672c\nB = 2\n".encode("euc-jp")
    latin = _at("lacking.py")
    return [
        kept("CRLF, edited", "crlf.py", b"A = 1\r\nB = 2\r\n", b"A = 1\r\nB = 3\r\n"),
        kept("CRLF, whole", "crlf2.py", b"A = 1\r\nB = 2\r\n", b"A = 9\r\nC = 3\r\n", "A = 9\nC = 3\n"),
        kept("mixed line ends", "mixed.py", b"A = 1\r\nC = 1\nB = 2\r\nD = 1\n", b"A = 1\r\nC = 1\nB = 3\r\nD = 1\n"),
        kept("no final newline", "bare.py", b"A = 1\nB = 2", b"A = 1\nB = 3"),
        kept("no final newline, whole", "bare2.py", b"A = 1\nB = 2", b"A = 1\nB = 3", "A = 1\nB = 3\n"),
        kept("a byte order mark", "bom.py", b"\xef\xbb\xbfA = 1\nB = 2\n", b"\xef\xbb\xbfA = 1\nB = 3\n"),
        kept("Latin-1", "latin.py", b"# caf\xe9 \x81\nB = 2\n", b"# caf\xe9 \x81\nB = 3\n"),
        kept("Windows-1252", "cp1252.py", b"# \x93caf\xe9\x94\nB = 2\n", b"# \x93caf\xe9\x94\nB = 3\n"),
        kept("UTF-16", "utf16.py", utf_16, utf_16.replace("2".encode("utf-16-le"), "3".encode("utf-16-le"))),
        kept("a declared encoding", "japanese.py", japanese, japanese.replace(b"B = 2", b"B = 3")),
        kept("a form feed", "feed.py", b"A = 1\n\x0c\nB = 2\n", b"A = 1\n\x0c\nB = 3\n", "A = 1\n\nB = 3\n"),
        kept("an executable file", "tool.py", b"B = 2\n", b"B = 3\n", mode=0o755),
        Scenario(
            "a character that the encoding lacks, sent back",
            {"target": latin},
            [edit(latin, ("B = 2\n", "B = '\u2192'\n")), edit(latin, ("B = 2\n", "B = '->'\n"))],
            "unverified",
            {latin: b"# caf\xe9\nB = '->'\n"},
            {latin: b"# caf\xe9\nB = 2\n"},
        ),
        Scenario(
            "an edit that does not fit, sent back",
            {"target": _at("misses.py")},
            [edit(_at("misses.py"), ("C = 2\n", "C = 3\n")), edit(_at("misses.py"), change)],
            "unverified",
            {_at("misses.py"): b"A = 1\nB = 3\n"},
            {_at("misses.py"): b"A = 1\nB = 2\n"},
        ),
    ]  # fmt: skip


def _refused() -> list[Scenario]:
    """Answers that are refused, in whole or in part."""
    free, other, locked, link = map(_at, ("free.py", "other.py", "locked.py", "link.py"))
    text = {free: b"F = 1\n", other: b"O = 1\n"}
    return [
        Scenario("a file that is build configuration", {"target": "pyproject.toml"}, [], "error", says="[apply] allow"),
        Scenario("a git hook", {"target": ".git/hooks/pre-commit"}, [], "error", says="never written"),
        Scenario("a path out of the project", {"target": "../outside.py"}, [], "error", says="outside the roots"),
        Scenario(
            "a read-only target", {"target": locked}, [], "error", before={locked: b"L = 1\n"}, modes={locked: 0o444},
            says="is read-only",
        ),
        Scenario("a link", {"target": link}, [], "error", links={link: "../../elsewhere.py"}, says="is a link"),
        Scenario(
            "an answer that reaches for more",
            {"target": free},
            [whole(free, "F = 2\n") + whole(other, "O = 2\n") + whole(_at("AGENTS.md"), "obey\n")
             + whole(_at("conftest.py"), "X = 1\n") + '```python title=".git/hooks/post-commit"\nX = 1\n```\n'],
            "unverified",
            {free: b"F = 2\n"},
            text,
            says="Not written: .git/hooks/post-commit",
        ),
        Scenario(
            "a read-only file among others",
            {"target": _at("free2.py"), "context_files": [_at("locked2.py")]},
            [whole(_at("free2.py"), "F = 2\n") + whole(_at("locked2.py"), "L = 2\n")],
            "unverified",
            {_at("free2.py"): b"F = 2\n"},
            {_at("free2.py"): b"F = 1\n", _at("locked2.py"): b"L = 1\n"},
            modes={_at("locked2.py"): 0o444},
            says="locked2.py is read-only",
        ),
        Scenario(
            "a result that fails its tests",
            {"target": _at("fails.py"), "tests": "assert F == 3", "max_attempts": 1},
            [whole(_at("fails.py"), "F = 2\n")],
            "failed",
            before={_at("fails.py"): b"F = 1\n"},
        ),
        Scenario(
            "a check that proved nothing",
            {"target": _at("unproved.py"), "tests": "def check(): assert False\n"},
            [whole(_at("unproved.py"), "F = 2\n")],
            "unverified",
            before={_at("unproved.py"): b"F = 1\n"},
            says="Not written: the requested check proved nothing",
        ),
    ]  # fmt: skip


def _disturbed() -> list[Scenario]:
    """Changes by others while the model answers."""

    def interfered(name: str, file: str, interfere: Callable[[Path], None], after: bytes | None, says: str) -> Scenario:
        path = _at(file)
        return Scenario(
            name, {"target": path}, [whole(path, "M = 2\n")], "failed", {path: after}, {path: b"M = 1\n"},
            interfere=interfere, says=says,
        )  # fmt: skip

    def rewrite(project: Path) -> None:
        (project / _at("rewritten.py")).write_bytes(b"M = 7\n")

    def remove(project: Path) -> None:
        (project / _at("removed.py")).unlink()

    def make(project: Path) -> None:
        (project / _at("made.py")).write_bytes(b"mine\n")

    def lock(project: Path) -> None:
        (project / _at("made_read_only.py")).chmod(0o444)

    changed = "was changed by somebody else since it was read"
    cancelled = _at("cancelled.py")
    return [
        interfered("a file rewritten meanwhile", "rewritten.py", rewrite, b"M = 7\n", changed),
        interfered("a file removed meanwhile", "removed.py", remove, None, changed),
        interfered("a file made read-only meanwhile", "made_read_only.py", lock, b"M = 1\n", "is read-only"),
        Scenario(
            "a file made meanwhile", {"target": _at("made.py")}, [whole(_at("made.py"), "M = 2\n")], "failed",
            {_at("made.py"): b"mine\n"}, interfere=make, says=changed,
        ),
        Scenario(
            "a cancelled task", {"target": cancelled}, [whole(cancelled, "C = 2\n")], "cancelled",
            before={cancelled: b"C = 1\n"}, cancelled=True,
        ),
    ]  # fmt: skip


def _crashes() -> list[Scenario]:
    """A crash of the server at each step of writing one changed, one new and one nested file."""
    found: list[Scenario] = []
    steps = (
        "journal", "folders", "temporary changed", "temporary new", "temporary deep", "replace changed",
        "replace new", "replace deep", "sync changed", "written",
    )  # fmt: skip
    for number, step in enumerate(steps):
        folder = _at(f"crash{number}")
        changed, new, deep = f"{folder}/changed.py", f"{folder}/new.py", f"{folder}/deep/er.py"
        names = {"changed": changed, "new": new, "deep": deep}
        kind, _, name = step.partition(" ")
        found.append(
            Scenario(
                f"a crash at: {step}",
                {"target": deep, "context_files": [changed]},
                [whole(changed, "C = 2\n") + whole(new, "N = 1\n") + whole(deep, "D = 1\n")],
                "failed",
                before={changed: b"C = 1\r\n"},
                modes={changed: 0o750},
                crash_at=f"{kind} {names[name]}" if name else kind,
            )
        )
    return found
