"""Sends one request to one model: its cost is reserved before it is sent, and booked however it ends."""

import contextlib
from collections.abc import AsyncGenerator, Generator, Mapping
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
from .monitor import RequestMonitor
from .unseen_thinking import add_unseen_thinking

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

# With fewer output tokens than this, an answer is not worth its prompt.
_LEAST_TOKENS = 256
_LEAST_THINKING_TOKENS = 1_024

_CALLERS_LIMIT = "max_cost_usd"

# Polling interval while waiting for money that another process may hold.
_LOOK_EVERY_S = 0.25


class NotAffordable(Exception):
    """The money left does not pay for even a short answer of this model."""


class NoTime(Exception):
    """The reply would come too late, so nothing was sent."""


@dataclass(frozen=True)
class RequestTerms:
    """The prompt, limits and options of one request."""

    prompt: Prompt
    thinking: Thinking
    wanted_tokens: int
    """Desired output tokens, thinking included; reduced to what the money pays for."""
    seconds: float
    """From now until the last byte is read, including time in the queue."""
    needed_seconds: float | None = None
    """Expected duration of the reply: with less time left it is not sent. None: it is sent in any case."""
    left_usd: float | None = None
    """US dollars that the caller has left. None: no limit but the day's."""
    limit: str = _CALLERS_LIMIT
    """Name of the argument or setting that sets `left_usd`, for messages."""
    local_only: bool = False
    answer_schema: Mapping[str, object] | None = None


def affordable(candidate: Candidate, terms: RequestTerms, left_usd: float | None) -> Allowance | None:
    """The request's allowance from this money, instead of `terms.left_usd`. None: too little for a short answer."""
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
    """`unverified` if there is an answer."""
    thinking: bool
    reserved_usd: float
    """Its worst-case cost, reserved before it was sent."""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    seconds: float = 0.0
    generation: Generation | None = None
    error: ProviderError | None = None


@dataclass(frozen=True)
class Requester:
    """Sends the requests of one task and records them in the ledger."""

    services: Services
    task_id: str
    monitor: RequestMonitor
    interrupted: list[RequestResult] = field(default_factory=list[RequestResult])
    """Requests whose caller was cancelled while they were under way."""
    unwritten: list[LedgerError] = field(default_factory=list[LedgerError])
    """Errors because of which something that happened is not in the ledger."""

    @contextlib.contextmanager
    def booking(self) -> Generator[None]:
        """For writes of what has already happened: errors go to `unwritten`, so that a paid answer is not lost."""
        try:
            yield
        except LedgerError as error:
            self.unwritten.append(error)

    async def ask(self, candidate: Candidate, terms: RequestTerms) -> RequestResult:
        """Send the request and settle it.

        Raises MustStayLocal, NoTime, NotAffordable, or BudgetExceeded for the day, before anything is sent.
        """
        if not candidate.availability.is_local:
            prompt = await anyio.to_thread.run_sync(clear_for_sending, terms.prompt, self.services.rules.privacy)
            terms = replace(terms, prompt=prompt)
        deadline = anyio.current_time() + terms.seconds
        _refuse_too_late(candidate, terms)
        async with self._turn(candidate, terms):
            return await self._ask(candidate, replace(terms, seconds=deadline - anyio.current_time()))

    @contextlib.asynccontextmanager
    async def _turn(self, candidate: Candidate, terms: RequestTerms) -> AsyncGenerator[None]:
        """Hold a turn in the queue of a server that takes few requests at a time. Raises NoTime if it is too late."""
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
        # Today's price: the decision may have been made yesterday.
        profile = candidate.profile.priced_on(self.services.today)
        deadline = anyio.current_time() + terms.seconds
        attempt_id, allowance = await self._reserve(replace(candidate, profile=profile), terms)
        request = GenerationRequest(
            profile=profile,
            system=terms.prompt.system,
            turns=terms.prompt.turns,
            thinking=terms.thinking,
            max_output_tokens=allowance.max_output_tokens,
            timeout_s=deadline - anyio.current_time(),
            answer_schema=terms.answer_schema,
            # A local model's prompt was not searched for secrets, so it must not be sent anywhere else.
            local_only=terms.local_only or candidate.availability.is_local,
            attempt_id=attempt_id,
        )
        begun = anyio.current_time()
        result = RequestResult(attempt_id, "cancelled", terms.thinking.on, reserved_usd=allowance.worst_case_usd)
        try:
            result = await self._answered(result, request, candidate)
        except BaseException:
            result = self._billed_so_far(result, request, candidate)
            self.interrupted.append(replace(result, seconds=anyio.current_time() - begun))
            raise
        finally:
            result = replace(result, seconds=anyio.current_time() - begun)
            await self.settle(result)
        return result

    async def settle(self, result: RequestResult) -> None:
        """Record how the request ended; a later call replaces an earlier one."""
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

    async def _reserve(self, candidate: Candidate, terms: RequestTerms) -> tuple[int, Allowance]:
        """Reserve the worst-case cost in the ledger; returns the attempt's id and its allowance.

        Waits, as long as its time allows, for money that is held only by requests under way.
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
        """US dollars of the day's budget held by requests under way. None: even they would not pay for this one."""
        cap_usd, ledger = self.services.rules.daily_budget_usd, self.services.ledger
        if cap_usd is None:
            return None
        # Reservations of dead processes are never released: they are booked at their worst case.
        await close_abandoned(ledger, self.services.owner, self.services.now)
        await ledger.refresh()
        settled_usd = await ledger.settled_today_usd()
        left_usd = cap_usd - settled_usd if terms.left_usd is None else min(terms.left_usd, cap_usd - settled_usd)
        if affordable(candidate, terms, left_usd) is None:
            return None
        return await ledger.spent_today_usd() - settled_usd

    async def _allowance(self, candidate: Candidate, terms: RequestTerms) -> Allowance:
        profile, cap_usd, left_usd = candidate.profile, self.services.rules.daily_budget_usd, terms.left_usd
        limit, instead = terms.limit, ", or name a cheaper model" if terms.limit == _CALLERS_LIMIT else ""
        if cap_usd is not None and profile.price is not None:
            left_today_usd = max(0.0, cap_usd - await self.services.ledger.spent_today_usd())
            if left_usd is None or left_today_usd <= left_usd:
                left_usd, limit, instead = left_today_usd, "CHARGEHAND_DAILY_BUDGET_USD", ", or use a local model"
        allowance = affordable(candidate, terms, left_usd)
        if allowance is None:
            raise NotAffordable(
                f"{profile.id}: {in_dollars(left_usd or 0)} is left of {limit}, too little for its shortest answer to"
                f" this task. Raise it{instead}."
            )
        return allowance

    async def _answered(self, result: RequestResult, request: GenerationRequest, candidate: Candidate) -> RequestResult:
        profile = request.profile
        self.monitor.begin()
        try:
            generation = await self.services.providers[profile.provider].generate(request, self.monitor)
        except UnusableAnswer as error:
            return _delivered(result, profile, error.generation, outcome_of(error), error)
        except ProviderError as error:
            is_free = isinstance(error, (Unavailable, Busy, RequestRefused)) and not self.monitor.has_begun
            result = result if is_free else self._billed_so_far(result, request, candidate)
            return replace(result, outcome=outcome_of(error), error=error)
        return _delivered(result, profile, generation, "unverified")

    def _billed_so_far(self, result: RequestResult, request: GenerationRequest, candidate: Candidate) -> RequestResult:
        """The result of an unfinished reply, billed for the prompt, if it was sent, and for the output so far."""
        monitor = self.monitor
        if monitor.sent_at is None:
            return result
        usage = monitor.last.usage if monitor.last else Usage()
        if not monitor.is_counted:
            usage = replace(usage, is_estimated=True)
            if request.thinking.on and request.profile.price is not None and usage.thinking_tokens == 0:
                usage = add_unseen_thinking(usage, candidate, monitor.thought_s, at_most=request.max_output_tokens)
        return replace(result, usage=usage, cost_usd=_cost_usd(request.profile, usage))


def outcome_of(error: ProviderError) -> AttemptOutcome:
    """The attempt outcome that stands for a provider's error."""
    return next(outcome for kind, outcome in _OUTCOMES if isinstance(error, kind))


def _refuse_too_late(candidate: Candidate, terms: RequestTerms) -> None:
    if terms.needed_seconds is not None and terms.seconds < terms.needed_seconds:
        raise NoTime(
            f"{candidate.profile.id}: not asked: needs about {terms.needed_seconds:.0f} s,"
            f" {max(0.0, terms.seconds):.0f} s are left. Raise max_seconds to have it asked."
        )


def _within_the_model(candidate: Candidate, terms: RequestTerms) -> int:
    """The desired output tokens, within the model's output limit and context window."""
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
    return usage.price_factor * profile.cost_usd(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
