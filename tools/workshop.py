"""Everything that the tools work with, built once by `server/wiring.py` and passed in."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio

from ..memory_store.ledger import Clock, Ledger
from ..profiles.catalogue import Catalogue
from ..profiles.vocabulary import ProviderName
from .checking.sandbox_search import SandboxSearch
from .guarding.roots import Roots
from .provider import Availability, Provider
from .routing.candidates import Circumstances
from .routing.recollection import NO_MEMORY


@dataclass(frozen=True)
class Rules:
    """What the user settled for all calls."""

    local_only: bool = False
    """True: nothing leaves the machine, whatever a call says."""
    daily_budget_usd: float | None = 5.0
    """US dollars for one UTC day; 0 is no paid calls, None no cap."""
    reviews_per_day: int = 20
    """Strategic reviews in one UTC day."""
    baseline_model: str | None = None
    """The model that savings are measured against. None: the validator's."""


@dataclass(frozen=True)
class Workshop:
    catalogue: Catalogue
    providers: Mapping[ProviderName, Provider]
    ledger: Ledger
    find_sandbox: Callable[[], Awaitable[SandboxSearch]]
    """Looks once, and gives the same result ever after."""
    roots: Roots
    rules: Rules
    clock: Clock

    @property
    def today(self) -> dt.date:
        return self.clock().astimezone(dt.UTC).date()

    async def survey(self) -> Circumstances:
        """What can be asked right now, by asking all vendors at once."""
        found: dict[str, Availability] = {}

        async def ask(name: ProviderName, provider: Provider) -> None:
            found.update(await provider.availability([p for p in self.catalogue if p.provider == name]))

        async with anyio.create_task_group() as group:
            for name, provider in self.providers.items():
                group.start_soon(ask, name, provider)
        return Circumstances(catalogue=self.catalogue, availability=found, recollection=NO_MEMORY, today=self.today)

    async def check_access(self) -> Mapping[ProviderName, str | None]:
        """For each vendor why it lets nobody in, with the remedy, or None; free requests, all at once."""
        found: dict[ProviderName, str | None] = {}

        async def ask(name: ProviderName, provider: Provider) -> None:
            found[name] = await provider.check_access()

        async with anyio.create_task_group() as group:
            for name, provider in self.providers.items():
                group.start_soon(ask, name, provider)
        return found
