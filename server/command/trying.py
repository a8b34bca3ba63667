"""`chargehand doctor --try`: tries this machine's models on small tasks, and rates each by kind of task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from rich.console import Console
from rich.table import Table

from ...evaluation.evaluating import evaluate
from ...evaluation.progress import EvaluationProgress
from ...evaluation.quick_trial import TRIAL, Trial, small_tasks, trial_of
from ...evaluation.suite.loading import Suite, read_suite
from ...evaluation.suite.proof import prove_all
from ...evaluation.suite.task import KINDS, SuiteTask
from ...evaluation.terms import EvaluationTerms, seed_of_week
from ...memory_store.evaluations import read_measurements
from ...tools.errors import BadArgument
from ...tools.provider import ProviderError
from ...tools.services import Services
from ..providers.ollama import OllamaProvider
from ..providers.ollama_models import LoadedModel
from ..providers.ollama_wire import full_name
from ..surface.server_state import OpenServices, ServerState, open_server_state
from .evaluating import bars
from .reports import print_json
from .signals import cancel_on_signal

DEFAULT_MINUTES = 5.0

_GIB = 1 << 30


@dataclass
class _ModelTrial:
    model: str
    trial: Trial | None = None
    """None: no result."""
    memory: LoadedModel | None = None
    """Its memory while loaded. None: the server does not say."""
    is_cut_short: bool = False
    why_not: str = ""


@dataclass
class _Trials:
    tried: list[_ModelTrial] = field(default_factory=list[_ModelTrial])
    tasks: Sequence[SuiteTask] = ()


async def try_from_shell(
    open_services: OpenServices,
    *,
    models: Sequence[str],
    minutes: float,
    as_json: bool,
    suite: Callable[[int], Suite] = read_suite,
) -> int:
    """Try the models, and print the results so far even if interrupted. Returns 0, or 1 without any result.

    models: names; empty means all on this machine. minutes: the limit for all models together; results up to then
    count. suite: returns the tasks for a seed.
    """
    console = Console(stderr=True)
    trials = _Trials()
    async with open_server_state(open_services) as state:
        with anyio.CancelScope() as call, cancel_on_signal(call.cancel):
            services = await state.services()
            chosen = await _models(services, models)
            with console.status("Verifying the tasks' own checks …"):
                trials.tasks = await _provable(services, suite(seed_of_week(services.today)), console)
            await _try_all(state, services, trials, chosen, minutes, console)
    if as_json:
        print_json([_facts(tried) for tried in trials.tried])
    else:
        _show(trials, Console())
    return 0 if any(tried.trial for tried in trials.tried) else 1


async def _try_all(
    state: ServerState, services: Services, trials: _Trials, models: Sequence[str], minutes: float, console: Console
) -> None:
    until = anyio.current_time() + 60 * minutes
    for number, model in enumerate(models):
        tried = _ModelTrial(model)
        trials.tried.append(tried)
        share_s = (until - anyio.current_time()) / (len(models) - number)
        with anyio.move_on_after(max(0.0, share_s)) as limit:
            await _try(state, services, tried, trials.tasks, console)
        tried.is_cut_short = limit.cancelled_caught


async def _try(
    state: ServerState, services: Services, tried: _ModelTrial, tasks: Sequence[SuiteTask], console: Console
) -> None:
    progress = EvaluationProgress()
    terms = EvaluationTerms(suite=TRIAL, seed=seed_of_week(services.today), models=(tried.model,), budget_usd=0.0)
    try:
        with bars(progress, console):
            await evaluate(
                services, state.delegations, tasks, terms.models, terms, progress=progress, prove_items=False
            )
    finally:
        with anyio.CancelScope(shield=True):
            tried.trial = trial_of(await read_measurements(services.ledger, evaluation_id=progress.evaluation_id))
            tried.memory = await _memory_of(services, tried.model)
        tried.why_not = progress.given_up.get(tried.model, "")


async def _models(services: Services, names: Sequence[str]) -> Sequence[str]:
    """Ids of the models to try. Raises BadArgument or UnknownModel."""
    there = (await services.survey(local_only=True)).availability
    if names:
        models = dict.fromkeys(services.catalogue.named(name, services.today)[0].id for name in names)
        for model in models:
            if model not in there or not there[model].is_local:
                raise BadArgument(f"--models: {model} is not on this machine. `chargehand evaluate` measures it.")
            if not there[model].is_reachable:
                raise BadArgument(f"--models: {model}: {there[model].why_not}")
        return tuple(models)
    here = [profile.id for profile in services.catalogue if profile.id in there and there[profile.id].is_local]
    models = [model for model in here if there[model].is_reachable and services.profiles.profiles[model].price is None]
    if not models:
        remedies = dict.fromkeys(there[model].why_not for model in here if there[model].why_not)
        raise BadArgument(f"doctor --try: no model on this machine answers. {' '.join(filter(None, remedies))}")
    return sorted(models)


async def _provable(services: Services, suite: Suite, console: Console) -> Sequence[SuiteTask]:
    """Small tasks whose checks are proved to work on this machine. Raises BadArgument."""
    proofs = await prove_all(small_tasks(suite.tasks), services.find_sandbox)
    for proof in proofs:
        if proof.verdict == "broken":
            console.print(f"Left out: {proof.task.id}: {'; '.join(proof.faults)}", markup=False, highlight=False)
    tasks = [proof.task for proof in proofs if proof.verdict == "proved"]
    if not tasks:
        sandbox = await services.find_sandbox()
        raise BadArgument(f"doctor --try: answers cannot be run here ({sandbox.reason}). {sandbox.remedy or ''}")
    return tasks


async def _memory_of(services: Services, model: str) -> LoadedModel | None:
    ollama, profile = services.providers.get("ollama"), services.catalogue.profiles[model]
    if profile.provider != "ollama" or not isinstance(ollama, OllamaProvider):
        return None
    try:
        there = (await services.survey(local_only=True)).availability[model]
        loaded = await ollama.loaded()
    except ProviderError:  # no longer reachable, which the trial itself reports
        return None
    return next((one for one in loaded if one.name == full_name(there.api_model or profile.api_model)), None)


def _facts(tried: _ModelTrial) -> Mapping[str, Any]:
    """A trial as JSON (hence Any)."""
    facts: dict[str, Any] = {"model": tried.model, "is_cut_short": tried.is_cut_short, "why_not": tried.why_not or None}
    if tried.trial is not None:
        figures = tried.trial.figures
        facts |= {
            "passed": figures.all.passed,
            "asked": figures.all.asked,
            "kinds": {
                kind: {"passed": rate.passed, "asked": rate.asked, "word": tried.trial.word(kind)}
                for kind, rate in figures.kinds.items()
            },
            "seconds_per_task": tried.trial.seconds_per_task,
            "tokens_per_second": figures.tokens_per_second,
            "failures": figures.failures,
        }
    if tried.memory is not None:
        facts |= {
            "memory_bytes": tried.memory.memory_bytes,
            "video_memory_bytes": tried.memory.video_memory_bytes,
        }
    return facts


def _show(trials: _Trials, console: Console) -> None:
    learnt = [tried for tried in trials.tried if tried.trial is not None]
    if learnt:
        table = Table("kind of task", *(tried.model for tried in learnt))
        for kind in KINDS:
            cells = [_cell(tried.trial, kind) for tried in learnt]
            if any(cells):
                table.add_row(kind.replace("_", " "), *cells)
        console.print(table)
    for tried in trials.tried:
        console.print(_in_words(tried), markup=False, highlight=False, soft_wrap=True)
    if learnt:
        console.print(
            "trust: use it as it is. check: have its answers tested. do not use: it fails as often as not. With so few"
            " tasks, one answer can change the rating: `chargehand evaluate` asks more.",
            soft_wrap=True,
        )


def _cell(trial: Trial | None, kind: str) -> str:
    word = trial.word(kind) if trial is not None else None
    if trial is None or word is None:
        return ""
    rate = trial.figures.kinds[kind]
    return f"{word} ({rate.passed} of {rate.asked})"


def _in_words(tried: _ModelTrial) -> str:
    if tried.trial is None:
        return f"{tried.model}: no result: {tried.why_not or 'no answer came in time. Allow more --minutes.'}"
    figures = tried.trial.figures
    parts = [f"{figures.all.passed} of {figures.all.asked} passed"]
    if tried.trial.seconds_per_task is not None:
        parts.append(f"{tried.trial.seconds_per_task:.1f} s per task")
    if figures.tokens_per_second is not None:
        parts.append(f"{figures.tokens_per_second:.0f} tokens per second")
    if tried.memory is not None and tried.memory.memory_bytes:
        parts.append(_memory_in_words(tried.memory))
    cut = " It was cut short; allow more --minutes for the rest." if tried.is_cut_short else ""
    return f"{tried.model}: {', '.join(parts)}.{cut}"


def _memory_in_words(memory: LoadedModel) -> str:
    video = memory.video_memory_bytes / memory.memory_bytes
    where = "all of it" if video >= 1 else f"{video:.0%} of it" if video else "none of it"
    return f"{memory.memory_bytes / _GIB:.1f} GiB of memory, {where} on the GPU"
