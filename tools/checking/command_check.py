"""A check that runs a user-configured command in the sandbox, in a copy of the project with the answer.

An answer that ends the process of its tests is found in Python, JavaScript, PHP and Ruby, unless it does so late or
hides the call. It does not protect against an answer that makes the command itself exit with 0 otherwise, as a build
script can. Only the user's config file defines commands.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import anyio.to_thread

from ..errors import BadArgument, FileRefused
from ..guarding.home import home_folder
from ..guarding.secrets import SecretSearch
from ..guarding.text import visible
from .ended_early import REACHED, failing_tests, without_ends
from .import_path import path_beside
from .interpreter import has_module, linked_folders, python_folders, python_of
from .lacking import lacks_in, remedy
from .node import FITS_WASM, ask_node
from .project_copy import copied_project
from .result import CheckResult
from .sandbox import Command, Limits, Sandbox, SandboxFailed, SandboxRun
from .unused_code import useless_change
from .verdict import FAILURE_CHARACTERS, SHIPPED, clip, not_run, why_no_verdict

BUILT_IN = ("edit", "parse", "lint", "tests", "review")
"""Reserved names."""

_PATH = "/usr/local/bin:/usr/bin:/bin"
_SYSTEMS = (Path("/usr"), Path("/usr/local"))
"""Every sandbox shows their Python packages."""
_OFFLINE = ("npm_config_offline=true", "PIP_NO_INDEX=1", "UV_OFFLINE=1")
"""Without them npm and npx try for more than a minute to reach their registry, pip for 10 s and uv for 5 s (npm 11.19,
pip 26.2, uv 0.12, measured 2026-11-30)."""
_UNCHANGED = "UV_NO_SYNC=1"
"""Lets `uv run` use an environment that it cannot write to."""
_IN_HOME = (
    'until test "$1" = --; do mkdir -p "$HOME/${2%/*}"; ln -s "$1" "$HOME/$2" 2>/dev/null; shift 2; done; '
    'shift; exec "$@"'
)
"""A script of the shell that gives the home folder inside, which is another, links to what the user's has: pairs of a
path and its place below it, then `--` and the command."""
_TOOLS_WRITE = (".cache", ".vite", ".vite-temp")
"""Folders of `node_modules`."""
_MAY_NOT_BE_THERE = (126, 127)
"""Exit codes of `env` for a command that cannot be run or found; shells use them for commands within a script too
(env(1), seen 2026-11-24)."""
_IS_THERE = "import shutil, sys; sys.exit(shutil.which(sys.argv[1], path=sys.argv[2]) is None)"
"""Run by the sandbox's Python; exits with 1 if the command cannot be found or executed."""


@dataclass(frozen=True)
class CommandCheck:
    """`[checks.NAME]` of the config file."""

    name: str
    command: tuple[str, ...]
    answer_path: str | None = None
    """Path of an answer without a target in the project, relative to its root. None: such an answer is not checked."""
    timeout_s: float = 120.0
    memory_mb: int = 16_384
    """Address space per process. Vitest takes 10,900, and 15,700 with worker threads (3.2, measured 2026-12-01)."""
    language: str | None = None
    """The required language of the answer. None: any."""
    read_only: tuple[Path, ...] = ()
    """Files and folders outside /usr that the command needs, and with a Python environment the Python that it links to;
    their programs and `bin` folders are on its PATH.

    The copy links to those of the project that it lacks, such as `node_modules`.
    """

    @property
    def limits(self) -> Limits:
        return Limits(
            wall_s=self.timeout_s,
            cpu_s=max(1, round(self.timeout_s)),
            memory_mb=self.memory_mb,
            processes=256,
            file_mb=512,
            scratch_mb=2048,
            open_files=1024,
        )


def configured(names: Sequence[str], known: Mapping[str, CommandCheck]) -> tuple[CommandCheck, ...]:
    """The user's checks with these names. Raises BadArgument for an unknown name: callers cannot supply commands."""
    for name in names:
        if name not in known:
            has = f"They are: {', '.join(sorted(known))}" if known else "There are none"
            raise BadArgument(
                f"checks: {visible(name)[:80]} is not a check in the user's config file. {has};"
                " [checks.NAME] in config.toml adds one."
            )
    return tuple(known[name] for name in dict.fromkeys(names))


async def run_command_check(
    check: CommandCheck,
    answer: str,
    language: str | None,
    project: Path | None,
    sandbox: Sandbox,
    change: Mapping[Path, bytes] | None = None,
    search: SecretSearch = SHIPPED,
) -> CheckResult:
    """The result of the command; exit code 0 is a pass.

    project: the folder to copy. None: nothing is run. change: the answer as files of the project. None: it is written
    to the check's `answer_path`. search: finds secrets in its output.
    """
    if check.language is not None and language is not None and language != check.language:
        wrong = f"The check {check.name} is for {check.language} and the answer is {language}: use {check.language}."
        return CheckResult(check.name, "failed", first_failure=wrong)
    if project is None:
        why = "no folder may be read. Set CHARGEHAND_ROOTS in your host's config."
        return not_run(f"{check.name} was not run: {why}", check.name)
    if change is None and check.answer_path is None:
        why = f"the answer has no file. Name a `target`, or set `answer_path` of [checks.{check.name}] in config.toml."
        return not_run(f"{check.name} was not run: {why}", check.name)
    try:
        async with copied_project(project, change) as copy:
            if change is None and check.answer_path is not None:
                await anyio.to_thread.run_sync(_place, answer, copy, check.answer_path)
            written = change or {Path(check.answer_path or ""): b""}
            import_first = await anyio.to_thread.run_sync(_installed_too, check.read_only, written, copy)
            run = await _run(check, project, copy, sandbox, import_first)
            note = None
            if run.exit_code in _MAY_NOT_BE_THERE:
                to_do = await anyio.to_thread.run_sync(remedy, None, check.name, project, copy)
                if not await _is_there(check, copy, sandbox):
                    said = clip(run.output.strip(), 300, search)
                    why = f"{check.command[0]} is not available in the sandbox; {to_do}. {said}"
                    return not_run(f"{check.name} was not run: {why}", check.name)
                note = f"if {check.name} itself calls something that is not available in the sandbox, {to_do}"
            if (lack := await _lack_without_the_answer(check, run, project, copy, sandbox, import_first)) is not None:
                to_do = await anyio.to_thread.run_sync(remedy, lack, check.name, project, copy)
                why = f"it fails without the answer too, as the sandbox lacks something ({clip(lack, 300, search)})"
                return not_run(f"{why}; {to_do}", check.name)
            if run.exit_code == 0 and change is not None:
                worthless = await _worthless_pass(check, change, project, sandbox, import_first)
                if worthless is not None:
                    return worthless
    except (FileRefused, SandboxFailed) as failure:
        return not_run(f"{check.name} was not run: {failure}", check.name)
    judged = await anyio.to_thread.run_sync(_interpreted, check, run, search, note)
    return replace(judged, sandbox=sandbox.name, seconds=run.seconds)


async def _run(
    check: CommandCheck, project: Path, copy: Path, sandbox: Sandbox, import_first: Sequence[str]
) -> SandboxRun:
    await anyio.to_thread.run_sync(_link, check.read_only, project, copy)
    variables = [*_variables(check.read_only, project, import_first), *await _node_options(_path(check.read_only))]
    command = ["/usr/bin/env", *variables, *_with_home(check, project)]
    return await sandbox.run(Command(command, copy, check.limits, read_only=_shown(check.read_only)))


def _with_home(check: CommandCheck, project: Path) -> Sequence[str]:
    """The command, and what it shows of the user's home folder at the same place in the one inside."""
    home = home_folder()
    links = [
        word
        for path in check.read_only
        if home is not None and path.is_relative_to(home) and not path.is_relative_to(project)
        for word in (str(path), f"./{path.relative_to(home)}")
    ]
    return ["/bin/sh", "-c", _IN_HOME, "sh", *links, "--", *check.command] if links else check.command


async def _lack_without_the_answer(
    check: CommandCheck, run: SandboxRun, project: Path, copy: Path, sandbox: Sandbox, import_first: Sequence[str]
) -> str | None:
    """What a failed command says is missing, if it fails and says so on the unchanged project too. None: the failure
    is the answer's. copy: the changed project. import_first: as in `_variables`."""
    lacks = await anyio.to_thread.run_sync(lacks_in, run.output, project, copy) if run.exit_code != 0 else ()
    if not lacks:
        return None
    async with copied_project(project) as unchanged:
        before = await _run(check, project, unchanged, sandbox, import_first)
    return next((lack for lack in lacks if before.exit_code != 0 and lack in before.output), None)


async def _worthless_pass(
    check: CommandCheck, change: Mapping[Path, bytes], project: Path, sandbox: Sandbox, import_first: Sequence[str]
) -> CheckResult | None:
    """The result of a command that passed but would pass with a useless answer too, or ran no test to its end.

    None: the pass stands. import_first: as in `_variables`.
    """
    useless = useless_change(change, project, (check.name, *check.command))
    if useless is not None:
        async with copied_project(project, useless.files) as without:
            if (await _run(check, project, without, sandbox, import_first)).exit_code == 0:
                return not_run(useless.why, check.name)
    if await _ends_tests(check, change, project, sandbox, import_first):
        why = f"{check.name} exits with 0 because the answer ends the process of its tests before their end"
        return CheckResult(check.name, "failed", executed=True, first_failure=why, sandbox=sandbox.name)
    return None


async def _ends_tests(
    check: CommandCheck, change: Mapping[Path, bytes], project: Path, sandbox: Sandbox, import_first: Sequence[str]
) -> bool:
    """Whether tests that fail at their end do so only if calls of the answer do not end their process.

    import_first: as in `_variables`.
    """
    defused = await anyio.to_thread.run_sync(without_ends, change, project)
    if defused is None:
        return False
    failing = await anyio.to_thread.run_sync(failing_tests, change, project)
    async with copied_project(project, {**change, **failing}) as copy:
        if not failing or (await _run(check, project, copy, sandbox, import_first)).exit_code != 0:
            return False
    async with copied_project(project, {**defused, **failing}) as copy:
        return REACHED in (await _run(check, project, copy, sandbox, import_first)).output


async def _is_there(check: CommandCheck, copy: Path, sandbox: Sandbox) -> bool:
    """Whether the command can be started, tested in a separate run without code of the answer."""
    command = [*sandbox.python, "-c", _IS_THERE, check.command[0], _path(check.read_only)]
    run = await sandbox.run(Command(command, copy, check.limits, read_only=_shown(check.read_only)))
    return run.exit_code == 0


def _interpreted(check: CommandCheck, run: SandboxRun, search: SecretSearch, note: str | None) -> CheckResult:
    if run.exit_code == 0:
        return CheckResult(check.name, "passed", executed=True)
    if run.killed_by is not None:
        why = why_no_verdict(run, check.limits, search).replace("the tests", check.name)
    else:
        why = f"{check.name} ended with exit code {run.exit_code}\n{run.output.strip()}"
    failure = clip(why, FAILURE_CHARACTERS, search)
    return CheckResult(check.name, "failed", executed=True, first_failure=failure, note=note)


def _place(answer: str, copy: Path, answer_path: str) -> None:
    """Write the answer into the copy. Raises FileRefused for a path outside it."""
    relative = PurePosixPath(answer_path)
    target = copy / relative
    if relative.is_absolute() or ".." in relative.parts or not target.parent.resolve().is_relative_to(copy.resolve()):
        raise FileRefused(f"answer_path {answer_path} leads outside the project. Correct it in the config file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.write_text(answer, encoding="utf-8", errors="surrogatepass")
    except OSError as error:
        raise FileRefused(f"the answer cannot be written to {answer_path}: {error.strerror}") from error


def _link(read_only: tuple[Path, ...], project: Path, copy: Path) -> None:
    """Make what is shown of the project, under its own path, available in the copy as well."""
    for path in read_only:
        place = path.parent.resolve() / path.name
        if not place.is_relative_to(project):
            continue
        link = copy / place.relative_to(project)
        if not os.path.lexists(link):
            link.parent.mkdir(parents=True, exist_ok=True)
            _link_one(place, link, _Members(project, place))


@dataclass(frozen=True)
class _Members:
    """The parts of a project that one of its folders of packages links to, as npm's workspaces do."""

    project: Path
    packages: Path

    def includes(self, path: Path) -> bool:
        leads_to = path.resolve()
        return path.is_symlink() and self.project in leads_to.parents and not leads_to.is_relative_to(self.packages)

    def are_in(self, path: Path) -> bool:
        if path.is_symlink() or not path.is_dir():
            return False
        return any(self.includes(one) or (one.name.startswith("@") and self.are_in(one)) for one in path.iterdir())


def _link_one(path: Path, link: Path, members: _Members) -> None:
    """A link to the path, except that links to members of the project lead to those in the copy, and that tools can
    write into `node_modules`, as Vite and AVA do."""
    if members.includes(path):
        link.symlink_to(os.path.relpath(path.resolve(), path.parent))
    elif (path.name == "node_modules" and path.is_dir()) or members.are_in(path):
        link.mkdir()
        for one in path.iterdir():
            if one.name not in _TOOLS_WRITE:
                _link_one(one, link / one.name, members)
    else:
        link.symlink_to(path)


def _installed_too(read_only: tuple[Path, ...], written: Iterable[Path], copy: Path) -> Sequence[str]:
    """The folders, relative to the copy, of changed packages that an environment has installed as well, and that would
    be tested in their place."""
    found = filter(None, (path_beside(path, copy) for path in written if path.name))
    environments = (*read_only, *_SYSTEMS)
    return [path.folders[0] for path in found if any(has_module(one, path.name.split(".")[0]) for one in environments)]


def _variables(read_only: tuple[Path, ...], project: Path, import_first: Sequence[str]) -> list[str]:
    """PATH, and PYTHONPATH for what the Python environments import from the project itself (`pip install -e`).

    import_first: folders of the project to import from before any environment.
    """
    linked = [*import_first, *(folder for path in read_only for folder in linked_folders(path, project))]
    python_path = [f"PYTHONPATH={':'.join(dict.fromkeys(linked))}"] if linked else []
    as_it_is = [_UNCHANGED] if any(map(python_of, read_only)) else []
    return [f"PATH={_path(read_only)}", *_OFFLINE, *as_it_is, *python_path]


async def _node_options(path: str) -> list[str]:
    """NODE_OPTIONS with which tools that use WebAssembly, such as Vite, fit into the limit of memory.

    A `node` that neither the system nor the server's PATH has is not asked, as that would run it outside the sandbox.
    """
    found = shutil.which("node", path=path)
    if found is None or not (found.startswith("/usr/") or found == shutil.which("node")):
        return []
    node = await ask_node(Path(found))
    return [f"NODE_OPTIONS={FITS_WASM}"] if node is not None and node.can_fit_wasm else []


def _path(read_only: tuple[Path, ...]) -> str:
    return ":".join([*dict.fromkeys(str(folder) for path in read_only for folder in _programs(path)), _PATH])


def _programs(path: Path) -> Iterator[Path]:
    """The folder of programs that a path is, has or lies in."""
    if path.is_dir():
        yield from (folder for folder in (path, path / "bin") if folder.name == "bin" and folder.is_dir())
    elif os.access(path, os.X_OK):
        yield path.parent


def _shown(read_only: tuple[Path, ...]) -> Mapping[str, Path]:
    pythons = filter(None, map(python_of, read_only))
    needed = (folder for python in pythons for folder in python_folders(python))
    more = (folder for folder in needed if not any(folder.is_relative_to(path) for path in read_only))
    return {str(path): path for path in (*read_only, *more)}
