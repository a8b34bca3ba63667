"""Requests of an evaluation submitted as batches, which cost less and may take a day.

The vendor processes and bills a batch even if this process ends. So each request is in the ledger before it is
submitted, and an identical request after a kill or a Ctrl-C gets that batch's answer: it is sent once and paid once.
"""

import hashlib
import json
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import anyio.abc

from ..memory_store.batched import Batched, batched_by, forget_batched, name_batch, note_batched, release, take_over
from ..memory_store.errors import LedgerError
from ..memory_store.under_way import attempts_of
from ..profiles.model import ModelProfile
from ..profiles.vocabulary import ProviderName
from ..tools.asking.batches import Batches, TakesBatches
from ..tools.asking.tokens import estimate_tokens
from ..tools.provider import (
    AuthenticationFailed,
    Availability,
    BrokenStream,
    Generation,
    GenerationRequest,
    MissingKey,
    Observer,
    OutOfCredit,
    Overloaded,
    Progress,
    Provider,
    ProviderError,
    RateLimited,
    RequestRefused,
    UnknownModelId,
    Usage,
)
from ..tools.services import Services

BATCH_SECONDS = 25 * 3600.0
"""Time limit of an answer: vendors promise a batch within 24 hours."""
CHECKED_AT_ONCE = 4
"""Answers checked concurrently, as those of a batch all arrive at the same time."""

_GATHER_S = 2.0
"""A batch is submitted when no request has joined it for this long."""
_FIRST_POLL_S = 5.0
_MAX_POLL_S = 60.0
_POLL_BACKOFF = 1.5
_MAX_FAILED_POLLS = 30
"""Consecutive failed polls before the waiting requests fail."""
_CLOCK_SKEW_S = 300.0

Wait = Callable[[float], Awaitable[None]]
"""Called with seconds."""


class NotFetched(BrokenStream):
    """The answers of a batch that is, or may be, with the vendor could not be fetched; they may be later."""


@dataclass
class _Waiting:
    """A request in a batch, and its result once there is one."""

    name: str
    request: GenerationRequest
    observer: Observer
    result: Generation | ProviderError | LedgerError | None = None
    is_settled: bool = True
    """False: the vendor may still have and bill it."""
    arrived: anyio.Event = field(default_factory=anyio.Event)

    def resolve(self, result: Generation | ProviderError | LedgerError, *, is_settled: bool = True) -> None:
        self.result, self.is_settled = result, is_settled
        self.arrived.set()


class BatchingProvider:
    """A vendor whose requests are submitted in batches. Implements `Provider`, within a block of `batching`."""

    def __init__(
        self,
        name: ProviderName,
        inner: Provider,
        batches: Batches,
        services: Services,
        wait: Wait,
        group: anyio.abc.TaskGroup,
    ) -> None:
        self._name: ProviderName = name
        self._inner = inner
        self._batches = batches
        self._services = services
        self._wait = wait
        self._group = group
        self._earlier: list[Batched] = []
        self._gathered: list[_Waiting] = []
        self._joined = anyio.Event()
        self._with_vendor: dict[str, list[_Waiting]] = {}
        self._settled: set[int] = set()
        self._to_be_checked: set[int] = set()
        self._check_slots = anyio.Semaphore(CHECKED_AT_ONCE)

    async def availability(
        self, profiles: Sequence[ModelProfile], *, local_only: bool = False
    ) -> Mapping[str, Availability]:
        """See `Provider`."""
        return await self._inner.availability(profiles, local_only=local_only)

    async def check_access(self) -> str | None:
        """See `Provider`."""
        return await self._inner.check_access()

    async def aclose(self) -> None:
        """See `Provider`. Does not close the wrapped provider, whose owner does."""

    async def generate(self, request: GenerationRequest, observer: Observer) -> Generation:
        """See `Provider`. Returns when the batch has ended; cancelling it does not cancel the batch."""
        if request.attempt_id is None:
            raise RuntimeError("a request that stands in no book must not go into a batch")
        waiting = await self._attach_to_earlier(request, observer) or await self._enqueue(request, observer)
        await waiting.arrived.wait()
        await self._check_slots.acquire()
        self._to_be_checked.add(request.attempt_id)
        if waiting.is_settled:
            self._settled.add(request.attempt_id)
        if isinstance(waiting.result, Generation):
            return waiting.result
        raise waiting.result or RuntimeError("a batch ended without a result")

    async def mark_checked(self, task_id: str) -> None:
        """Mark a task's answer as checked and recorded: lets another be checked, and forgets it if it is settled."""
        attempts = {attempt.id for attempt in await attempts_of(self._services.ledger, task_id)}
        await forget_batched(self._services.ledger, task_id, attempts & self._settled)
        for _ in attempts & self._to_be_checked:
            self._check_slots.release()
        self._to_be_checked -= attempts

    async def run(self) -> None:
        """Submit gathered requests as batches, until cancelled."""
        while True:
            await self._joined.wait()
            joined = 0
            while joined < len(self._gathered):
                joined = len(self._gathered)
                await self._wait(_GATHER_S)
            gathered, self._gathered, self._joined = self._gathered, [], anyio.Event()
            await self._submit({waiting.name: waiting for waiting in gathered})

    async def find_earlier(self) -> None:
        """Load earlier processes' requests; ask the vendor about those without a batch id. Raises a ProviderError."""
        self._earlier = list(await batched_by(self._services.ledger, self._name))
        unknown = {earlier.name for earlier in self._earlier if earlier.batch_id is None}
        if not unknown:
            return
        since = min(earlier.written_at for earlier in self._earlier if earlier.batch_id is None)
        named = {earlier.batch_id for earlier in self._earlier}
        for batch_id in await self._batches.submitted_since(since - _CLOCK_SKEW_S):
            if batch_id in named or not unknown:
                continue
            await self._wait_until_ended(batch_id)
            found = {name async for name, _ in self._batches.results(batch_id, {}) if name in unknown}
            await name_batch(self._services.ledger, found, batch_id)
            unknown -= found
        await release(self._services.ledger, unknown)
        self._earlier = list(await batched_by(self._services.ledger, self._name))

    async def _attach_to_earlier(self, request: GenerationRequest, observer: Observer) -> _Waiting | None:
        """Attach to an earlier process's identical request. None: there is none in a known batch."""
        fingerprint = _fingerprint(request)
        earlier = next((earlier for earlier in self._earlier if earlier.fingerprint == fingerprint), None)
        if earlier is None or earlier.batch_id is None:
            return None
        self._earlier.remove(earlier)
        await take_over(self._services.ledger, earlier.name, request.attempt_id or 0)
        waiting = _Waiting(earlier.name, request, observer)
        await self._record_as_sent(waiting, bytes_sent=0)
        self._fetch(earlier.batch_id, waiting)
        return waiting

    async def _enqueue(self, request: GenerationRequest, observer: Observer) -> _Waiting:
        waiting = _Waiting(secrets.token_hex(16), request, observer)
        row = Batched(
            waiting.name, _fingerprint(request), request.attempt_id or 0, self._name, None, self._services.now
        )
        await note_batched(self._services.ledger, [row])
        self._gathered.append(waiting)
        self._joined.set()
        return waiting

    async def _submit(self, waiting: Mapping[str, _Waiting]) -> None:
        # Recorded as sent before submitting, as a cancellation meanwhile cannot tell whether they arrived.
        for one in waiting.values():
            await self._record_as_sent(one, bytes_sent=len(_text(one.request).encode()))
        try:
            batch_id = await self._batches.submit({name: one.request for name, one in waiting.items()})
        except (RateLimited, RequestRefused, AuthenticationFailed, OutOfCredit, UnknownModelId, MissingKey) as error:
            for one in waiting.values():
                one.resolve(error)
        except ProviderError as error:
            why = NotFetched(f"{error} It is not known whether the batch arrived: the same command finds out.")
            for one in waiting.values():
                one.resolve(why, is_settled=False)
        else:
            await self._record_batch_id(batch_id, waiting)

    async def _record_batch_id(self, batch_id: str, waiting: Mapping[str, _Waiting]) -> None:
        try:
            # The ledger shields its writes from cancellation.
            await name_batch(self._services.ledger, waiting, batch_id)
        except LedgerError as error:
            for one in waiting.values():
                one.resolve(error, is_settled=False)
            return
        for one in waiting.values():
            self._fetch(batch_id, one)

    async def _record_as_sent(self, waiting: _Waiting, *, bytes_sent: int) -> None:
        """Record the request as sent, at its worst-case cost, since a batch cannot be stopped half-way."""
        request = waiting.request
        availability = await self._inner.availability([request.profile])
        tokens = estimate_tokens(_text(request))
        usage = Usage(input_tokens=tokens, output_tokens=request.max_output_tokens, is_estimated=True)
        waiting.observer.sent(availability[request.profile.id].host, bytes_sent)
        waiting.observer.progressed(Progress("waiting", usage))

    def _fetch(self, batch_id: str, waiting: _Waiting) -> None:
        if batch_id not in self._with_vendor:
            self._with_vendor[batch_id] = []
            self._group.start_soon(self._fetch_all, batch_id)
        self._with_vendor[batch_id].append(waiting)

    async def _fetch_all(self, batch_id: str) -> None:
        """Wait for a batch to end, then deliver a result or an error to each request waiting for it."""
        waiting: dict[str, _Waiting] = {}
        try:
            await self._wait_until_ended(batch_id)
            # Requests that attach from now on start another fetch.
            waiting = {one.name: one for one in self._with_vendor.pop(batch_id)}
            requests = {name: one.request for name, one in waiting.items()}
            async for name, result in self._batches.results(batch_id, requests):
                if name in waiting:
                    waiting.pop(name).resolve(result)
            for one in waiting.values():
                one.resolve(Overloaded(f"Batch {batch_id} ended without an answer to it. Ask again."))
        except ProviderError as error:
            why = NotFetched(f"{error} Batch {batch_id} is still running: the same command fetches its answers.")
            for one in (*waiting.values(), *self._with_vendor.pop(batch_id, ())):
                one.resolve(why, is_settled=False)

    async def _wait_until_ended(self, batch_id: str) -> None:
        """Poll at growing intervals until a batch has ended. Raises a ProviderError after repeated failures."""
        pause_s, failed_polls = _FIRST_POLL_S, 0
        while True:
            try:
                if await self._batches.has_ended(batch_id):
                    return
                failed_polls = 0
            except ProviderError:
                failed_polls += 1
                if failed_polls >= _MAX_FAILED_POLLS:
                    raise
            await self._wait(pause_s)
            pause_s = min(_MAX_POLL_S, pause_s * _POLL_BACKOFF)


@dataclass(frozen=True)
class Batching:
    """The services and providers of an evaluation that submits batches."""

    services: Services
    """A copy in which vendors with a batch API are asked in batches, at the batch price."""
    providers: Mapping[ProviderName, BatchingProvider]
    unavailable: Mapping[ProviderName, str]
    """Vendors with a batch API whose earlier batches could not be looked up, each with the reason."""

    def takes(self, provider: ProviderName) -> bool:
        return provider in self.providers or provider in self.unavailable

    async def mark_checked(self, task_id: str) -> None:
        """See `BatchingProvider`."""
        for provider in self.providers.values():
            await provider.mark_checked(task_id)


@asynccontextmanager
async def batching(services: Services, *, wait: Wait = anyio.sleep) -> AsyncGenerator[Batching]:
    """Ask vendors in batches while the block runs; batches unfinished at its end continue at the vendor."""
    batch_providers: dict[ProviderName, TakesBatches] = {
        name: inner for name, inner in services.providers.items() if isinstance(inner, TakesBatches)
    }
    shares = {name: inner.batches.price_share for name, inner in batch_providers.items()}
    repriced = {profile.id: profile.at_share(shares.get(profile.provider, 1.0)) for profile in services.profiles}
    async with anyio.create_task_group() as group:
        providers: dict[ProviderName, BatchingProvider] = {}
        unavailable: dict[ProviderName, str] = {}
        for name, inner in batch_providers.items():
            provider = BatchingProvider(name, services.providers[name], inner.batches, services, wait, group)
            try:
                await provider.find_earlier()
            except ProviderError as error:
                unavailable[name] = f"{error} It is not known what was submitted before, so nothing is asked again."
                continue
            providers[name] = provider
            group.start_soon(provider.run)
        profiles = replace(services.profiles, profiles=repriced)
        yield Batching(
            replace(services, profiles=profiles, providers={**services.providers, **providers}), providers, unavailable
        )
        group.cancel_scope.cancel()


def _fingerprint(request: GenerationRequest) -> str:
    """Hash of the request, except for its limit on output tokens."""
    asked = [
        request.profile.api_model,
        request.system,
        [(turn.author, turn.text) for turn in request.turns],
        [request.thinking.on, request.thinking.effort],
        request.answer_schema,
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _text(request: GenerationRequest) -> str:
    return "\n".join([request.system, *(turn.text for turn in request.turns)])
