"""Examines the input of a call before it is processed, to decide whether its task may leave the machine."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from ..checking.tests_given import TestsGiven
from ..editing.context import ContextFile
from ..services import Services
from .privacy import Examination, Passage, examine


async def examine_call(
    services: Services,
    texts: Mapping[str, str | None],
    files: Sequence[ContextFile],
    tests: TestsGiven | None = None,
    *,
    named: Sequence[str] = (),
) -> Examination:
    """Examine the texts, files and tests of a call.

    texts: by argument name. named: paths that are checked by location only, such as that of a new file.
    """
    passages = [Passage(name, text) for name, text in texts.items() if text]
    passages += [Passage(file.path, file.text, _place(services, file.path)) for file in files]
    if tests is not None and tests.code is not None:
        passages.append(Passage("tests", tests.code))
    places = [*_tested(tests), *(_place(services, path) for path in named)]
    return await examine(services.rules.privacy, passages, services.roots.folders, places)


async def why_output_stays(services: Services, tests: TestsGiven | None, *, in_project: bool) -> str | None:
    """Why the output of a task's checks must stay on the machine. None: it may leave.

    in_project: whether any other check runs in a copy of the first root. Model-written code can read the
    project's files there and print them in any encoding.
    """
    local_paths, roots = services.rules.privacy.local_paths, services.roots.folders
    project = tests.root if tests is not None else None
    if project is None and in_project:
        project = next(iter(roots), None)
    if project is None or not local_paths.patterns:
        return None

    def first() -> str | None:
        from ..checking.project_copy import copied_files  # deferred, so that the server starts faster

        for file, why in local_paths.local_files(copied_files(project), roots):
            return (
                f"its checks run beside {file.relative_to(project)}, which is under [privacy] local_only"
                f" ({why.pattern}), and their output could contain it"
            )
        return None

    return await anyio.to_thread.run_sync(first)


def _place(services: Services, path: str) -> Path:
    root, relative = services.roots.locate(path, "context_files")
    return root / relative


def _tested(tests: TestsGiven | None) -> Iterator[Path]:
    """The test files, which the output of a failing test quotes."""
    if tests is not None and tests.root is not None:
        yield from (tests.root / file.partition("::")[0] for file in tests.files)
