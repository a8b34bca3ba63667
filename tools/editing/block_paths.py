"""Finds the path of a block in a reply: in its info string, in the line before it, or in its first comment."""

import re

from ..checking.languages import language_of_file

# File names without a suffix, and suffixes that do not map to a known language.
_NAMES = {
    "dockerfile", "makefile", "readme", "license", "changelog", "gemfile", "rakefile", "procfile", "justfile",
}  # fmt: skip
_SUFFIXES = {
    "txt", "rst", "adoc", "cfg", "ini", "conf", "env", "lock", "csv", "tsv", "proto", "graphql", "vue", "svelte", "r",
    "jl", "ex", "exs", "erl", "hs", "ml", "clj", "dart", "pl", "pm", "m", "mm", "zig", "nim", "gradle", "tf", "tfvars",
    "hcl", "properties", "sass", "scss", "less", "bat", "ps1", "psm1", "fish", "cmake", "mk", "gitignore", "in",
    "dockerignore", "gitattributes", "editorconfig", "npmrc", "tmpl", "j2", "ejs", "hbs", "snap",
}  # fmt: skip
# Product names that look like file names.
_PRODUCTS = {
    "node.js", "next.js", "nuxt.js", "vue.js", "react.js", "express.js", "three.js", "d3.js", "p5.js", "chart.js",
    "moment.js", "angular.js", "backbone.js", "alpine.js", "asp.net",
}  # fmt: skip

_LINE_CHARACTERS_AT_MOST = 300
_WORD = r"[^\s`\"'*<>|?=,;:()\[\]{}]+"

_ATTRIBUTE = re.compile(
    r"\b(?:title|file|filename|file_name|filepath|path|name)\s*=\s*(?:\"([^\"]+)\"|'([^']+)'|(\S+))"
)
_LINE = re.compile(
    r"\s*(?:[-*+>]\s+|\d{1,3}[.)]\s+)?(?:\#{1,6}\s+)?(?:\d{1,3}[.)]\s+)?[*_]{0,3}"
    r"(?P<label>(?:new |updated |modified )?(?:file|filename|filepath|path|create|update|edit|modify)\b"
    r"\s*:?\s*[*_]{0,3}\s*)?"
    rf"(?:`(?P<quoted>[^`]+)`|(?P<bare>{_WORD}))"
    r"[*_:\s]*(?:\((?:[^()]*)\)|[-\u2013\u2014]\s+\w[^`]*)?[*_:\s]*",
    re.IGNORECASE,
)
_COMMENT = re.compile(
    rf"\s*(?:\#|//|--|;|/\*|<!--)+\s*(?P<label>(?:file|filename|filepath|path)\s*:\s*)?`?(?P<path>{_WORD})`?\s*"
    r"(?:\((?:[^()]*)\)\s*)?(?:\*/|-->)?\s*",
    re.IGNORECASE,
)
_TICKED = re.compile(r"`([^`\s]+)`")
_QUOTATION = re.compile(r"\d+:\d+:\S+")


def path_in_info(info: str) -> str | None:
    """The path in `python:src/a.py`, `python title="a.py"`, `python src/a.py` or `src/a.py`. None: there is none."""
    if (named := _ATTRIBUTE.search(info)) is not None:
        return next(filter(None, named.groups())).strip()
    words = info.strip("{}").split()
    if not words:
        return None
    _, colon, behind = words[0].partition(":")
    if colon and behind and not behind.startswith(("//", "\\")):
        return behind if _is_path(behind) or "/" in behind else None
    candidates = words[:2] if not words[0].startswith(".") or "/" in words[0] else words[1:2]
    return next((word for word in candidates if _is_path(word)), None)


def is_quotation(info: str) -> bool:
    """Whether a fence quotes lines of an existing file (`12:15:src/app.ts`), as editor assistants do."""
    return _QUOTATION.fullmatch(info.strip()) is not None


def path_in_line(line: str, language: str) -> str | None:
    """The path in a heading, alone on a line, or as the only file of the language named in a line that ends in a
    colon."""
    if len(line) > _LINE_CHARACTERS_AT_MOST:
        return None
    if (found := _LINE.fullmatch(line)) is not None:
        path = (found["quoted"] or found["bare"]).rstrip(":").strip()
        if _is_path(path) or (found["label"] and found["quoted"] and not re.search(r"\s", path)):
            return path
    named = [path for path in _TICKED.findall(line) if _is_path(path)]
    is_about_it = len(named) == 1 and line.rstrip().endswith(":") and language_of_file(named[0]) == language
    return named[0] if is_about_it else None


def path_in_comment(line: str, language: str) -> str | None:
    """The path in a comment that contains nothing else, such as `# path: src/a.py` or `// src/a.ts`."""
    found = _COMMENT.fullmatch(line) if len(line) <= _LINE_CHARACTERS_AT_MOST else None
    if found is None or (language == "markdown" and line.lstrip().startswith("#")):
        return None
    path = found["path"]
    if found["label"]:
        return path
    return path if _is_path(path) and language_of_file(path) in (None, language or language_of_file(path)) else None


def _is_path(word: str) -> bool:
    name = re.split(r"[/\\]", word)[-1].lower()
    if word.lower() in _PRODUCTS or "://" in word or re.search(r"\s", word):
        return False
    suffix = name.rpartition(".")[2] if "." in name else ""
    return name in _NAMES or language_of_file(name) is not None or suffix in _SUFFIXES or _has_folder_and_suffix(word)


def _has_folder_and_suffix(word: str) -> bool:
    return re.fullmatch(r"(?:[\w.@+-]*[/\\])+[\w.@+-]*\.[A-Za-z]\w{0,9}", word) is not None
