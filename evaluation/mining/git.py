"""Reads a git history without running anything that the repository configures.

A repository's configuration can name programs (`core.fsmonitor`, hooks, `diff.external`, textconv filters,
`gpg.program`, transports that fetch missing objects). So its configuration is read only by `rev-parse`, which locates
its objects and HEAD; all other commands run in an empty temporary repository that borrows those objects (the
"borrower"), with only our configuration, no attributes, no replace refs and no transport. No file is checked out.

Does not protect against flaws in git's own parsing of objects.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from ...tools.checking.scratch import scratch_folder
from .commit import Commit, Delta, Entry, parse_commit, parse_deltas, parse_tree
from .errors import HistoryUnreadable

COMMAND_TIMEOUT_S = 300.0
OUTPUT_BYTES_AT_MOST = 256_000_000
"""Limit on the output of one command."""
MEMORY_MB_AT_MOST = 3_000
CPU_SECONDS_AT_MOST = 120
OBJECT_BYTES_AT_MOST = 2_000_000
"""Larger objects are not read."""

_USUAL_OBJECT_FORMAT = "sha1"
_FACTS = 2
_STDERR_BYTES_AT_MOST = 10_000


@dataclass(frozen=True)
class History:
    """The commits reachable from a repository's HEAD."""

    folder: Path
    """The root of the working tree, or the repository itself if it is bare. Resolved."""
    head: str
    """HEAD's commit id, in hexadecimal digits."""
    repository: Path
    """The git folder shared by all worktrees. Resolved."""
    _git: str
    _borrower: Path

    @property
    def project_folders(self) -> tuple[Path, ...]:
        """The project's folders: this worktree, and the main one if it is another."""
        main = self.repository.parent if self.repository.name == ".git" else self.folder
        return tuple(dict.fromkeys((self.folder, main)))

    async def commits(self, *, since_s: float | None = None, at_most: int) -> tuple[Commit, ...]:
        """The newest commits, newest first. since_s: seconds since 1970 UTC; older commits are left out."""
        older = () if since_s is None else (f"--max-age={int(since_s)}",)
        listed = await self._run("rev-list", "--parents", f"--max-count={at_most}", *older, self.head, "--")
        lines = [line.split() for line in listed.decode().splitlines()]
        raw = await self._objects([line[0] for line in lines])
        return tuple(parse_commit(line[0], line[1:], raw[line[0]]) for line in lines if line[0] in raw)

    async def deltas(self, commits: Sequence[str]) -> Mapping[str, tuple[Delta, ...]]:
        """The changed paths by commit id, for commits with one parent; commits without changes may be absent."""
        found = await self._run(
            "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv",
            "--no-abbrev", given="".join(f"{commit}\n" for commit in commits).encode(),
        )  # fmt: skip
        return parse_deltas(found)

    async def tree(self, commit: str) -> tuple[Entry, ...]:
        """The project's entries at a commit: files, symbolic links and submodules."""
        return parse_tree(await self._run("ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--"))

    async def blobs(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Contents by blob id; those too large or not in the clone are left out."""
        return await self._objects(ids)

    async def holds(self, one: str) -> bool:
        """Whether an object is in the clone; a partial clone lacks some."""
        return not (await self._run("cat-file", "--batch-check", given=f"{one}\n".encode())).endswith(b" missing\n")

    async def _objects(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        asked = "".join(f"{one}\n" for one in dict.fromkeys(ids)).encode()
        if not asked:
            return {}
        wanted: list[str] = []
        for line in (await self._run("cat-file", "--batch-check", given=asked)).decode("ascii").splitlines():
            one, *facts = line.split()  # id, type and size; for a missing object `ID missing`
            if len(facts) == _FACTS and int(facts[1]) <= OBJECT_BYTES_AT_MOST:
                wanted.append(one)
        if not wanted:
            return {}
        found = await self._run("cat-file", "--batch", given="".join(f"{one}\n" for one in wanted).encode())
        objects: dict[str, bytes] = {}
        at = 0
        for one in wanted:
            end = found.index(b"\n", at)
            size = int(found[at:end].split()[2])
            objects[one] = found[end + 1 : end + 1 + size]
            at = end + 1 + size + 1
        return objects

    async def _run(self, *command: str, given: bytes = b"") -> bytes:
        return await run_git(self._git, command, self._borrower, given, git_dir=self._borrower)


@asynccontextmanager
async def open_history(path: Path) -> AsyncGenerator[History]:
    """Open the history of the repository that contains a folder. Raises HistoryUnreadable."""
    git = find_git()
    folder = await anyio.to_thread.run_sync(_resolved, path)
    if not await anyio.Path(folder).is_dir():
        raise HistoryUnreadable(f"{path} is not a folder. Name the folder of a git repository.")
    common, shallow, object_format = await _locate(git, folder, path)
    top = await run_git(git, ["rev-parse", "--show-toplevel"], folder, refused=b"")
    head = (await run_git(git, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], folder, refused=b"")).decode()
    if not head:
        raise HistoryUnreadable(f"{path} has no commit yet, so there is nothing to mine.")
    async with scratch_folder("history") as borrower:
        await anyio.to_thread.run_sync(_create_borrower, borrower, common / "objects", shallow, object_format)
        root = Path(os.fsdecode(top.removesuffix(b"\n"))) if top else common
        yield History(await anyio.to_thread.run_sync(_resolved, root), head.strip(), common, git, borrower)


async def _locate(git: str, folder: Path, path: Path) -> tuple[Path, Path, str]:
    """The repository's common git folder, its `shallow` file, and its object format."""
    questions = ("--git-common-dir", "--git-path", "shallow", "--show-object-format")
    try:
        said = await run_git(git, ["rev-parse", "--path-format=absolute", *questions], folder)
    except HistoryUnreadable as error:
        raise HistoryUnreadable(
            f"{path} is not a readable git repository ({error}). Name a folder where `git log` works."
        ) from error
    common, shallow, object_format = said.removesuffix(b"\n").rsplit(b"\n", 2)
    folder = await anyio.to_thread.run_sync(_resolved, Path(os.fsdecode(common)))
    return folder, Path(os.fsdecode(shallow)), object_format.decode()


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _create_borrower(borrower: Path, objects: Path, shallow: Path, object_format: str) -> None:
    """Create an empty repository that borrows another one's objects, and nothing else of it."""
    (borrower / "objects" / "info").mkdir(parents=True)
    (borrower / "refs").mkdir()
    (borrower / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
    version, extension = 0, ""
    if object_format != _USUAL_OBJECT_FORMAT:
        version, extension = 1, f"[extensions]\n\tobjectformat = {object_format}\n"
    config = f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}"
    (borrower / "config").write_text(config, encoding="ascii")
    # A quoted line can hold any path (gitrepository-layout, objects/info/alternates).
    quoted = os.fsencode(objects).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    (borrower / "objects" / "info" / "alternates").write_bytes(b'"' + quoted + b'"\n')
    if shallow.is_file():
        shutil.copyfile(shallow, borrower / "shallow")


_OPTIONS = (
    "--no-pager", "--no-optional-locks", "--literal-pathspecs",
    # Git's ownership check guards against programs in the configuration, none of which are run here.
    "-c", "safe.directory=*",
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", f"core.attributesFile={os.devnull}",
    "-c", "core.packedGitWindowSize=32m", "-c", "core.packedGitLimit=512m", "-c", "protocol.allow=never",
    "-c", "log.showSignature=false",
)  # fmt: skip


def _environment() -> dict[str, str]:
    """Git's whole environment: only the PATH (and SYSTEMROOT) is the user's."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {
        "HOME": os.devnull,
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def find_git() -> str:
    """The path of git. Raises HistoryUnreadable."""
    git = shutil.which("git")
    if git is None:
        raise HistoryUnreadable("git is not on the PATH. Install it (apt-get install git, brew install git).")
    return git


async def run_git(
    git: str,
    command: Sequence[str],
    folder: Path,
    given: bytes = b"",
    *,
    refused: bytes | None = None,
    git_dir: Path | None = None,
) -> bytes:
    """The command's standard output. Raises HistoryUnreadable.

    given: standard input. refused: returned instead of raising when git exits with an error code.
    git_dir: the repository. None: the one that contains the folder.
    """
    where = () if git_dir is None else (f"--git-dir={git_dir}",)
    try:
        with anyio.fail_after(COMMAND_TIMEOUT_S):
            code, output, said = await _run_process([*_limits(), git, *_OPTIONS, *where, *command], folder, given)
    except TimeoutError as error:
        raise HistoryUnreadable(f"git {command[0]} did not end within {COMMAND_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise HistoryUnreadable(f"git cannot be started in {folder}: {error.strerror}") from error
    if len(output) > OUTPUT_BYTES_AT_MOST:
        raise HistoryUnreadable(
            f"git {command[0]} listed more than {OUTPUT_BYTES_AT_MOST // 1_000_000} MB. Look at fewer --commits."
        )
    if code == 0:
        return output
    if refused is not None:
        return refused
    lines = said.decode(errors="replace").strip().splitlines()
    what = lines[0][:300] if lines else f"it ended with exit code {code}"
    raise HistoryUnreadable(f"git {command[0]} failed: {what}")


def _limits() -> Sequence[str]:
    """A command prefix that limits memory and CPU time, where the system supports it; empty on Windows.

    A few small trees can be nested so that git exhausts any memory before it prints anything.
    """
    if sys.platform == "win32":
        return ()
    limits = f"ulimit -v {MEMORY_MB_AT_MOST * 1000} 2>/dev/null; ulimit -t {CPU_SECONDS_AT_MOST}"
    return ("/bin/sh", "-c", f'{limits}; exec "$@"', "sh")


async def _run_process(command: Sequence[str], folder: Path, given: bytes) -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr; a command that prints too much is killed."""
    output, said = bytearray(), bytearray()
    process = await anyio.open_process(command, stdin=subprocess.PIPE, cwd=folder, env=_environment())
    async with process:
        stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
        if stdin is None or stdout is None or stderr is None:
            raise RuntimeError("a process that was opened with pipes has none")

        async def feed() -> None:
            try:
                await stdin.send(given)
                await stdin.aclose()
            except (OSError, anyio.BrokenResourceError):
                return  # it ended before reading all input; its exit code says why

        async def collect_errors() -> None:
            async for chunk in stderr:
                said.extend(chunk[: _STDERR_BYTES_AT_MOST - len(said)])

        async with anyio.create_task_group() as group:
            group.start_soon(feed)
            group.start_soon(collect_errors)
            async for chunk in stdout:
                output += chunk
                if len(output) > OUTPUT_BYTES_AT_MOST:
                    process.kill()
                    break
        code = await process.wait()
    return code, bytes(output), bytes(said)
