"""`chargehand profiles list` and `show`: all models as a table, one model as YAML, or JSON."""

from typing import Any

from rich.console import Console

from ...evaluation.tables import print_table, standard_output
from ...profiles.model import ModelProfile
from ..surface.facts import profile_facts
from ..surface.server_state import OpenServices
from .reports import print_errors, print_json


async def print_profiles(open_services: OpenServices, *, as_json: bool) -> int:
    async with open_services() as services:
        catalogue, availability = services.catalogue, (await services.survey()).availability
        today = services.today
    rows: list[dict[str, Any]] = []
    for profile in sorted(catalogue, key=lambda p: (p.provider, p.id)):
        there = availability.get(profile.id)
        rows.append(
            {
                "id": profile.id,
                "provider": profile.provider,
                "api_model": (there and there.api_model) or profile.api_model,
                "roles": list(catalogue.roles_of(profile, today)),
                "status": profile.lifecycle.status,
                "retires_on": str(profile.lifecycle.retires_on) if profile.lifecycle.retires_on else None,
                "price": _price_in_words(profile),
                "reachable": services.can_be_asked(profile, there, local_only=services.rules.local_only),
            }
        )
    if as_json:
        print_json(rows)
        return 0
    columns = ("id", "provider", "roles", "status", "price", "reachable")
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    title = "USD per million tokens, input / output"
    print_table(standard_output(), columns, cells, whole=("id", "price"), title=title)
    return print_errors([str(problem) for problem in catalogue.problems])


async def print_profile(open_services: OpenServices, model: str, *, as_json: bool) -> int:
    async with open_services() as services:
        facts = profile_facts(services.catalogue, model, services.today)
    if as_json:
        print_json(facts)
    else:
        import yaml

        Console().print(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), markup=False, highlight=False)
    return 0


def _price_in_words(profile: ModelProfile) -> str:
    if profile.price is None:
        return "free"
    return f"{profile.price.input_usd_per_million_tokens:g} / {profile.price.output_usd_per_million_tokens:g}"


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - any list will do
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
