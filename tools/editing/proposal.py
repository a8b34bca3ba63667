"""Applies an answer to the current texts: the new text of each file, or why it cannot be applied."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ..checking.languages import can_be, guess_language, language_of_file
from .answer import Answer
from .fences import RANK_OF_CODE, rank
from .fragment import describe_gone, describe_loss, placeholder_in
from .matching import closest, find_matches
from .reply_changes import Edit, Part


@dataclass(frozen=True)
class ProposedFiles:
    """The files after an answer. Texts have `\\n` line ends."""

    texts: Mapping[str, str]
    """The new text of changed files by path, as the caller named it; for a new file, relative to the first root."""
    failures: tuple[str, ...]
    """Why parts of the answer cannot be applied, each as a message to the model. If there are any, nothing is applied.
    """
    notes: tuple[str, ...] = ()
    """Parts of the answer that were ignored on purpose, for the receipt."""
    gone: Mapping[str, str] = field(default_factory=dict[str, str])
    """By path of a file given whole, the names that it defined and no new text mentions, in words."""


def propose(answer: Answer, current: Mapping[str, str], target: str | None) -> ProposedFiles:
    """The files after the answer's changes.

    current: the texts of the existing files that the caller named, by path, with `\\n` line ends. target: the file for
    parts and edits without a path. None: such parts are failures.
    """
    draft = _Draft(current, target)
    draft.failures += answer.faults
    named = [part for part in answer.parts if part.path is not None]
    pathless = [part for part in answer.parts if part.path is None]
    for part in named:
        draft.write(part, [other.text for other in named if other is not part])
    for edit in answer.edits:
        draft.edit(edit)
    if pathless:
        draft.write_pathless(pathless, is_alone=not named and not answer.edits)
    if not answer.parts and not answer.edits and not draft.failures:
        draft.failures.append("The answer contains neither a file in a fenced block nor a search/replace block.")
    changed = {path: text for path, text in draft.texts.items() if text != current.get(path)}
    return ProposedFiles(changed if not draft.failures else {}, tuple(draft.failures), tuple(draft.notes), draft.gone)


@dataclass
class _Draft:
    current: Mapping[str, str]
    target: str | None
    texts: dict[str, str] = field(default_factory=dict[str, str])
    whole: set[str] = field(default_factory=set[str])
    """The paths of files that the answer gave whole."""
    failures: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    gone: dict[str, str] = field(default_factory=dict[str, str])

    def write(self, part: Part, elsewhere: Sequence[str] = ()) -> None:
        """Set the text of a whole file. elsewhere: the answer's other texts."""
        path = self._place(part.path or "")
        if path is None:
            return
        before = self.current.get(path)
        text = part.text
        if part.heading and before is not None and before.startswith(part.heading):
            text = part.heading + text
        text = _ended_as(before, text)
        if path in self.whole and self.texts[path] != text:
            self._fail(path, "given twice, with different texts. Give it once, whole.")
        elif (placeholder := placeholder_in(text, before or "")) is not None:
            self._fail(path, f"contains a placeholder for code that is not given: {placeholder}. {_GIVE_ALL}")
        elif (lost := describe_loss(path, before or "", text, elsewhere)) is not None:
            self._fail(path, f"given as a whole file, but it is only a piece: {lost} would be lost. {_GIVE_ALL}")
        else:
            self.texts[path] = text
            self.whole.add(path)
            if (gone := describe_gone(path, before or "", text, elsewhere)) is not None:
                self.gone[path] = gone

    def write_pathless(self, parts: Sequence[Part], *, is_alone: bool) -> None:
        """Write the most likely part without a path to the target, if there is a target and a plausible part."""
        if not is_alone:
            code = [part for part in parts if rank(part.language) >= RANK_OF_CODE]
            if self.target is not None and self._known(self.target) not in self.texts and code:
                self.failures.append(
                    f"One block has no path while others do, and nothing is given for `{self.target}`. Write the path"
                    " before each block."
                )
            elif code:
                self.notes.append(f"left out: {sum(p.text.count(chr(10)) for p in code)} lines of code without a path")
            return
        if self.target is None:
            self.failures.append("The answer does not say which file it is. Write the path before each block.")
            return
        wanted = _language_of(self.target)
        before = self.current.get(self.target)
        possible = [part for part in parts if _can_be(part, wanted) and not (before and _retitles(part, before))]
        if not possible:
            named = ", ".join(dict.fromkeys(p.language or "" for p in parts if not p.is_whole_reply)) or "prose"
            self._fail(
                self.target,
                f"no block is this file: the answer has only {named}, without a path. Give the whole file in one"
                " block, and write its path before it; use a fence of four marks where the file itself has fences.",
            )
            return
        exact = [part for part in possible if part.language == wanted and wanted is not None]
        chosen = exact[0] if exact else max(possible, key=lambda part: (rank(part.language), len(part.text)))
        self.write(Part(self.target, chosen.language, chosen.text, chosen.heading))

    def edit(self, edit: Edit) -> None:
        """Apply an edit to the text left by the preceding edits."""
        path = self._edited_path(edit)
        if path is None:
            return
        text = self.texts.get(path, self.current.get(path))
        if not edit.search:
            if text:
                self._fail(path, "already exists, so an edit needs lines to search. Name lines of the file.")
            else:
                self.texts[path] = edit.replace
            return
        if text is None:
            known = ", ".join(f"`{name}`" for name in self.current) or "none"
            self._fail(path, f"not among the files that can be edited ({known}). Give a new file whole.")
            return
        search, replace = _lines(edit.search), _lines(edit.replace)
        lines = _lines(text)
        matches = find_matches(lines, search, replace)
        if len(matches) == 1:
            at, length = matches[0].first_line, matches[0].length
            lines[at : at + length] = matches[0].replacement
            self.texts[path] = "\n".join(lines) + ("\n" if lines and text.endswith("\n") else "")
        elif matches:
            places = ", ".join(str(match.first_line + 1) for match in matches[:10])
            self._fail(
                path,
                f"{_quoted(search)} occurs in {len(matches)} places (lines {places}). Include more lines around it.",
            )
        else:
            self._fail(path, f"{_quoted(search)} is not in it.{_what_is_there(lines, search, replace)}")

    def _edited_path(self, edit: Edit) -> str | None:
        if edit.path is not None:
            return self._place(edit.path)
        if self.target is not None:
            return self._known(self.target) or self.target
        if len(self.current) == 1:
            return next(iter(self.current))
        self.failures.append("An edit does not say which file it is for. Write the path before each block.")
        return None

    def _place(self, path: str) -> str | None:
        """The file's path as the caller named it, or the path of a new file; None after a failure."""
        known = self._known(path)
        if known is not None:
            return known
        same = self._ending_in(path)
        if len(same) > 1:
            self._fail(path, f"could be any of {', '.join(f'`{name}`' for name in same)}. Write the whole path.")
            return None
        new = same[0] if same else new_path(path)
        if new is None:
            self._fail(path, "not a path below the project. Write a relative path, without `..`.")
        return new

    def _known(self, path: str) -> str | None:
        names = self._names()
        if path in names:
            return path
        wanted = new_path(path)
        return next((name for name in names if wanted is not None and new_path(name) == wanted), None)

    def _ending_in(self, path: str) -> list[str]:
        """The caller's files whose paths end in this path."""
        wanted = new_path(path)
        return [name for name in self._names() if wanted and f"/{name.replace(chr(92), '/')}".endswith(f"/{wanted}")]

    def _names(self) -> list[str]:
        """The files that the caller named."""
        new = [self.target] if self.target is not None and self.target not in self.current else []
        return [*self.current, *new]

    def _fail(self, path: str, why: str) -> None:
        self.failures.append(f"`{_shown(path)}`: {why}")


def _language_of(path: str) -> str | None:
    """The language of a file; `text` for prose files. None: not known from its name."""
    is_text = PurePosixPath(path).suffix.lower() in (".txt", ".rst", ".adoc")
    return "text" if is_text else language_of_file(path)


def _can_be(part: Part, wanted: str | None) -> bool:
    """Whether a part can be a file of a language, by its tag, or by its content if the tag is wrong."""
    return wanted is None or can_be(part.language, wanted) or guess_language(part.text) == wanted


def _retitles(part: Part, before: str) -> bool:
    """Whether a whole-reply part has a different title than the file, and so may only discuss the change."""
    return part.is_whole_reply and part.text.split("\n", 1)[0] != before.lstrip("\n").split("\n", 1)[0]


def new_path(path: str) -> str | None:
    """The normalized relative path, with slashes. None: it leads outside the folder, or is not a path."""
    slashed = path.replace("\\", "/")
    if re.search(r"[\x00-\x1f:*?\"<>|]", slashed) or slashed.startswith(("/", "~")) or len(slashed) > 400:
        return None
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        return None
    return str(PurePosixPath(*parts))


def _what_is_there(lines: Sequence[str], search: Sequence[str], replace: Sequence[str]) -> str:
    """A hint that lets a model fix a search text that was not found."""
    if any(line.strip() for line in replace) and len(done := find_matches(lines, replace, replace)) == 1:
        return f" The replacement is already at line {done[0].first_line + 1}."
    at = closest(lines, search)
    if at is None:
        return " Copy the lines to search exactly from the file."
    shown = lines[at : at + min(len(search), _LINES_SHOWN)]
    return f" Copy the lines exactly. The closest are, from line {at + 1}:\n" + "\n".join(shown)


_LINES_SHOWN = 30
_GIVE_ALL = "Give the whole file, or change it with search/replace blocks."


def _quoted(search: Sequence[str]) -> str:
    """Identifies an edit in a message."""
    first = next((line.strip() for line in search if line.strip()), "a blank line")
    return f"the text to search that begins with `{first if len(first) <= 80 else f'{first[:80]}…'}`"


def _ended_as(before: str | None, text: str) -> str:
    """The text, with or without a final newline as in the old text."""
    return text.removesuffix("\n") if before and not before.endswith("\n") else text


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


def _shown(path: str) -> str:
    return path if len(path) <= 200 else f"{path[:200]}…"
