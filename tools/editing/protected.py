"""Files that model answers must not change: `protected.yaml`, minus what the user allows."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePath

from pydantic import BaseModel, ConfigDict

from ...profiles.yaml_text import parse_yaml
from ..checking.project_copy import is_secret
from ..guarding.text import visible


class Patterns(BaseModel):
    """The content of `protected.yaml`: name patterns by kind of file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    never: Mapping[str, Sequence[str]]
    protected: Mapping[str, Sequence[str]]
    only_when_named: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Protection:
    """The shipped patterns, with the exceptions in the user's config file."""

    allowed: tuple[str, ...] = ()
    """The patterns of `[apply] allow`, in the same form."""

    def why_not(self, relative: PurePath, *, is_named: bool) -> str | None:
        """Why a file must not be written, with the remedy. None: it may be.

        relative: the path relative to its root. is_named: whether the caller named it.
        """
        parts = tuple(map(_folded, relative.parts))
        patterns = shipped_patterns()
        if (kind := _kind(parts, patterns.never)) is not None:
            return f"is {kind}, which is never written"
        if any(_matches(parts, pattern) for pattern in self.allowed):
            return None
        shown = visible(relative.as_posix())[:200]
        remedy = f'allow it by [apply] allow = ["{shown}"] in config.toml, or write it yourself'
        if is_secret(parts[-1]):
            return f"is named like a file of secrets; {remedy}"
        if (kind := _kind(parts, patterns.protected)) is not None:
            return f"is {kind}; {remedy}"
        kind = None if is_named else _kind(parts, patterns.only_when_named)
        return None if kind is None else f"is {kind}, and was not named; name it as `target`"


@cache
def shipped_patterns() -> Patterns:
    text = Path(__file__).with_name("protected.yaml").read_text(encoding="utf-8")
    return Patterns.model_validate(parse_yaml(text))


def _kind(parts: Sequence[str], patterns: Mapping[str, Sequence[str]]) -> str | None:
    return next((kind for kind, some in patterns.items() if any(_matches(parts, one) for one in some)), None)


def _matches(parts: Sequence[str], pattern: str) -> bool:
    *folders, name = parts
    if pattern.endswith("/") and "/" not in pattern[:-1]:
        return any(fnmatchcase(folder, _folded(pattern[:-1])) for folder in folders)
    if "/" not in pattern:
        return fnmatchcase(name, _folded(pattern))
    wanted = "/".join(map(_folded, pattern.strip("/").split("/")))
    if pattern.endswith("/"):
        wanted += "/*"
    return any(fnmatchcase("/".join(parts[start:]), wanted) for start in range(len(parts)))


def _folded(part: str) -> str:
    """The name, normalized as the most lenient file systems do.

    macOS ignores case and some invisible characters; Windows ignores case, trailing dots and spaces, and anything
    after a colon. `.GIT`, `.g\\u200cit` and `.git::$INDEX_ALLOCATION` are all `.git` on some system.
    """
    seen = "".join(c for c in unicodedata.normalize("NFKC", visible(part)) if unicodedata.category(c) != "Cf")
    folded = seen.casefold().split(":", 1)[0].rstrip(". ")
    return ".git" if folded.startswith("git~") else folded
