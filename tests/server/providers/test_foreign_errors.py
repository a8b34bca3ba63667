"""Every error class that an SDK exports has a place among ours, decided here by name."""

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import get_args

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest
from cerebras.cloud import sdk as cerebras

from chargehand.server.providers import anthropic as anthropic_adapter
from chargehand.server.providers import cerebras as cerebras_adapter
from chargehand.server.providers import ollama as ollama_adapter
from chargehand.server.providers import openai_compatible as openai_adapter
from chargehand.server.providers.vendor import Vendor
from chargehand.server.providers.vendor_errors import sanitised, translating
from chargehand.tools.provider import NotLocal, ProviderError

VENDOR = Vendor("Vendor", "https://vendor.example", "VENDOR_BASE_URL", "VENDOR_API_KEY")

# An SDK's next version may bring a class that is not here: the test fails until someone decides.
ANTHROPIC = {
    "AuthenticationFailed": "AuthenticationError PermissionDeniedError CMEKKeyDisabledError CMEKKeyNetworkBlockedError "
    "ClaudeCodeKeyCreatorNotMemberError OrganizationOnHoldError OrganizationTypeNotSupportedError "
    "ParentOrganizationRequiredError SandboxEgressRestrictedError WorkspaceHumanReviewDisabledError",
    "BrokenStream": "APIError APIResponseValidationError APIWebhookValidationError AnthropicError CredentialsError "
    "IdentityTokenFileError RetryableError WorkloadIdentityError",
    "ContextTooLong": "ContentTooLargeError RequestBodyTooLargeAfterDecodingError",
    "InvalidRequest": "BadRequestError PreconditionFailedError UnprocessableEntityError ClientClosedRequestError "
    "RequestHeaderFieldsTooLargeError RequestBodyEncodingInvalidError RequestBodyEncodingUnsupportedError "
    "ClaudeCodeVersionTooOldError",
    "OutOfCredit": "PaymentRequiredError ContractSpendLimitReachedError EnforcedSpendLimitReachedError "
    "LinkedOrganizationBillingUnavailableError LinkedOrganizationSpendLimitReachedError",
    "Overloaded": "ConflictError GatewayTimeoutError OverloadedError RequestTimeoutError ServiceUnavailableError "
    "CMEKContextUnavailableError CMEKKeyUnreachableError",
    "RateLimited": "RateLimitError RampLimitExceededError",
    "UnknownModelId": "NotFoundError",
    "Unreachable": "APIConnectionError APITimeoutError",
    "VendorFailed": "APIStatusError HTTPNotImplementedError InternalServerError",
}
CEREBRAS = {
    "AuthenticationFailed": "AuthenticationError PermissionDeniedError",
    "BrokenStream": "APIError APIResponseValidationError CerebrasError",
    "InvalidRequest": "BadRequestError UnprocessableEntityError",
    "Overloaded": "ConflictError",
    "RateLimited": "RateLimitError",
    "UnknownModelId": "NotFoundError",
    "Unreachable": "APIConnectionError APITimeoutError",
    "VendorFailed": "APIStatusError InternalServerError",
}
OPENAI = {
    "AuthenticationFailed": "AuthenticationError OAuthError PermissionDeniedError",
    "BrokenStream": "APIError APIResponseValidationError ContentFilterFinishReasonError LengthFinishReasonError "
    "OpenAIError WebSocketConnectionClosedError WebSocketQueueFullError",
    "InvalidRequest": "BadRequestError UnprocessableEntityError",
    "Overloaded": "ConflictError",
    "RateLimited": "RateLimitError",
    "UnknownModelId": "NotFoundError",
    "Unreachable": "APIConnectionError APITimeoutError",
    "VendorFailed": "APIStatusError InternalServerError",
}
OLLAMA = {"BrokenStream": "RequestError", "VendorFailed": "ResponseError"}


def exported(module: ModuleType) -> Iterator[type[Exception]]:
    for name in dir(module):
        value = getattr(module, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            yield value


def named(table: dict[str, str]) -> dict[str, str]:
    return {name: ours for ours, names in table.items() for name in names.split()}


def places(translations: dict, errors: Iterator[Exception]) -> dict[str, str]:
    found: dict[str, str] = {}
    for error in errors:
        with pytest.raises(ProviderError) as caught, translating(translations):
            raise error
        assert caught.value.__cause__ is error
        found[type(error).__name__] = type(caught.value).__name__
    return found


def made(error_class: type[Exception], status_base: type[Exception], response: Callable) -> Exception:
    """An instance as the SDK would raise it, error code included."""
    if not issubclass(error_class, status_base):
        return error_class.__new__(error_class)
    status = getattr(error_class, "status_code", 500)
    codes = get_args(inspect.get_annotations(error_class).get("error_code"))
    details = {"error_code": codes[0]} if codes else {}
    return error_class("said", response=response(status), body={"error": {"type": "t", "details": details}})


def test_anthropics_errors_each_have_a_place(ask, key):
    table = anthropic_adapter.translations(VENDOR, ask("claude-haiku-5-5"), key, lambda: False)

    def response(status: int) -> httpx2.Response:
        return httpx2.Response(status, request=httpx2.Request("POST", VENDOR.url))

    errors = (made(c, anthropic.APIStatusError, response) for c in exported(anthropic))
    assert places(table, errors) == named(ANTHROPIC)


def test_cerebrass_errors_each_have_a_place(ask, key):
    table = cerebras_adapter.translations(VENDOR, ask("qwen-3.8-27b"), key, lambda: False)

    def response(status: int) -> httpx.Response:
        return httpx.Response(status, request=httpx.Request("POST", VENDOR.url))

    errors = (made(c, cerebras.APIStatusError, response) for c in exported(cerebras))
    assert places(table, errors) == named(CEREBRAS)


def test_openais_errors_each_have_a_place(ask, key):
    table = openai_adapter.translations(VENDOR, ask("own-qwen"), key, lambda: False)

    def response(status: int) -> httpx2.Response:
        return httpx2.Response(status, request=httpx2.Request("POST", VENDOR.url))

    def raised(error_class: type[Exception]) -> Exception:
        if error_class is openai.OAuthError:
            return error_class(response=response(401), body={"error": "invalid_grant"})
        if error_class is openai.APIError:
            return error_class("said", httpx2.Request("POST", VENDOR.url), body={"message": "it broke"})
        return made(error_class, openai.APIStatusError, response)

    ours = [c for c in exported(openai) if issubclass(c, openai.OpenAIError) and not c.__name__.startswith("_")]
    assert places(table, (raised(c) for c in ours)) == named(OPENAI)


def test_ollamas_errors_each_have_a_place(ask):
    table = ollama_adapter.translations(VENDOR, ask("qwen3-30b-a3b"), lambda: False)

    assert places(table, (c("said") for c in exported(ollama))) == named(OLLAMA)


@pytest.mark.parametrize("began", [False, True])
def test_transport_errors_are_unreachable_before_an_answer_and_broken_within_one(ask, key, began):
    for adapter, module, errors in (
        (anthropic_adapter, httpx2, (ConnectionResetError,)),
        (cerebras_adapter, httpx, (ConnectionResetError,)),
        (openai_adapter, httpx2, (ConnectionResetError,)),
        (ollama_adapter, httpx, (ConnectionError,)),
    ):
        keyed = () if adapter is ollama_adapter else (key,)
        table = adapter.translations(VENDOR, ask("qwen3-30b-a3b"), *keyed, lambda: began)
        kinds = [c for c in exported(module) if issubclass(c, module.TransportError)]
        kinds += errors if adapter is ollama_adapter else ()
        found = set(places(table, (kind.__new__(kind) for kind in kinds)).values())
        assert found == {"BrokenStream" if began else "Unreachable"}


def test_our_own_refusal_comes_back_out_of_an_sdks_wrapping(ask, key):
    table = cerebras_adapter.translations(VENDOR, ask("qwen-3.8-27b"), key, lambda: False)
    wrapped = cerebras.APIConnectionError(request=httpx.Request("POST", VENDOR.url))
    wrapped.__cause__ = NotLocal("stays here")

    with pytest.raises(NotLocal, match="stays here"), translating(table):
        raise wrapped


def test_an_error_that_is_no_vendors_is_not_ours_to_explain(ask, key):
    table = cerebras_adapter.translations(VENDOR, ask("qwen-3.8-27b"), key, lambda: False)

    with pytest.raises(KeyError), translating(table):
        raise KeyError("a defect of our own")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("max_tokens: must be positive", "max_tokens: must be positive"),
        ("two\n lines\x00 and \U000e0041 tags", "two lines and tags"),
        ("x" * 500, "x" * 160),
        ("cannot parse `the secret sentence of the user`", ""),
        ("key sk-0123456789abcdef is bad", ""),
        ("", ""),
    ],
)
def test_a_reason_is_short_and_quotes_nothing_private(text, shown):
    assert sanitised(text, ["Here is the secret sentence of the user.", "sk-0123456789abcdef"]) == shown
