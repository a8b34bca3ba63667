"""Forms in which the ledger stores a task's text: full, redacted, or only a hash.

Redaction matches patterns and tends to remove too much, but a secret in plain words stays. `hash` keeps no
text. Recall works with every form, since the vector is computed from the full text beforehand.
"""

import hashlib
import re
from typing import Literal

TextForm = Literal["full", "redacted", "hash"]

EMPTIED_FORMS = ("pruned", "forgotten")
"""Text forms of tasks that keep only their costs."""

FORMS_BY_DETAIL: tuple[TextForm, ...] = ("hash", "redacted", "full")
"""The forms, from the least text kept to the most."""


def stored_text(text: str, form: TextForm) -> str:
    """The text in a form."""
    if form == "full":
        return text
    return redact(text) if form == "redacted" else fingerprint(text)


def fingerprint(text: str) -> str:
    """`sha256:` and the hexadecimal digest of the text as UTF-8."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def redact(text: str) -> str:
    """The text with code, strings, paths, addresses and likely secrets replaced by their kind."""
    for appearance, kind in _APPEARANCES:
        text = appearance.sub(kind, text)
    return text


_SENSITIVE_NAME = (
    r"[\w-]{0,30}(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|credential|bearer|authorization)[\w-]{0,30}"
)
_KEY_PREFIXES = r"(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[a-z]|AKIA|ASIA|AIza|hf|csk)"
_BEGINS_CODE = (
    r"(?:(?:async )?def |class \w+[(:{ ]|import \w|from [\w.]+ import |return\b|function\b|const |let |var |#include"
    r"|public |private |static |package |fn |func |impl |@\w|<\w|\})"
)
_ENDINGS = (
    r"(?:py|pyi|js|jsx|ts|tsx|rs|go|java|kt|c|h|cc|cpp|hpp|cs|rb|php|swift|sql|sh|json|ya?ml|toml|ini|cfg|env|md|txt"
    r"|html|css|xml|lock)"
)
_STEP = r"(?:[/\\][\w.@%+-]{1,100})"


def _line(appearance: str) -> re.Pattern[str]:
    return re.compile(appearance, re.MULTILINE)


def _block(appearance: str) -> re.Pattern[str]:
    return re.compile(appearance, re.MULTILINE | re.DOTALL)


def _any_case(appearance: str) -> re.Pattern[str]:
    return re.compile(appearance, re.IGNORECASE)


# Ordered by length and certainty. Repetitions within a line are bounded, since a crafted text could
# otherwise take hours.
_APPEARANCES: tuple[tuple[re.Pattern[str], str], ...] = (
    (_block(r"-----BEGIN [A-Z ]{3,40}-----.*?(?:-----END [A-Z ]{3,40}-----|\Z)"), "[secret]"),
    (_block(r"^[ \t]*(```+|~~~+).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)"), "[code]"),
    (_block(r"```.*?(?:```|\Z)"), "[code]"),
    (re.compile(r"`[^`\n]*`"), "[code]"),
    (_line(r"(?:^(?: {4}|\t)[^\n]*(?:\n|\Z))+"), "[code]\n"),
    (_line(rf"^[ \t]*(?:{_BEGINS_CODE}[^\n]*|[^\n]*[;{{])$"), "[code]"),
    (re.compile(r"\b(?:def|class|lambda|function|fn|func) [^\n]*"), "[code]"),
    (_any_case(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s<>\"']+"), "[address]"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"), "[address]"),
    (_any_case(rf"\b{_SENSITIVE_NAME}\"?'?\s{{0,3}}(?:[:=]|\bis\b)\s{{0,3}}\S+"), "[secret]"),
    (_any_case(r"\bbearer\s+\S+"), "[secret]"),
    (re.compile(rf"\b{_KEY_PREFIXES}[-_A-Za-z0-9]{{12,}}"), "[secret]"),
    (re.compile(r"\b(?=[A-Za-z_+/=-]{0,60}\d)[A-Za-z0-9_+/=-]{20,}"), "[secret]"),
    (_block(r"\"\"\".*?\"\"\"|'{3}.*?'{3}"), "[string]"),
    (re.compile(r"\"[^\"\n]*\"|“[^“”\n]*”|(?<!\w)'[^'\n]*'(?!\w)"), "[string]"),
    (re.compile(rf"(?<![\w/])(?:~|\.{{1,2}}|[A-Za-z]:)?{_STEP}+[/\\]?"), "[path]"),
    (re.compile(rf"\b[\w.@-]{{1,100}}{_STEP}+[/\\]?"), "[path]"),
    (re.compile(rf"\b[\w-]{{1,100}}\.{_ENDINGS}\b"), "[path]"),
    (re.compile(r"\b[A-Za-z_][\w.]{0,100}\([^()\n]*\)"), "[code]"),
)
