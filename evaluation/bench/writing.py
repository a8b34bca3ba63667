"""Delegations that write into a copy of a real project, with a byte-exact check of all its files.

A real server over stdio, with local vendors that give scripted answers, writes into a git repository made from the
copy. After each delegation every file is compared with the expected bytes, and the receipt with `git diff`; servers
crash at each step of writing. At the end everything is undone, and git must see no difference.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from rich.table import Table

from ...memory_store.ledger import LEDGER_FILE
from ..peers.reply import Ask, Fault, Reply, Stall
from ..peers.vendors import vendors
from .output import output, refuse
from .server_process import SERVER, over_stdio
from .stdio_host import Hosts, hosts
from .writing_scenarios import Scenario, TooFewFiles, scenarios

_CRASHING_SERVER = (sys.executable, "-m", "chargehand.server.interrupted")
_BOUND_S = 120.0
_GIT = ("git", "-c", "core.autocrlf=false", "-c", "core.fileMode=true", "-c", "user.name=trial", "-c", "user.email=t@t")


@dataclass
class Trial:
    project: Path
    home: Path
    now: Scenario | None = None
    asked: int = 0
    """Requests in the current scenario."""
    written: list[str] = field(default_factory=list[str])
    """Ids of the tasks that wrote files, in order."""
    broken: list[str] = field(default_factory=list[str])

    def answer(self, _: Ask) -> Reply | Fault:
        """The scripted answer of the current scenario; before it is sent, the scenario may change the project."""
        assert self.now is not None  # noqa: S101 - there are no requests between scenarios
        reply = Reply(self.now.answers[min(self.asked, len(self.now.answers) - 1)])
        self.asked += 1
        if self.now.interfere is not None and self.asked == 1:
            self.now.interfere(self.project)
        return Stall(reply, anyio.Event(), after=1) if self.now.cancelled else reply

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(f"{self.now.name if self.now else 'at the end'}: {otherwise}")


async def writing_trial(source: Path, *, every_nth: int = 1) -> int:
    """Run the scenarios and print the result; returns the exit code: 1 for any deviation, 2 without a project.

    source: the project, as a folder (only tracked files, if it is a git repository) or as an archive (.tar.gz) of a
    released source package. every_nth: 2 runs every second scenario.
    """
    console = output()
    with tempfile.TemporaryDirectory(prefix="chargehand-trial-") as name:
        folder = Path(name)
        project = folder / "project"
        try:
            await anyio.to_thread.run_sync(_lay_out, source, project)
        except (OSError, tarfile.TarError) as error:
            remedy = "Give --project a folder, or a source package (.tar.gz)."
            return refuse(f"{source} cannot be copied ({error}). {remedy}")
        try:
            every = (await anyio.to_thread.run_sync(scenarios, project))[::every_nth]
        except TooFewFiles as error:
            return refuse(f"{source}: {error}. Give --project a larger project in Python.")
        await anyio.to_thread.run_sync(_prepare, every, project)
        trial = Trial(project, folder / "home")
        async with vendors(trial.answer) as peers:
            environment = {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(folder),
                "CHARGEHAND_HOME": str(trial.home),
                "CHARGEHAND_ROOTS": str(project),
                **peers.environment,
            }
            await _run_scenarios(trial, every, environment)
            trial.now = None
            await _undo_all(trial, every, environment)
    table = Table("what", "how many", title=f"Writing into {source.name}", show_header=False)
    table.add_row("delegations", str(len(every)))
    table.add_row("of which wrote", str(len(trial.written)))
    table.add_row("servers that died", str(sum(scenario.crash_at is not None for scenario in every)))
    table.add_row("not as promised", str(len(trial.broken)))
    console.print(table)
    for broken in trial.broken:
        console.print(broken, style="red", markup=False, highlight=False, soft_wrap=True)
    console.print("Something was not as promised." if trial.broken else "Every file was as promised, to the byte.")
    return 1 if trial.broken else 0


async def _run_scenarios(trial: Trial, every: Sequence[Scenario], environment: Mapping[str, str]) -> None:
    server = over_stdio(environment, trial.project)
    async with AsyncExitStack() as opened:
        client = await opened.enter_async_context(Client(server))
        dying = await opened.enter_async_context(hosts(environment, trial.project))
        for scenario in every:
            trial.now, trial.asked = scenario, 0
            before = await anyio.to_thread.run_sync(_contents, trial.project)
            with anyio.move_on_after(_BOUND_S) as bound:
                if scenario.crash_at is None:
                    await _delegate(trial, scenario, client)
                else:
                    await _crash(trial, scenario, client, dying)
            trial.require(not bound.cancelled_caught, f"it took more than {_BOUND_S:g} s")
            await anyio.to_thread.run_sync(_require_promised, trial, scenario, before)


async def _delegate(trial: Trial, scenario: Scenario, client: Client) -> None:
    arguments = {"task": f"Do this: {scenario.name}", "output": "apply", **scenario.arguments}
    if scenario.cancelled:
        running = await client.call_tool("delegate_generation", {**arguments, "wait_s": 0})
        begun: dict[str, Any] = running.structured_content or {}
        arguments = {"resume": begun.get("task_id"), "cancel": True}
    result = await client.call_tool("delegate_generation", arguments)
    receipt: dict[str, Any] = result.structured_content or {}
    said = "\n".join(block.text for block in result.content if block.type == "text")
    status = "error" if result.is_error else receipt.get("status")
    trial.require(status == scenario.status, f"it ended as {status}: {said}")
    trial.require(scenario.says in said, f"it does not say {scenario.says!r}: {said}")
    changed = receipt.get("files_changed", [])
    if changed:
        trial.written.append(receipt["task_id"])
    trial.require(not (changed and "code" in receipt), "the code came back although it was written")
    await anyio.to_thread.run_sync(_require_as_git_counts, trial, changed)


async def _crash(trial: Trial, scenario: Scenario, client: Client, dying: Hosts) -> None:
    """Let one server crash on the scenario, and another running one discover that."""
    host = await dying.start(command=(*_CRASHING_SERVER, scenario.crash_at or ""))
    arguments = {"task": f"Do this: {scenario.name}", "output": "apply", **scenario.arguments}
    call = await host.call("delegate_generation", arguments)
    await call.done.wait()
    await host.process.wait()
    trial.require(host.process.returncode == 9, f"its server ended with {host.process.returncode}: {call.answer}")
    task_id = await anyio.to_thread.run_sync(_newest_task, trial.home)
    result = await client.call_tool("delegate_generation", {"resume": task_id})
    receipt: dict[str, Any] = result.structured_content or {}
    status = receipt.get("status")
    trial.require(status == scenario.status, f"another server says {status}")
    notes = " ".join(receipt.get("notes", []))
    is_said = "Files are as they were before" in notes or scenario.crash_at == "journal"
    trial.require(is_said, f"another server does not say what became of the files: {notes}")


async def _undo_all(trial: Trial, every: Sequence[Scenario], environment: Mapping[str, str]) -> None:
    """Undo every task that wrote files, last first, and compare with the initial state."""
    undone = await anyio.run_process(
        [*SERVER, "undo", *reversed(trial.written)], env=dict(environment), cwd=trial.project, check=False
    )
    trial.require(undone.returncode == 0, f"undo ended with {undone.returncode}: {undone.stderr.decode()}")

    def differences() -> str:
        return _git(trial.project, "status", "--porcelain", "--untracked-files=all", "--ignored")

    def clean() -> None:
        """Remove changes made by others, which undo leaves alone."""
        _git(trial.project, "checkout", "base", "--", ".")
        _git(trial.project, "clean", "-q", "-d", "--force")

    ours = await anyio.to_thread.run_sync(differences)
    theirs = {_as_git_shows(s, path, data) for s in every if s.interfere for path, data in s.after.items()} - {""}
    trial.require(set(ours.splitlines()) == theirs, f"after undo git sees:\n{ours}")
    await anyio.to_thread.run_sync(clean)
    left = await anyio.to_thread.run_sync(differences)
    trial.require(left == "", f"git still sees:\n{left}")


def _as_git_shows(scenario: Scenario, path: str, data: bytes | None) -> str:
    """How git reports a change made to a file by others; empty when it is unchanged."""
    before = scenario.before.get(path)
    if data == before:
        return ""
    return f"{'??' if before is None else ' D' if data is None else ' M'} {path}"


def _require_promised(trial: Trial, scenario: Scenario, before: Mapping[str, str]) -> None:
    """Require every file of the project to be as the scenario says, or unchanged."""
    wanted = dict(before)
    for path, data in scenario.after.items():
        if data is None:
            wanted.pop(path, None)
        else:
            wanted[path] = hashlib.sha256(data).hexdigest()
    after = _contents(trial.project)
    for path in sorted(wanted.keys() | after.keys()):
        if wanted.get(path) != after.get(path):
            found = (trial.project / path).read_bytes()[:200] if path in after else "no file"
            trial.require(False, f"{path} is not as promised: {found!r}")
    for path, mode in scenario.modes.items():
        found_mode = (trial.project / path).stat().st_mode & 0o777
        trial.require(found_mode == mode, f"{path} has mode {found_mode:o} instead of {mode:o}")


def _require_as_git_counts(trial: Trial, changed: Sequence[Mapping[str, Any]]) -> None:
    """Require the receipt's line counts to match git's; encodings such as UTF-16 are binary to git."""
    for change in changed:
        _git(trial.project, "add", "--intent-to-add", "--", change["path"])
        added, removed, *_ = (*_git(trial.project, "diff", "--numstat", "--", change["path"]).split(), "", "")
        said = (str(change["added"]), str(change["removed"]))
        trial.require(
            (added, removed) in (said, ("-", "-")), f"git counts +{added} -{removed}, the receipt says {said}"
        )
        _git(trial.project, "reset", "-q", "--", change["path"])


def _lay_out(source: Path, project: Path) -> None:
    """Copy the project into the folder to write into."""
    if source.is_file():
        with tarfile.open(source) as archive:
            archive.extractall(project.parent / "unpacked", filter="data")
        tops = list((project.parent / "unpacked").iterdir())
        (tops[0] if len(tops) == 1 else project.parent / "unpacked").rename(project)
    elif (source / ".git").exists():
        for name in filter(None, _git(source, "ls-files", "-z").split("\0")):
            if (source / name).is_file():
                (project / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source / name, project / name, follow_symlinks=False)
    else:
        shutil.copytree(source, project, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".venv", ".git"))


def _prepare(every: Sequence[Scenario], project: Path) -> None:
    """Add the scenarios' own files to the project, and make it a git repository."""
    for scenario in every:
        for path, data in scenario.before.items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_bytes(data)
        for path, target in scenario.links.items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).symlink_to(target)
        for path, mode in scenario.modes.items():
            (project / path).chmod(mode)
    for ignoring in project.rglob(".git*"):  # ignore and attribute rules must not hide a change
        if ignoring.is_file():
            ignoring.unlink()
    _git(project, "init", "-q")
    _git(project, "add", "--all", "--force")
    _git(project, "commit", "-q", "-m", "base")
    _git(project, "tag", "base")


def _git(project: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(project), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        [*_GIT, "-C", str(project), *arguments], check=True, capture_output=True, env=environment
    ).stdout.decode()  # fmt: skip


def _contents(project: Path) -> dict[str, str]:
    """Digest of every file by path, without git's own files."""
    found: dict[str, str] = {}
    for base, folders, files in os.walk(project):
        if ".git" in folders:
            folders.remove(".git")
        for name in files:
            path = Path(base, name)
            if path.is_file():
                found[path.relative_to(project).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _newest_task(home: Path) -> str:
    db = sqlite3.connect(home / LEDGER_FILE)
    try:
        return db.execute("SELECT id FROM tasks WHERE status = 'running' ORDER BY begun_at DESC LIMIT 1").fetchone()[0]
    finally:
        db.close()
