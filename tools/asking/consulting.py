"""Asks a senior model a short question: long input, an answer by schema, few visible tokens."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from ...memory_store.records import Finish, NewTask, TaskKind
from ...profiles.model import ModelProfile
from ...profiles.price import in_dollars
from ...profiles.vocabulary import Checkpoint
from ..editing.prompt import Prompt
from ..errors import NoModelAvailable
from ..provider import ProviderError
from ..routing.candidates import Candidate, Circumstances
from ..routing.deciding import Job, decide, left_today_usd
from ..routing.decision import Decision
from ..routing.thinking import LEAST, decide_thinking
from ..services import Services
from .monitor import RequestMonitor
from .request import NoTime, Requester, RequestResult, RequestTerms, affordable
from .tokens import BYTES_PER_TOKEN

TIMEOUT_S = 120.0

# Token limits: for the answer, more than it is told to use; and for a model that always thinks, since thinking
# counts against the same limit (docs.claude.com, "Extended thinking", seen 2026-11-23).
_ANSWER_TOKENS = 1_024
_THINKING_TOKENS = 6_144


@dataclass(frozen=True)
class Consultation:
    """The request, and the answer that it brought."""

    request: RequestResult
    answer: Mapping[str, Any] | None
    """The JSON value, not yet validated (hence Any). None: no usable answer."""

    @property
    def visible_tokens(self) -> int:
        return self.request.usage.visible_tokens


async def consult(
    services: Services,
    candidate: Candidate,
    *,
    task_id: str,
    kind: TaskKind,
    job: Job,
    prompt: Prompt,
    schema: Mapping[str, object],
    local_only: bool,
    is_allowed: bool,
    at_most_per_day: int | None = None,
) -> Consultation:
    """Ask once, and record task, request and cost in the ledger.

    is_allowed: whether the user was asked and agreed; else it may cost at most their `ask_above_usd`. Raises
    NoModelAvailable if its turn does not come in time, MustStayLocal, NotAffordable, or a LedgerError (such as
    BudgetExceeded and DailyLimitReached).
    """
    await services.ledger.begin_task(
        NewTask(
            id=task_id,
            kind=kind,
            text=job.task,
            task_type=job.task_type,
            complexity=job.complexity.score,
            local_only=local_only,
            owner=services.owner.id,
            project=services.roots.project,
        ),
        at_most_per_day=at_most_per_day,
    )
    terms = replace(
        _terms(candidate, prompt),
        left_usd=None if is_allowed else services.rules.ask_above_usd,
        limit="[budget] ask_above_usd",
        local_only=local_only,
        answer_schema=schema,
    )
    status = "failed"
    try:
        request = await Requester(services, task_id, RequestMonitor()).ask(candidate, terms)
        answer = _parsed(request)
        status = "failed" if answer is None else "done"
    except NoTime as error:
        raise NoModelAvailable(str(error)) from error
    finally:
        await services.ledger.finish_task(task_id, Finish(status, candidate.profile.id, (), receipt=None))
    return Consultation(request, answer)


def price_needing_consent(services: Services, candidate: Candidate, prompt: Prompt) -> float | None:
    """Worst-case cost in US dollars if even a short answer needs the user's consent. None: it needs none."""
    limit_usd, terms = services.rules.ask_above_usd, _terms(candidate, prompt)
    if limit_usd is None or affordable(candidate, terms, limit_usd) is not None:
        return None
    whole = affordable(candidate, terms, None)
    return whole.worst_case_usd if whole else None


async def within_daily_budget(
    services: Services,
    decision: Decision,
    checkpoint: Checkpoint,
    prompt: Prompt,
    job: Job,
    circumstances: Circumstances,
) -> Decision:
    """The decision, or one for a model on this machine if the day's budget cannot pay for the chosen one's answer.

    If no model on this machine can be asked, the decision is returned unchanged.
    """
    chosen, left_usd = decision.chosen, await left_today_usd(services)
    if not chosen.is_usable or left_usd is None or affordable(chosen, _terms(chosen, prompt), left_usd) is not None:
        return decision
    here = await decide(job, services, circumstances, checkpoint=checkpoint, local_only=True, within_daily_budget=False)
    if not here.chosen.is_usable:
        return decision
    note = (
        f"{chosen.profile.id}: {in_dollars(left_usd)} is left of CHARGEHAND_DAILY_BUDGET_USD until 00:00 UTC, too"
        f" little for its shortest answer, so {here.chosen.profile.id} on this machine takes its place."
    )
    return replace(here, warnings=(note, *here.warnings))


def visible_tokens_at_most(profile: ModelProfile, otherwise: int) -> int:
    """Maximum visible tokens of the model's answer. otherwise: if its profile sets no limit."""
    return profile.primary_use.visible_output_tokens_at_most if profile.primary_use else otherwise


def clip_to_tokens(text: str, tokens: int) -> str:
    """The text, cut after a sentence, or else after a word, to at most so many tokens."""
    most = int(tokens * BYTES_PER_TOKEN)
    if len(text.encode()) <= most:
        return text
    head = text.encode()[:most].decode(errors="ignore")
    sentence = re.match(r".*[.!?](?=\s|$)", head, re.DOTALL)
    return sentence[0] if sentence else head.rsplit(None, 1)[0] + "…"


def explain(error: ProviderError | None, profile: ModelProfile) -> str:
    """Why there is no answer, without a final full stop."""
    return (
        f"{profile.id}: {error}".rstrip(".")
        if error is not None
        else f"{profile.id}: its answer was not the JSON asked for"
    )


def _terms(candidate: Candidate, prompt: Prompt) -> RequestTerms:
    thinking = decide_thinking(candidate.profile, LEAST)
    wanted_tokens = _ANSWER_TOKENS + (_THINKING_TOKENS if thinking.on else 0)
    return RequestTerms(prompt, thinking, wanted_tokens, seconds=TIMEOUT_S)


def _parsed(request: RequestResult) -> Mapping[str, Any] | None:
    if request.generation is None or request.error is not None:
        return None
    text = request.generation.text
    begin, end = text.find("{"), text.rfind("}")
    try:
        return cast(Mapping[str, Any], json.loads(text[begin : end + 1]))
    except (ValueError, RecursionError):
        return None
