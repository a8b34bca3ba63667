"""Anthropic's Message Batches API: requests answered within 24 hours, at half the price.

https://platform.claude.com/docs/en/build-with-claude/batch-processing (seen 2026-11-25): refused, cancelled and expired
requests are not billed. Anthropic keeps requests and results for 29 days; results can be fetched for as long.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ...tools.provider import (
    Generation,
    GenerationRequest,
    Overloaded,
    Progress,
    ProviderError,
    UnusableAnswer,
    Usage,
)
from .account import Account
from .egress import on_behalf_of
from .reply import PartialReply, ReplyEnding
from .vendor_errors import ErrorResponse, typed_error

if TYPE_CHECKING:
    import anthropic
    from anthropic.types import Message
    from anthropic.types.messages import MessageBatchIndividualResponse

PRICE_SHARE = 0.5

Body = Callable[[GenerationRequest], dict[str, Any]]
"""Builds the body of one request, in the vendor's format, hence Any."""

ReadMessage = Callable[["Message", PartialReply], ReplyEnding]
"""Reads a complete message into a reply."""


class AnthropicBatches:
    """Implements `Batches` on an account."""

    def __init__(self, account: "Account[anthropic.AsyncAnthropic]", body: Body, read: ReadMessage) -> None:
        self._account = account
        self._body = body
        self._read = read

    @property
    def price_share(self) -> float:
        return PRICE_SHARE

    async def submit(self, requests: Mapping[str, GenerationRequest]) -> str:
        """See `Batches`."""
        for request in requests.values():
            self._account.check_before_sending(request)
        first = next(iter(requests.values()))
        client = await self._account.client()
        bodies = [{"custom_id": name, "params": self._body(request)} for name, request in requests.items()]
        with self._account.translating(first), on_behalf_of(first, _NullObserver()):
            batch = await client.messages.batches.create(requests=cast(Any, bodies))
        return batch.id

    async def has_ended(self, batch_id: str) -> bool:
        """See `Batches`."""
        client = await self._account.client()
        with self._account.translating():
            batch = await client.messages.batches.retrieve(batch_id)
        return batch.processing_status == "ended"

    async def results(
        self, batch_id: str, requests: Mapping[str, GenerationRequest]
    ) -> AsyncIterator[tuple[str, Generation | ProviderError]]:
        """See `Batches`."""
        client = await self._account.client()
        with self._account.translating():
            async for line in await client.messages.batches.results(batch_id):
                request = requests.get(line.custom_id)
                yield line.custom_id, _UNKNOWN_REQUEST if request is None else self._result(line, request)

    async def submitted_since(self, at: float) -> Sequence[str]:
        """See `Batches`. The API lists the newest first."""
        since = dt.datetime.fromtimestamp(at, dt.UTC)
        found: list[str] = []
        client = await self._account.client()
        with self._account.translating():
            async for batch in client.messages.batches.list(limit=100):
                if batch.created_at < since:
                    break
                found.append(batch.id)
        return found

    def _result(self, line: "MessageBatchIndividualResponse", request: GenerationRequest) -> Generation | ProviderError:
        result, vendor = line.result, self._account.vendor
        match result.type:
            case "succeeded":
                reply = PartialReply(request, _NullObserver(), lambda: 0.0)
                try:
                    return _untimed(reply.finish(self._read(result.message, reply)))
                except UnusableAnswer as error:
                    error.generation = _untimed(error.generation)
                    return error
            case "errored":
                error_body = result.error.error
                error_response = ErrorResponse(status=200, kind=error_body.type, text=error_body.message)
                return typed_error(error_response, vendor, request, self._account.api_key)
            case "expired" | "canceled":
                return Overloaded(
                    f"{request.profile.id}: {vendor.name} did not answer it within 24 hours (its batch says"
                    f" `{result.type}`). Ask again, or without --batch."
                )


class _NullObserver:
    """An `Observer` that ignores all events, for replies that are already complete."""

    def progressed(self, progress: Progress) -> None: ...

    def sent(self, host: str, bytes_sent: int) -> None: ...


_UNKNOWN_REQUEST = Generation("", Usage(), 0.0)


def _untimed(generation: Generation) -> Generation:
    """The generation without its duration, which is not known for a batch."""
    return Generation(generation.text, generation.usage, 0.0, vendor_state=generation.vendor_state)
