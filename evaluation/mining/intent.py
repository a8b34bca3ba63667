"""Turns a commit into a prompt: its message, and the names and texts that its tests rely on, without the solution.

A message alone does not say what a new function is called. So the prompt lists what the tests use of the new code and
a model cannot guess: names, call forms, and texts that must match exactly. It contains no line of the change itself.
"""

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..suite.task import Kind

NAMES_AT_MOST = 24
TEXTS_AT_MOST = 16
FORMS_AT_MOST = 3
_TEXT_CHARACTERS_AT_MOST = 200
_LEAST_TEXT_CHARACTERS = 3

_TRAILER = re.compile(
    r"[A-Za-z]+(?:-[A-Za-z]+)+: \S.*|(?i:cc|fixes|closes|resolves|refs?|see|issue|link|bug|pr)(?:: ?| #)\S.*"
    r"|\(cherry picked from commit [0-9a-f]+\)|git-svn-id: .*"
)
"""`Signed-off-by: …`, `Fixes: #12` and the like."""
_NO_INTENT = re.compile(r"(?i)(?:\[?wip\b|fixup!|squash!|amend!|checkpoint\b|tmp\b|temp\b)")
_NO_INTENT_ALONE = re.compile(r"(?i)(?:bump|release|version|v?\d+\.\d)")
_REVERT = re.compile(r"(?i)revert(?:s|ed)?\b|.*^This reverts commit ", re.MULTILINE | re.DOTALL)
_IS_REPAIR = re.compile(r"(?i)\b(?:fix(?:e[sd])?|bug|repair|mend|correct|crash|regression)\b")
_IS_REFACTORING = re.compile(r"(?i)\b(?:refactor|rename|simplify|clean ?up|move|extract|split)\b")
_FEW_LINES = 20
_LEAST_WORDS = 3
_LEAST_CHARACTERS = 6
"""Of a subject in a script without spaces between words."""


@dataclass(frozen=True)
class SourceChange:
    """One source file before and after a commit."""

    path: str
    before: str | None
    """None: the file is new."""
    after: str


def message_of(raw: str) -> str:
    """A commit's message without its trailers."""
    paragraphs = re.split(r"\n\s*\n", raw.replace("\r\n", "\n").strip())
    while len(paragraphs) > 1 and all(_TRAILER.fullmatch(line.strip()) for line in paragraphs[-1].splitlines()):
        paragraphs.pop()
    return "\n\n".join(paragraphs)


def is_revert(raw: str) -> bool:
    """Whether a commit reverts another one, by its message."""
    return _REVERT.match(raw.strip()) is not None


def tells_intent(raw: str) -> bool:
    """Whether a commit's message states an intent, judged by its form."""
    subject, _, body = message_of(raw).partition("\n")
    if _NO_INTENT.match(subject.strip()):
        return False
    if body.strip():
        return True
    says_enough = len(subject.split()) >= _LEAST_WORDS or (not subject.isascii() and len(subject) >= _LEAST_CHARACTERS)
    return says_enough and _NO_INTENT_ALONE.match(subject.strip()) is None


def kind_of(message: str, *, files: int, lines: int) -> Kind:
    """The commit's kind of task, by its message and size. files, lines: of changed sources."""
    subject = message.strip().partition("\n")[0]
    if _IS_REPAIR.search(subject):
        return "repair"
    if _IS_REFACTORING.search(subject):
        return "refactoring"
    if files > 1:
        return "multi_file_change"
    return "simple_generation" if lines <= _FEW_LINES else "complex_generation"


def write_prompt(message: str, changes: Sequence[SourceChange], tests: Mapping[str, str]) -> str:
    """The prompt for a model. tests: the text of each test file as the commit left it, by path."""
    parts = [f"Make this change to the project:\n\n{message_of(message)}", _files(changes)]
    trees = [tree for text in tests.values() if (tree := parsed(text)) is not None]
    names = list(_names(changes, trees))
    if names:
        parts.append("Its tests use what is not there yet under these names:\n" + "\n".join(names[:NAMES_AT_MOST]))
    texts = list(_texts(changes, trees))
    if texts:
        shown = "\n".join(f"- {text!r}" for text in texts[:TEXTS_AT_MOST])
        parts.append(f"They rely on these texts, to the letter:\n{shown}")
    return "\n\n".join(parts)


def _files(changes: Sequence[SourceChange]) -> str:
    old = [f"`{change.path}`" for change in changes if change.before is not None]
    new = [f"`{change.path}`" for change in changes if change.before is None]
    sentences = [f"Change {_listed(old)}." if old else "", f"Add {_listed(new)}." if new else ""]
    return " ".join(filter(None, (*sentences, "The tests are there already.")))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _names(changes: Sequence[SourceChange], trees: Sequence[ast.Module]) -> Iterator[str]:
    """One line per file that newly defines names used by the tests."""
    used = dict.fromkeys(name for tree in trees for name in _used(tree))
    for change in changes:
        after = parsed(change.after)
        if after is None:
            continue
        before = parsed(change.before or "")
        known = set(_defined(before)) if before is not None else set[str]()
        new = set(_defined(after)) - known
        wanted = [name for name in used if name in new]
        if wanted:
            forms = [form for name in wanted for form in _forms(name, trees)]
            yield f"- in `{change.path}`: {', '.join(f'`{form}`' for form in forms)}"


def _used(tree: ast.AST) -> Iterator[str]:
    """All names that a piece of code refers to, in no particular order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg is not None:
            yield node.arg
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def _defined(tree: ast.AST) -> Iterator[str]:
    """All names that a module defines: functions, classes, arguments, fields and module variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
            is_scope = isinstance(node, ast.ClassDef)
            yield from _assigned(node.body) if is_scope else ()
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Module):
            yield from _assigned(node.body)


def _assigned(body: Sequence[ast.stmt]) -> Iterator[str]:
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        if isinstance(statement, ast.AnnAssign):
            targets = (statement.target,)
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _forms(name: str, trees: Sequence[ast.Module]) -> list[str]:
    """The forms in which the tests call a name, showing arguments as `…`; the bare name if it is never called."""
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    forms = dict.fromkeys(_form(name, call) for call in calls if _called(call) == name)
    return list(forms)[:FORMS_AT_MOST] or [name]


def _called(call: ast.Call) -> str | None:
    function = call.func
    return (
        function.id
        if isinstance(function, ast.Name)
        else function.attr
        if isinstance(function, ast.Attribute)
        else None
    )


def _form(name: str, call: ast.Call) -> str:
    given = ["*…" if isinstance(argument, ast.Starred) else "…" for argument in call.args]
    given += [f"{keyword.arg}=…" if keyword.arg else "**…" for keyword in call.keywords]
    return f"{name}({', '.join(given)})"


def _texts(changes: Sequence[SourceChange], trees: Sequence[ast.Module]) -> Iterator[str]:
    """Strings that the tests and the changed sources contain, and no changed source contained before."""
    contained_before = "\0".join(change.before or "" for change in changes)
    said = dict.fromkeys(text for tree in trees for text in _constants(tree))
    written = [
        text
        for change in changes
        if (tree := parsed(change.after)) is not None
        for text in _constants(tree, documentation=False)
    ]
    for text in said:
        is_short = len(text) < _LEAST_TEXT_CHARACTERS or len(text) > _TEXT_CHARACTERS_AT_MOST
        if not is_short and text not in contained_before and any(text in other for other in written):
            yield text


def _constants(tree: ast.AST, *, documentation: bool = True) -> Iterator[str]:
    """The string constants in a piece of code, including the literal parts of f-strings."""
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if not documentation and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node.value.strip()


def parsed(text: str) -> ast.Module | None:
    """The syntax tree. None: this Python version cannot parse it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in mined code are not worth a warning
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
