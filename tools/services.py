"""The services that the tools work with, built once by `server/wiring.py` and passed in."""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from ..memory_store.adherence import is_told_of_unchecked
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
from .checking.executing import Executing
from .checking.sandbox_search import Choice
from .editing.journal import Journals
from .guarding.privacy import Privacy
from .guarding.roots import Roots
from .provider import Availability, Provider
from .routing.candidates import Circumstances
from .routing.policy import Policy
from .routing.prior import Ability, abilities, beliefs_before, chances_of

if TYPE_CHECKING:
    from ..profiles.releases.compare import Findings
    from .checking.command_check import CommandCheck
    from .checking.sandbox_search import SandboxSearch


@dataclass(frozen=True)
class Rules:
    """What the user settled for all calls."""

    policy: Policy = "balanced"
    """How a model is chosen where neither the caller nor memory says."""
    local_only: bool = False
    """True: nothing leaves the machine, whatever a call says."""
    daily_budget_usd: float | None = 5.0
    """US dollars for one UTC day; 0 is no paid calls, None no cap."""
    ask_above_usd: float | None = None
    """US dollars that one call may spend before the user is asked. None: they never are."""
    reviews_per_day: int = 20
    """Strategic reviews in one UTC day."""
    baseline_model: str | None = None
    """The model that savings are measured against. None: the validator's."""
    privacy: Privacy = field(default_factory=Privacy)
    checks: "Mapping[str, CommandCheck]" = field(default_factory=dict[str, "CommandCheck"])
    """The commands that may check an answer, by name."""
    sandbox: Choice = field(default_factory=Choice)
    apply_allow: tuple[str, ...] = ()
    """Patterns of files that may be written though they are protected."""


@dataclass(frozen=True)
class LookBack:
    """What memory is asked."""

    task: str
    task_type: TaskType
    local_only: bool
    """Of this call; the text does not leave the machine for an embedder elsewhere."""
    complexity: float
    """Of the task, 1 to 10."""
    except_for: tuple[str, ...] = ()
    """Ids of tasks that do not count: the very one that is asked about."""


@dataclass(frozen=True)
class Services:
    profiles: Catalogue
    """All that is known of models, with what their vendors have announced for later."""
    providers: Mapping[ProviderName, Provider]
    ledger: Ledger
    memory: Memory
    pass_rates: PassRateReader
    """Of evaluations on this ledger."""
    owner: Owner
    """This process, as others on the same ledger see it."""
    queue: RequestQueue
    """Before the servers that take few requests at a time."""
    find_sandbox: "Callable[[], Awaitable[SandboxSearch]]"
    """Looks once, and gives the same result ever after."""
    roots: Roots
    journals: Journals
    """What was written into files, to be taken back."""
    find_releases: "Callable[[Catalogue, dt.date], Awaitable[Findings]]"
    """Asks the vendors what they offer, and says what that changes in the profiles."""
    rules: Rules
    clock: Clock

    @property
    def catalogue(self) -> Catalogue:
        """The profiles with the prices that are charged today."""
        return self.profiles.on(self.today)

    @property
    def executing(self) -> Executing:
        """Where answers are run, with what may not be cut in two in what is said of them."""
        return Executing(self.find_sandbox, search=self.rules.privacy.secrets)

    @property
    def today(self) -> dt.date:
        return self.clock().astimezone(dt.UTC).date()

    @property
    def now(self) -> float:
        """Seconds since 1970 UTC."""
        return self.clock().timestamp()

    async def survey(self, look_back: LookBack | None = None, *, local_only: bool = False) -> Circumstances:
        """What can be asked right now, by asking all vendors at once, and what memory says of a task.

        look_back: the task. None: memory has nothing to say. local_only: nobody elsewhere is even
        asked whether he is there; as it is when the look back is.
        """
        local_only = local_only or self.rules.local_only or (look_back is not None and look_back.local_only)
        await self.ledger.look()
        found: dict[str, Availability] = {}

        async def ask(name: ProviderName, provider: Provider) -> None:
            mine = [p for p in self.catalogue if p.provider == name]
            found.update(await provider.availability(mine, local_only=local_only))

        async with anyio.create_task_group() as group:
            for name, provider in self.providers.items():
                group.start_soon(ask, name, provider)
        builds = {model: there.build for model, there in found.items()}
        able: Mapping[str, Ability] = {}
        before: Mapping[str, Belief] = {}
        recollection = Recollection()
        if look_back is not None:
            able = abilities(self.catalogue, await self.pass_rates.read(builds, self.now))
            prior = self.catalogue.rules.prior
            before = beliefs_before(able, look_back.complexity, look_back.task_type, prior)
            recollection = await self._recall(look_back, found, before)
        return Circumstances(
            catalogue=self.catalogue,
            availability=found,
            recollection=recollection,
            today=self.today,
            pace=await read_paces(self.ledger, builds, self.now),
            overruns=await read_overruns(self.ledger, builds, self.now),
            chances=chances_of(before, recollection.chances),
            abilities=able,
            is_told=look_back is not None and await is_told_of_unchecked(self.ledger),
        )

    async def _recall(
        self, look_back: LookBack, found: Mapping[str, Availability], before: Mapping[str, Belief]
    ) -> Recollection:
        local_only = look_back.local_only or self.rules.local_only
        askable = [p for p in self.catalogue if self.can_be_asked(p, found.get(p.id), local_only=local_only)]
        cheapest_first = sorted(askable, key=lambda p: (p.cost_usd(input_tokens=1_000, output_tokens=1_000), p.id))
        return await self.memory.retrieve_similar(
            look_back.task,
            task_type=look_back.task_type,
            builds={model: there.build for model, there in found.items()},
            preference=[profile.id for profile in cheapest_first],
            local_only=local_only,
            except_for=look_back.except_for,
            complexity=look_back.complexity,
            expected=before,
        )

    def can_be_asked(self, profile: ModelProfile, there: Availability | None, *, local_only: bool) -> bool:
        """Whether the model is offered today, answers, and is where the task may go."""
        if there is None or not there.is_reachable or not profile.is_offered_on(self.today):
            return False
        return there.is_local or not local_only

    def shows(self, task: TaskRow) -> bool:
        """Whether the text and the result of a task may be shown here: it was done in this project, or in none."""
        return task.project is None or task.project == self.roots.project

    async def check_access(self) -> Mapping[ProviderName, str | None]:
        """For each vendor why it lets nobody in, with the remedy, or None; free requests, all at once."""
        found: dict[ProviderName, str | None] = {}

        async def ask(name: ProviderName, provider: Provider) -> None:
            found[name] = await provider.check_access()

        async with anyio.create_task_group() as group:
            for name, provider in self.providers.items():
                group.start_soon(ask, name, provider)
        return found
