"""Finds keys, tokens, private keys and passwords in text that is about to be sent.

They are recognized by form, using `secret_patterns.yaml` and the user's own patterns, in plain or encoded text (see
`encoded.py`). A password without such a form is not found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from re import Pattern as Regex
from re import compile as compile_regex
from typing import Literal

from pydantic import TypeAdapter

from .encoded import encoded_in
from .own_patterns import OwnPattern
from .plausible import JUDGES, is_filler

Judge = Literal["token", "password", "bare", "url"]

PATTERNS_FILE = "secret_patterns.yaml"


@dataclass(frozen=True)
class Secret:
    """The kind and position of a secret, without its text."""

    kind: str
    """The name of its pattern. For an encoded secret, with the suffix `-in-base64`, `-in-hex` or `-in-percent`; the
    span is then the whole encoded run."""
    start: int
    """Character offset of the secret part, without a preceding key word such as `password =`."""
    end: int
    line: int
    """Counted from 1."""


@dataclass(frozen=True)
class Pattern:
    """One secret pattern of the data file."""

    name: str
    needles: tuple[str, ...]
    regex: str
    source: str
    before: int = 0
    judged: Judge | None = None

    @cached_property
    def _compiled(self) -> Regex[str]:
        # Compiled when a needle is first found: compiling all patterns takes longer than searching a typical text.
        return compile_regex(self.regex)

    def spans(self, text: str, lowered: str) -> Iterator[tuple[int, int]]:
        """The spans of all matches. lowered: the text with its ASCII letters in lower case."""
        judge = JUDGES[self.judged] if self.judged else None
        for needle in self.needles:
            hay = lowered if needle == needle.lower() else text
            at = hay.find(needle)
            while at >= 0:
                found = self._compiled.match(text, max(0, at - self.before))
                if found is None:
                    at = hay.find(needle, at + 1)
                    continue
                group = "value" if "value" in self._compiled.groupindex and found["value"] is not None else 0
                start, end = found.span(group)
                if judge(found) if judge else not is_filler(text[start:end]):
                    yield start, end
                    at = hay.find(needle, max(end, at + 1))
                else:
                    at = hay.find(needle, at + 1)


@dataclass(frozen=True)
class SecretSearch:
    """The search for secrets by shipped and user-defined patterns."""

    own: Sequence[OwnPattern] = ()
    """The user's patterns, in addition to those of the data file."""

    @cached_property
    def shipped(self) -> tuple[Pattern, ...]:
        """The patterns of the data file, loaded on first use."""
        return _shipped()

    @cached_property
    def _needles(self) -> Sequence[tuple[str, bool, Pattern]]:
        """All needles in the order of the patterns, each with whether it is case-insensitive."""
        return [(needle, needle == needle.lower(), p) for p in self.shipped for needle in p.needles]

    def find(self, text: str) -> tuple[Secret, ...]:
        """All secrets in the text, in order and without overlaps."""
        spans = self._spans(text)
        spans += self._encoded(_blanked(text, spans))
        found: list[Secret] = []
        line, counted = 1, 0
        for start, end, name in sorted(spans, key=lambda span: (span[0], -span[1])):
            if found and start < found[-1].end:
                continue
            line, counted = line + text.count("\n", counted, start), start
            found.append(Secret(name, start, end, line))
        return tuple(found)

    def _spans(self, text: str) -> list[tuple[int, int, str]]:
        # `str.lower` can change the length of non-ASCII text, which would shift the offsets.
        lowered = text.encode("ascii", "replace").lower().decode("ascii")
        # Few needles occur in a text, so patterns without any are skipped up front.
        hinted = [p for needle, is_lower, p in self._needles if needle in (lowered if is_lower else text)]
        spans = [(*span, pattern.name) for pattern in dict.fromkeys(hinted) for span in pattern.spans(text, lowered)]
        return spans + [(*span, pattern.name) for pattern in self.own for span in pattern.spans(text)]

    def _encoded(self, text: str) -> list[tuple[int, int, str]]:
        """The encoded runs that contain a secret, each as one span."""
        return [
            (run.start, run.end, f"{within[0][2]}-in-{run.encoding}")
            for run in encoded_in(text)
            if (within := self._spans(run.text))
        ]

    def redact(self, text: str) -> str:
        """The text with each secret replaced by a placeholder."""
        parts: list[str] = []
        done = 0
        for secret in self.find(text):
            parts += [text[done : secret.start], placeholder(secret.kind)]
            done = secret.end
        return "".join(parts) + text[done:]


def _blanked(text: str, spans: Sequence[tuple[int, int, str]]) -> str:
    """The text with the spans overwritten by spaces."""
    parts: list[str] = []
    done = 0
    for start, end, _ in sorted(spans):
        if end > done:
            parts += [text[done:start], " " * (end - max(start, done))]
            done = end
    return "".join(parts) + text[done:]


def placeholder(kind: str) -> str:
    """The replacement for a secret; it is not itself detected as one."""
    return f"{PLACEHOLDER_BEGINS}{kind}>"


def holds_placeholder(text: str) -> bool:
    """Whether the text, or a text it was derived from, had a secret replaced."""
    return PLACEHOLDER_BEGINS in text


PLACEHOLDER_BEGINS = "<redacted:"


def _shipped() -> tuple[Pattern, ...]:
    from ...profiles.yaml_text import parse_yaml  # deferred, so that the server starts faster

    file = resources.files(__package__ or "") / PATTERNS_FILE
    return TypeAdapter(tuple[Pattern, ...]).validate_python(parse_yaml(file.read_text(encoding="utf-8")))
