"""Prepares a task of a suite to be asked: reads its tests and unpacks its project into a temporary folder."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import anyio
import anyio.to_thread

from ..profiles.model import ModelProfile
from ..tools.cascade.attempt import wanted_tokens
from ..tools.checking.scratch import scratch_folder
from ..tools.checking.tests_given import TestsGiven, tests_given
from ..tools.editing.change import PlannedChanges
from ..tools.editing.context import ContextFile, read_context
from ..tools.editing.prompt import Changing, Prompt, draft_prompt
from ..tools.editing.protected import Protection
from ..tools.editing.workspace import Place, snapshot_workspace
from ..tools.guarding.budget import allow
from ..tools.guarding.examining import examine_call
from ..tools.guarding.privacy import Examination, Passage, examine
from ..tools.guarding.roots import Roots
from ..tools.routing.deciding import Job, analyze
from ..tools.routing.thinking import decide_thinking
from ..tools.services import Services
from .suite.proof import unpack
from .suite.task import TASK_TYPE_OF, Origin, SuiteTask


@dataclass(frozen=True)
class Staged:
    """An item with everything that a delegation of it needs; valid while its folder exists."""

    item: SuiteTask
    services: Services
    """A copy whose only root is the item's folder, so that the user's files are out of reach."""
    job: Job
    tests: TestsGiven
    changes: PlannedChanges | None
    examined: Examination
    """The verdict of the user's privacy rules on the item's texts."""

    @property
    def prompt(self) -> Prompt:
        """The complete prompt, without the tests, as for a model whose context window holds all of it."""
        changing = None if self.changes is None else Changing(self.changes.workspace.target)
        return draft_prompt(self.job.task, self.job.files, None, None, prose=False, changing=changing)

    def worst_case_usd(self, profile: ModelProfile) -> float:
        """The highest possible cost of one request to the model; 0 for a free model."""
        if profile.price is None:
            return 0.0
        tokens = self.wanted_tokens(profile)
        allowance = allow(
            profile,
            prompt_tokens_at_most=self.prompt.tokens_at_most,
            wanted_tokens=tokens,
            min_tokens=tokens,
            left_usd=None,
        )
        if allowance is None:
            raise RuntimeError("a request without a limit was refused for its cost")
        return allowance.worst_case_usd

    def wanted_tokens(self, profile: ModelProfile) -> int:
        """The limit on the answer's output tokens, thinking included."""
        complexity = self.job.complexity.score
        tokens = wanted_tokens(profile, complexity, decide_thinking(profile, complexity))
        return min(tokens, profile.max_output_tokens or tokens)


@asynccontextmanager
async def staged(services: Services, item: SuiteTask) -> AsyncGenerator[Staged]:
    """Prepare an item; its temporary folder is deleted at the end of the block.

    Raises a CallerError when its tests cannot be read.
    """
    async with scratch_folder("item") as folder:
        await anyio.to_thread.run_sync(unpack, item, folder)
        roots = Roots((folder,) if item.files else (), off_limits=services.roots.off_limits)
        users_roots, services = services.roots, replace(services, roots=roots)
        tests = await tests_given(item.tests, roots)
        test_files = frozenset[Place]()
        if tests.root is not None:
            test_files = frozenset((tests.root, Path(file.partition("::")[0])) for file in tests.files)
        files = await read_context(_shown(item, tests), roots)
        changes = None
        if item.target is not None:
            changes = PlannedChanges(await snapshot_workspace(item.target, files, roots, Protection(), test_files))
        job = analyze(item.prompt, TASK_TYPE_OF[item.kind], files, target=item.target)
        if item.origin is None:
            examined = await examine_call(services, {"task": item.prompt}, files, tests)
        else:
            examined = await _examine_mined(item.origin, item.prompt, files, services, users_roots)
        yield Staged(item, services, job, tests, changes, examined)


async def _examine_mined(
    origin: Origin, prompt: str, files: Sequence[ContextFile], services: Services, users_roots: Roots
) -> Examination:
    """Apply the user's privacy rules to a mined task as if its files came from its original project."""
    home, *_ = origin.project_folders
    passages = [Passage("task", prompt), *(Passage(file.path, file.text, home / file.path) for file in files)]
    revealed = dict.fromkeys([*origin.touched, *(file.path for file in files)])
    places = [place / path for place in origin.project_folders for path in revealed]
    return await examine(services.rules.privacy, passages, (*origin.project_folders, *users_roots.folders), places)


def _shown(item: SuiteTask, tests: TestsGiven) -> tuple[str, ...]:
    """The files that the model sees, without its test files."""
    hidden = {PurePosixPath(file.partition("::")[0]) for file in tests.files}
    named = item.files if item.shown is None else item.shown
    return tuple(path for path in named if PurePosixPath(path) not in hidden)
