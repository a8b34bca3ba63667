"""Draft, check, repair or next model, until a check passes or the contract is used up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from ...memory_store.errors import BudgetExceeded
from ...memory_store.under_way import keep_local
from ...profiles.vocabulary import Role
from ..asking import NotAffordable, NoTime
from ..editing.prompt import Prompt, draft_prompt, repair_turn
from ..fitting import packed_for
from ..guarding.departure import MayNotLeave
from ..guarding.privacy import HOW_TO_LEAVE
from ..provider import Turn, Unavailable, UnknownModelId
from ..routing.candidates import Candidate
from ..routing.selection import Decision
from ..tokens import estimate_tokens
from .attempt import Attempts, Terms, Tried
from .contract import Contract
from .foresight import foreseen_seconds, is_known_here
from .receipt import Status
from .remarks import remarks_on

# Outcomes after which a stronger model may do better on the same prompt.
_WEAKNESS = frozenset({"failed_check", "truncated", "refused", "empty"})


@dataclass
class Cascade:
    """One task on its way through the models."""

    decision: Decision
    contract: Contract
    attempts: Attempts
    ladder: Sequence[Role]
    """All roles, weakest first."""
    local_only: bool
    tell: Callable[[str, Candidate, float | None], None]
    """Called as each attempt begins with `asking` or `repairing`, and the seconds it is expected to take."""
    notes: list[str] = field(default_factory=list[str])
    too_slow: list[Candidate] = field(default_factory=list[Candidate])
    """Who was left out because its reply would come too late."""

    async def run(self) -> Status:
        """Make attempts until one ends the task; `attempts.made` and `notes` hold what happened."""
        if not self.decision.chosen.is_usable:
            return self._nobody()
        deadline = anyio.current_time() + self.contract.max_seconds
        candidate: Candidate | None = self.decision.chosen
        repair: Prompt | None = None
        while candidate is not None:
            seconds = deadline - anyio.current_time()
            if (stop := self._used_up(seconds)) is not None:
                self.notes.append(stop)
                break
            prompt = repair or self._draft(candidate)
            try:
                tried = await self._attempt(candidate, prompt, seconds, is_repair=repair is not None)
            except MayNotLeave as error:
                self.notes.append(str(error))
                repair, candidate = None, await self._kept_local()
                continue
            except (NotAffordable, BudgetExceeded) as error:
                self.notes.append(str(error))
                return "over_budget"
            except NoTime as error:
                self.notes.append(str(error))
                self.too_slow.append(candidate)
                repair, candidate = None, self._quicker()
                continue
            self._note(tried)
            if tried.outcome in ("passed", "unverified"):
                return "succeeded" if tried.outcome == "passed" else "unverified"
            repair = self._repair(tried, prompt) if repair is None else None
            if repair is None and tried.lacks_a_package:
                # A stronger model would import it too: asking on would cost money and prove nothing.
                return "unverified"
            if repair is None:
                candidate = self._next(tried)
        return "refused" if self.local_only and not self.attempts.made and not self.too_slow else "failed"

    def _draft(self, candidate: Candidate) -> Prompt:
        job, tests = self.attempts.job, self.contract.tests
        code = tests.code if tests else None
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

    async def _attempt(self, candidate: Candidate, prompt: Prompt, seconds: float, *, is_repair: bool) -> Tried:
        foreseen = foreseen_seconds(candidate, self.attempts.job, is_repair=is_repair)
        # Whoever is asked once more, after being too slow, is asked because nobody else can be.
        is_optional = is_known_here(candidate) and candidate not in self.too_slow
        self.tell("repairing" if is_repair else "asking", candidate, foreseen)
        cap_usd = self.contract.max_cost_usd
        left_usd = None if cap_usd is None else max(0.0, cap_usd - self.attempts.spent_usd)
        terms = Terms(
            seconds=seconds,
            needed_seconds=foreseen if is_optional else None,
            left_usd=left_usd,
            local_only=self.local_only,
        )
        return await self.attempts.make(candidate, prompt, terms, is_repair=is_repair)

    def _repair(self, tried: Tried, prompt: Prompt) -> Prompt | None:
        """What is said to the same model next; None where a repair is not worth its tokens.

        It is worth them when the check says what is wrong, and when the model has not just given an
        answer that it had given before.
        """
        if tried.outcome != "failed_check" or tried.first_failure is None or tried.asked.generation is None:
            return None
        if self.contract.private_output is not None and not tried.candidate.availability.is_local:
            self.notes.append(f"{tried.candidate.profile.id}: not asked for a repair: {self.contract.private_output}.")
            return None
        earlier = [t.answer for t in self.attempts.made[:-1] if t.answer is not None]
        if tried.answer is not None and any(tried.answer.code == answer.code for answer in earlier):
            return None
        rules = tried.candidate.profile.thinking
        state = tried.asked.generation.vendor_state if rules is not None and rules.sent_back else None
        return prompt.followed_by(
            Turn("assistant", tried.asked.generation.text, state),
            repair_turn(tried.first_failure, self.contract.changing),
        )

    def _next(self, tried: Tried) -> Candidate | None:
        """Who is asked after a failure; None when nobody is left, or the model was the caller's choice."""
        if self.decision.source == "override":
            return None
        asked = {t.candidate.profile.id for t in self.attempts.made} | {c.profile.id for c in self.too_slow}
        if tried.outcome in _WEAKNESS:
            pool = self.decision.stronger(tried.candidate.role, self.ladder)
        else:
            pool = self.decision.candidates
        return next((c for c in pool if c.is_usable and c.profile.id not in asked and not self._is_down(c)), None)

    def _quicker(self) -> Candidate | None:
        """Who is asked instead of a model that would come too late.

        When nothing at all has been tried and nobody else is left, the one that comes first in time is.
        """
        made, too_slow = self.attempts.made, self.too_slow
        if made:
            return self._next(made[-1])
        left_out = {c.profile.id for c in too_slow}
        if self.decision.source != "override":
            pool = (c for c in self.decision.candidates if c.is_usable and c.profile.id not in left_out)
            if (other := next(pool, None)) is not None:
                return other
        if len(left_out) < len(too_slow):
            return None  # it was asked again, and its turn did not come
        job = self.attempts.job
        return min(too_slow, key=lambda c: foreseen_seconds(c, job, is_repair=False) or 0.0)

    async def _kept_local(self) -> Candidate | None:
        """Keep the task on this machine from now on; gives who goes on with it, None when nobody can."""
        await keep_local(self.attempts.desk.shop.ledger, self.attempts.desk.task_id)
        self.local_only, self.decision = True, self.decision.kept_local()
        asked = {t.candidate.profile.id for t in self.attempts.made}
        left = (c for c in self.decision.candidates if c.is_usable and c.profile.id not in asked)
        candidate = next(left, None)
        if candidate is None:
            self.notes.append(f"No model on this machine can go on with it. {HOW_TO_LEAVE}")
        return candidate

    def _is_down(self, candidate: Candidate) -> bool:
        """Whether an attempt has shown that this vendor answers nobody: no key, no credit, no connection."""
        return any(
            t.candidate.profile.provider == candidate.profile.provider
            and isinstance(t.asked.error, Unavailable)
            and not isinstance(t.asked.error, UnknownModelId)
            for t in self.attempts.made
        )

    def _used_up(self, seconds: float) -> str | None:
        if len(self.attempts.made) >= self.contract.max_attempts:
            return f"max_attempts {self.contract.max_attempts} are used up."
        if seconds <= 0:
            return f"max_seconds {self.contract.max_seconds:g} are used up."
        return None

    def _nobody(self) -> Status:
        """Why no attempt is made at all: money, privacy, or nobody there. The decision's warnings say more."""
        why_not: Sequence[str] = [
            c.why_not or "" for c in self.decision.candidates if c.role == self.decision.chosen.role
        ]
        self.notes.append(f"{self.decision.chosen.profile.id}: {self.decision.chosen.why_not}")
        if any("max_cost_usd" in reason for reason in why_not):
            return "over_budget"
        if self.local_only:
            self.notes.append(self.contract.remedy or "")
            return "refused"
        return "failed"

    def _note(self, tried: Tried) -> None:
        if tried.asked.error is not None:
            self.notes.append(f"{tried.candidate.profile.id}: {tried.outcome}: {tried.asked.error}")
        if tried.answer is not None and not tried.answer.is_whole:
            self.notes.append(f"{tried.candidate.profile.id}: its code block was never closed; the end may be missing.")
        self.notes.extend(remarks_on(tried))
        for check in tried.checks:
            if check.note and check.outcome != "passed":
                self.notes.append(f"{check.name}: {check.note}")


def best_of(made: Sequence[Tried]) -> Tried | None:
    """The attempt whose work is handed out: the one that ended the task, else the nearest to passing."""
    order = {"passed": 2, "unverified": 1}
    with_code = [tried for tried in made if tried.answer is not None]
    return max(with_code, key=lambda tried: (order.get(tried.outcome, 0), tried.tests_passed), default=None)
