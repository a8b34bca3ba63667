"""Mines private tasks from a git history; each is proved with its own commit before any model is asked."""

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
from .answers import lines_changed, partial_answers, reference_answer, unchanged_answer
from .choosing import LINES_AT_MOST, REASONS, CommitCandidate, Dropped, Reason, choose
from .errors import HistoryUnreadable
from .git import History, open_history
from .intent import kind_of, write_prompt
from .tree import CandidateContent, TextCache, read_candidate
from .written_tests import written_tests

DEFAULT_COMMITS = 200
DEFAULT_TASKS = 20
SELECTED_AT_MOST = 12
"""Limit on the tests of one commit that are tried one by one when they do not pass together."""


@dataclass(frozen=True)
class Extent:
    """How much of a history to examine."""

    commits: int = DEFAULT_COMMITS
    """Number of newest commits."""
    since_s: float | None = None
    """Seconds since 1970 UTC; older commits are left out. None: no limit by age."""
    tasks: int = DEFAULT_TASKS
    """Limit on tasks, as proving them takes time and asking them costs money."""


@dataclass(frozen=True)
class Mined:
    """The result of mining a history."""

    folder: Path
    head: str
    looked_at: int
    tasks: tuple[SuiteTask, ...]
    """Newest commit first."""
    subjects: Mapping[str, str]
    """Commit subjects by task id."""
    dropped: tuple[Dropped, ...]
    unproved: int
    """Number of candidates not kept, because there were enough tasks."""

    extent: Extent

    @property
    def label(self) -> str:
        """The name of its evaluations: the same commits and extent always give the same one."""
        name, extent = visible(self.folder.name), self.extent
        since = "" if extent.since_s is None else f" since {dt.datetime.fromtimestamp(extent.since_s, dt.UTC):%Y-%m-%d}"
        return f"{name}@{self.head[:12]}, {extent.commits} commits{since}, {extent.tasks} tasks at most"

    @property
    def reasons(self) -> Mapping[Reason, int]:
        """The number of dropped commits by reason, in the order of the checks."""
        counts = Counter(dropped.reason for dropped in self.dropped)
        return {reason: counts[reason] for reason in REASONS if counts[reason]}


@dataclass
class MiningProgress:
    """The progress of mining; `on_change` is called after each change."""

    candidates: int = 0
    tried: int = 0
    kept: int = 0
    on_change: Callable[[], None] = field(default=lambda: None)


async def mine(path: Path, extent: Extent, find: FindSandbox, *, progress: MiningProgress | None = None) -> Mined:
    """Mine the repository that contains a folder. None of its code runs outside the sandbox.

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
        tried = await _try_in_turn(candidates, extent.tasks, TextCache(history), find, progress)
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
class _Results:
    """Results of the candidates tried so far."""

    tasks: list[SuiteTask] = field(default_factory=list[SuiteTask])
    subjects: dict[str, str] = field(default_factory=dict[str, str])
    """Commit subjects by task id."""
    dropped: list[Dropped] = field(default_factory=list[Dropped])


async def _try_in_turn(
    candidates: Sequence[CommitCandidate], wanted: int, texts: TextCache, find: FindSandbox, progress: MiningProgress
) -> _Results:
    """Try candidates in order, as many at once as there are processors, until there are enough tasks."""
    tried = _Results()
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
        progress.on_change()
    return tried


async def _try_all(
    some: Sequence[CommitCandidate], texts: TextCache, find: FindSandbox, progress: MiningProgress
) -> Sequence[SuiteTask | Dropped]:
    results: dict[int, SuiteTask | Dropped] = {}

    async def one(number: int, candidate: CommitCandidate) -> None:
        results[number] = await _task_of(candidate, texts, find)
        progress.tried += 1
        progress.on_change()

    async with anyio.create_task_group() as group:
        for number, candidate in enumerate(some):
            group.start_soon(one, number, candidate)
    return [results[number] for number in range(len(some))]


async def _task_of(candidate: CommitCandidate, texts: TextCache, find: FindSandbox) -> SuiteTask | Dropped:
    content = await read_candidate(candidate, texts)
    if isinstance(content, Dropped):
        return content
    lines = lines_changed(content.changes)
    if lines > LINES_AT_MOST:
        detail = f"{lines:,} of sources, and at most {LINES_AT_MOST} are taken"
        return Dropped(candidate.commit, "too many lines", detail)
    whole_files = _unproved_task(candidate, content, lines, texts.history)
    result = await _proved(candidate, content, whole_files, find)
    selected = written_tests(content.tests_before, content.tests)
    if isinstance(result, SuiteTask) or result.reason not in _POSSIBLY_UNRELATED or not selected:
        return result
    narrow = await _proved(candidate, content, replace(whole_files, tests="\n".join(selected)), find)
    if isinstance(narrow, SuiteTask) or not 1 < len(selected) <= SELECTED_AT_MOST:
        return narrow if isinstance(narrow, SuiteTask) else result
    passing = [test for test in selected if await _passes_its_tests(replace(whole_files, tests=test), find)]
    if not passing:
        return result
    rest = await _proved(candidate, content, replace(whole_files, tests="\n".join(passing)), find)
    return rest if isinstance(rest, SuiteTask) else result


async def _passes_its_tests(task: SuiteTask, find: FindSandbox) -> bool:
    """Whether the task's reference passes its tests."""
    try:
        async with judge_of(task, find) as judge:
            return has_passed(await judge(task.reference))
    except CallerError:
        return False


_POSSIBLY_UNRELATED: frozenset[Reason] = frozenset({"its own tests fail", "tests cannot be run"})
"""Failures that older tests in the same files may cause, for instance by needing a network or too much time."""


def _unproved_task(candidate: CommitCandidate, content: CandidateContent, lines: int, history: History) -> SuiteTask:
    """The task, not yet proved."""
    commit, changes = candidate.commit, content.changes
    # The existing file with the largest change; a new file only if all are new.
    target = max(changes, key=lambda change: (change.before is not None, lines_changed([change]))).path
    return SuiteTask(
        id=commit.short_id,
        kind=kind_of(commit.message, files=len(changes), lines=lines),
        language="python",
        complexity=_complexity(lines, len(changes)),
        prompt=write_prompt(commit.message, changes, content.tests),
        tests="\n".join(content.tests),
        reference=reference_answer(changes),
        wrong=(unchanged_answer(changes, target), ""),
        slips=("changes nothing", "is empty"),
        files=content.files,
        shown=tuple(change.path for change in changes if change.before is not None),
        target=target,
        origin=Origin(history.project_folders, (*(c.path for c in changes), *content.tests)),
    )


async def _proved(
    candidate: CommitCandidate, content: CandidateContent, task: SuiteTask, find: FindSandbox
) -> SuiteTask | Dropped:
    """The task with all wrong answers that are known to fail, or the reason that its check is unusable."""
    try:
        async with judge_of(task, find) as judge:
            return (
                why
                if (why := await _why_no_check(candidate, task, judge))
                else await _with_wrong_answers(content, task, judge)
            )
    except CallerError as error:
        return Dropped(candidate.commit, "may not be written", str(error))


async def _why_no_check(candidate: CommitCandidate, task: SuiteTask, judge: JudgeReply) -> Dropped | None:
    """Why the tests do not distinguish the project after the commit from the one before. None: they do."""
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


async def _with_wrong_answers(content: CandidateContent, task: SuiteTask, judge: JudgeReply) -> SuiteTask:
    """The task, with those partial answers that fail as further wrong answers."""
    wrong = {task.slips[0]: task.wrong[0]}
    for partial in partial_answers(content.changes):
        if has_failed(await judge(partial.reply)):
            wrong[partial.slip] = partial.reply
    if len(wrong) == 1:
        wrong[task.slips[1]] = task.wrong[1]
    return replace(task, wrong=tuple(wrong.values()), slips=tuple(wrong))


def _complexity(lines: int, files: int) -> float:
    """An estimate from the size of the change, 1 to 10; the effort of thinking is unknown."""
    return min(10.0, round(1.5 + lines / 40 + (files - 1), 1))
