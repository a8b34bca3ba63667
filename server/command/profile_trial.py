"""`chargehand profiles trial`: compares two models on remembered tasks, then offers the resulting change, if any."""

import math
from dataclasses import asdict, dataclass
from functools import partial

import anyio
from rich.console import Console

from ...evaluation.comparison import Comparison, TrialPlan, compare, plan_trial, proposals_of
from ...evaluation.evaluating import evaluate
from ...evaluation.profiling.findings import ProfileFindings
from ...evaluation.progress import EvaluationProgress
from ...evaluation.terms import DEFAULT_BUDGET_USD
from ...memory_store.evaluations import read_measurements
from ...tools.errors import BadArgument
from ...tools.services import Services
from ..surface.server_state import OpenServices, ServerState, open_server_state
from .evaluating import INCOMPLETE, bars
from .profile_updates import offer
from .signals import cancel_on_signal


@dataclass(frozen=True)
class TrialArguments:
    """The command's arguments."""

    model: str
    against: str
    budget_usd: float | None = None
    """None: the default; infinite: only the daily budget applies."""


async def trial_from_shell(open_services: OpenServices, arguments: TrialArguments, *, as_json: bool) -> int:
    """Run both models, print the comparison, and offer the change. A signal settles the costs.

    Returns the exit code: `INCOMPLETE` when tasks are left, which the same command continues with.
    """
    console = Console(stderr=True)
    progress, call = EvaluationProgress(), anyio.CancelScope()
    async with open_server_state(open_services) as state:
        with cancel_on_signal(call.cancel):
            services = await state.services()
            budget_usd = DEFAULT_BUDGET_USD if arguments.budget_usd is None else arguments.budget_usd
            limit_usd = None if math.isinf(budget_usd) else budget_usd
            plan = await plan_trial(services, arguments.model, arguments.against, limit_usd)
            _announce(plan, console)
            asked = len(plan.items)
            with call, bars(progress, console):
                await _measure(state, services, plan, progress)
            measurements = await read_measurements(services.ledger, evaluation_id=progress.evaluation_id)
            found = compare(measurements, *plan.terms.models)
    if not progress.evaluation_id:
        console.print("Interrupted before anything was asked.")
        return 1
    for model, why in progress.given_up.items():
        _say(f"{model} was skipped: {why}", console)
    for model, count in progress.unaffordable.items():
        _say(f"{model}: the budget does not cover {count} task(s). Raise --budget-usd.", console)
    if 0 < found.n < asked:
        _say(f"{asked - found.n} of {asked} task(s) gave no result for one of the two.", console)
    if not found.n:
        raise BadArgument("profiles trial: no task has a result for both models. The reasons are above.")
    if not as_json:
        _say(found.in_words(), Console())
    is_whole = not call.cancel_called and progress.is_whole and not progress.unaffordable
    source = partial(_found, found, progress.evaluation_id)
    code = await offer(open_services, [source], apply=False, as_json=as_json, extra={"trial": asdict(found)})
    return code if is_whole else INCOMPLETE


async def _measure(state: ServerState, services: Services, plan: TrialPlan, progress: EvaluationProgress) -> None:
    await evaluate(
        services,
        state.delegations,
        plan.items,
        plan.terms.models,
        plan.terms,
        progress=progress,
        local_items=plan.local_items,
        prove_items=False,
    )


async def _found(comparison: Comparison, evaluation_id: str, services: Services) -> ProfileFindings:
    return ProfileFindings(proposals=tuple(proposals_of(comparison, services.catalogue, evaluation_id, services.today)))


def _announce(plan: TrialPlan, console: Console) -> None:
    model, against = plan.terms.models
    _say(f"{len(plan.items)} remembered task(s) with tests, each given to {model} and to {against}.", console)
    if plan.kept_back:
        _say(
            f"{plan.kept_back} task(s) must stay on this machine and are left out: one of the models is elsewhere.",
            console,
        )


def _say(text: str, console: Console) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
