"""Requests that a vendor answers within a day, for less money: what is handed in, and what is fetched later."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from ..provider import Generation, GenerationRequest, ProviderError


class Batches(Protocol):
    """A vendor's batches. What was handed in goes on, and is billed, whatever becomes of this process."""

    @property
    def price_share(self) -> float:
        """What it costs, as a share of the price of a request that is answered at once."""
        ...

    async def submit(self, requests: Mapping[str, GenerationRequest]) -> str:
        """Hand requests in; gives the batch's id. requests: by a name of ours, 1 to 64 of `a-zA-Z0-9_-`.

        Raises a ProviderError, and then nothing was handed in, or NotLocal before anything is sent.
        """
        ...

    async def has_ended(self, batch_id: str) -> bool:
        """Whether every request of it is answered, refused, or too old. Raises a ProviderError."""
        ...

    def results(
        self, batch_id: str, requests: Mapping[str, GenerationRequest]
    ) -> AsyncIterator[tuple[str, Generation | ProviderError]]:
        """What became of each request of a batch that has ended, by its name, in any order.

        requests: those whose answers are wanted; of any other only the name is told, with an empty answer.
        Raises a ProviderError.
        """
        ...

    async def submitted_since(self, at: float) -> Sequence[str]:
        """Ids of the account's batches that are no older. at: seconds since 1970 UTC. Raises a ProviderError."""
        ...


@runtime_checkable
class TakesBatches(Protocol):
    """A provider that can be asked in batches, too."""

    @property
    def batches(self) -> Batches: ...
