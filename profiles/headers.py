"""HTTP headers of the user's own, as gateways want them; `${NAME}` in a value stands for an environment variable.

A profile is shown, copied and committed, so a value that is a secret must come from a variable.
"""

import re
from collections.abc import Callable, Mapping

VARIABLE = r"[A-Z_][A-Z0-9_]{0,63}"

_REFERENCE = re.compile(rf"\$\{{({VARIABLE})\}}")
# https://www.rfc-editor.org/rfc/rfc9110#name-tokens (seen 2026-11-30)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_VALUE_LENGTH = 8_000
"""Most servers take no line of headers that is longer than about 8 kB."""
_FRAMING = re.compile(
    r"accept|accept-encoding|connection|content-(encoding|length|type)|expect|host|keep-alive"
    r"|proxy-(authorization|connection)|te|trailer|transfer-encoding|upgrade",
    re.IGNORECASE,
)
"""They say how a message is to be read, or belong to a single connection."""
_OF_A_SECRET = re.compile(
    r"(?:^|[-_]|api)(?:auth|authorization|cookie|credentials?|key|password|secret|token)$", re.IGNORECASE
)
# Portkey takes a whole configuration as JSON in one header.
_MEMBER = re.compile(r'"([\w-]+)"\s*:\s*"(?!\$\{)[^"]')


def fault_in(headers: Mapping[str, str], *, has_key: bool) -> str | None:
    """What is wrong with the headers of a profile, with the remedy, and without any value. None: nothing.

    has_key: whether the profile names the variable of a key, which is sent as `Authorization`.
    """
    names = [name.lower() for name in headers]
    for name, value in headers.items():
        if fault := fault_of(name, _REFERENCE.sub("x", value)):
            return fault
        if names.count(name.lower()) > 1:
            return f"{name} is there twice; capitals make no difference"
        if name.lower() == "authorization" and has_key:
            return f"{name} is what the key in `api_key_env` is sent as; leave out one of the two"
        if "${" in _REFERENCE.sub("", value):
            return f"{name} has a `${{` that is no variable; write ${{NAME}}, in capitals"
        literal = [*([] if variables_in(value) else [name]), *_MEMBER.findall(value)]
        if any(map(is_of_a_secret, literal)):
            return f"{name} holds a secret; put it into an environment variable, and write ${{NAME}} in its place"
    return None


def fault_of(name: str, value: str) -> str | None:
    """What is wrong with a header as it would be sent, without its value. None: nothing."""
    if not _NAME.fullmatch(name):
        return f"{name[:40]!r} is not the name of a header; it has letters, digits and -"
    if _FRAMING.fullmatch(name):
        return f"{name} cannot be set: it belongs to the request itself, or to the connection"
    if not is_sendable(value):
        return (
            f"{name} has a value that no header can have; it is one line of ASCII, of 1 to {_VALUE_LENGTH:,} characters"
        )
    return None


def is_sendable(value: str) -> bool:
    """Whether a header can have this value: one line of ASCII, neither empty nor too long."""
    return len(value) <= _VALUE_LENGTH and _VALUE.fullmatch(value) is not None


def variables_in(value: str) -> tuple[str, ...]:
    """The variables that a value names, in order."""
    return tuple(_REFERENCE.findall(value))


def filled_in(value: str, value_of: Callable[[str], str]) -> str:
    """The value with each variable replaced by what `value_of` returns for its name."""
    return _REFERENCE.sub(lambda found: value_of(found[1]), value)


def is_of_a_secret(name: str) -> bool:
    """Whether a name says that its value is a secret: `Helicone-Auth`, `x-portkey-api-key`, `api_key`."""
    return _OF_A_SECRET.search(name) is not None
