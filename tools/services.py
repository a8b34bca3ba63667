"""The services that the tools use, built once by `server/wiring.py` and passed in."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from ..memory_store.adherence import reports_on_unchecked
from ..memory_store.confidence import Belief
from ..memory_store.ledger import Clock, Ledger
from ..memory_store.memory import Memory
from ..memory_store.overruns import read_overruns
from ..memory_store.ownership import Owner
from ..memory_store.pace import read_paces
from ..memory_store.pass_rates import PassRateReader
from ..memory_store.recollection import Recollection
from ..memory_store.records import TaskRow
from ..memory_store.request_queue import RequestQueue
from ..profiles.catalogue import Catalogue
from ..profiles.model import ModelProfile
from ..profiles.vocabulary import ProviderName, TaskType
from .checking.executor import Executor
from .checking.sandbox_search import SandboxConfig
from .editing.journal import Journals
from .guarding.privacy import Privacy
from .guarding.roots import Roots
from .provider import Availability, Provider
from .routing.candidates import Circumstances
from .routing.policy import Policy
from .routing.prior import Ability, abilities, chances_of, prior_beliefs

if TYPE_CHECKING:
    from ..profiles.releases.compare import Findings
    from .checking.command_check import CommandCheck
    from .checking.sandbox_search import SandboxSearch


@dataclass(frozen=True)
class Rules:
    """The user's settings for all calls."""

    policy: Policy = "balanced"
    """How a model is chosen when neither the caller nor memory decides."""
    local_only: bool = False
    """True: nothing leaves the machine, regardless of a call's arguments."""
    daily_budget_usd: float | None = 5.0
    """US dollars per UTC day; 0 allows no paid calls, None is no cap."""
    ask_above_usd: float | None = None
    """US dollars that one call may spend without asking the user. None: the user is never asked."""
    reviews_per_day: int = 20
    """Strategic reviews in one UTC day."""
    baseline_model: str | None = None
    """The model that savings are measured against. None: the validator."""
    privacy: Privacy = field(default_factory=Privacy)
    checks: "Mapping[str, CommandCheck]" = field(default_factory=dict[str, "CommandCheck"])
    """The user's check commands, by name."""
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    apply_allow: tuple[str, ...] = ()
    """Patterns of protected files that may be written nevertheless."""


@dataclass(frozen=True)
class MemoryQuery:
    """A query for similar tasks in memory."""

    task: str
    task_type: TaskType
    local_only: bool
    """Of this call. True: the text is not sent to a remote embedder."""
    complexity: float
    """Of the task, 1 to 10."""
    except_for: tuple[str, ...] = ()
    """Ids of tasks to ignore, such as the current one."""


@dataclass(frozen=True)
class Services:
    profiles: Catalogue
    """All model profiles, including announced future changes."""
    providers: Mapping[ProviderName, Provider]
    ledger: Ledger
    memory: Memory
    pass_rates: PassRateReader
    """Reads the results of evaluations recorded in this ledger."""
    owner: Owner
    """This process's identity for other processes on the same ledger."""
    queue: RequestQueue
    """Limits concurrent requests to servers that take few at a time."""
    find_sandbox: "Callable[[], Awaitable[SandboxSearch]]"
    """Searches on the first call; later calls return the same result."""
    roots: Roots
    journals: Journals
    """The files written for each task, for undo."""
    find_releases: "Callable[[Catalogue, dt.date], Awaitable[Findings]]"
    """Asks the vendors which models they offer, and returns the resulting changes to the profiles."""
    rules: Rules
    clock: Clock

    @property
    def catalogue(self) -> Catalogue:
        """The profiles at today's prices."""
        return self.profiles.on(self.today)

    @property
    def executor(self) -> Executor:
        """Executes answers, and redacts the user's secrets in truncated check output."""
        return Executor(self.find_sandbox, search=self.rules.privacy.secrets)

    @property
    def today(self) -> dt.date:
        return self.clock().astimezone(dt.UTC).date()

    @property
    def now(self) -> float:
        """Seconds since 1970 UTC."""
        return self.clock().timestamp()

    async def survey(self, query: MemoryQuery | None = None, *, local_only: bool = False) -> Circumstances:
        """The models that are available now, from all vendors concurrently, and what memory knows about a task.

        query: the memory query. None: memory is not consulted. local_only: remote providers are not contacted, not
        even for availability; implied by a local-only query.
        """
        local_only = local_only or self.rules.local_only or (query is not None and query.local_only)
        catalogue, today, now = self.catalogue, self.today, self.now
        await self.ledger.refresh()
        found: dict[str, Availability] = {}

        async def ask(provider: Provider, mine: Sequence[ModelProfile]) -> None:
            found.update(await provider.availability(mine, local_only=local_only))

        async with anyio.create_task_group() as group:
            for name, provider in self.providers.items():
                if mine := [profile for profile in catalogue if profile.provider == name]:
                    group.start_soon(ask, provider, mine)
        builds = {model: availability.build for model, availability in found.items()}
        able: Mapping[str, Ability] = {}
        before: Mapping[str, Belief] = {}
        recollection = Recollection()
        if query is not None:
            rates = await self.pass_rates.read(builds, now)
            able = abilities(catalogue, rates)
            before = prior_beliefs(catalogue, rates, query.complexity, query.task_type)
            recollection = await self._recall(query, catalogue, found, before)
        return Circumstances(
            catalogue=catalogue,
            availability=found,
            recollection=recollection,
            today=today,
            pace=await read_paces(self.ledger, builds, now),
            overruns=await read_overruns(self.ledger, builds, now),
            chances=chances_of(before, recollection.chances),
            abilities=able,
            has_user_feedback=query is not None and await reports_on_unchecked(self.ledger),
        )

    async def _recall(
        self,
        query: MemoryQuery,
        catalogue: Catalogue,
        found: Mapping[str, Availability],
        before: Mapping[str, Belief],
    ) -> Recollection:
        local_only = query.local_only or self.rules.local_only
        askable = [p for p in catalogue if self.can_be_asked(p, found.get(p.id), local_only=local_only)]
        cheapest_first = sorted(askable, key=lambda p: (p.cost_usd(input_tokens=1_000, output_tokens=1_000), p.id))
        return await self.memory.retrieve_similar(
            query.task,
            task_type=query.task_type,
            builds={model: availability.build for model, availability in found.items()},
            preference=[profile.id for profile in cheapest_first],
            local_only=local_only,
            except_for=query.except_for,
            complexity=query.complexity,
            expected=before,
        )

    def can_be_asked(self, profile: ModelProfile, availability: Availability | None, *, local_only: bool) -> bool:
        """Whether the model is offered today, is reachable, and may receive the task."""
        if availability is None or not availability.is_reachable or not profile.is_offered_on(self.today):
            return False
        return availability.is_local or not local_only

    def shows(self, task: TaskRow) -> bool:
        """Whether the text and result of a task may be shown here: it belongs to this project or to none."""
        return task.project is None or task.project == self.roots.project

    async def check_access(self) -> Mapping[ProviderName, str | None]:
        """For each vendor, why it denies access, with the remedy, or None; sends free requests concurrently."""
        found: dict[ProviderName, str | None] = {}

        async def ask(name: ProviderName, provider: Provider) -> None:
            found[name] = await provider.check_access()

        async with anyio.create_task_group() as group:
            for name, provider in self.providers.items():
                group.start_soon(ask, name, provider)
        return found
