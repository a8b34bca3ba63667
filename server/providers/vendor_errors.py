"""Translates a vendor's error response, by status and kind, into our typed error with its remedy."""

import math
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ...tools.errors import WHERE_VARIABLES_ARE_SET
from ...tools.provider import (
    AuthenticationFailed,
    BrokenStream,
    ContextTooLong,
    GenerationRequest,
    InvalidRequest,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    UnknownModelId,
    Unreachable,
    VendorFailed,
)
from .error_text import sanitised
from .unreachable import not_like, unreachable
from .vendor import Vendor

Translation = Callable[[Exception], ProviderError]

# Vendors have no machine-readable code for these; the texts are from Anthropic, Cerebras, Ollama, vLLM, SGLang 0.5.23,
# llama.cpp, LM Studio (its bug tracker, seen 2026-11-30), oMLX (issue 658 of ValueCell-ai/ClawX) and LiteLLM.
_TOO_LONG = re.compile(
    r"(prompt|input) (is )?too long|exceeds? (the )?(model's )?(available )?context|exceed_context_size"
    r"|reduce the length|context.?(length|size).?(has been )?exceeded"
    r"|longer than the (model's )?(context|maximum model length)"
    r"|maximum context length|(greater than|reached) (the )?context length|context the overflows",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"credit balance|spend_limit|insufficient.?(credit|quota|funds)|payment_required|budget.?(has been )?exceeded",
    re.IGNORECASE,
)
# LiteLLM without a database answers an unknown key with the first.
_BAD_KEY = re.compile(
    r"no_db_connection|(invalid|incorrect).{0,4}api.?key|api.?key.{0,4}(not valid|invalid)", re.IGNORECASE
)
# LM Studio and the router of llama.cpp (`tools/server/server-models.cpp`, seen 2026-11-30) say that none is loaded.
_NO_MODEL = re.compile(r"invalid model name|model_not_found|no models loaded|model is not loaded", re.IGNORECASE)
# Gateways send 500 with the vendor's own code for it in the text.
_NO_CAPACITY = re.compile(r"overloaded", re.IGNORECASE)
# Anthropic's error codes for an account without permission, which it sends with status 400.
_NOT_ALLOWED = re.compile(r"\b(organization|parent_organization|workspace|cmek|claude_code_key)_")


@dataclass(frozen=True)
class ErrorResponse:
    """The error that a vendor returned instead of an answer."""

    status: int
    """HTTP status; 200 for an error inside a stream that had begun successfully."""
    kind: str = ""
    """The vendor's machine-readable error type and code."""
    text: str = ""
    """The vendor's message. It may quote the prompt, so it is shown only through `sanitised`."""
    retry_after_s: float | None = None
    began: bool = False
    """True: part of the answer had arrived."""


def typed_error(
    error_response: ErrorResponse, vendor: Vendor, request: GenerationRequest | None, key: str = ""
) -> ProviderError:
    """The typed error for a response. Its message never contains the key, the prompt, or more than a short reason.

    request: None when only the model list was requested.
    A mid-stream error has no status of its own, so one is derived from its kind.
    """
    case = _Case(error_response, vendor, request, key)
    status = error_response.status if error_response.status >= 300 else _status_of(error_response.kind)
    if status == 400 and _NOT_ALLOWED.search(error_response.kind):
        return _forbidden(case)
    if status == 429 and "queue_exceeded" in error_response.kind:
        # Cerebras's code for its own overload, as opposed to a limit of the account.
        return _overloaded(case)
    if status == 402 and error_response.retry_after_s is not None:
        # OpenRouter's word for credit that requests under way hold (its limits page, seen 2026-11-30).
        return _rate_limited(case)
    by_text = _BY_TEXT if status in _EXPLAINED_BY_TEXT else _FAILURES_BY_TEXT if status >= 500 else ()
    for pattern, make in by_text:
        if pattern.search(f"{error_response.kind} {error_response.text}"):
            return make(case)
    if make := _BY_STATUS.get(status):
        return make(case)
    if status < 400:
        return _redirected(case)
    if status < 500:
        return _invalid(case)
    return _broken(case) if error_response.began else _failed(case)


def broken_stream(vendor: Vendor) -> BrokenStream:
    """The connection ended, or sent malformed data, in the middle of an answer."""
    return BrokenStream(f"The answer of {vendor.place} broke off before it was complete. Ask again, or another model.")


def unknown_model(vendor: Vendor, request: GenerationRequest, cause: str = "") -> UnknownModelId:
    """The model is not installed, not loaded or no longer offered; the message names the remedy or a substitute."""
    profile = request.profile
    if profile.setup_command:
        return UnknownModelId(f"{profile.api_model} is not installed in {vendor.name}. Run: {profile.setup_command}")
    lifecycle = profile.lifecycle
    gone = (
        f" It was retired on {lifecycle.retires_on}." if lifecycle.status == "retired" and lifecycle.retires_on else ""
    )
    instead = lifecycle.successor or "another model"
    return UnknownModelId(f"{vendor.place} has no model {profile.api_model}{cause}.{gone} Use {instead} instead.")


def context_too_long(request: GenerationRequest) -> ContextTooLong:
    """Prompt and answer do not fit the context window, or the vendor truncated the prompt to fit."""
    return ContextTooLong(
        f"The prompt does not fit the window of {request.profile.id}. Give fewer context files, or use a model "
        "with a longer context."
    )


def seconds_of(header: str | None) -> float | None:
    """A `retry-after` header in seconds. None: absent, or a date, which none of these vendors sends."""
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None


def connection_lost(vendor: Vendor, began: Callable[[], bool]) -> Translation:
    """Translation for connection errors. began: returns whether part of the answer had arrived."""
    return lambda error: broken_stream(vendor) if began() else unreachable(vendor, error)


def malformed_reply(vendor: Vendor) -> Translation:
    """Translation for replies that cannot be parsed."""
    return lambda _: broken_stream(vendor)


@contextmanager
def translating(translations: Mapping[type[Exception], Translation]) -> Generator[None]:
    """Re-raises foreign errors from the block as typed ones, chained; the nearest base class in the table decides."""
    try:
        yield
    except tuple(translations) as error:
        if isinstance(error.__cause__, ProviderError):
            # Our own gate refused the request, and the SDK wrapped its error.
            raise error.__cause__ from error
        nearest = next(base for base in type(error).__mro__ if base in translations)
        raise translations[nearest](error) from error


def _status_of(kind: str) -> int:
    return next((status for word, status in _STATUS_OF_KIND.items() if word in kind), 500)


@dataclass(frozen=True)
class _Case:
    response: ErrorResponse
    vendor: Vendor
    request: GenerationRequest | None
    key: str

    @property
    def model(self) -> str:
        return self.request.profile.api_model if self.request else "its list of models"

    @property
    def reason(self) -> str:
        """`: REASON`, or empty when there is none that may be shown."""
        private = [*filter(None, (self.key, *self.vendor.headers.secrets))]
        if self.request is not None:
            private += [self.request.system, *(turn.text for turn in self.request.turns)]
        reason = sanitised(self.response.text, private)
        return f": {reason}" if reason else ""

    @property
    def cause(self) -> str:
        """` (STATUS: REASON)`, or empty for an error inside a stream without a reason."""
        status = self.response.status if self.response.status >= 300 else ""
        said = f"{status}{self.reason}".removeprefix(": ")
        return f" ({said})" if said else ""


def _rate_limited(case: _Case) -> ProviderError:
    wait_s = case.response.retry_after_s
    wait = "Wait" if wait_s is None else f"Wait {_as_time(wait_s)}"
    what = f"{case.vendor.place} limits the rate of requests to {case.model}{case.reason.rstrip('.')}"
    return RateLimited(f"{what}. {wait}, or ask another model.", wait_s)


def _as_time(seconds: float) -> str:
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _overloaded(case: _Case) -> ProviderError:
    return Overloaded(
        f"{case.vendor.place} has no capacity for {case.model} now{case.cause}. Wait, or ask another model."
    )


def _authentication(case: _Case) -> ProviderError:
    vendor = case.vendor
    if not vendor.credentials:
        return AuthenticationFailed(f"{vendor.place} wants you to sign in for {case.model}. {vendor.key_remedy}")
    return AuthenticationFailed(
        f"{vendor.place} does not accept the key. Correct {vendor.credentials} {WHERE_VARIABLES_ARE_SET}."
    )


def _forbidden(case: _Case) -> ProviderError:
    """Ollama's cloud also forbids models that need a subscription, and OpenRouter what a guardrail blocked."""
    if not case.vendor.credentials:
        what = f"{case.vendor.place} does not let you use {case.model}{case.cause}"
        return AuthenticationFailed(f"{what}. Use another model.") if case.reason else _authentication(case)
    return AuthenticationFailed(
        f"{case.vendor.place} does not let this account use {case.model}{case.cause}. Check the account in the "
        f"vendor console, or set another key: {case.vendor.credentials} {WHERE_VARIABLES_ARE_SET}."
    )


def _no_credit(case: _Case) -> ProviderError:
    return OutOfCredit(
        f"The account with {case.vendor.place} has no credit left, or has reached its spend limit. "
        "Add credit in the vendor's console, or use another vendor's model."
    )


def _unknown(case: _Case) -> ProviderError:
    """A 404 whose text says nothing of a model comes from a server that has no such path.

    OpenRouter has "no endpoints" for a model that the account's settings rule out (seen 2026-11-30).
    """
    if case.request is None:
        return _wrong_server(case)
    text, model = f"{case.response.kind} {case.response.text}".lower(), case.request.profile.api_model.lower()
    is_about_model = not case.response.text or any(words in text for words in ("model", model, "no endpoints"))
    return unknown_model(case.vendor, case.request, case.cause) if is_about_model else _wrong_server(case)


def _too_long(case: _Case) -> ProviderError:
    return context_too_long(case.request) if case.request else _wrong_server(case)


def _wrong_server(case: _Case) -> ProviderError:
    return not_like(case.vendor, f"{case.response.status}{case.reason}")


def _redirected(case: _Case) -> ProviderError:
    vendor = case.vendor
    return Unreachable(
        f"{vendor.name} at {vendor.url} answered with a redirect ({case.response.status}), which is not followed. "
        f"Set {vendor.address_variable} to the final address."
    )


def _invalid(case: _Case) -> ProviderError:
    if case.request is None:
        return _wrong_server(case)
    return InvalidRequest(
        f"{case.vendor.place} refuses the form of the request for {case.model} ({case.response.status}{case.reason}). "
        f"The rules in the profile {case.request.profile.id} may be out of date; use another model meanwhile."
    )


def _failed(case: _Case) -> ProviderError:
    return VendorFailed(
        f"{case.vendor.place} failed on {case.model} ({case.response.status}{case.reason}). "
        "Ask again, or another model."
    )


def _broken(case: _Case) -> ProviderError:
    return BrokenStream(
        f"{case.vendor.place} broke off in the middle of an answer{case.reason}. Ask again, or another model."
    )


_Maker = Callable[[_Case], ProviderError]

_EXPLAINED_BY_TEXT = (400, 413, 422, 429)
_BY_TEXT: tuple[tuple[re.Pattern[str], _Maker], ...] = (
    (_TOO_LONG, _too_long),
    (_NO_CREDIT, _no_credit),
    (_BAD_KEY, _authentication),
    (_NO_MODEL, _unknown),
)
# llama.cpp notices some prompts that are too long only while it evaluates them, and LM Studio in its stream.
_FAILURES_BY_TEXT: tuple[tuple[re.Pattern[str], _Maker], ...] = ((_TOO_LONG, _too_long), (_NO_CAPACITY, _overloaded))

_BY_STATUS: dict[int, _Maker] = {
    401: _authentication,
    402: _no_credit,
    403: _forbidden,
    404: _unknown,
    408: _overloaded,
    409: _overloaded,
    413: _too_long,
    429: _rate_limited,
    503: _overloaded,
    504: _overloaded,
    529: _overloaded,
}

_STATUS_OF_KIND = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "rate_limit": 429,
    "too_many": 429,
    "overloaded": 529,
}
