"""Private tasks out of a git history: each proved by its own commit before anybody is asked it."""

import datetime as dt
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from ...tools.errors import CallerError
from ...tools.guarding.text import visible
from ..suite.proof import FindSandbox, JudgeReply, has_failed, has_passed, judge_of
from ..suite.task import Origin, SuiteTask
from .answers import halves, lines_changed, nothing, whole
from .choosing import LINES_AT_MOST, REASONS, CommitCandidate, Dropped, Reason, choose
from .errors import HistoryUnreadable
from .git import History, open_history
from .intent import kind_of, write_prompt
from .tree import Scene, Texts, scene_of
from .written_tests import written_tests

DEFAULT_COMMITS = 200
DEFAULT_TASKS = 20
SELECTED_AT_MOST = 12
"""Tests of one commit that are tried one by one, when they do not pass together."""


@dataclass(frozen=True)
class Extent:
    """How much of a history is looked at."""

    commits: int = DEFAULT_COMMITS
    """The newest."""
    since_s: float | None = None
    """Seconds since 1970 UTC; older commits are left out. None: only their number counts."""
    tasks: int = DEFAULT_TASKS
    """No more are made: proving them takes time, and asking them costs."""


@dataclass(frozen=True)
class Mined:
    """What came of a history."""

    folder: Path
    head: str
    looked_at: int
    tasks: tuple[SuiteTask, ...]
    """Those of the newest commits first."""
    subjects: Mapping[str, str]
    """Of the tasks' commits, by the task's id."""
    dropped: tuple[Dropped, ...]
    unproved: int
    """Candidates that were left: there were tasks enough."""

    extent: Extent

    @property
    def label(self) -> str:
        """What an evaluation of it is called: the same for the same commits, and no other."""
        name, extent = visible(self.folder.name), self.extent
        since = "" if extent.since_s is None else f" since {dt.datetime.fromtimestamp(extent.since_s, dt.UTC):%Y-%m-%d}"
        return f"{name}@{self.head[:12]}, {extent.commits} commits{since}, {extent.tasks} tasks at most"

    @property
    def reasons(self) -> Mapping[Reason, int]:
        """Why commits are no tasks, and how many each."""
        counts = Counter(dropped.reason for dropped in self.dropped)
        return {reason: counts[reason] for reason in REASONS if counts[reason]}


@dataclass
class MiningProgress:
    """How far mining has come; whoever shows it reads it after each `moved`."""

    candidates: int = 0
    tried: int = 0
    kept: int = 0
    moved: Callable[[], None] = field(default=lambda: None)


async def mine(path: Path, extent: Extent, find: FindSandbox, *, progress: MiningProgress | None = None) -> Mined:
    """The tasks of the repository that a folder belongs to. Nothing of it runs outside of the sandbox.

    Raises HistoryUnreadable.
    """
    progress = progress or MiningProgress()
    async with open_history(path) as history:
        commits = await history.commits(since_s=extent.since_s, at_most=extent.commits)
        if commits and all(commit.is_border for commit in commits):
            raise HistoryUnreadable(
                f"{history.folder} is a shallow clone that holds nothing but its newest commit. Fetch the"
                " others (git fetch --unshallow)."
            )
        deltas = await history.deltas([commit.id for commit in commits if len(commit.parents) == 1])
        found = [choose(commit, deltas.get(commit.id, ())) for commit in commits]
        candidates = [one for one in found if isinstance(one, CommitCandidate)]
        progress.candidates = len(candidates)
        tried = await _try_in_turn(candidates, extent.tasks, Texts(history), find, progress)
        dropped = (*(one for one in found if isinstance(one, Dropped)), *tried.dropped)
        return Mined(
            folder=history.folder,
            head=history.head,
            looked_at=len(commits),
            tasks=tuple(tried.tasks),
            subjects=tried.subjects,
            dropped=dropped,
            unproved=len(commits) - len(dropped) - len(tried.tasks),
            extent=extent,
        )


@dataclass
class _Tried:
    """What came of the candidates so far."""

    tasks: list[SuiteTask] = field(default_factory=list[SuiteTask])
    subjects: dict[str, str] = field(default_factory=dict[str, str])
    """Of the tasks' commits, by the task's id."""
    dropped: list[Dropped] = field(default_factory=list[Dropped])


async def _try_in_turn(
    candidates: Sequence[CommitCandidate], wanted: int, texts: Texts, find: FindSandbox, progress: MiningProgress
) -> _Tried:
    """As many tasks as are wanted, of the first candidates that are any; the rest is not tried."""
    tried = _Tried()
    at_once = os.cpu_count() or 1
    for first in range(0, len(candidates), at_once):
        if len(tried.tasks) >= wanted:
            break
        some = candidates[first : first + at_once]
        for candidate, result in zip(some, await _try_all(some, texts, find, progress), strict=True):
            if isinstance(result, Dropped):
                tried.dropped.append(result)
            elif len(tried.tasks) < wanted:
                tried.tasks.append(result)
                tried.subjects[result.id] = candidate.commit.subject
        progress.kept = len(tried.tasks)
        progress.moved()
    return tried


async def _try_all(
    some: Sequence[CommitCandidate], texts: Texts, find: FindSandbox, progress: MiningProgress
) -> Sequence[SuiteTask | Dropped]:
    results: dict[int, SuiteTask | Dropped] = {}

    async def one(number: int, candidate: CommitCandidate) -> None:
        results[number] = await _task_of(candidate, texts, find)
        progress.tried += 1
        progress.moved()

    async with anyio.create_task_group() as group:
        for number, candidate in enumerate(some):
            group.start_soon(one, number, candidate)
    return [results[number] for number in range(len(some))]


async def _task_of(candidate: CommitCandidate, texts: Texts, find: FindSandbox) -> SuiteTask | Dropped:
    scene = await scene_of(candidate, texts)
    if isinstance(scene, Dropped):
        return scene
    lines = lines_changed(scene.changes)
    if lines > LINES_AT_MOST:
        detail = f"{lines:,} of sources, and at most {LINES_AT_MOST} are taken"
        return Dropped(candidate.commit, "too many lines", detail)
    whole_files = _written(candidate, scene, lines, texts.history)
    result = await _proved(candidate, scene, whole_files, find)
    selected = written_tests(scene.tests_before, scene.tests)
    if isinstance(result, SuiteTask) or result.reason not in _MAY_BE_OTHERS or not selected:
        return result
    narrow = await _proved(candidate, scene, replace(whole_files, tests="\n".join(selected)), find)
    if isinstance(narrow, SuiteTask) or not 1 < len(selected) <= SELECTED_AT_MOST:
        return narrow if isinstance(narrow, SuiteTask) else result
    hold = [test for test in selected if await _holds(replace(whole_files, tests=test), find)]
    if not hold:
        return result
    rest = await _proved(candidate, scene, replace(whole_files, tests="\n".join(hold)), find)
    return rest if isinstance(rest, SuiteTask) else result


async def _holds(task: SuiteTask, find: FindSandbox) -> bool:
    """Whether its reference passes its tests."""
    try:
        async with judge_of(task, find) as judge:
            return has_passed(await judge(task.reference))
    except CallerError:
        return False


_MAY_BE_OTHERS: frozenset[Reason] = frozenset({"its own tests fail", "tests cannot be run"})
"""What tests may do that stood in the commit's files before, and are not about it: they want a network, or time."""


def _written(candidate: CommitCandidate, scene: Scene, lines: int, history: History) -> SuiteTask:
    """The task, not proved yet."""
    commit, changes = candidate.commit, scene.changes
    # The file that is changed most, and one that is there before one that is not.
    target = max(changes, key=lambda change: (change.before is not None, lines_changed([change]))).path
    return SuiteTask(
        id=commit.short_id,
        kind=kind_of(commit.message, files=len(changes), lines=lines),
        language="python",
        complexity=_complexity(lines, len(changes)),
        prompt=write_prompt(commit.message, changes, scene.tests),
        tests="\n".join(scene.tests),
        reference=whole(changes),
        wrong=(nothing(changes, target), ""),
        slips=("changes nothing", "is empty"),
        files=scene.files,
        shown=tuple(change.path for change in changes if change.before is not None),
        target=target,
        origin=Origin(history.homes, (*(c.path for c in changes), *scene.tests)),
    )


async def _proved(candidate: CommitCandidate, scene: Scene, task: SuiteTask, find: FindSandbox) -> SuiteTask | Dropped:
    """The task with all wrong answers that are known to fail, or why its check is none."""
    try:
        async with judge_of(task, find) as judge:
            return why if (why := await _why_no_check(candidate, task, judge)) else await _armed(scene, task, judge)
    except CallerError as error:
        return Dropped(candidate.commit, "may not be written", str(error))


async def _why_no_check(candidate: CommitCandidate, task: SuiteTask, judge: JudgeReply) -> Dropped | None:
    """Why its tests do not tell the project after the commit from the one before. None: they do."""
    commit = candidate.commit
    right = await judge(task.reference)
    if not has_passed(right):
        notes = "; ".join(check.note for check in right if check.note)
        missing = next((check.missing_module for check in right if check.missing_module), None)
        if missing is not None or "is missing" in notes:
            return Dropped(commit, "needs a package", missing or notes)
        failure = next((check.first_failure or "" for check in right if check.outcome == "failed"), None)
        if failure is None:
            return Dropped(commit, "tests cannot be run", notes)
        return Dropped(commit, "its own tests fail", failure)
    before = await judge(task.wrong[0])
    if not any(check.executed and check.outcome == "failed" for check in before):
        return Dropped(commit, "its tests pass before it")
    return None


async def _armed(scene: Scene, task: SuiteTask, judge: JudgeReply) -> SuiteTask:
    """The task, also with those parts of its commit that are not enough."""
    wrong = {task.slips[0]: task.wrong[0]}
    for half in halves(scene.changes):
        if has_failed(await judge(half.reply)):
            wrong[half.slip] = half.reply
    if len(wrong) == 1:
        wrong[task.slips[1]] = task.wrong[1]
    return replace(task, wrong=tuple(wrong.values()), slips=tuple(wrong))


def _complexity(lines: int, files: int) -> float:
    """A guess by size, 1 to 10: what a commit took to think of, it does not say."""
    return min(10.0, round(1.5 + lines / 40 + (files - 1), 1))
