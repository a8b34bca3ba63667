"""Facts in the JSON form that resources and the shell's `--json` share (hence Any)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ...memory_store.adherence import ClassUsage
from ...memory_store.usage import UsageReport

if TYPE_CHECKING:
    import datetime as dt

    from ...profiles.catalogue import Catalogue


def profile_facts(catalogue: "Catalogue", name: str, today: "dt.date") -> dict[str, Any]:
    """All facts of a model, its inherited roles included. Raises UnknownModel."""
    profile = catalogue.named(name, today)[0]
    return profile.model_dump(mode="json", exclude_none=True) | {"roles": catalogue.roles_of(profile, today)}


def usage_facts(report: UsageReport, classes: Sequence[ClassUsage]) -> dict[str, Any]:
    """What was spent, saved and lost, in all and by kind of task."""
    return {
        **asdict(report),
        "saved_usd": report.saved_usd,
        "classes": [{**asdict(c), "saved_usd": c.saved_usd, "loses_money": c.loses_money} for c in classes],
        "not_recommended": [c.task_type for c in classes if c.loses_money],
    }
