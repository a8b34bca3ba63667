"""Parses a task's text for the scorer: separates the user's own words from pasted lines and from names."""

import re
from dataclasses import dataclass
from functools import cached_property

# Tasks may have 200,000 characters; the user's own words are at the beginning or at the end.
_HEAD_CHARACTERS, _TAIL_CHARACTERS = 10_000, 4_000


@dataclass(frozen=True)
class Reading:
    """A parsed task, in the form in which cues are looked up."""

    words: tuple[str, ...]
    """The user's own words in order, lower case, without code, file names and identifiers."""
    names: frozenset[str]
    """Files, paths and identifiers that are mentioned."""
    list_items: int
    pasted_lines: int
    """Lines of code, logs, stack traces, and examples of input and output."""
    own_text: str
    """The lines that were not pasted, without indentation and trailing spaces."""

    @cached_property
    def flow(self) -> str:
        """The words with single spaces between and around them, for phrase searches."""
        return f" {' '.join(self.words)} "

    @cached_property
    def distinct_words(self) -> frozenset[str]:
        return frozenset(self.words)

    @cached_property
    def length(self) -> int:
        """Number of words, plus one per two characters of scripts without spaces between words."""
        return len(self.words) + (0 if self.flow.isascii() else len(_UNSPACED.findall(self.flow)) // 2)


def read_task(task: str) -> Reading:
    """Parse a task, in linear time."""
    text = task
    if len(task) > _HEAD_CHARACTERS + _TAIL_CHARACTERS:
        text = f"{task[:_HEAD_CHARACTERS]}\n{task[-_TAIL_CHARACTERS:]}"
    own: list[str] = []
    list_items = pasted_lines = 0
    is_fenced = False
    for line in text.splitlines():
        content = line.strip()
        if content.startswith(("```", "~~~")):
            is_fenced = not is_fenced
        elif is_fenced or _is_pasted(content, is_indented=line[:1].isspace()):
            pasted_lines += bool(content)
        else:
            list_items += _LIST_ITEM.match(content) is not None
            own.append(content)
    own_text = "\n".join(own)
    words, names = _words_and_names(own_text)
    return Reading(words=words, names=names, list_items=list_items, pasted_lines=pasted_lines, own_text=own_text)


def words_of(text: str) -> tuple[str, ...]:
    """The words of a part of a text, as a reading has them."""
    return _words_and_names(text)[0]


def is_unspaced(text: str) -> bool:
    """Whether the text holds Chinese or Japanese, which have no spaces, or Korean, which joins particles to words."""
    return _UNSPACED.search(text) is not None


def _is_pasted(content: str, *, is_indented: bool) -> bool:
    if content.endswith(_CODE_ENDINGS) or (is_indented and content.startswith("return ")):
        return True
    if content.endswith(";") and (content.count(" ") < _FEW_SPACES or "=" in content):
        return True
    # The beginning of a line suffices, and keeps the matching linear.
    return _PASTED.match(content[:_LINE_CHARACTERS_READ]) is not None


def _words_and_names(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    names: set[str] = set()

    def take_name(match: re.Match[str]) -> str:
        names.add(match[0].strip("`"))
        return " "

    kept: list[str] = []
    for token in _BACKTICKED.sub(take_name, text).split():
        if token.islower() and token.isalpha():
            kept.append(token)
            continue
        bare = token.strip(_PUNCTUATION)
        if bare.isascii() and _NAME.search(bare[:_LONGEST_NAME]):
            if _SHORTEST_NAME <= len(bare) <= _LONGEST_NAME:
                names.add(bare)
            if bare.isalpha():  # such as PostgreSQL and TypeScript, which are technical terms too
                kept.append(bare)
        else:
            kept.append(token)
    return tuple(_WORD.findall(" ".join(kept).lower())), frozenset(names)


_SHORTEST_NAME, _LONGEST_NAME = 4, 120
_LINE_CHARACTERS_READ = 200
_PUNCTUATION = "()[]{}<>,;:.!?\"'*"
_UNSPACED = re.compile("[\u2e80-\ud7ff]")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_BACKTICKED = re.compile(r"`[^`\n]{1,120}`")
# src/app.py, user_name, pkg.module, loadConfig, f(), s/x/y/
_NAME = re.compile(r"\w[_/\\.]\w|::|[a-z][A-Z]|\w\($|=")
_LIST_ITEM = re.compile(r"(?:[-*•]|\d{1,2}[.)])\s")
_CODE_ENDINGS = ("{", "}", "],", ");")
_FEW_SPACES = 3
_PASTED = re.compile(
    r"""(?:
        # stack traces and logs
        File\ "[^"]*",\ line | at\ [\w$.<>/]+\s?\( | Traceback\ \( | \.{3}\ \d+\ more | Caused\ by:
        | [\w.]*(?:Error|Exception|Warning)\b:?(?:\ |$)
        | \d{4}-\d\d-\d\d[T\ ]\d\d: | \[?(?:DEBUG|INFO|WARN|ERROR|FATAL)\b[\]:\ ]
        | goroutine\ \d | panic:\ | thread\ ' | \#\d+\ +0x | \d+:\ +0x
        # shells and diffs
        | >>>\  | \.{3}\ \  | \$\ \w | [+-]{3}\ \S | @@\ -
        # code
        | (?:async\ )?def\ \w+\( | class\ \w+.*[:{(]$
        | from\ [\w.]+\ import\b | import\ [\w.{]+(?:\ as\ \w+)?$
        | @\w+(?:\(|$) | \#include\b
        | (?:public|private|protected|static|export)\ \w+.*[({;] | (?:const|let|var)\ \w+\ =
        | (?:if|elif|for|while|with|else|try|except)\b[^.]*:$ | (?:func|fn)\ \w+\(
        | SELECT\ .*\ FROM\  | [\w.\[\]'"]+\ [-+*/]?=\ \S
        | [\w.]+\(.*\)$
        # examples
        | (?:Input|Output|Expected|Actual|(?:Sample|Example)(?:\ Input|\ Output)?\ ?\d*)\ ?:
    )""",
    re.VERBOSE,
)
