"""Removes from text what a reader cannot see and a terminal or a model would obey."""

import re

# Escape sequences of ECMA-48 (5th edition, sections 5 and 8.3): CSI, strings (OSC, DCS, SOS, PM, APC) that end
# on their line, and the short ones. A string without its end is left readable.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|\x1b[\\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\\\)"
    "|\x1b(?:[#%()*+./-][0-~]|[78=>@-_cno|}~])"
)  # fmt: skip

# C0 and C1 controls but for tab and line feed; bidirectional marks, overrides and isolates
# (https://trojansource.codes, seen 2026-11-24); zero-width space and invisible operators; the tag
# characters, which spell invisible ASCII (https://www.unicode.org/charts/PDF/UE0000.pdf, seen
# 2026-11-24); and variation selectors in a row, which spell invisible bytes: text has one at most.
# The zero-width joiners stay: emoji, Persian and Indic scripts are written with them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
    "|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
)


def visible(text: str) -> str:
    """The text without what cannot be seen; line ends become line feeds."""
    return _UNSEEN.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
