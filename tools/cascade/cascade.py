"""Draft, check, repair or next model, until a check passes or the contract is used up."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from ...memory_store.errors import BudgetExceeded
from ...memory_store.under_way import keep_local
from ...profiles.price import in_dollars
from ..asking.request import NotAffordable, NoTime
from ..asking.tokens import estimate_tokens
from ..editing.fitting import packed_for
from ..editing.prompt import Prompt, draft_prompt, repair_turn
from ..guarding.departure import MayNotLeave
from ..guarding.privacy import HOW_TO_LEAVE, STAYS
from ..provider import RateLimited, Turn, Unavailable, UnknownModelId
from ..routing.candidates import Candidate
from ..routing.deciding import of_the_day_usd
from ..routing.decision import Decision
from ..routing.foresight import foresee
from ..routing.plan import Means, Plan, Step
from .attempt import Attempt, AttemptLimits, Attempts
from .contract import Contract
from .receipt import Status
from .remarks import remarks_on


@dataclass
class Cascade:
    """One task on its way through the models."""

    decision: Decision
    contract: Contract
    attempts: Attempts
    local_only: bool
    """Becomes True when something is found that may not leave this machine."""
    tell: Callable[[str, Candidate, float | None], None]
    """Called as each attempt begins with `asking` or `repairing`, and the seconds it is expected to take."""
    notes: list[str] = field(default_factory=list[str])
    too_slow: list[str] = field(default_factory=list[str])
    """Models that were left out because their reply would come too late."""
    too_dear: set[str] = field(default_factory=set[str])
    """Models that were left out because not even a short answer fits the money that is left."""
    of_the_day_usd: float | None = None
    """US dollars that the day's budget had left after the last attempt. None: it has no limit."""

    async def run(self) -> Status:
        """Make attempts until one ends the task; `attempts.made` and `notes` hold what happened."""
        if not self.decision.chosen.is_usable:
            return self._nobody()
        deadline = anyio.current_time() + self.contract.max_seconds
        step: Step | None = Step(self.decision.chosen.profile.id)
        while step is not None:
            try:
                attempt = await self._attempt(step, deadline - anyio.current_time())
            except MayNotLeave as error:
                self.notes.append(str(error))
                step = await self._kept_local(deadline - anyio.current_time())
                continue
            except (NotAffordable, BudgetExceeded) as error:
                self.notes.append(str(error))
                self.too_dear.update(self._as_dear_as(step))
            except NoTime as error:
                self.notes.append(str(error))
                self.too_slow.append(step.model)
            else:
                self._note(attempt)
                if attempt.outcome == "passed":
                    return "succeeded"
                if attempt.outcome == "unverified" and attempt.doubt is None:
                    return "unverified"
                if attempt.lacks_a_package and (attempt.is_repair or not self._can_be_repaired(attempt)):
                    # A stronger model would import it too: asking on would cost money and prove nothing.
                    return "unverified"
                if (why := self._why_it_stays(attempt)) is not None:
                    self.notes.append(why)
                    step = await self._kept_local(deadline - anyio.current_time())
                    continue
            await self._look_at_the_day()
            step = await self._waited_out(deadline - anyio.current_time())
            step = step or self._next(deadline - anyio.current_time())
        if any(attempt.outcome == "unverified" or attempt.lacks_a_package for attempt in self.attempts.made):
            return "unverified"
        if self.too_dear:
            return "over_budget"
        return "refused" if self.local_only and not self.attempts.made and not self.too_slow else "failed"

    def _why_it_stays(self, attempt: Attempt) -> str | None:
        """Why the task must stay on this machine after what its checks printed. None: it need not, or does already."""
        privacy = self.attempts.requester.shop.rules.privacy
        if self.local_only or privacy.replaces_secrets or attempt.first_failure is None:
            return None
        secret = next(iter(privacy.secrets.find(attempt.first_failure)), None)
        if secret is None:
            return None
        return f"{STAYS} line {secret.line} of a check's output holds what looks like a secret ({secret.kind})."

    async def _kept_local(self, seconds: float) -> Step | None:
        """Keep the task on this machine from now on; gives how it goes on there, None when it cannot."""
        await keep_local(self.attempts.requester.shop.ledger, self.attempts.requester.task_id)
        self.local_only = True
        step = self._next(seconds)
        if step is None:
            self.notes.append(f"No model on this machine can continue with it. {HOW_TO_LEAVE}")
        return step

    def _prompt(self, step: Step) -> Prompt:
        draft = self._draft(self.decision.candidate(step.model))
        heard = self._last_heard
        return self._followed_up(draft, heard) if step.is_repair and heard is not None else draft

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

    def _followed_up(self, draft: Prompt, attempt: Attempt) -> Prompt:
        """The conversation so far, and what the check says is wrong."""
        generation, failure = attempt.request.generation, attempt.first_failure
        if generation is None or failure is None:
            raise RuntimeError("an attempt that cannot be repaired was to be repaired")
        rules = attempt.candidate.profile.thinking
        state = generation.vendor_state if rules is not None and rules.sent_back else None
        # Whatever the vendor counted beyond the visible text comes back with it.
        tokens = generation.usage.output_tokens - estimate_tokens(generation.text) if state is not None else 0
        return draft.followed_by(
            Turn("assistant", generation.text, state, max(0, tokens)),
            repair_turn(failure, self.contract.changing, prose=self.attempts.prose),
        )

    async def _attempt(self, step: Step, seconds: float) -> Attempt:
        candidate, job = self.decision.candidate(step.model), self.attempts.job
        foreseen = foresee(candidate, job.complexity.score, is_repair=step.is_repair)
        # Whoever is asked once more, after being too slow, is asked because nobody else can be.
        is_optional = not foreseen.is_guess and step.model not in self.too_slow
        self.tell("repairing" if step.is_repair else "asking", candidate, foreseen.seconds)
        limits = AttemptLimits(
            seconds=seconds,
            needed_seconds=foreseen.seconds if is_optional else None,
            left_usd=self._left_usd,
            local_only=self.local_only,
        )
        return await self.attempts.make(candidate, self._prompt(step), limits, is_repair=step.is_repair)

    @property
    def _left_usd(self) -> float | None:
        cap_usd = self.contract.max_cost_usd
        return None if cap_usd is None else max(0.0, cap_usd - self.attempts.spent_usd)

    async def _look_at_the_day(self) -> None:
        shop = self.attempts.requester.shop
        await shop.ledger.look()
        self.of_the_day_usd = await of_the_day_usd(shop)

    def _means(self, seconds: float) -> Means:
        limits = [usd for usd in (self._left_usd, self.of_the_day_usd) if usd is not None]
        return Means(self.contract.max_attempts - len(self.attempts.made), seconds, min(limits, default=None))

    def _next(self, seconds: float) -> Step | None:
        """What is done next; None: the contract is used up or nothing left is worth its cost, which is noted."""
        if (stop := self._used_up(seconds)) is not None:
            self.notes.append(stop)
            return None
        means = self._means(seconds)
        # Whoever names a model wants its repair, be it worth its cost to others or not.
        plan = self._plan(means, at_any_price=self.contract.model is not None)
        if plan.steps:
            return self._slip_corrected() or plan.steps[0]
        if not self.attempts.made:
            return self._quickest() or self._another_free(means)
        if free := self._another_free(means):
            return free
        self._note_what_is_left(means)
        return None

    def _slip_corrected(self) -> Step | None:
        """Another answer of the same model when only the form of the last one was wrong. None: it was not that.

        An edit that finds no place, or code that does not parse, says little of how hard the task is.
        """
        last = self.attempts.made[-1] if self.attempts.made else None
        if last is None or last.is_repair or not last.is_a_slip or not self._can_be_repaired(last):
            return None
        return Step(last.candidate.profile.id, is_repair=True)

    async def _waited_out(self, seconds: float) -> Step | None:
        """What a vendor put off for a moment, once that is over. None: nothing was, or another model can be asked."""
        waits = {attempt.candidate.profile.id: _short_wait_s(attempt) for attempt in self._last_of_each()}
        brief = {model: wait_s for model, wait_s in waits.items() if wait_s is not None and wait_s < seconds}
        means = self._means(seconds)
        if not brief or self._used_up(seconds) is not None:
            return None
        if self._plan(means).steps or self._another_free(means) is not None:
            return None
        plan = self._plan(replace(means, seconds=seconds - min(brief.values())), again=brief)
        if not plan.steps:
            return None
        step = plan.steps[0]
        self.tell("waiting", self.decision.candidate(step.model), brief[step.model])
        await anyio.sleep(brief[step.model])
        return step

    def _plan(
        self,
        means: Means,
        *,
        at_any_price: bool = False,
        beyond_the_money: bool = False,
        again: Collection[str] = (),
    ) -> Plan:
        """beyond_the_money: with the models that only their cost kept from being asked, too.

        again: models that are asked once more though they gave no answer.
        """
        made, heard, planner = self.attempts.made, self._last_heard, self.decision.planner
        if beyond_the_money:
            candidates = [replace(c, obstacles=()) if c.is_too_dear_alone else c for c in planner.candidates]
            planner = replace(planner, candidates=candidates)
        return planner.plan(
            means,
            [attempt.step for attempt in made if attempt.has_failed],
            left_out=self._left_out(again),
            may_repair=heard is not None and self._can_be_repaired(heard),
            at_any_price=at_any_price,
        )

    def _another_free(self, means: Means) -> Step | None:
        """A model without a price that was not tried yet, though another plays its role: only time speaks against it.

        None: there is none, or none would answer in time.
        """
        planner, tried = self.decision.planner, {attempt.candidate.profile.id for attempt in self.attempts.made}
        free = [c for c in planner.candidates if c.profile.price is None and c.profile.id not in tried]
        plan = replace(planner, candidates=free, every_model=True).plan(
            means, left_out=self._left_out(), at_any_price=True
        )
        return next(iter(plan.steps), None)

    def _left_out(self, again: Collection[str] = ()) -> set[str]:
        return {*(set(self._silent()) - set(again)), *self._elsewhere(), *self.too_dear, *self.too_slow}

    def _note_what_is_left(self, means: Means) -> None:
        """Say who is not asked any more, and what would have them asked."""
        planner = self.decision.planner
        if step := next(iter(self._plan(replace(means, usd=None), beyond_the_money=True).steps), None):
            self._note_too_dear(step.model, self._why_too_dear(step, means))
        elif step := next(iter(self._plan(untimed := replace(means, seconds=None)).steps), None) or (
            self._another_free(untimed)
        ):
            self.notes.append(
                f"{step.model}: not asked: it would not answer within the {means.seconds:.0f} s that are left of"
                f" max_seconds {self.contract.max_seconds:g}. Raise it to have it asked."
            )
        elif (rest := self._plan(means, at_any_price=True)).steps:
            step = rest.steps[0]
            what = f"{step.model}'s repair" if step.is_repair else step.model
            cost_usd = planner.cost_usd(step)
            price = f"about {in_dollars(cost_usd)}" if cost_usd else f"waiting about {planner.seconds(step):.0f} s"
            remedy = "CHARGEHAND_POLICY=quality goes on for longer, and " if cost_usd else ""
            self.notes.append(
                f"Stopped: after these failures {what} is not worth {price}; the remaining options together have a"
                f' {rest.success:.0%} chance. {remedy}model="{step.model}" asks it alone.'
            )
        elif (other := self._beyond_the_money()) is not None:
            self._note_too_dear(other.profile.id, other.why_not)
        else:
            made = len(self.attempts.made)
            self.notes.append(f"Stopped after {made} of {self.contract.max_attempts} attempts: {self._why_it_ends()}")

    def _note_too_dear(self, model: str, why: str | None) -> None:
        self.too_dear.add(model)
        self.notes.append(f"{model}: not asked: {why}. Raise it to have it asked.")

    def _why_too_dear(self, step: Step, means: Means) -> str | None:
        planner = self.decision.planner
        if not any(c.is_usable for c in planner.candidates if c.profile.id == step.model):
            return next(c.why_not for c in planner.candidates if c.profile.id == step.model and c.is_too_dear_alone)
        return f"about {in_dollars(planner.cost_usd(step))} is more than {self._limit(means)}"

    def _limit(self, means: Means) -> str:
        """The narrower of the two limits of money, as its user knows it."""
        if means.usd is not None and means.usd == self.of_the_day_usd:
            left = in_dollars(means.usd)
            return f"the {left} left of CHARGEHAND_DAILY_BUDGET_USD, which resets at 00:00 UTC"
        return f"is left of max_cost_usd {self.contract.max_cost_usd:g}"

    def _beyond_the_money(self) -> Candidate | None:
        """Who could be asked but for its cost."""
        out = self._left_out()
        dear = (c for c in self.decision.planner.candidates if c.is_too_dear_alone and c.profile.id not in out)
        return next(dear, None)

    def _why_it_ends(self) -> str:
        """Why nobody else is asked, when neither money nor time is the reason."""
        if self.contract.model is not None:
            return f'model="{self.contract.model}" was named, so no other is asked.'
        tried = {attempt.candidate.profile.id for attempt in self.attempts.made}
        out = {*tried, *self._left_out()}
        rest = next((c.profile.id for c in self.decision.candidates if c.is_usable and c.profile.id not in out), None)
        if rest is not None:
            return f'of each role one model is asked. model="{rest}" asks another.'
        return "no other model can be asked."

    def _as_dear_as(self, step: Step) -> Iterator[str]:
        """Models that are expected to cost at least what a step does, its own first."""
        planner = self.decision.planner
        cost_usd = planner.cost_usd(step)
        yield step.model
        for candidate in self.decision.candidates:
            if candidate.is_usable and planner.cost_usd(Step(candidate.profile.id)) >= cost_usd > 0:
                yield candidate.profile.id

    def _can_be_repaired(self, attempt: Attempt) -> bool:
        """Whether the same model can be told what was wrong, and has not just said what was said before."""
        if attempt.outcome != "failed_check" or attempt.first_failure is None or attempt.request.generation is None:
            return False
        if self._may_not_hear(attempt):
            return False
        earlier = [t.answer.code for t in self.attempts.made if t is not attempt and t.answer is not None]
        return attempt.answer is None or attempt.answer.code not in earlier

    def _may_not_hear(self, attempt: Attempt) -> bool:
        """Whether what the checks print may not be told to the model that gave the answer."""
        return self.contract.private_output is not None and not attempt.candidate.availability.is_local

    def _elsewhere(self) -> Iterator[str]:
        """The models that are not on this machine, when nothing may leave it."""
        if self.local_only:
            yield from (c.profile.id for c in self.decision.candidates if not c.availability.is_local)

    def _silent(self) -> Iterator[str]:
        """The models that gave no answer to judge, and all of a vendor who answers nobody."""
        for attempt in self._last_of_each():
            if attempt.has_failed:
                continue
            yield attempt.candidate.profile.id
            # No key, no credit, no connection: the vendor's other models have none either.
            if isinstance(attempt.request.error, Unavailable) and not isinstance(attempt.request.error, UnknownModelId):
                provider = attempt.candidate.profile.provider
                yield from (c.profile.id for c in self.decision.candidates if c.profile.provider == provider)

    def _last_of_each(self) -> Collection[Attempt]:
        """The last attempt of each model."""
        return {attempt.candidate.profile.id: attempt for attempt in self.attempts.made}.values()

    @property
    def _last_heard(self) -> Attempt | None:
        """The last attempt that its vendor let begin."""
        return next((t for t in reversed(self.attempts.made) if not isinstance(t.request.error, RateLimited)), None)

    def _quickest(self) -> Step | None:
        """Who is asked when all would come too late and nothing has been tried: whoever comes first."""
        slow = set(self.too_slow) - {*self._elsewhere()}
        if not slow or len(set(self.too_slow)) < len(self.too_slow):
            return None  # it was asked again, and its turn did not come
        job = self.attempts.job

        def seconds(model: str) -> float:
            candidate = self.decision.candidate(model)
            return foresee(candidate, job.complexity.score, is_repair=False).seconds or 0.0

        return Step(min(slow, key=lambda model: (seconds(model), self.too_slow.index(model))))

    def _used_up(self, seconds: float) -> str | None:
        if len(self.attempts.made) >= self.contract.max_attempts:
            return f"max_attempts ({self.contract.max_attempts}) is used up."
        if seconds <= 0:
            return f"max_seconds ({self.contract.max_seconds:g} s) is used up."
        return None

    def _nobody(self) -> Status:
        """Why no attempt is made at all: money, privacy, or nobody there. The decision's warnings say more."""
        if self.decision.source == "override":
            self.notes.append(f"{self.decision.chosen.profile.id}: {self.decision.chosen.why_not}")
        if any(candidate.is_too_dear_alone for candidate in self.decision.candidates):
            return "over_budget"
        if self.local_only:
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
        if attempt.outcome == "failed_check" and self._may_not_hear(attempt):
            self.notes.append(f"{model}: not asked for a repair: {self.contract.private_output}.")
        self.notes.extend(remarks_on(attempt))
        for check in attempt.checks:
            if check.note and check.outcome != "passed":
                self.notes.append(f"{check.name}: {check.note}")


_SHORT_WAIT_S = 60.0
"""A limit per minute ends within it."""


def _short_wait_s(attempt: Attempt) -> float | None:
    """The wait that its vendor asked for, in seconds. None: none, or a longer one than is waited out."""
    error = attempt.request.error
    wait_s = error.retry_after_s if isinstance(error, RateLimited) else None
    return wait_s if wait_s is not None and wait_s <= _SHORT_WAIT_S else None


def best_of(made: Sequence[Attempt]) -> Attempt | None:
    """The attempt whose work is handed out: the one that ended the task, else the nearest to passing."""
    order = {"passed": 3, "unverified": 2}
    with_code = [attempt for attempt in made if attempt.answer is not None]
    return max(
        with_code,
        key=lambda attempt: (
            order.get(attempt.outcome, int(attempt.lacks_a_package)) - (attempt.doubt is not None),
            attempt.tests_passed,
        ),
        default=None,
    )
