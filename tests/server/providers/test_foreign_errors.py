"""Every error class that an SDK exports maps to one of our errors, decided here by name."""

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
from chargehand.server.providers.error_text import sanitised
from chargehand.server.providers.vendor import Vendor
from chargehand.server.providers.vendor_errors import translating
from chargehand.tools.provider import NotLocal, ProviderError

VENDOR = Vendor("Vendor", "https://vendor.example", "VENDOR_BASE_URL", "VENDOR_API_KEY")

# A new version of an SDK may add a class that is not here; the test fails until its mapping is decided.
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


def by_foreign_name(table: dict[str, str]) -> dict[str, str]:
    return {name: ours for ours, names in table.items() for name in names.split()}


def translated(translations: dict, errors: Iterator[Exception]) -> dict[str, str]:
    found: dict[str, str] = {}
    for error in errors:
        with pytest.raises(ProviderError) as caught, translating(translations):
            raise error
        assert caught.value.__cause__ is error
        found[type(error).__name__] = type(caught.value).__name__
    return found


def instance_of(error_class: type[Exception], status_base: type[Exception], response: Callable) -> Exception:
    """An instance as the SDK would raise it, including its error code."""
    if not issubclass(error_class, status_base):
        return error_class.__new__(error_class)
    status = getattr(error_class, "status_code", 500)
    codes = get_args(inspect.get_annotations(error_class).get("error_code"))
    details = {"error_code": codes[0]} if codes else {}
    return error_class("said", response=response(status), body={"error": {"type": "t", "details": details}})


def test_every_anthropic_error_maps_to_one_of_ours(make_request, key):
    table = anthropic_adapter.translations(VENDOR, make_request("claude-haiku-5-5"), key, lambda: False)

    def response(status: int) -> httpx2.Response:
        return httpx2.Response(status, request=httpx2.Request("POST", VENDOR.url))

    errors = (instance_of(c, anthropic.APIStatusError, response) for c in exported(anthropic))
    assert translated(table, errors) == by_foreign_name(ANTHROPIC)


def test_every_cerebras_error_maps_to_one_of_ours(make_request, key):
    table = cerebras_adapter.translations(VENDOR, make_request("qwen-3.8-27b"), key, lambda: False)

    def response(status: int) -> httpx.Response:
        return httpx.Response(status, request=httpx.Request("POST", VENDOR.url))

    errors = (instance_of(c, cerebras.APIStatusError, response) for c in exported(cerebras))
    assert translated(table, errors) == by_foreign_name(CEREBRAS)


def test_every_openai_error_maps_to_one_of_ours(make_request, key):
    table = openai_adapter.translations(VENDOR, make_request("own-qwen"), key, lambda: False)

    def response(status: int) -> httpx2.Response:
        return httpx2.Response(status, request=httpx2.Request("POST", VENDOR.url))

    def instance(error_class: type[Exception]) -> Exception:
        if error_class is openai.OAuthError:
            return error_class(response=response(401), body={"error": "invalid_grant"})
        if error_class is openai.APIError:
            return error_class("said", httpx2.Request("POST", VENDOR.url), body={"message": "it broke"})
        return instance_of(error_class, openai.APIStatusError, response)

    ours = [c for c in exported(openai) if issubclass(c, openai.OpenAIError) and not c.__name__.startswith("_")]
    assert translated(table, (instance(c) for c in ours)) == by_foreign_name(OPENAI)


def test_every_ollama_error_maps_to_one_of_ours(make_request):
    table = ollama_adapter.translations(VENDOR, make_request("qwen3-30b-a3b"), lambda: False)

    assert translated(table, (c("said") for c in exported(ollama))) == by_foreign_name(OLLAMA)


@pytest.mark.parametrize("began", [False, True])
def test_transport_errors_are_unreachable_before_an_answer_and_broken_stream_during_one(make_request, key, began):
    for adapter, module, errors in (
        (anthropic_adapter, httpx2, (ConnectionResetError,)),
        (cerebras_adapter, httpx, (ConnectionResetError,)),
        (openai_adapter, httpx2, (ConnectionResetError,)),
        (ollama_adapter, httpx, (ConnectionError,)),
    ):
        keyed = () if adapter is ollama_adapter else (key,)
        table = adapter.translations(VENDOR, make_request("qwen3-30b-a3b"), *keyed, lambda: began)
        kinds = [c for c in exported(module) if issubclass(c, module.TransportError)]
        kinds += errors if adapter is ollama_adapter else ()
        found = set(translated(table, (kind.__new__(kind) for kind in kinds)).values())
        assert found == {"BrokenStream" if began else "Unreachable"}


def test_our_own_error_is_unwrapped_from_an_sdk_error(make_request, key):
    table = cerebras_adapter.translations(VENDOR, make_request("qwen-3.8-27b"), key, lambda: False)
    wrapped = cerebras.APIConnectionError(request=httpx.Request("POST", VENDOR.url))
    wrapped.__cause__ = NotLocal("stays here")

    with pytest.raises(NotLocal, match="stays here"), translating(table):
        raise wrapped


def test_an_error_that_is_not_the_vendors_is_not_translated(make_request, key):
    table = cerebras_adapter.translations(VENDOR, make_request("qwen-3.8-27b"), key, lambda: False)

    with pytest.raises(KeyError), translating(table):
        raise KeyError("a defect of our own")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max_tokens: must be positive", "max_tokens: must be positive"),
        ("two\n lines\x00 and \U000e0041 tags", "two lines and tags"),
        ("x" * 500, "x" * 160),
        ("<html><title>502 Bad Gateway</title>\n<h1>502 Bad Gateway</h1><hr>nginx</html>", "502 Bad Gateway nginx"),
        ("List<int> is not Set<str>", "List<int> is not Set<str>"),
        ("cannot parse `the secret sentence of the user`", ""),
        ("key sk-0123456789abcdef is bad", ""),
        ("", ""),
    ],
)
def test_a_sanitised_reason_is_short_and_contains_nothing_private(text, expected):
    assert sanitised(text, ["Here is the secret sentence of the user.", "sk-0123456789abcdef"]) == expected
