"""Tells plausible secrets from placeholders, identifiers and words in a position where secrets occur.

The thresholds are our own, set so that no file of this repository and no program of HumanEval,
BigCodeBench, QuixBugs and MBPP is a false positive (`chargehand bench secrets`).
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping

# Words that placeholders consist of; the rest of the value must still look like a secret.
_PLACEHOLDER_WORDS = re.compile(
    r"change[-_ ]?(?:me|this|it)|example|sample|placeholder|dummy|fake|mock|your|redacted|hidden|insert|replace|"
    r"pass(?:word|wd|phrase)?|secret|token|credentials?|api|key|test(?:ing)?|todo|foo|bar|baz|qux|demo|default|"
    r"my|user(?:name)?|admin|root|none|null|true|false|invalid|wrong|correct|unset|empty|abc(?:d(?:ef)?)?|x{3,}|"
    r"made[-_ ]?up|not[-_ ]a|the|some|here|goes|dev(?:elopment)?|local(?:host)?|string|value",
    re.IGNORECASE,
)

# Values that a program, a shell or a template fills in later.
_DEFERRED = re.compile(r"\$\{|\$\(|^\$\w|%\(|%s|\{\{|^<.*>$|^\{.*\}$|^\[.*\]$|^\*+$|^\.+$|…|\.\.\.")

_ADDRESS = re.compile(r"\.{0,2}/[\w.-]+/|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[.:/-]+[A-Za-z_][A-Za-z0-9_]*)*")

_MIXED = re.compile(r"^(?=[a-zA-Z]*\d)(?=\d*[a-zA-Z])\w{8}")
_JUMBLED = re.compile(r"^(?=.{16})..(?:[^A-Z]*[a-z][A-Z]){3}(?=.*\d|.*[A-Z]{2})")
"""Upper and lower case alternate more often than in a name, not counting a prefix such as V1."""

_FEWEST_CHARACTERS = 6
_FEWEST_DISTINCT = 4
_FEWEST_DIGITS = 2
_MIXED_PART = 8
_BITS_PER_CHARACTER = 3.0


def is_filler(value: str) -> bool:
    """Whether the value has very few distinct characters, such as `xxxxxxxx` in a manual."""
    return len(set(value)) < min(_FEWEST_DISTINCT, len(value))


def _is_token(found: re.Match[str]) -> bool:
    """Whether the value looks random: mixed digits and letters, with a higher entropy than words."""
    value = found["value"]
    rest = _PLACEHOLDER_WORDS.sub("", value)
    digits = sum(character.isdigit() for character in rest)
    is_quoted = found.string[found.start("value") - 1 : found.start("value")] in _QUOTES
    if len(rest) < _MIXED_PART * 2 - 2 or is_filler(rest) or _DEFERRED.search(value):
        return False
    if not is_quoted and (digits <= _FEWEST_DIGITS or "." in value) and _NAME.fullmatch(value):
        return False
    parts = re.split(r"[^A-Za-z0-9]+", rest)
    is_mixed = digits >= _FEWEST_DIGITS and any(map(_MIXED.search, parts))
    return (is_mixed or any(map(_JUMBLED.search, parts))) and _entropy(rest) >= _BITS_PER_CHARACTER


def _is_password(found: re.Match[str]) -> bool:
    """Whether the value looks like a chosen password: three kinds of characters, or two and enough length."""
    return _is_chosen(found["value"])


def _is_bare_password(found: re.Match[str]) -> bool:
    """The same for an unquoted value, which may be an identifier; identifiers have few digits."""
    value = found["value"]
    digits = sum(character.isdigit() for character in value)
    return _is_chosen(value) and (digits >= _FEWEST_DIGITS or not _NAME.fullmatch(value))


def _is_url_password(found: re.Match[str]) -> bool:
    """The same for a password in a URL, where a repeated user name is not a secret."""
    value, user = found["value"], found["user"]
    if _DEFERRED.search(value) or value.lower() == user.lower() or is_filler(value):
        return False
    rest = _PLACEHOLDER_WORDS.sub("", value)
    return (len(rest) >= _FEWEST_CHARACTERS - 1 and _kinds(rest) >= 2) or len(rest) >= 2 * _MIXED_PART


def _is_chosen(value: str) -> bool:
    if _DEFERRED.search(value) or _ADDRESS.match(value) or is_filler(value):
        return False
    rest = _PLACEHOLDER_WORDS.sub("", value)
    if len(rest) < _FEWEST_CHARACTERS or is_filler(rest) or len(value) < _MIXED_PART:
        return False
    kinds = _kinds(rest)
    has_digit = any(character.isdigit() for character in rest)
    if kinds < 2 or not has_digit:
        return False
    return kinds >= 3 or len(rest) >= _MIXED_PART


def _kinds(text: str) -> int:
    """How many kinds of characters occur: lower case, upper case, digits, others."""
    return sum(bool(kind.search(text)) for kind in _KINDS)


def _entropy(text: str) -> float:
    """Shannon entropy, in bits per character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


_KINDS = tuple(map(re.compile, ("[a-z]", "[A-Z]", "[0-9]", r"[^A-Za-z0-9_\-. ]")))

_QUOTES = ('"', "'", "`")

JUDGES: Mapping[str, Callable[[re.Match[str]], bool]] = {
    "token": _is_token,
    "password": _is_password,
    "bare": _is_bare_password,
    "url": _is_url_password,
}
"""By the value of `judged` in the data file."""
