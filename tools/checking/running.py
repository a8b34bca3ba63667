"""Runs Python tests of an answer in a sandbox.

The answer and its tests share one interpreter, because the tests call the answer. The checker's files are read-only,
the verdict carries a nonce that is read before the answer runs, and the process exits with the verdict. So an answer
cannot pass by exiting early, by exit handlers, by printing, by writing files, by forking, or by replacing functions
that the checker has saved.

It does not protect against an answer written to attack this checker: code in the same interpreter can search memory
for the nonce, replace parts of pytest, or return objects that compare equal to anything. Nor does it judge the tests:
weak ones pass wrong answers.
"""

import json
import re
import secrets
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import anyio.to_thread

from ..guarding.secrets import SecretSearch
from .import_path import ImportPath
from .interpreter import compile_pytest, pytest_modules
from .result import CheckResult
from .sandbox import Command, Limits, Sandbox, SandboxFailed
from .unnoticed_failures import TOLD, Useless, may_notice_nothing, only_tells, tried_on_useless_answers
from .verdict import SHIPPED, Runner, interpret_run, not_run

_RUNNER = "/checker/tests.py"
_CHECKER = {
    _RUNNER: "inside_tests.py",
    "/checker/background.py": "inside_background.py",
    "/checker/failures.py": "inside_failures.py",
    "/checker/spoiling.py": "inside_spoiling.py",
    "/checker/vacuous_tests.py": "inside_vacuous_tests.py",
}
_SITE = "/checker/site"
_PYTEST_STYLE = re.compile(
    r"^\s*(?:(?:async\s+)?def\s+test_|class\s+(?:Test|\w+\(.*\bTestCase\b))|^Test\w*\s*=\s*\w+\.TestCase\b",
    re.MULTILINE,
)
_NAMED_TEST = re.compile(r"^(?:async\s+)?def\s+test\w*\s*\(", re.MULTILINE)
_CALLS_ITS_TESTS = re.compile(r"^test\w*\s*\(", re.MULTILINE)
_FOREIGN_OPTIONS = re.compile(r"unrecognized arguments|Unknown config option")
_BARE = "the sandbox has Python's standard library and pytest only"
_REMEDY = "`[sandbox] python` in config.toml can name a Python whose packages it should have"


@dataclass(frozen=True)
class InPlace:
    """An answer that consists of files of a project, in a copy of it."""

    copy: Path
    imported: ImportPath | None
    """The import path of the answer's main file, which is also the module `solution`. None: it cannot be imported, and
    the tests import other modules of the project."""
    modules: tuple[str, ...] = ()
    """All modules that the answer wrote; tests in them do not count."""
    linked: tuple[str, ...] = ()
    """Further folders of the project to import from."""
    texts: tuple[tuple[str, str], ...] = ()
    """Each file of the answer, before and after the change."""

    main: str | None = None
    """The path of the main file, relative to the copy. None: it cannot be imported."""
    written: tuple[str, ...] = ()
    """The paths of these files, relative to the copy."""

    @property
    def folders(self) -> tuple[str, ...]:
        return (*(self.imported.folders if self.imported else (".", "src")), *self.linked)

    @property
    def job(self) -> Mapping[str, object]:
        module = self.imported.name if self.imported else None
        return {"module": module, "folders": self.folders, "answers": self.modules, "written": self.written}

    def owes(self, module: str, imported_in: str | None) -> bool:
        """Whether a missing module is the answer's mistake: one that it began to import, or one of the project that
        its unchanged code does without. What that imports is built, as a compiled extension is."""
        top = module.split(".")[0]
        if imported_in is not None and self._leaves_alone(imported_in) and top in PurePath(imported_in).parts:
            return False
        if self.imported is not None and self.imported.name.split(".")[0] == top:
            return True
        if any((self.copy / folder / name).exists() for folder in self.folders for name in (top, f"{top}.py")):
            return True
        return any(_imports(after, module) and not _imports(before, module) for before, after in self.texts)

    def _leaves_alone(self, file: str) -> bool:
        return "test" not in file and file not in self.written


async def run_tests(
    answer: str,
    tests: str,
    sandbox: Sandbox,
    limits: Limits | None = None,
    in_place: InPlace | None = None,
    search: SecretSearch = SHIPPED,
) -> CheckResult:
    """Run tests given as text.

    Tests that pytest would collect run as a pytest module: the answer is the module `solution`, and its public names
    are already imported. Other tests run as a script after the answer, in its namespace. in_place: None if the answer
    is `answer` alone. search: finds secrets in their output.
    """
    kind = "module" if _is_for_pytest(tests) else "script"
    job: Mapping[str, object] = {"kind": kind, "answer": answer, "tests": tests}
    folder, limits = None, limits or Limits()
    if in_place is not None:
        job, folder = {**job, **in_place.job}, in_place.copy
    result = await _run(job, folder, sandbox, limits, search, in_place)
    if result.outcome == "passed" and only_tells(tests):
        return not_run(f"nothing was tested: {TOLD}")
    if result.outcome == "passed" and (in_place is None or in_place.main) and may_notice_nothing(tests):
        main = in_place.main if in_place is not None else None

        async def run_again(useless: Useless) -> CheckResult:
            return await _run({**job, "spoiled": useless, "file": main}, folder, sandbox, limits, search, in_place)

        return await tried_on_useless_answers(result, run_again)
    return result


async def run_project_tests(
    answer: str,
    test_paths: Sequence[str],
    copy: Path,
    sandbox: Sandbox,
    limits: Limits | None = None,
    in_place: InPlace | None = None,
    search: SecretSearch = SHIPPED,
) -> CheckResult:
    """Run test files of a project by pytest in a copy of it, see `project_copy.py`.

    answer: importable as the module `solution`. test_paths: relative to the copy. in_place, search: as in `run_tests`.
    """
    project = {"kind": "project", "answer": answer, "tests": "", "paths": list(test_paths), "options": []}
    job: Mapping[str, object] = project if in_place is None else {**project, **in_place.job}
    limits = limits or Limits()
    result = await _run(job, copy, sandbox, limits, search, in_place)
    if result.outcome == "not_run" and _FOREIGN_OPTIONS.search(result.note or ""):
        # The project's options need plugins that the sandbox lacks.
        job = {**job, "options": ["-o", "addopts="]}
        result = await _run(job, copy, sandbox, limits, search, in_place)
    if result.outcome == "passed" and in_place is not None and in_place.written == (in_place.main,):
        files = {copy / path.split("::")[0] for path in test_paths}
        if await anyio.to_thread.run_sync(_may_notice_nothing, files):
            main = in_place.main

            async def run_again(useless: Useless) -> CheckResult:
                return await _run({**job, "spoiled": useless, "file": main}, copy, sandbox, limits, search, in_place)

            return await tried_on_useless_answers(result, run_again)
    return result


def _may_notice_nothing(files: Iterable[Path]) -> bool:
    try:
        return all(may_notice_nothing(file.read_text(encoding="utf-8")) for file in files)
    except (OSError, ValueError):
        return False


async def _run(
    job: Mapping[str, object],
    folder: Path | None,
    sandbox: Sandbox,
    limits: Limits,
    search: SecretSearch,
    in_place: InPlace | None,
) -> CheckResult:
    nonce = secrets.token_hex(16)
    shown = {inside: Path(__file__).with_name(name) for inside, name in _CHECKER.items()}
    try:
        if job["kind"] != "script" or _imports(str(job["tests"]), "pytest"):
            shown |= await anyio.to_thread.run_sync(_shown_pytest)
        words, stdin = [*sandbox.python, _RUNNER], json.dumps({**job, "nonce": nonce}).encode()
        run = await sandbox.run(Command(words, folder, limits, stdin, shown))
    except (SandboxFailed, ModuleNotFoundError) as failure:
        return not_run(f"the tests were not run: {failure}")
    whose = sandbox.packages
    runner = Runner(
        has=_BARE if whose is None else f"the sandbox has the packages of {whose}",
        is_environments=partial(_is_environments, job, in_place, has_packages=whose is not None),
        lacks=_REMEDY if whose is None else None,
        began_to_ask_for=partial(_began_to_ask_for, job, in_place),
        search=search,
    )
    return await anyio.to_thread.run_sync(interpret_run, run, nonce, runner, sandbox, limits)


def _is_environments(
    job: Mapping[str, object], in_place: InPlace | None, module: str, imported_in: str | None, *, has_packages: bool
) -> bool:
    """Whether a missing module says nothing of the answer, see `Runner`.

    has_packages: whether the sandbox has the packages of the user's environment.
    """
    if has_packages and in_place is not None:
        return not in_place.owes(module, imported_in)
    tests = str(job["tests"])
    if has_packages and not tests:
        return not _imports(str(job["answer"]), module)
    return _imports(tests, module)


def _began_to_ask_for(job: Mapping[str, object], in_place: InPlace | None, variable: str) -> bool:
    texts = in_place.texts if in_place is not None else (("", str(job["answer"])),)
    return any(variable in after and variable not in before for before, after in texts)


def _shown_pytest() -> Mapping[str, Path]:
    """Where the sandbox shows pytest and its dependencies, compiled if possible. Raises ModuleNotFoundError."""
    modules = pytest_modules()
    compile_pytest(modules["pytest"], Path(sys.executable))
    return {f"{_SITE}/{name}": path for name, path in modules.items()}


def _is_for_pytest(tests: str) -> bool:
    """Whether the tests have names that pytest collects (including `def test1()`), and do not call themselves."""
    if _PYTEST_STYLE.search(tests):
        return True
    return _NAMED_TEST.search(tests) is not None and _CALLS_ITS_TESTS.search(tests) is None


def _imports(code: str, module: str) -> bool:
    top = re.escape(module.split(".")[0])
    return re.search(rf"^\s*(?:import|from)\s+(?:[\w., ]*,\s*)?{top}\b", code, re.MULTILINE) is not None
