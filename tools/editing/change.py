"""Plans the change of an answer: the files to write, and the ones that must not be written."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread

from ..checking.languages import is_file_of_tests
from ..errors import CallerError
from ..guarding.secrets import holds_placeholder
from ..guarding.text import hidden_in, visible
from .answer import Answer
from .file_form import NotWritable, in_form_of
from .line_diff import LineCount, count_lines, diff_of_empty_file, unified_diff
from .proposal import propose
from .workspace import Place, Source, Workspace


@dataclass(frozen=True)
class FileWrite:
    """One file to write."""

    path: str
    """As the caller named it."""
    place: Place
    before: bytes | None
    """None: a new file."""
    after: bytes
    text_before: str
    text_after: str
    """Both with \\n line ends."""

    @property
    def root(self) -> Path:
        return self.place[0]

    @property
    def relative(self) -> Path:
        return self.place[1]

    @property
    def lines(self) -> LineCount:
        return count_lines(self.text_before, self.text_after)


@dataclass(frozen=True)
class Change:
    files: tuple[FileWrite, ...] = ()
    """Empty without failures: the files already contain the change."""
    failures: tuple[str, ...] = ()
    """Why the answer cannot be applied, as messages to its model; if there are any, `files` is empty."""
    notes: tuple[str, ...] = ()
    """Sentences for the caller: parts of the answer that are not written, with reasons, and names that a file loses."""

    def as_text(self) -> str:
        """The change as text: the content of a single new file, else a diff for `git apply`.

        New files that are empty come last, since git would take the header of a file after them for theirs.
        """
        if len(self.files) == 1 and self.files[0].before is None:
            return self.files[0].text_after
        diffs = [
            unified_diff(
                file.text_before,
                file.text_after,
                "/dev/null" if file.before is None else f"a/{file.relative.as_posix()}",
                f"b/{file.relative.as_posix()}",
            )
            for file in self.files
        ]
        empty = [file.relative.as_posix() for file in self.files if file.before is None and not file.text_after]
        return "".join([*diffs, *map(diff_of_empty_file, empty)])

    def below(self, root: Path) -> Mapping[Path, bytes]:
        """The new contents of the files below a root, by path relative to it."""
        places = ((file.root / file.relative, file.after) for file in self.files)
        return {place.relative_to(root): after for place, after in places if place.is_relative_to(root)}


@dataclass(frozen=True)
class PlannedChanges:
    """The changes of a task's answers, each planned once, so that the checked change is the one written."""

    workspace: Workspace
    _planned: dict[Answer, Change] = field(default_factory=dict[Answer, Change])

    async def by(self, answer: Answer) -> Change:
        if answer not in self._planned:
            self._planned[answer] = await anyio.to_thread.run_sync(plan_change, self.workspace, answer)
        return self._planned[answer]


def plan_change(workspace: Workspace, answer: Answer) -> Change:
    """Plan the answer's change. Reads the workspace's folders and writes nothing."""
    if not answer.is_whole:
        return Change(failures=("A code block was never closed, so its end is missing. Answer again in full.",))
    proposal = propose(answer, workspace.current, workspace.target)
    if proposal.failures:
        return Change(failures=proposal.failures)
    files: list[FileWrite] = []
    failures: list[str] = []
    left_out = list(proposal.notes)
    losses: list[str] = []
    for path, text in proposal.texts.items():
        source, why_not = _source(workspace, path)
        if source is None or why_not is not None:
            left_out.append(f"Not written: {visible(path)[:200]} {why_not}.")
            continue
        if source.content is not None and source.content.text.strip() and not text.strip():
            failures.append(f"{source.path}: nothing of it would be left. Answer with its whole new text.")
            continue
        if (unseen := _unseen_lost(source, text)) is not None:
            failures.append(f"{source.path}: {unseen}")
            continue
        try:
            after = in_form_of(text, source.content)
        except NotWritable as error:
            failures.append(f"{source.path}: {error}. Avoid it.")
            continue
        if after != source.data:
            files.append(_change(source, text, after))
            if source.data is not None and path != workspace.target and is_file_of_tests(path):
                losses.append(f"{source.path}: its tests were changed too; see that they still ask for as much.")
            if path in proposal.gone:
                losses.append(f"{source.path}: its new text no longer mentions {proposal.gone[path]}.")
    if failures:
        return Change(failures=tuple(failures))
    if left_out and not files:
        wanted = (
            f"Answer with the new text of {workspace.target}."
            if workspace.target
            else "Change only files that were given."
        )
        return Change(failures=tuple(f"{entry} {wanted}" for entry in left_out))
    return Change(tuple(files), notes=(*left_out, *losses))


def _unseen_lost(source: Source, text: str) -> str | None:
    """Invisible characters or secrets, never shown to the model, that the new text would destroy. None: none."""
    before = "" if source.content is None else source.content.text
    was, left = hidden_in(before), hidden_in(text)
    if was is not None and (left is None or left.count < was.count):
        return f"line {was.line} holds invisible characters that would be lost. {_LEAVE_ALONE}"
    if holds_placeholder(text) and not holds_placeholder(before):
        return f"a placeholder would be written where a secret was. {_LEAVE_ALONE}"
    return None


_LEAVE_ALONE = "Change the file by search/replace blocks that leave that line alone."


def _source(workspace: Workspace, path: str) -> tuple[Source | None, str | None]:
    """The file for a proposed path, and why it must not be written; None: it may be."""
    source = workspace.sources.get(path)
    if source is None:
        try:
            place = workspace.roots.locate(path, "answer")
        except CallerError:
            return None, "is outside the folders that may be written"
        source = workspace.source_at(place) or Source(path, place, None, None, _why_not_new(workspace, place))
    if source.place in workspace.test_files:
        return source, "is used to check the answer"
    return source, source.why_not


def _why_not_new(workspace: Workspace, place: Place) -> str | None:
    root, relative = place
    if os.path.lexists(root / relative):
        return "already exists and was not named in `target` or `context_files`"
    if not workspace.is_beside(place):
        return "is not in the folder of a file that was named"
    return workspace.protection.why_not(relative, is_named=False)


def _change(source: Source, text: str, after: bytes) -> FileWrite:
    if source.content is None:
        return FileWrite(source.path, source.place, source.data, after, "", text)
    return FileWrite(
        source.path, source.place, source.data, after, source.content.text, source.content.read_again(after)
    )
