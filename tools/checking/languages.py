"""Detects the language of code: by its fence's tag, its file's name, or its content."""

import json
import re
from pathlib import PurePath

_TAGS = {
    "bash": ("bash", "sh", "shell", "zsh", "console"),
    "c": ("c", "h"),
    "cpp": ("cpp", "c++", "cc", "cxx", "hpp", "hh", "hxx"),
    "csharp": ("csharp", "c#", "cs"),
    "css": ("css",),
    "dockerfile": ("dockerfile", "docker"),
    "go": ("go", "golang"),
    "html": ("html", "htm"),
    "java": ("java",),
    "javascript": ("javascript", "js", "jsx", "mjs", "cjs", "node"),
    "json": ("json",),
    "json5": ("json5",),
    "jsonc": ("jsonc", "code-workspace"),
    "jsonl": ("jsonl", "ndjson"),
    "kotlin": ("kotlin", "kt", "kts"),
    "lua": ("lua",),
    "markdown": ("markdown", "md"),
    "php": ("php",),
    "python": ("python", "py", "python3", "py3", "pyi", "pyw"),
    "ruby": ("ruby", "rb", "gemspec", "rake"),
    "rust": ("rust", "rs"),
    "scala": ("scala",),
    "sql": ("sql",),
    "swift": ("swift",),
    "toml": ("toml",),
    "typescript": ("typescript", "ts", "tsx", "mts", "cts"),
    "xml": ("xml", "svg", "csproj", "plist", "pom", "rss", "wsdl", "xaml", "xhtml", "xlf", "xsd", "xsl", "xslt"),
    "yaml": ("yaml", "yml"),
}
"""Language name to its fence tags and file suffixes."""

# Languages that are confused: one includes the other, or fences use one tag for both.
_NEAR = (
    frozenset({"javascript", "typescript"}),
    frozenset({"c", "cpp"}),
    frozenset({"json", "json5", "jsonc", "jsonl"}),
    frozenset({"html", "xml", "php"}),
)

_LANGUAGES = {tag: language for language, tags in _TAGS.items() for tag in tags}

_NAMES = (
    ("dockerfile", r"dockerfile"),
    ("ruby", r"gemfile|rakefile|podfile|vagrantfile"),
    ("jsonc", r"[tj]sconfig[\w.-]*\.json|\.eslintrc\.json|(?:biome|deno|devcontainer|turbo|wrangler)\.json"),
)
"""Patterns of file names that say more than their suffix, in lower case; tools read the last with comments."""

_SHEBANG = re.compile(r"#!\s*/\S*?(?:/env\s+(?:-S\s+)?)?(bash|sh|zsh|node|php|python|ruby)[\d.]*(?:\s|$)")

_LOOKS = (
    ("python", r"(?:async )?def \w+\s*\(.*(?:\)|,|\()[^{;]*$|class \w+(?:\(.*\))?:|from [\w.]+ import |import [\w.]+$"),
    ("python", r"(?:if|elif|for|while|with|try|except|else)\b[^{;]*:\s*(?:#.*)?$|print\(.*\)$|@\w[\w.]*(?:\(.*\))?$"),
    ("rust", r"(?:pub )?fn \w+.*\{|let mut |impl\b.*\{|use [\w:]+::|#\[\w+|(?:pub )?(?:struct|enum|trait|mod) \w+.*\{"),
    ("go", r"package \w+$|func (?:\(.*\) )?\w+\(.*\{|import \($|\w+ := "),
    (
        "java",
        r"(?:public|private|protected)\s+(?:static\s+|final\s+)*[\w<>\[\]]+\s+\w+|import java[\w.]*;|package [\w.]+;",
    ),
    ("typescript", r"interface \w+.*\{|type \w+ =|(?:const|let) \w+\s*:\s*\w|function \w+\(.*\)\s*:\s*\w+.*\{"),
    ("javascript", r"(?:const|let|var) [\w{\[].*=|(?:async )?function\b.*\{|.*=>\s*[{(]|module\.exports|.*require\("),
    ("cpp", r"#include <\w+>$|using namespace \w+;|std::|template\s*<|class \w+.*\{"),
    ("c", r"#include [<\"]\w+\.h[>\"]|(?:int|void|char) \w+\(.*\)\s*\{?$"),
    ("bash", r"#!.*\bsh\b|\w+=\$\(|if \[\[? |fi$|done$|echo "),
    ("sql", r"(?i:select .* from |insert into |create table |update \w+ set )"),
    ("html", r"<!DOCTYPE html|<html\b|</?(?:div|body|head|p|a)\b"),
)
"""Patterns that lines of a language begin with; each matching line is a vote."""

_LOOKING = tuple((language, re.compile(rf"\s*(?:{pattern})")) for language, pattern in _LOOKS)

_LINES_LOOKED_AT = 200

_TESTS = re.compile(
    r"(?:^|[/\\])(?:(?:tests?|__tests__)[/\\].*"
    r"|(?:test_[^/\\]*|conftest|[^/\\]*(?:_test|_spec|\.test|\.spec|Tests?|Spec))\.\w+)$"
)
"""Names that pytest, Go, Jest, RSpec and JUnit give files of tests, and folders of tests."""


def language_of(code: str, named: str | None) -> str | None:
    """The language of code: by the given name (a fence's tag), else guessed from the code."""
    return language_named(named) or guess_language(code)


def language_named(tag: str | None) -> str | None:
    """The language for a fence's tag or a caller's name; an unknown name is returned in lower case.

    None if there is no name.
    """
    word = (tag or "").strip().lower().removeprefix(".")
    word = re.split(r"[\s,{:]", word, maxsplit=1)[0]
    return _LANGUAGES.get(word, word) or None


def language_of_file(path: str) -> str | None:
    """The language of a file, by its name. None: unknown."""
    name = PurePath(path).name.lower()
    said = next((language for language, pattern in _NAMES if re.fullmatch(pattern, name)), None)
    return said or _LANGUAGES.get(PurePath(name).suffix.removeprefix("."))


def is_file_of_tests(path: str) -> bool:
    """Whether a path, relative to its project, is that of tests or of what they need, by its names."""
    return _TESTS.search(path) is not None


def language_to_check(path: str, text: str) -> str | None:
    """The language to check a file as: by its name, its first line, or else its suffix, which no parser reads.

    None: it has no suffix.
    """
    shebang = _SHEBANG.match(text)
    suffix = PurePath(path).suffix.lower().removeprefix(".")
    return language_of_file(path) or (_LANGUAGES[shebang[1]] if shebang else suffix or None)


def runtime_of(language: str | None) -> str | None:
    """The runtime of a language: TypeScript runs on Node.js too."""
    return "javascript" if language == "typescript" else language


def can_be(language: str | None, wanted: str | None) -> bool:
    """Whether code tagged as one language can be a file of another; an unknown tag can be any language."""
    if language is None or language == wanted or language not in _TAGS:
        return True
    return any({language, wanted} <= near for near in _NEAR)


def guess_language(code: str) -> str | None:
    """The language guessed from the code. None: unclear."""
    if _is_json(code):
        return "json"
    votes: dict[str, int] = {}
    for line in code.split("\n", _LINES_LOOKED_AT)[:_LINES_LOOKED_AT]:
        for language, look in _LOOKING:
            if look.match(line[:400].rstrip()):
                votes[language] = votes.get(language, 0) + 1
    ranked = sorted(votes, key=votes.__getitem__, reverse=True)
    if not ranked or (len(ranked) > 1 and votes[ranked[0]] == votes[ranked[1]]):
        return None
    return ranked[0]


def _is_json(code: str) -> bool:
    if not code.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(code)
    except (ValueError, RecursionError):
        return False
    return True
