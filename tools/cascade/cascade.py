"""Drafts, checks, and repairs or asks the next model, until a check passes or the contract is used up."""

from collections.abc import Callable
from dataclasses import InitVar, dataclass, field, replace
from functools import partial

import anyio

from ...memory_store.errors import BudgetExceeded
from ...memory_store.under_way import keep_local
from ..asking.request import NotAffordable, NoTime
from ..asking.tokens import estimate_tokens
from ..editing.fitting import packed_for
from ..editing.prompt import Prompt, draft_prompt, repair_turn
from ..guarding.outgoing import MustStayLocal
from ..guarding.privacy import HOW_TO_LEAVE, STAYS_LOCAL
from ..guarding.secrets import holds_placeholder
from ..provider import RateLimited, Turn
from ..routing.candidates import Candidate
from ..routing.deciding import left_today_usd
from ..routing.decision import Decision
from ..routing.plan import Step
from ..routing.prediction import predict_outlay
from .attempt import Attempt, AttemptLimits, Attempts
from .contract import Contract
from .exclusions import Exclusions
from .options import Options
from .receipt import Status
from .remarks import remarks_on
from .stopping import why_it_stops


@dataclass
class Cascade:
    """Runs one task through the models."""

    decision: Decision
    contract: Contract
    attempts: Attempts
    local_only: InitVar[bool]
    """Whether nothing may leave this machine from the beginning."""
    notify: Callable[[str, Candidate, float | None], None]
    """Called with `asking` or `repairing` as an attempt begins, or with `waiting`; and with the expected seconds."""
    notes: list[str]
    """The receipt's notes; more are added."""
    exclusions: Exclusions = field(init=False)
    options: Options = field(init=False)

    def __post_init__(self, local_only: bool) -> None:
        self.exclusions = Exclusions(self.decision, self.attempts, local_only)
        self.options = Options(self.decision, self.contract, self.attempts, self.exclusions)

    async def run(self) -> Status:
        """Make attempts until one ends the task; `attempts.made` and `notes` hold what happened."""
        if not self.decision.chosen.is_usable:
            return self._none_usable()
        deadline = anyio.current_time() + self.contract.max_seconds
        step: Step | None = Step(self.decision.chosen.profile.id)
        while step is not None:
            try:
                attempt = await self._attempt(step, deadline - anyio.current_time())
            except MustStayLocal as error:
                self.notes.append(str(error))
                step = await self._continue_locally(deadline - anyio.current_time())
                continue
            except (NotAffordable, BudgetExceeded) as error:
                self.notes.append(str(error))
                self.exclusions.add_as_expensive_as(step)
            except NoTime as error:
                self.notes.append(str(error))
                self.exclusions.too_slow.append(step.model)
            else:
                self._note(attempt)
                if (status := self._ended_by(attempt)) is not None:
                    return status
                if (why := self._why_local_only(attempt)) is not None:
                    self.notes.append(why)
                    step = await self._continue_locally(deadline - anyio.current_time())
                    continue
            await self._update_daily_budget()
            step = await self._wait_out_rate_limit(deadline - anyio.current_time())
            step = step or self._next(deadline - anyio.current_time())
        return self._final_status()

    def _ended_by(self, attempt: Attempt) -> Status | None:
        """The status of the task if this attempt ends it. None: it goes on."""
        if attempt.outcome == "passed":
            return "succeeded"
        if attempt.outcome == "unverified" and attempt.doubt is None:
            return "unverified"
        if attempt.lacks_a_package and (attempt.is_repair or not self.options.can_be_repaired(attempt)):
            # A stronger model would import it too: asking one would cost money and prove nothing.
            return "unverified"
        return None

    def _final_status(self) -> Status:
        """The status of the task when no further model is asked."""
        made = self.attempts.made
        if any(attempt.outcome == "unverified" or attempt.lacks_a_package for attempt in made):
            return "unverified"
        if self.exclusions.too_expensive:
            return "over_budget"
        return "refused" if self.exclusions.local_only and not made and not self.exclusions.too_slow else "failed"

    def _why_local_only(self, attempt: Attempt) -> str | None:
        """Why the output of its checks keeps the task on this machine. None: it does not, or it stays already."""
        privacy = self.attempts.requester.services.rules.privacy
        if self.exclusions.local_only or privacy.replaces_secrets or attempt.first_failure is None:
            return None
        secret = next(iter(privacy.secrets.find(attempt.first_failure)), None)
        if secret is None and holds_placeholder(attempt.first_failure):
            return f"{STAYS_LOCAL} a check's output holds what looks like a secret."
        if secret is None:
            return None
        return f"{STAYS_LOCAL} line {secret.line} of a check's output holds what looks like a secret ({secret.kind})."

    async def _continue_locally(self, seconds: float) -> Step | None:
        """Keep the task on this machine from now on; returns its next step there, or None."""
        await keep_local(self.attempts.requester.services.ledger, self.attempts.requester.task_id)
        self.exclusions.local_only = True
        step = self._next(seconds)
        if step is None:
            self.notes.append(f"No model on this machine can continue with it. {HOW_TO_LEAVE}")
        return step

    def _prompt(self, step: Step) -> Prompt:
        draft = self._draft(self.decision.candidate(step.model))
        last = self.attempts.last_not_rate_limited
        return self._repair_prompt(draft, last) if step.is_repair and last is not None else draft

    def _draft(self, candidate: Candidate) -> Prompt:
        job, tests = self.attempts.job, self.contract.tests
        code = tests.code if tests and self.contract.shows_tests else None
        draft = partial(
            draft_prompt,
            job.task,
            context=job.context,
            tests=code,
            prose=self.attempts.prose,
            changing=self.contract.changing,
        )
        packed = packed_for(candidate, job, beside_tokens=estimate_tokens(draft(files=()).text))
        if packed.note is not None:
            self.notes.append(f"{candidate.profile.id}: {packed.note}")
        return draft(files=packed.files)

    def _repair_prompt(self, draft: Prompt, attempt: Attempt) -> Prompt:
        """The conversation so far, followed by the check's failure."""
        generation, failure = attempt.request.generation, attempt.first_failure
        if generation is None or failure is None:
            raise RuntimeError("an attempt that cannot be repaired was to be repaired")
        rules = attempt.candidate.profile.thinking
        state = generation.vendor_state if rules is not None and rules.sent_back else None
        # Tokens beyond the visible text are sent back as part of the vendor's state.
        tokens = generation.usage.output_tokens - estimate_tokens(generation.text) if state is not None else 0
        return draft.followed_by(
            Turn("assistant", generation.text, state, max(0, tokens)),
            repair_turn(failure, self.contract.changing, prose=self.attempts.prose),
        )

    async def _attempt(self, step: Step, seconds: float) -> Attempt:
        candidate, job = self.decision.candidate(step.model), self.attempts.job
        predicted = predict_outlay(candidate, job.complexity.score, is_repair=step.is_repair)
        # A model that was too slow is asked again only because there is no other.
        is_optional = not predicted.is_guess and step.model not in self.exclusions.too_slow
        self.notify("repairing" if step.is_repair else "asking", candidate, predicted.seconds)
        limits = AttemptLimits(
            seconds=seconds,
            needed_seconds=predicted.seconds if is_optional else None,
            left_usd=self.options.left_usd,
            local_only=self.exclusions.local_only,
        )
        return await self.attempts.make(candidate, self._prompt(step), limits, is_repair=step.is_repair)

    async def _update_daily_budget(self) -> None:
        services = self.attempts.requester.services
        await services.ledger.refresh()
        self.options.left_today_usd = await left_today_usd(services)

    def _next(self, seconds: float) -> Step | None:
        """The next step. None: the contract is used up, or no step is worth its cost; a note says which."""
        if (stop := self.options.used_up(seconds)) is not None:
            self.notes.append(stop)
            return None
        limits = self.options.limits(seconds)
        # A caller who names a model wants its repair at any price.
        plan = self.options.plan(limits, at_any_price=self.contract.model is not None)
        if plan.steps:
            return self.options.form_repair() or plan.steps[0]
        if not self.attempts.made:
            return self.options.quickest() or self.options.untried_free_step(limits)
        if free := self.options.untried_free_step(limits):
            return free
        self.notes.append(why_it_stops(self.options, limits))
        return None

    async def _wait_out_rate_limit(self, seconds: float) -> Step | None:
        """Wait out a short rate limit; returns the step to retry. None: there is none, or another model is left."""
        waits = {attempt.candidate.profile.id: _short_wait_s(attempt) for attempt in self.attempts.last_of_each()}
        brief = {model: wait_s for model, wait_s in waits.items() if wait_s is not None and wait_s < seconds}
        limits = self.options.limits(seconds)
        if not brief or self.options.used_up(seconds) is not None:
            return None
        if self.options.plan(limits).steps or self.options.untried_free_step(limits) is not None:
            return None
        plan = self.options.plan(replace(limits, seconds=seconds - min(brief.values())), again=brief)
        if not plan.steps:
            return None
        step = plan.steps[0]
        self.notify("waiting", self.decision.candidate(step.model), brief[step.model])
        await anyio.sleep(brief[step.model])
        return step

    def _none_usable(self) -> Status:
        """The status when no model can be asked: for money, privacy or availability. The warnings say more."""
        if self.decision.source == "override":
            self.notes.append(f"{self.decision.chosen.profile.id}: {self.decision.chosen.why_not}")
        if any(candidate.is_only_too_expensive for candidate in self.decision.candidates):
            return "over_budget"
        if self.exclusions.local_only:
            self.notes.append(self.contract.remedy or "")
            return "refused"
        return "failed"

    def _note(self, attempt: Attempt) -> None:
        model = attempt.candidate.profile.id
        if attempt.request.error is not None:
            self.notes.append(f"{model}: {attempt.outcome}: {attempt.request.error}")
        if attempt.doubt is not None:
            self.notes.append(f"{model}: {attempt.doubt}.")
        if attempt.answer is not None and not attempt.answer.is_whole:
            self.notes.append(f"{model}: its code block was never closed; the end may be missing.")
        if attempt.outcome == "failed_check" and self.options.must_not_see_output(attempt):
            self.notes.append(f"{model}: not asked for a repair: {self.contract.private_output}.")
        self.notes.extend(remarks_on(attempt))
        for check in attempt.checks:
            if check.note and check.outcome != "passed":
                self.notes.append(f"{check.name}: {check.note}")


_SHORT_WAIT_S = 60.0
"""Long enough for a rate limit per minute to reset."""


def _short_wait_s(attempt: Attempt) -> float | None:
    """The wait in seconds that its vendor asked for. None: none, or one above _SHORT_WAIT_S."""
    error = attempt.request.error
    wait_s = error.retry_after_s if isinstance(error, RateLimited) else None
    return wait_s if wait_s is not None and wait_s <= _SHORT_WAIT_S else None
