"""One attempt at a task: a request, the code in its answer, and the checks that the code gets."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

import anyio

from ...memory_store.records import NewCheck
from ...profiles.model import ModelProfile
from ..asking.request import Ask, Asked, Desk
from ..checking.result import CheckResult
from ..editing.answer import Answer, read_answer
from ..editing.prompt import Prompt
from ..provider import Thinking
from ..routing.candidates import Candidate
from ..routing.deciding import Job
from ..routing.plan import Step
from ..routing.thinking import decide_thinking
from ..vocabulary import AttemptOutcome
from .receipt import AttemptReceipt, CheckReceipt
from .signals import doubt_about

# Output tokens that an answer may have, by the hardest task (complexity) they are for, and the room
# beside them for a model that thinks. Our own figures: several times what `routing.expectation` expects.
_ANSWER_TOKENS = ((4.0, 4_096), (7.0, 8_192), (10.0, 16_384))
_THINKING_TOKENS = ((7.0, 8_192), (10.0, 16_384))

_FAILURES: frozenset[AttemptOutcome] = frozenset({"failed_check", "truncated", "refused", "empty"})

# Checks of what an answer looks like: edits find their place, code parses.
_OF_FORM = frozenset({"edit", "parse"})
# Checks that every answer gets; the others were asked for.
_UNASKED = _OF_FORM | {"lint"}

_NO_CODE = CheckResult(
    "parse",
    "failed",
    first_failure="There is no code in your answer: it only explains. Answer with the code itself.",
)

Check = Callable[[Answer], Awaitable[Sequence[CheckResult]]]
"""Runs the checks that an answer can have, cheapest first."""


@dataclass(frozen=True)
class Terms:
    """What one attempt may use."""

    seconds: float
    """For the answer and its checks together, waiting for its turn included."""
    needed_seconds: float | None
    """With less left the model is not asked. None: it is asked in any case."""
    left_usd: float | None
    """US dollars that the contract has left. None: no limit but the day's."""
    local_only: bool


@dataclass(frozen=True)
class Tried:
    """How one attempt ended."""

    candidate: Candidate
    asked: Asked
    outcome: AttemptOutcome
    seconds: float
    """Generation and checks."""
    is_repair: bool = False
    answer: Answer | None = None
    """None: the model gave no usable one."""
    checks: tuple[CheckResult, ...] = ()
    doubt: str | None = None
    """What speaks against an answer that was not executed. None: nothing that can be relied on."""

    @property
    def step(self) -> Step:
        return Step(self.candidate.profile.id, self.is_repair)

    @property
    def has_failed(self) -> bool:
        """Whether the model itself failed at the task, as far as can be seen."""
        return self.outcome in _FAILURES or self.doubt is not None

    @property
    def cost_usd(self) -> float:
        return self.asked.cost_usd

    @property
    def first_failure(self) -> str | None:
        """What the first failed check says. None: no check failed, or it does not say."""
        failed = next((check for check in self.checks if check.outcome == "failed"), None)
        if failed is None:
            return None
        return failed.first_failure or "\n".join(f.message for f in failed.findings) or failed.note

    @property
    def is_a_slip(self) -> bool:
        """Whether it failed by its form alone, before anything could be executed."""
        return any(check.name in _OF_FORM for check in self.checks if check.outcome == "failed")

    @property
    def lacks_a_package(self) -> bool:
        """Whether it failed only because the sandbox has no third-party packages: that proves nothing."""
        return any(check.missing_module for check in self.checks if check.outcome == "failed")

    @property
    def tests_passed(self) -> int:
        return sum(check.tests_passed or 0 for check in self.checks)

    def as_receipt(self, *, delivered: bool) -> AttemptReceipt:
        """delivered: whether its work is what the receipt hands out."""
        usage = self.asked.usage
        return AttemptReceipt(
            model=self.candidate.profile.id,
            outcome=self.outcome,
            thinking=self.asked.thinking,
            checks=[CheckReceipt.of(check) for check in self.checks],
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=round(self.cost_usd, 6),
            seconds=round(self.seconds, 2),
            delivered=delivered or None,
        )


@dataclass(frozen=True)
class Attempts:
    """Makes the attempts at one job, and keeps them in order."""

    desk: Desk
    job: Job
    check: Check
    prose: bool
    """True: the answer is text, not code."""
    made: list[Tried] = field(default_factory=list[Tried])

    @property
    def spent_usd(self) -> float:
        return sum(tried.cost_usd for tried in self.made)

    async def make(self, candidate: Candidate, prompt: Prompt, terms: Terms, *, is_repair: bool) -> Tried:
        """One more attempt, in the books and in `made` however it ends.

        Raises NoTime, NotAffordable, or BudgetExceeded of the day, before anything is sent.
        """
        deadline = anyio.current_time() + terms.seconds
        complexity = self.job.complexity.score
        thinking = decide_thinking(candidate.profile, complexity, is_repair=is_repair)
        ask = Ask(
            prompt=prompt,
            thinking=thinking,
            wanted_tokens=wanted_tokens(candidate.profile, complexity, thinking),
            seconds=terms.seconds,
            needed_seconds=terms.needed_seconds,
            left_usd=terms.left_usd,
            local_only=terms.local_only,
        )
        try:
            asked = await self.desk.ask(candidate, ask)
        except anyio.get_cancelled_exc_class():
            self.made.extend(Tried(candidate, a, "cancelled", a.seconds, is_repair) for a in self.desk.interrupted)
            raise
        tried = Tried(candidate, asked, asked.outcome, asked.seconds, is_repair, self._answer(asked))
        begun = anyio.current_time()
        try:
            with anyio.fail_after(max(0.0, deadline - begun)):
                tried = await self._checked(tried)
        except TimeoutError:
            tried = replace(tried, outcome="timeout")
        except BaseException:
            tried = replace(tried, outcome="cancelled")
            raise
        finally:
            tried = replace(tried, seconds=asked.seconds + anyio.current_time() - begun)
            self.made.append(tried)
            with self.desk.booking():
                await self._record(tried)
        return tried

    def _answer(self, asked: Asked) -> Answer | None:
        if asked.generation is None or asked.error is not None:
            return None
        return read_answer(asked.generation.text, prose=self.prose)

    async def _checked(self, tried: Tried) -> Tried:
        if tried.answer is None:
            return tried
        if tried.answer.is_explanation:
            return replace(tried, answer=None, outcome="failed_check", checks=(_NO_CODE,))
        if not tried.answer.code.strip():
            return replace(tried, answer=None, outcome="empty")
        checks = tuple(await self.check(tried.answer))
        outcome = _judged(checks)
        is_untested = outcome == "unverified" and not any(check.executed for check in checks)
        return replace(tried, checks=checks, outcome=outcome, doubt=self._doubt(tried) if is_untested else None)

    def _doubt(self, tried: Tried) -> str | None:
        pace, thinking = tried.candidate.pace, tried.asked.thinking
        usual = pace.output_tokens(self.job.complexity.score, thinking=thinking) if pace else None
        return tried.answer and doubt_about(tried.answer, tried.asked.usage.output_tokens, usual)

    async def _record(self, tried: Tried) -> None:
        if tried.outcome != tried.asked.outcome:
            await self.desk.settle(replace(tried.asked, outcome=tried.outcome))
        for check in tried.checks:
            await self.desk.shop.ledger.record_check(
                NewCheck(
                    task_id=self.desk.task_id,
                    attempt_id=tried.asked.attempt_id,
                    name=check.name,
                    outcome=check.outcome,
                    executed=check.executed,
                    tests_passed=check.tests_passed,
                    tests_total=check.tests_total,
                    seconds=check.seconds,
                    first_failure=check.first_failure,
                )
            )


def _judged(checks: Sequence[CheckResult]) -> AttemptOutcome:
    """passed: all that was asked for was executed, and passed; one check that did not run leaves it unverified."""
    if any(check.outcome == "failed" for check in checks):
        return "failed_check"
    asked_for = [check for check in checks if check.name not in _UNASKED]
    proved = [check.executed and check.outcome == "passed" for check in asked_for]
    return "passed" if proved and all(proved) else "unverified"


def wanted_tokens(profile: ModelProfile, complexity: float, thinking: Thinking) -> int:
    """The output tokens an attempt should have.

    A model on your own machine gets the room for thinking at once, since its repair will think and
    another window would make Ollama load it again.
    """
    has_room = thinking.on or (profile.price is None and profile.thinking is not None)
    return _for(complexity, _ANSWER_TOKENS) + (_for(complexity, _THINKING_TOKENS) if has_room else 0)


def _for(complexity: float, table: Sequence[tuple[float, int]]) -> int:
    return next(tokens for at_most, tokens in table if complexity <= at_most)
