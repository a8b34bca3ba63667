"""One attempt at a task: a request, the code in its answer, and the checks of that code."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import anyio

from ...memory_store.records import NewCheck
from ...profiles.model import ModelProfile
from ..asking.request import Requester, RequestResult, RequestTerms
from ..checking.result import CheckResult
from ..editing.answer import Answer, read_answer
from ..editing.prompt import Prompt
from ..provider import RateLimited, Thinking
from ..routing.candidates import Candidate
from ..routing.deciding import Job
from ..routing.plan import Step
from ..routing.thinking import decide_thinking
from ..vocabulary import AttemptOutcome
from .receipt import AttemptReceipt, CheckReceipt
from .signals import doubt_about

# Output token limits for answers, by maximum complexity, and additional ones for models that think. Our own
# figures: several times what `routing.expectation` expects.
_ANSWER_TOKENS = ((4.0, 4_096), (7.0, 8_192), (10.0, 16_384))
_THINKING_TOKENS = ((7.0, 8_192), (10.0, 16_384))

_FAILURES: frozenset[AttemptOutcome] = frozenset({"failed_check", "truncated", "refused", "empty"})

# Checks of an answer's form: edits apply, code parses.
_OF_FORM = frozenset({"edit", "parse"})
# Checks that every answer gets; the others were requested.
_UNASKED = _OF_FORM | {"lint"}

_NO_CODE = CheckResult(
    "parse",
    "failed",
    first_failure="There is no code in your answer: it only explains. Answer with the code itself.",
)

Check = Callable[[Answer], Awaitable[Sequence[CheckResult]]]
"""Runs the checks of an answer, cheapest first."""


@dataclass(frozen=True)
class AttemptLimits:
    """The limits of one attempt."""

    seconds: float
    """For the answer and its checks together, including time in the queue."""
    needed_seconds: float | None
    """With less time left the model is not asked. None: it is asked in any case."""
    left_usd: float | None
    """US dollars that the contract has left. None: no limit but the day's."""
    local_only: bool


@dataclass(frozen=True)
class Attempt:
    """How one attempt ended."""

    candidate: Candidate
    request: RequestResult
    outcome: AttemptOutcome
    seconds: float
    """Generation and checks."""
    is_repair: bool
    answer: Answer | None = None
    """None: the model gave no usable one."""
    checks: tuple[CheckResult, ...] = ()
    doubt: str | None = None
    """Evidence that an answer that was not executed is wrong. None: no reliable evidence."""

    @property
    def step(self) -> Step:
        return Step(self.candidate.profile.id, self.is_repair)

    @property
    def has_failed(self) -> bool:
        """Whether the model failed at the task, as opposed to being unavailable or out of time."""
        return self.outcome in _FAILURES or self.doubt is not None

    @property
    def cost_usd(self) -> float:
        return self.request.cost_usd

    @property
    def first_failure(self) -> str | None:
        """The message of the first failed check. None: no check failed, or it has no message."""
        failed = next((check for check in self.checks if check.outcome == "failed"), None)
        if failed is None:
            return None
        return failed.first_failure or "\n".join(f.message for f in failed.findings) or failed.note

    @property
    def failed_on_form(self) -> bool:
        """Whether it failed by its form alone, before anything was executed."""
        return any(check.name in _OF_FORM for check in self.checks if check.outcome == "failed")

    @property
    def lacks_a_package(self) -> bool:
        """Whether it failed because the sandbox lacks a third-party package, which proves nothing."""
        return any(check.missing_module for check in self.checks if check.outcome == "failed")

    @property
    def tests_passed(self) -> int:
        return sum(check.tests_passed or 0 for check in self.checks)

    def as_receipt(self, *, delivered: bool) -> AttemptReceipt:
        """delivered: whether the receipt's code is from this attempt."""
        usage = self.request.usage
        return AttemptReceipt(
            model=self.candidate.profile.id,
            outcome=self.outcome,
            thinking=self.request.thinking,
            checks=[CheckReceipt.of(check) for check in self.checks],
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=round(self.cost_usd, 6),
            seconds=round(self.seconds, 2),
            delivered=delivered or None,
        )


@dataclass(frozen=True)
class Attempts:
    """Makes the attempts at one job and keeps them in order."""

    requester: Requester
    job: Job
    check: Check
    prose: bool
    """True: the answer is text, not code."""
    changes_files: bool
    """True: the answer changes files; a new file may be empty."""
    made: list[Attempt] = field(default_factory=list[Attempt])

    @property
    def spent_usd(self) -> float:
        return sum(attempt.cost_usd for attempt in self.made)

    def last_of_each(self) -> Collection[Attempt]:
        """The last attempt of each model."""
        return {attempt.candidate.profile.id: attempt for attempt in self.made}.values()

    @property
    def last_not_rate_limited(self) -> Attempt | None:
        """The last attempt that was not rate-limited."""
        return next((t for t in reversed(self.made) if not isinstance(t.request.error, RateLimited)), None)

    async def make(self, candidate: Candidate, prompt: Prompt, limits: AttemptLimits, *, is_repair: bool) -> Attempt:
        """Make one attempt; it is recorded in the ledger and in `made` however it ends.

        Raises MustStayLocal, NoTime, NotAffordable, or BudgetExceeded for the day, before anything is sent.
        """
        deadline = anyio.current_time() + limits.seconds
        complexity = self.job.complexity.score
        thinking = decide_thinking(candidate.profile, complexity, is_repair=is_repair)
        terms = RequestTerms(
            prompt=prompt,
            thinking=thinking,
            wanted_tokens=wanted_tokens(candidate.profile, complexity, thinking),
            seconds=limits.seconds,
            needed_seconds=limits.needed_seconds,
            left_usd=limits.left_usd,
            local_only=limits.local_only,
        )
        try:
            request = await self.requester.ask(candidate, terms)
        except anyio.get_cancelled_exc_class():
            self.made.extend(
                Attempt(candidate, a, "cancelled", a.seconds, is_repair) for a in self.requester.interrupted
            )
            raise
        attempt = Attempt(candidate, request, request.outcome, request.seconds, is_repair, self._answer(request))
        begun = anyio.current_time()
        try:
            with anyio.fail_after(max(0.0, deadline - begun)):
                attempt = await self._checked(attempt)
        except TimeoutError:
            attempt = replace(attempt, outcome="timeout")
        except BaseException:
            attempt = replace(attempt, outcome="cancelled")
            raise
        finally:
            attempt = replace(attempt, seconds=request.seconds + anyio.current_time() - begun)
            self.made.append(attempt)
            with self.requester.booking():
                await self._record(attempt)
        return attempt

    def _answer(self, request: RequestResult) -> Answer | None:
        if request.generation is None or request.error is not None:
            return None
        return read_answer(request.generation.text, prose=self.prose)

    async def _checked(self, attempt: Attempt) -> Attempt:
        if attempt.answer is None:
            return attempt
        if attempt.answer.is_explanation:
            return replace(attempt, answer=None, outcome="failed_check", checks=(_NO_CODE,))
        if not attempt.answer.code.strip() and not (self.changes_files and _names_a_file(attempt.answer)):
            return replace(attempt, answer=None, outcome="empty")
        checks = tuple(await self.check(attempt.answer))
        outcome = _judged(checks)
        is_untested = outcome == "unverified" and not any(check.executed for check in checks)
        return replace(attempt, checks=checks, outcome=outcome, doubt=self._doubt(attempt) if is_untested else None)

    def _doubt(self, attempt: Attempt) -> str | None:
        pace, thinking = attempt.candidate.pace, attempt.request.thinking
        usual = pace.output_tokens(self.job.complexity.score, thinking=thinking) if pace else None
        return attempt.answer and doubt_about(attempt.answer, attempt.request.usage.output_tokens, usual)

    async def _record(self, attempt: Attempt) -> None:
        if attempt.outcome != attempt.request.outcome:
            await self.requester.settle(replace(attempt.request, outcome=attempt.outcome))
        for check in attempt.checks:
            await self.requester.services.ledger.record_check(
                NewCheck(
                    task_id=self.requester.task_id,
                    attempt_id=attempt.request.attempt_id,
                    name=check.name,
                    outcome=check.outcome,
                    executed=check.executed,
                    tests_passed=check.tests_passed,
                    tests_total=check.tests_total,
                    seconds=check.seconds,
                    first_failure=check.first_failure,
                )
            )


def _names_a_file(answer: Answer) -> bool:
    return any(part.path is not None for part in answer.parts)


def _judged(checks: Sequence[CheckResult]) -> AttemptOutcome:
    """passed: all requested checks were executed and passed; unverified: some were not executed, or none requested."""
    if any(check.outcome == "failed" for check in checks):
        return "failed_check"
    asked_for = [check for check in checks if check.name not in _UNASKED]
    proved = [check.executed and check.outcome == "passed" for check in asked_for]
    return "passed" if proved and all(proved) else "unverified"


def wanted_tokens(profile: ModelProfile, complexity: float, thinking: Thinking) -> int:
    """The output tokens that an attempt asks for.

    A self-hosted model that can think gets room for thinking from the first attempt: its repair will think, and
    a different window would make Ollama load it again.
    """
    has_room = thinking.on or (profile.price is None and profile.thinking is not None)
    return _for(complexity, _ANSWER_TOKENS) + (_for(complexity, _THINKING_TOKENS) if has_room else 0)


def _for(complexity: float, table: Sequence[tuple[float, int]]) -> int:
    return next(tokens for at_most, tokens in table if complexity <= at_most)
