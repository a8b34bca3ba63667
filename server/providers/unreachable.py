"""The error for an address at which the vendor does not answer, with what its user can do about the cause."""

import ssl
from collections.abc import Callable

from pydantic import ValidationError

from ...tools.errors import WHERE_VARIABLES_ARE_SET
from ...tools.provider import Unreachable
from .error_text import sanitised
from .proxies import proxy_variable
from .vendor import Vendor


def unreachable(vendor: Vendor, cause: BaseException | None = None) -> Unreachable:
    """Nothing listens at the vendor's address, or the connection failed before an answer began.

    cause: what the HTTP client raised.
    """
    if (answer := _answer_in(cause)) is not None:
        return not_like(vendor, answer)
    proxy = None if vendor.is_local else proxy_variable(vendor.url)
    if (refusal := _among_causes(cause, _is_about_a_proxy)) is not None:
        return Unreachable(
            f"The proxy in {proxy or 'the environment'} does not let requests to {vendor.name} pass ({refusal}). "
            f"Correct it: http://USER:PASSWORD@HOST:PORT if it asks for a password; or name {vendor.host} in NO_PROXY."
        )
    broken_tls = _among_causes(cause, lambda error: isinstance(error, ssl.SSLError))
    if isinstance(broken_tls, ssl.SSLCertVerificationError):
        return Unreachable(
            f"The certificate of {vendor.url} is not trusted ({broken_tls.verify_message}). Set SSL_CERT_FILE "
            f"{WHERE_VARIABLES_ARE_SET}, to a file with the certificates of all vendors that you use."
        )
    if broken_tls is not None:
        return Unreachable(
            f"{vendor.url} does not answer over https. Correct {vendor.address_variable}: it begins with http:// if "
            "the server has no certificate."
        )
    if _among_causes(cause, _is_about_a_closed_connection) is not None:
        return Unreachable(
            f"{vendor.url} closed the connection without an answer. Ask again; a proxy that stands there may not wait "
            f"long enough for {vendor.name}."
        )
    if vendor.start_command:
        remedy = f"Start it with `{vendor.start_command}`, or set {vendor.address_variable} to where it listens."
    elif vendor.is_local:
        remedy = f"Start it, or correct {vendor.address_variable}."
    elif proxy is not None:
        remedy = f"Check the network, the proxy in {proxy}, and {vendor.address_variable} if you set it."
    else:
        remedy = f"Check the network, and {vendor.address_variable} if you set it."
    return Unreachable(f"{vendor.name} does not answer at {vendor.url}. {remedy}")


def not_like(vendor: Vendor, why: str) -> Unreachable:
    """Something answers at the address, but not the vendor."""
    return Unreachable(
        f"{vendor.url} does not answer like {vendor.name} ({why}). Correct {vendor.address_variable}, or what answers "
        "there."
    )


def _among_causes(error: BaseException | None, matches: Callable[[BaseException], bool]) -> BaseException | None:
    while error is not None and not matches(error):
        error = error.__cause__ or error.__context__
    return error


def _is_about_a_proxy(error: BaseException) -> bool:
    return type(error).__name__ == "ProxyError"  # httpx has one, and httpx2 has another


def _is_about_a_closed_connection(error: BaseException) -> bool:
    return type(error).__name__ in ("RemoteProtocolError", "ReadError")  # of httpx or httpx2


def _answer_in(cause: BaseException | None) -> str | None:
    """What came instead of the vendor's answer. None: nothing came."""
    import httpx

    if isinstance(cause, ValidationError):
        return "no list of models"
    if isinstance(cause, httpx.HTTPStatusError):
        reason = sanitised(cause.response.text, ())
        return f"{cause.response.status_code}: {reason}" if reason else f"{cause.response.status_code}"
    return None
