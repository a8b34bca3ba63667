"""Anthropic's error responses, after the types of anthropic 2.13.0 (seen 2026-11-24)."""

from typing import Any

from starlette.responses import Response

from .journal import Exchange
from .reply import HttpFault
from .streaming import whole

_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def refuse(exchange: Exchange, fault: HttpFault) -> Response:
    """The fault as a response in the vendor's format."""
    return whole(
        exchange,
        fault.body or error_body(kind_of(fault), fault.message),
        fault.status,
        {"request-id": "req_1", **fault.headers},
    )


def kind_of(fault: HttpFault) -> str:
    return fault.kind or _KINDS.get(fault.status, "api_error")


def error_body(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
