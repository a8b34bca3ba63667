"""User-defined secret patterns, searched line by line in bounded time.

Python's `re` backtracks, so a pattern such as `(a+)+b` can take exponential time on a crafted text. Such
patterns are refused, and slow ones stop at a timeout: the rest of the text then counts as secret, so that
nothing leaves the machine unsearched.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

PATTERN_CHARACTERS_AT_MOST = 300
STRETCH = 512
"""Characters of a line that are searched at once; adjacent stretches overlap by half."""
SEARCH_SECONDS_AT_MOST = 2.0
"""For one pattern in one text."""

_WAYS_AT_MOST = 4 * STRETCH**2
"""In how many ways the quantifiers of a pattern may divide a stretch among themselves."""

_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<flags>\(\?[aimsx]+\))|(?P<open>\((?:\?(?:P<\w+>|[aimsx-]*:|.{0,2}))?)|(?P<close>\))"
    r"|(?P<repeat>[*+?]|\{\d*,?\d*\})[?+]?|(?P<or>\|)|.",
    re.DOTALL,
)
_PLAIN_GROUP = re.compile(r"\((?:\?(?:[aimsx-]*:|P<\w+>))?")


class BadPattern(ValueError):
    """A pattern that cannot be used. The message says what to write instead."""


@dataclass(frozen=True)
class OwnPattern:
    """A user-defined secret pattern."""

    name: str
    regex: re.Pattern[str]
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """The spans of all matches, or of their group named `value` if the pattern has one.

        At the timeout the rest of the text is the last span.
        """
        deadline = self.clock() + SEARCH_SECONDS_AT_MOST
        group = "value" if "value" in self.regex.groupindex else 0
        at = 0
        for line in text.splitlines(keepends=True):
            for start in range(at, at + len(line), STRETCH // 2):
                if self.clock() > deadline:
                    yield start, len(text)
                    return
                for found in self.regex.finditer(text, start, min(start + STRETCH, at + len(line))):
                    if found.end() > found.start() and found.start(group) >= 0:
                        yield found.span(group)
                if start + STRETCH >= at + len(line):
                    break
            at += len(line)


def own_pattern(name: str, regex: str) -> OwnPattern:
    """The compiled pattern. Raises BadPattern if it is invalid, too long, too slow, or matches an empty text."""
    if len(regex) > PATTERN_CHARACTERS_AT_MOST:
        raise BadPattern(f"{name}: it has {len(regex)} characters; at most {PATTERN_CHARACTERS_AT_MOST} are read")
    try:
        compiled = re.compile(regex)
    except (re.error, OverflowError) as error:
        raise BadPattern(f"{name}: {regex!r:.80} is not a valid regular expression ({error})") from error
    if (why_slow := _why_slow(regex)) is not None:
        raise BadPattern(f"{name}: some texts could make it search forever: {why_slow}")
    if compiled.match(""):
        raise BadPattern(f"{name}: {regex!r:.80} also matches an empty text. Say what it begins with")
    return OwnPattern(name, compiled)


def _why_slow(regex: str) -> str | None:
    """The part of a pattern that can backtrack excessively, with the remedy. None: there is none."""
    opened: list[bool] = []
    """For each open group, outermost first: whether the text before it in its parent can match in several ways."""
    varied, ways, last_group = False, 1, False
    for token in _TOKEN.finditer(regex):
        is_group_end = False
        if token["open"]:
            if not _PLAIN_GROUP.fullmatch(token["open"]):
                return f"{token['open']!r} looks around or refers back. Use plain groups"
            opened.append(varied)
            varied = False
        elif token["close"]:
            last_group, varied = varied, (opened.pop() if opened else False) or varied
            is_group_end = True
        elif token["escape"] and token["escape"][1].isdigit():
            return f"{token['escape']!r} refers back. Write out what repeats"
        elif token["or"]:
            varied = True
        elif token["repeat"]:
            fewest, most = _bounds(token["repeat"])
            if last_group and most > 1:
                return (
                    "it repeats a group that can match in several ways. Repeat only fixed groups, e.g. (?:[0-9]{4}-){3}"
                )
            if most != fewest:
                varied, ways = True, ways * (min(most, STRETCH) - min(fewest, STRETCH - 1) + 1)
        if not is_group_end:
            last_group = False
    if ways > _WAYS_AT_MOST:
        return "it has too many repeats. Give them narrow bounds, e.g. {4,40}, and leave at most two unbounded"
    return None


def _bounds(repeat: str) -> tuple[int, int]:
    """The minimum and maximum count of a quantifier; an unbounded maximum is STRETCH."""
    if repeat in _BOUNDS:
        return _BOUNDS[repeat]
    fewest, comma, most = repeat[1:-1].partition(",")
    low = int(fewest or 0)
    return low, int(most) if most else (STRETCH if comma else low)


_BOUNDS = {"*": (0, STRETCH), "+": (1, STRETCH), "?": (0, 1)}
