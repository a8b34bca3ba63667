"""One request to one model: its money set aside before it leaves, its cost in the books however it ends."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from dataclasses import dataclass, field, replace

import anyio
import anyio.to_thread

from ...memory_store.errors import BudgetExceeded, LedgerError
from ...memory_store.records import NewAttempt, Settlement
from ...memory_store.under_way import close_abandoned
from ...profiles.model import ModelProfile
from ...profiles.price import in_dollars
from ..editing.prompt import Prompt
from ..guarding.budget import Allowance, allow
from ..guarding.outgoing import clear_for_sending
from ..provider import (
    Busy,
    ContextTooLong,
    EmptyAnswer,
    Generation,
    GenerationRequest,
    GenerationTimeout,
    Progress,
    ProviderError,
    Refused,
    RequestRefused,
    Thinking,
    Truncated,
    Unavailable,
    UnusableAnswer,
    Usage,
    VendorFailed,
)
from ..routing.candidates import Candidate
from ..services import Services
from ..vocabulary import AttemptOutcome

# The most specific class first.
_OUTCOMES: tuple[tuple[type[ProviderError], AttemptOutcome], ...] = (
    (Truncated, "truncated"),
    (Refused, "refused"),
    (EmptyAnswer, "empty"),
    (ContextTooLong, "over_context"),
    (GenerationTimeout, "timeout"),
    (Unavailable, "unreachable"),
    (VendorFailed, "error"),
    (Busy, "rate_limited"),
    (ProviderError, "error"),
)

# Less room than this brings no answer worth its prompt.
_LEAST_TOKENS = 256
_LEAST_THINKING_TOKENS = 1_024

# While money is waited for, which another process may hold.
_LOOK_EVERY_S = 0.25


class NotAffordable(Exception):
    """Not even a short answer of this model fits the money that is left."""


class NoTime(Exception):
    """The reply would come too late, so nothing was sent."""


@dataclass
class Traffic:
    """The requests and bytes that went to one host."""

    requests: int = 0
    bytes: int = 0


@dataclass
class RequestMonitor:
    """Counts what leaves and follows what comes; an `Observer` for the providers."""

    tell: Callable[[str, int, int], None] | None = None
    """Called with the phase, the output tokens so far, and how many are ahead of it. None: nobody wants to know."""
    traffic: dict[str, Traffic] = field(default_factory=dict[str, Traffic])
    """By host, over all requests."""
    last: Progress | None = None
    """The newest progress of the request under way."""
    has_sent: bool = False
    """Whether the request under way has left."""

    @property
    def has_begun(self) -> bool:
        """Whether the reply under way has begun, be it with the vendor's counters alone."""
        last = self.last
        return last is not None and (last.phase in ("thinking", "answering") or not last.usage.is_estimated)

    def begin(self) -> None:
        self.last, self.has_sent = None, False

    def waits(self, ahead: int) -> None:
        """The request waits until so many others have had their turn."""
        if self.tell is not None:
            self.tell("waiting", 0, ahead)

    def progressed(self, progress: Progress) -> None:
        self.last = progress
        if self.tell is not None:
            self.tell(progress.phase, progress.usage.output_tokens, 0)

    def sent(self, host: str, bytes_sent: int) -> None:
        self.has_sent = True
        seen = self.traffic.setdefault(host, Traffic())
        seen.requests += 1
        seen.bytes += bytes_sent


@dataclass(frozen=True)
class RequestTerms:
    """What one request may use, and how it is to be answered."""

    prompt: Prompt
    thinking: Thinking
    wanted_tokens: int
    """Output tokens, thinking included, that it should have; shrunk to what the money pays."""
    seconds: float
    """From now to the last byte read, waiting for its turn included."""
    needed_seconds: float | None = None
    """What the reply is expected to take: with less left it is not sent. None: it is sent in any case."""
    left_usd: float | None = None
    """US dollars that the caller has left. None: no limit but the day's."""
    limit: str = "max_cost_usd"
    """What `left_usd` is left of, as its user knows it."""
    local_only: bool = False
    answer_schema: Mapping[str, object] | None = None


def affordable(candidate: Candidate, terms: RequestTerms, left_usd: float | None) -> Allowance | None:
    """What the request may use of the money, whatever `terms` itself says is left. None: not even a short answer."""
    return allow(
        candidate.profile,
        prompt_tokens_at_most=terms.prompt.tokens_at_most,
        wanted_tokens=_within_the_model(candidate, terms),
        min_tokens=_LEAST_THINKING_TOKENS if terms.thinking.on else _LEAST_TOKENS,
        left_usd=left_usd,
    )


@dataclass(frozen=True)
class RequestResult:
    """How one request ended."""

    attempt_id: int
    """In the ledger."""
    outcome: AttemptOutcome
    """`unverified` when an answer came."""
    thinking: bool
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    reserved_usd: float = 0.0
    """What was set aside for it: its worst case."""
    seconds: float = 0.0
    generation: Generation | None = None
    error: ProviderError | None = None


@dataclass(frozen=True)
class Requester:
    """Sends the requests of one task, and books them."""

    services: Services
    task_id: str
    monitor: RequestMonitor
    interrupted: list[RequestResult] = field(default_factory=list[RequestResult])
    """Requests whose caller was cancelled while they were under way."""
    unwritten: list[LedgerError] = field(default_factory=list[LedgerError])
    """Why something that had happened already is not in the books."""

    @contextlib.contextmanager
    def booking(self) -> Generator[None]:
        """Around writes of what has happened already: where they fail, what was paid for is handed out all the same."""
        try:
            yield
        except LedgerError as error:
            self.unwritten.append(error)

    async def ask(self, candidate: Candidate, terms: RequestTerms) -> RequestResult:
        """Send the request and settle it.

        Raises MustStayLocal, NoTime, NotAffordable, or BudgetExceeded of the day, before anything is sent.
        """
        if not candidate.availability.is_local:
            prompt = await anyio.to_thread.run_sync(clear_for_sending, terms.prompt, self.services.rules.privacy)
            terms = replace(terms, prompt=prompt)
        deadline = anyio.current_time() + terms.seconds
        _refuse_too_late(candidate, terms, terms.seconds)
        async with self._turn(candidate, terms):
            left = replace(terms, seconds=deadline - anyio.current_time())
            _refuse_too_late(candidate, left, left.seconds)
            return await self._ask(candidate, left)

    @contextlib.asynccontextmanager
    async def _turn(self, candidate: Candidate, terms: RequestTerms) -> AsyncGenerator[None]:
        """The turn before a server that takes few requests at a time. Raises NoTime when it does not come."""
        server, queue = candidate.availability.queue, self.services.queue
        if server is None:
            yield
            return
        ticket: int | None = None
        with anyio.move_on_after(max(0.0, terms.seconds - (terms.needed_seconds or 0.0))):
            ticket = await queue.take_turn(server, self.monitor.waits)
        if ticket is None:
            raise NoTime(
                f"{candidate.profile.id}: it did not get its turn in time; other requests are ahead of it on the same"
                " Ollama. Allow more seconds, or set OLLAMA_NUM_PARALLEL if it can take several at a time."
            )
        try:
            yield
        finally:
            await queue.leave(server, ticket)

    async def _ask(self, candidate: Candidate, terms: RequestTerms) -> RequestResult:
        # At the price of the day on which it is asked, which may not be the one it was chosen on.
        profile = candidate.profile.priced_on(self.services.today)
        deadline = anyio.current_time() + terms.seconds
        attempt_id, allowance = await self._set_aside(replace(candidate, profile=profile), terms)
        request = GenerationRequest(
            profile=profile,
            system=terms.prompt.system,
            turns=terms.prompt.turns,
            thinking=terms.thinking,
            max_output_tokens=allowance.max_output_tokens,
            timeout_s=deadline - anyio.current_time(),
            answer_schema=terms.answer_schema,
            # What was not searched, because a local model may see all, must not go elsewhere after all.
            local_only=terms.local_only or candidate.availability.is_local,
            attempt_id=attempt_id,
        )
        begun = anyio.current_time()
        result = RequestResult(attempt_id, "cancelled", terms.thinking.on, reserved_usd=allowance.worst_case_usd)
        try:
            result = await self._answered(result, request)
        except BaseException:
            result = self._billed_so_far(result, request)
            self.interrupted.append(replace(result, seconds=anyio.current_time() - begun))
            raise
        finally:
            result = replace(result, seconds=anyio.current_time() - begun)
            await self.settle(result)
        return result

    async def settle(self, result: RequestResult) -> None:
        """Write how the request ended; the newest word counts."""
        usage, generation = result.usage, result.generation
        first = generation.first_token_seconds if generation else None
        settlement = Settlement(
            outcome=result.outcome,
            seconds=result.seconds,
            cost_usd=result.cost_usd,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            thinking_tokens=usage.thinking_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            load_seconds=generation.load_seconds if generation else None,
            first_token_seconds=first,
            stream_seconds=generation.seconds - first if generation and first is not None else None,
        )
        with self.booking():
            await self.services.ledger.settle(result.attempt_id, settlement)

    async def _set_aside(self, candidate: Candidate, terms: RequestTerms) -> tuple[int, Allowance]:
        """The attempt's id, once its worst case is in the books, and what it may use.

        Waits, as far as its time goes, for money that only requests under way keep from it.
        """
        profile = candidate.profile
        latest = anyio.current_time() + terms.seconds - (terms.needed_seconds or 0.0)
        while True:
            try:
                allowance = await self._allowance(candidate, terms)
                attempt = NewAttempt(
                    task_id=self.task_id,
                    model=profile.id,
                    provider=profile.provider,
                    build=candidate.availability.build,
                    thinking=terms.thinking.on,
                    reserved_usd=allowance.worst_case_usd,
                )
                daily_cap_usd = self.services.rules.daily_budget_usd
                return await self.services.ledger.reserve(attempt, daily_cap_usd=daily_cap_usd), allowance
            except (NotAffordable, BudgetExceeded) as error:
                held_usd = await self._held_usd(candidate, terms)
                if held_usd is None:
                    raise
                if anyio.current_time() >= latest:
                    raise NotAffordable(
                        f"{profile.id}: {in_dollars(held_usd)} of CHARGEHAND_DAILY_BUDGET_USD is held by requests under"
                        " way, and mostly comes back when they end. Try again in a moment."
                    ) from error
            self.monitor.waits(0)
            await anyio.sleep(_LOOK_EVERY_S)

    async def _held_usd(self, candidate: Candidate, terms: RequestTerms) -> float | None:
        """US dollars of the day that requests under way hold. None: without them this one could not be paid either."""
        cap_usd, ledger = self.services.rules.daily_budget_usd, self.services.ledger
        if cap_usd is None:
            return None
        # What a process that died had set aside does not come back.
        await close_abandoned(ledger, self.services.owner, self.services.now)
        await ledger.refresh()
        settled_usd = await ledger.settled_today_usd()
        left_usd = cap_usd - settled_usd if terms.left_usd is None else min(terms.left_usd, cap_usd - settled_usd)
        if affordable(candidate, terms, left_usd) is None:
            return None
        return await ledger.spent_today_usd() - settled_usd

    async def _allowance(self, candidate: Candidate, terms: RequestTerms) -> Allowance:
        profile, cap_usd, left_usd = candidate.profile, self.services.rules.daily_budget_usd, terms.left_usd
        limit, instead = terms.limit, ", or name a cheaper model" if terms.limit == RequestTerms.limit else ""
        if cap_usd is not None and profile.price is not None:
            of_the_day_usd = max(0.0, cap_usd - await self.services.ledger.spent_today_usd())
            if left_usd is None or of_the_day_usd <= left_usd:
                left_usd, limit, instead = of_the_day_usd, "CHARGEHAND_DAILY_BUDGET_USD", ", or use a local model"
        allowance = affordable(candidate, terms, left_usd)
        if allowance is None:
            raise NotAffordable(
                f"{profile.id}: {in_dollars(left_usd or 0)} is left of {limit}, too little for its shortest answer to"
                f" this task. Raise it{instead}."
            )
        return allowance

    async def _answered(self, result: RequestResult, request: GenerationRequest) -> RequestResult:
        profile = request.profile
        self.monitor.begin()
        try:
            generation = await self.services.providers[profile.provider].generate(request, self.monitor)
        except UnusableAnswer as error:
            return _delivered(result, profile, error.generation, outcome_of(error), error)
        except ProviderError as error:
            is_free = isinstance(error, (Unavailable, Busy, RequestRefused)) and not self.monitor.has_begun
            result = result if is_free else self._billed_so_far(result, request)
            return replace(result, outcome=outcome_of(error), error=error)
        return _delivered(result, profile, generation, "unverified")

    def _billed_so_far(self, result: RequestResult, request: GenerationRequest) -> RequestResult:
        """What a request is billed at when its reply did not end: its prompt once it has left, and what came."""
        if not self.monitor.has_sent:
            return result
        usage = self.monitor.last.usage if self.monitor.last else Usage()
        return replace(result, usage=usage, cost_usd=_cost_usd(request.profile, usage))


def outcome_of(error: ProviderError) -> AttemptOutcome:
    """The receipt's word for a provider's error."""
    return next(outcome for kind, outcome in _OUTCOMES if isinstance(error, kind))


def _refuse_too_late(candidate: Candidate, terms: RequestTerms, seconds: float) -> None:
    if terms.needed_seconds is not None and seconds < terms.needed_seconds:
        raise NoTime(
            f"{candidate.profile.id}: not asked: needs about {terms.needed_seconds:.0f} s, {max(0.0, seconds):.0f} s"
            " are left. Raise max_seconds to have it asked."
        )


def _within_the_model(candidate: Candidate, terms: RequestTerms) -> int:
    """The output tokens wanted, as far as the model's limit and window go."""
    tokens = min(terms.wanted_tokens, candidate.profile.max_output_tokens or terms.wanted_tokens)
    window = candidate.window_tokens
    if window is None:
        return tokens
    return min(tokens, max(_LEAST_TOKENS, window - terms.prompt.tokens))


def _delivered(
    result: RequestResult,
    profile: ModelProfile,
    generation: Generation,
    outcome: AttemptOutcome,
    error: ProviderError | None = None,
) -> RequestResult:
    usage = generation.usage
    cost_usd = _cost_usd(profile, usage)
    return replace(result, outcome=outcome, generation=generation, usage=usage, cost_usd=cost_usd, error=error)


def _cost_usd(profile: ModelProfile, usage: Usage) -> float:
    if usage.cost_usd is not None:
        return usage.cost_usd
    return profile.cost_usd(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
