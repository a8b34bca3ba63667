"""A git history, read without running anything of the repository.

A repository's configuration can name programs (`core.fsmonitor`, hooks, `diff.external`, textconv filters,
`gpg.program`, transports that fetch missing objects). So its configuration is read by one command alone, which says
where its objects are; everything else is asked of an empty repository of our own that borrows those objects, with
no configuration but ours, no attributes, no replacements and no transport. No file is ever checked out.

What it does not protect against: a flaw in git's own reading of objects.
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
"""Of one command."""
MEMORY_MB_AT_MOST = 3_000
CPU_SECONDS_AT_MOST = 120
OBJECT_BYTES_AT_MOST = 2_000_000
"""What is larger is no file that a task is made of, and is not read."""

_USUAL_OBJECT_FORMAT = "sha1"
_FACTS = 2
_SAID_BYTES_AT_MOST = 10_000


@dataclass(frozen=True)
class History:
    """The commits that lead to where a repository stands."""

    folder: Path
    """The project's: where its files lie, or the repository itself where it is bare. Resolved."""
    head: str
    """The commit it stands at, in hexadecimal digits."""
    repository: Path
    """The git folder, which all its worktrees share. Resolved."""
    _git: str
    _borrower: Path

    @property
    def homes(self) -> tuple[Path, ...]:
        """Where the project's files have their place for its owner: here, and in the main of its worktrees."""
        main = self.repository.parent if self.repository.name == ".git" else self.folder
        return tuple(dict.fromkeys((self.folder, main)))

    async def commits(self, *, since_s: float | None = None, at_most: int) -> tuple[Commit, ...]:
        """The newest commits, newest first. since_s: seconds since 1970 UTC; what is older is left out."""
        older = () if since_s is None else (f"--max-age={int(since_s)}",)
        listed = await self._run("rev-list", "--parents", f"--max-count={at_most}", *older, self.head, "--")
        lines = [line.split() for line in listed.decode().splitlines()]
        raw = await self._objects([line[0] for line in lines])
        return tuple(parse_commit(line[0], line[1:], raw[line[0]]) for line in lines if line[0] in raw)

    async def deltas(self, commits: Sequence[str]) -> Mapping[str, tuple[Delta, ...]]:
        """What each commit of one parent changed, by its id; nothing for those that changed no file."""
        found = await self._run(
            "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames", "--no-ext-diff", "--no-textconv",
            "--no-abbrev", given="".join(f"{commit}\n" for commit in commits).encode(),
        )  # fmt: skip
        return parse_deltas(found)

    async def tree(self, commit: str) -> tuple[Entry, ...]:
        """All that stood in the project at a commit: files, links, and commits of submodules."""
        return parse_tree(await self._run("ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--"))

    async def blobs(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """What files held, by the id of their content; what is too large, or not in the clone, is left out."""
        return await self._objects(ids)

    async def holds(self, one: str) -> bool:
        """Whether the content of an id is there: a partial clone lacks some."""
        return not (await self._run("cat-file", "--batch-check", given=f"{one}\n".encode())).endswith(b" missing\n")

    async def _objects(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        asked = "".join(f"{one}\n" for one in dict.fromkeys(ids)).encode()
        if not asked:
            return {}
        wanted: list[str] = []
        for line in (await self._run("cat-file", "--batch-check", given=asked)).decode("ascii").splitlines():
            one, *facts = line.split()  # id, kind and size; of one that is not there `ID missing`
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
    """The history of the repository that a folder belongs to. Raises HistoryUnreadable."""
    git = find_git()
    folder = await anyio.to_thread.run_sync(_resolved, path)
    if not await anyio.Path(folder).is_dir():
        raise HistoryUnreadable(f"{path} is not a folder. Name the folder of a git repository.")
    common, shallow, object_format = await _asked(git, folder, path)
    top = await run_git(git, ["rev-parse", "--show-toplevel"], folder, refused=b"")
    head = (await run_git(git, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], folder, refused=b"")).decode()
    if not head:
        raise HistoryUnreadable(f"{path} has no commit yet, so there is nothing to mine.")
    async with scratch_folder("history") as borrower:
        await anyio.to_thread.run_sync(_lay_out, borrower, common / "objects", shallow, object_format)
        stands_at = Path(os.fsdecode(top.removesuffix(b"\n"))) if top else common
        yield History(await anyio.to_thread.run_sync(_resolved, stands_at), head.strip(), common, git, borrower)


async def _asked(git: str, folder: Path, path: Path) -> tuple[Path, Path, str]:
    """Where a repository keeps its objects and the border of a shallow clone, and how its ids are made."""
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


def _lay_out(borrower: Path, objects: Path, shallow: Path, object_format: str) -> None:
    """An empty repository that has the objects of another one, and nothing else of it."""
    (borrower / "objects" / "info").mkdir(parents=True)
    (borrower / "refs").mkdir()
    (borrower / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
    version, extension = 0, ""
    if object_format != _USUAL_OBJECT_FORMAT:
        version, extension = 1, f"[extensions]\n\tobjectformat = {object_format}\n"
    config = f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}"
    (borrower / "config").write_text(config, encoding="ascii")
    # A line in quotes may hold any path (gitrepository-layout, objects/info/alternates).
    quoted = os.fsencode(objects).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    (borrower / "objects" / "info" / "alternates").write_bytes(b'"' + quoted + b'"\n')
    if shallow.is_file():
        shutil.copyfile(shallow, borrower / "shallow")


_OURS = (
    "--no-pager", "--no-optional-locks", "--literal-pathspecs",
    # Its guard against the repositories of others is for what their configuration would start, and nothing here does.
    "-c", "safe.directory=*",
    "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", f"core.attributesFile={os.devnull}",
    "-c", "core.packedGitWindowSize=32m", "-c", "core.packedGitLimit=512m", "-c", "protocol.allow=never",
    "-c", "log.showSignature=false",
)  # fmt: skip


def _environment() -> dict[str, str]:
    """All that git finds in its environment: nothing of the user's but the PATH."""
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
    """Its path. Raises HistoryUnreadable."""
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
    """What a command prints. refused: what it gives where git says no; None raises HistoryUnreadable.

    git_dir: the repository. None: the one that the folder belongs to.
    """
    where = () if git_dir is None else (f"--git-dir={git_dir}",)
    try:
        with anyio.fail_after(COMMAND_TIMEOUT_S):
            code, output, said = await _run_to_its_end([*_limits(), git, *_OURS, *where, *command], folder, given)
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
    """The beginning of a command that may take no more than ours. Windows, and a system that knows no such limit: none.

    A few small trees can be nested so that git gathers more than any memory holds before it prints a word.
    """
    if sys.platform == "win32":
        return ()
    limits = f"ulimit -v {MEMORY_MB_AT_MOST * 1000} 2>/dev/null; ulimit -t {CPU_SECONDS_AT_MOST}"
    return ("/bin/sh", "-c", f'{limits}; exec "$@"', "sh")


async def _run_to_its_end(command: Sequence[str], folder: Path, given: bytes) -> tuple[int, bytes, bytes]:
    """Exit code, output and errors; a command that prints too much is ended."""
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
                return  # it ended without reading on, and its exit code says why

        async def listen() -> None:
            async for chunk in stderr:
                said.extend(chunk[: _SAID_BYTES_AT_MOST - len(said)])

        async with anyio.create_task_group() as group:
            group.start_soon(feed)
            group.start_soon(listen)
            async for chunk in stdout:
                output += chunk
                if len(output) > OUTPUT_BYTES_AT_MOST:
                    process.kill()
                    break
        code = await process.wait()
    return code, bytes(output), bytes(said)
