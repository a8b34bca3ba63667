"""Validates URLs and host names that a user typed, and normalizes them to the form that clients send."""

import ipaddress
import re

from pydantic import AnyHttpUrl, ValidationError

from ..settings import BadSetting


def checked_url(place: str, typed: str) -> AnyHttpUrl:
    """The URL with its host in lower case and IDNA, and without a default port. place: the option's name.

    Raises BadSetting.
    """
    scheme, separator, rest = typed.partition("://")
    if (
        "@" in re.split(r"[/?#\\]", rest if separator else typed)[0]
    ):  # checked before any message shows the value, which may contain a password
        raise BadSetting(f"{place}: it holds a user name or a password. Leave out what is before the @.")
    if not separator:
        raise BadSetting(f"{place}: {typed!r} has no scheme. Give a URL that begins with https://.")
    if scheme.lower() not in ("https", "http"):
        raise BadSetting(f"{place}: {typed!r} must begin with https:// or http://. Correct it.")
    # The parser below is as lenient as a browser: it accepts white space, backslashes and missing hosts.
    if re.fullmatch(r"[^\s/?#\\]+(/[^\s?#\\]*)?", rest) is None:
        raise BadSetting(f"{place}: {typed!r} must be a host and a path, without spaces, ? and #. Correct it.")
    try:
        url = AnyHttpUrl(typed)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Input should be a valid URL, ")
        raise BadSetting(f"{place}: {typed!r} is not a URL: {reason}. Correct it.") from None
    if not _is_host(url.host or ""):
        raise BadSetting(f"{place}: {typed!r} does not name one host. Correct it.")
    return url


def checked_host(place: str, typed: str) -> str:
    """The name or address as in a Host header, without a port. place: the option's name. Raises BadSetting."""
    host = f"[{typed}]" if _is_ipv6(typed) else typed
    if re.fullmatch(r"\[[^\s/?#@\\]+\]|[^\s/?#@\\:]+", host):
        try:
            found = AnyHttpUrl(f"http://{host}").host or ""
        except ValidationError:
            found = ""
        if _is_host(found):
            return found
    # Not shown if it may contain a password.
    shown = "it" if "@" in typed else repr(typed)
    raise BadSetting(
        f"{place}: {shown} is not the name of a host. Give the name alone, as in box.lan: no scheme, port, path or *."
    )


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def _is_host(host: str) -> bool:
    return re.fullmatch(r"[a-z0-9._-]+|\[[0-9a-f:]+\]", host) is not None
