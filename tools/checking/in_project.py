"""Runs tests of an answer that is a file of a project, in a copy of that project."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread

from .executor import Executor
from .import_path import import_path, path_beside
from .languages import runtime_of
from .result import CheckResult
from .tests_given import TestsGiven

if TYPE_CHECKING:
    from .sandbox import Sandbox


async def run_in_project(
    tests: TestsGiven,
    main: tuple[Path, Path],
    text: str,
    language: str | None,
    written: Mapping[Path, bytes],
    executor: Executor,
    sandbox: "Sandbox",
    texts: Sequence[tuple[str, str]],
) -> CheckResult:
    """The result of the tests for a file at its place in the project, importable by its path.

    main: the root of the file, and its path relative to it. text, language: those of the file. written: the new
    contents of the answer's files, by path relative to the tests' root, or to the file's root if the tests are text.
    texts: of each of the answer's files, before and after the change.
    Raises FileRefused if the project cannot be copied.
    """
    from .interpreter import linked_folders
    from .lacking import excused
    from .project_copy import copied_project
    from .running import InPlace, run_project_tests, run_tests
    from .running_node import InProject

    root = tests.root or main[0]
    async with copied_project(root, written) as copy:
        names = [path.name for path in (import_path(relative, copy) for relative in written) if path is not None]
        imported = import_path(main[1], copy) if main[0] == root else None
        linked = () if sandbox.packages is None else linked_folders(Path(sandbox.packages), root)
        beside = filter(None, (path_beside(relative, copy) for relative in written))
        changed = tuple(path.folders[0] for path in beside)
        paths = tuple(path.as_posix() for path in written)
        main_path = main[1].as_posix() if imported else None
        in_place = InPlace(copy, imported, tuple(names), (*changed, *linked), tuple(texts), main_path, paths)
        if tests.code is None:
            answer = text if runtime_of(language) == "python" else ""
            result = await run_project_tests(
                answer, tests.files, copy, sandbox, executor.limits, in_place, executor.search
            )
        elif runtime_of(language) not in tests.languages:
            result = await executor.tests_of_a_file(tests.code, tests.likely_language, copy, sandbox)
        elif runtime_of(language) == "javascript":
            result = await executor.node_tests(text, tests.code, sandbox, InProject(copy, main[1]))
        else:
            result = await run_tests(text, tests.code, sandbox, executor.limits, in_place, executor.search)
        return await anyio.to_thread.run_sync(excused, result, root, copy)


def why_unseen(file: Path, root: Path) -> str:
    """Why what runs in a copy of a root says nothing of a file outside it, with the remedy."""
    return (
        f"{file} is not below {root}, a copy of which they would run in. Let one of CHARGEHAND_ROOTS hold both, and"
        " name paths from it"
    )
