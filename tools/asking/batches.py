"""The interface to batches: requests that a vendor answers within a day, at a lower price."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..provider import Generation, GenerationRequest, ProviderError


class Batches(Protocol):
    """A vendor's batches. A submitted batch goes on, and is billed, even if this process ends."""

    @property
    def price_share(self) -> float:
        """The price of a request in a batch, as a share of its price when answered at once."""
        ...

    async def submit(self, requests: Mapping[str, GenerationRequest]) -> str:
        """Submit requests; returns the batch's id. requests: by a name of ours, 1 to 64 of `a-zA-Z0-9_-`.

        Raises a ProviderError, and then nothing was submitted, or NotLocal before anything is sent.
        """
        ...

    async def has_ended(self, batch_id: str) -> bool:
        """Whether every request of it was answered, was refused, or has expired. Raises a ProviderError."""
        ...

    def results(
        self, batch_id: str, requests: Mapping[str, GenerationRequest]
    ) -> AsyncIterator[tuple[str, Generation | ProviderError]]:
        """The name and result of each request of an ended batch, in any order.

        requests: those whose answers are wanted; any other has an empty answer. Raises a ProviderError.
        """
        ...

    async def submitted_since(self, at: float) -> Sequence[str]:
        """Ids of the account's batches since then. at: seconds since 1970 UTC. Raises a ProviderError."""
        ...


@runtime_checkable
class TakesBatches(Protocol):
    """A provider that also takes batches."""

    @property
    def batches(self) -> Batches: ...
