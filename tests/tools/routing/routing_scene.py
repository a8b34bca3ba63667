"""Short constructors for a selector's input: the circumstances and the question."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping

from chargehand.memory_store.recollection import Recollection
from chargehand.profiles.catalogue import Catalogue
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.vocabulary import Checkpoint, TaskType
from chargehand.tools.provider import Availability
from chargehand.tools.routing.candidates import Circumstances, Constraints
from chargehand.tools.routing.complexity import Complexity
from chargehand.tools.routing.decision import Decision, Question
from chargehand.tools.routing.plan import Check, PlanLimits, Step
from chargehand.tools.routing.selection import select_model

TODAY = dt.date(2026, 11, 24)
CATALOGUE = load_catalogue()
ALL_MODELS = frozenset(CATALOGUE.profiles)
LOCAL = frozenset(p.id for p in CATALOGUE if p.provider == "ollama")
NO_KEY: Mapping[str, str] = {
    "anthropic": "ANTHROPIC_API_KEY is not set",
    "cerebras": "CEREBRAS_API_KEY is not set",
    "ollama": "not installed: ollama pull it",
    "openai_compatible": "nothing listens there",
}


def circumstances(
    reachable: Iterable[str] = ALL_MODELS,
    *,
    catalogue: Catalogue = CATALOGUE,
    recollection: Recollection | None = None,
    today: dt.date = TODAY,
    local: Iterable[str] = (),
) -> Circumstances:
    """reachable: the ids of models that can be called. local: ids on this machine besides Ollama's."""
    reachable_ids, local_ids = set(reachable), set(local)

    def availability_of(profile_id: str) -> Availability:
        provider = catalogue.profiles[profile_id].provider
        is_reachable = profile_id in reachable_ids
        return Availability(
            is_reachable=is_reachable,
            is_local=provider == "ollama" or profile_id in local_ids,
            host="127.0.0.1" if provider == "ollama" else "api.example",
            why_not=None if is_reachable else NO_KEY[provider],
        )

    return Circumstances(
        catalogue=catalogue,
        availability={profile_id: availability_of(profile_id) for profile_id in catalogue.profiles},
        recollection=recollection or Recollection(),
        today=today,
    )


def question(
    score: float,
    task_type: TaskType = "other",
    checkpoint: Checkpoint | None = None,
    *,
    model: str | None = None,
    catalogue: Catalogue = CATALOGUE,
    **constraints: float | bool,
) -> Question:
    return Question(
        complexity=Complexity(score=score, factors=()),
        task_type=task_type,
        checkpoint=checkpoint,
        pinned=catalogue.named(model, TODAY) if model else (),
        constraints=dataclasses.replace(Constraints(), **constraints),  # pyright: ignore[reportArgumentType] - by name
    )


def choice(decision: Decision) -> str:
    return decision.chosen.profile.id


def followers(decision: Decision) -> set[str]:
    """The ids of the models that would be tried if each one before failed and cost did not matter."""
    first = choice(decision)
    planner = dataclasses.replace(decision.planner, check=Check())
    plan = planner.plan(PlanLimits(), [Step(first), Step(first, is_repair=True)], at_any_price=True)
    return {step.model for step in plan.steps}


def chosen(score: float, task_type: TaskType = "other", reachable: Iterable[str] = ALL_MODELS, **constraints) -> str:
    """The id of the model that is chosen for a task."""
    return choice(select_model(question(score, task_type, **constraints), circumstances(reachable)))
