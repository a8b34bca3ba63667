"""The composition root: the one place where concrete objects are built."""

import contextlib
import datetime as dt
import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from pydantic import SecretStr

from ..memory_store.embedding.embedder import Embedder
from ..memory_store.embedding.registry import LOADERS as LOADERS_OF_EMBEDDERS
from ..memory_store.embedding.registry import UnknownEmbedder, load_embedder, named
from ..memory_store.index.chroma_server import ChromaServer
from ..memory_store.index.chroma_slot import ChromaSlot
from ..memory_store.index.keeper import IndexKeeper
from ..memory_store.ledger import Ledger
from ..memory_store.memory import Memory
from ..memory_store.ownership import Owner
from ..memory_store.pass_rates import PassRateReader
from ..memory_store.request_queue import RequestQueue
from ..memory_store.under_way import close_abandoned
from ..profiles.catalogue import Catalogue
from ..profiles.errors import ProfileError
from ..profiles.loading import load_catalogue
from ..profiles.vocabulary import ProviderName
from ..tools.checking.sandbox_search import SandboxConfig, find_sandbox
from ..tools.editing.journal import FOLDER as JOURNALS_FOLDER
from ..tools.editing.journal import Journals
from ..tools.editing.undo import recover
from ..tools.guarding.home import home_folder
from ..tools.guarding.privacy import Privacy
from ..tools.guarding.roots import Roots, find_roots
from ..tools.provider import Provider
from ..tools.services import Rules, Services
from .data_folder import PROFILES_FOLDER
from .environment import value_of
from .providers.egress import Gate
from .providers.locality import InvalidAddress, is_local_url, vendor_url
from .providers.ollama_embedder import OllamaEmbedder
from .providers.redacting_embedder import RedactingEmbedder
from .providers.registry import LOADERS
from .providers.vendor_settings import VendorSettings
from .settings import BadSetting, Settings

if TYPE_CHECKING:
    from ..profiles.releases.compare import Findings

INDEX_FOLDER = "index"

# Loading Chroma keeps two cores busy for a second, so it is delayed until after the first task.
_LOAD_INDEX_AFTER_S = 2.0
_CLOSE_TIMEOUT_S = 0.6


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@contextlib.asynccontextmanager
async def open_services(settings: Settings, start: Path) -> AsyncGenerator[Services]:
    """The services that the tools use, closed at the end.

    start: the working folder at start. Raises BadSetting, InvalidProfile or LedgerUnusable.
    """
    logging.getLogger("chargehand").setLevel(settings.log_level)
    roots = roots_of(settings, start)
    if settings.config is not None:
        _refuse_config_below_a_root(settings.config, roots)
    catalogue = await anyio.to_thread.run_sync(load_catalogue, settings.home / PROFILES_FOLDER)
    _refuse_unknown_baseline(settings.usage.baseline_model, catalogue)
    sandbox = _choice(settings)
    async with contextlib.AsyncExitStack() as opened:
        ledger = await Ledger.open(settings.home, utc_now, text_form=settings.memory.text)
        opened.push_async_callback(ledger.aclose)
        owner = await Owner.enter(settings.home)
        opened.push_async_callback(owner.leave)
        await close_abandoned(ledger, owner, utc_now().timestamp())
        journals = Journals(settings.home / JOURNALS_FOLDER)
        await recover(ledger, journals, utc_now().timestamp())
        privacy = settings.privacy.rules()
        gate = Gate(settings.privacy.local_hosts, local_only=settings.local_only, secrets=privacy.secrets)
        vendors = _vendors(settings, gate)
        providers = _providers(vendors)
        for provider in providers.values():
            opened.push_async_callback(_close_with_timeout, provider.aclose)
        memory = _memory(settings, vendors, ledger, catalogue, privacy)
        opened.push_async_callback(_close_with_timeout, memory.aclose)
        yield Services(
            profiles=catalogue,
            providers=providers,
            ledger=ledger,
            memory=memory,
            pass_rates=PassRateReader(ledger),
            owner=owner,
            queue=RequestQueue(ledger, owner, at_once=settings.ollama_num_parallel or 1),
            find_sandbox=partial(find_sandbox, sandbox),
            roots=roots,
            journals=journals,
            find_releases=partial(_find_releases, vendors),
            rules=Rules(
                policy=settings.policy,
                local_only=settings.local_only,
                daily_budget_usd=settings.daily_budget_usd,
                ask_above_usd=settings.budget.ask_above_usd,
                reviews_per_day=settings.reviews_per_day,
                baseline_model=settings.usage.baseline_model,
                privacy=privacy,
                checks={name: check.named(name) for name, check in settings.checks.items()},
                sandbox=sandbox,
                apply_allow=settings.apply.allow,
            ),
            clock=utc_now,
        )


async def _close_with_timeout(close: Callable[[], Awaitable[None]]) -> None:
    """Close, but give up on connections that do not end in time."""
    with anyio.move_on_after(_CLOSE_TIMEOUT_S, shield=True):
        await close()


def roots_of(settings: Settings, start: Path) -> Roots:
    """The folders whose files may be read."""
    return find_roots(settings.roots, start=start, home=home_folder(), data_folder=settings.home)


def _choice(settings: Settings) -> SandboxConfig:
    wanted = settings.sandbox
    return SandboxConfig(
        unsafe_local=wanted.backend == "unsafe-local",
        image=wanted.image,
        python=wanted.python,
        variables=tuple(wanted.variables.items()),
    )


def _vendors(settings: Settings, gate: Gate) -> VendorSettings:
    def secret(key: SecretStr | None) -> str:
        return key.get_secret_value() if key else ""

    return VendorSettings(
        ollama_host=settings.ollama_host,
        ollama_custom_headers=secret(settings.ollama_custom_headers),
        anthropic_api_key=secret(settings.anthropic_api_key),
        anthropic_base_url=settings.anthropic_base_url,
        anthropic_custom_headers=secret(settings.anthropic_custom_headers),
        cerebras_api_key=secret(settings.cerebras_api_key),
        cerebras_base_url=settings.cerebras_base_url,
        cerebras_custom_headers=secret(settings.cerebras_custom_headers),
        # Profiles name these variables, so they cannot be listed in the settings.
        key_of=lambda variable: value_of(variable, os.environ),
        local_hosts=settings.privacy.local_hosts,
        gate=gate,
    )


def _providers(vendors: VendorSettings) -> dict[ProviderName, Provider]:
    try:
        return {name: load(vendors) for name, load in LOADERS.items()}
    except InvalidAddress as error:
        raise BadSetting(str(error)) from error


async def _find_releases(vendors: VendorSettings, catalogue: Catalogue, today: dt.date) -> "Findings":
    from .releases.finding import find_releases

    return await find_releases(vendors, catalogue, today)


def _memory(
    settings: Settings, vendors: VendorSettings, ledger: Ledger, catalogue: Catalogue, privacy: Privacy
) -> Memory:
    url = _chroma_url(settings)

    def ollama(model: str) -> Embedder:
        return OllamaEmbedder(named("ollama", model, "nomic-embed-text"), vendors)

    def open_index(embedder: str) -> IndexKeeper:
        folder = settings.home / INDEX_FOLDER
        storage = ChromaServer(url, ledger, embedder) if url else ChromaSlot(folder, embedder)
        return IndexKeeper(ledger, embedder, storage, load_after_s=_LOAD_INDEX_AFTER_S, folder=folder)

    try:
        embedder = load_embedder(settings.embedder, {**LOADERS_OF_EMBEDDERS, "ollama": ollama})
    except UnknownEmbedder as error:
        raise BadSetting(f"CHARGEHAND_EMBEDDER: {error}.") from error
    if embedder.is_remote:
        embedder = RedactingEmbedder(embedder, privacy.secrets, local_only=settings.local_only)
    rules = catalogue.rules
    return Memory(ledger, embedder, open_index, prior=rules.prior, gate=rules.memory_confidence_above)


def chroma_server(settings: Settings, ledger: Ledger) -> ChromaServer | None:
    """The configured Chroma server, for the caller to check and close. None: not configured. Raises BadSetting."""
    url = _chroma_url(settings)
    return ChromaServer(url, ledger, settings.embedder) if url else None


def _chroma_url(settings: Settings) -> str | None:
    if settings.chroma_url is None:
        return None
    try:
        url = vendor_url(settings.chroma_url, "CHARGEHAND_CHROMA_URL", "")
    except InvalidAddress as error:
        raise BadSetting(str(error)) from error
    if not is_local_url(url, settings.privacy.local_hosts):
        raise BadSetting(
            f"CHARGEHAND_CHROMA_URL: {url} is not on this machine, and vectors reveal what tasks are about. List its"
            " host under [privacy] local_hosts if it is yours, or unset it."
        )
    return url


def _refuse_unknown_baseline(model: str | None, catalogue: Catalogue) -> None:
    """Raises BadSetting for an unknown name, which would otherwise fail only when a saving is computed."""
    if model is None:
        return
    try:
        catalogue.named(model, utc_now().date())
    except ProfileError as error:
        raise BadSetting(f"[usage] baseline_model: {error}") from error


def _refuse_config_below_a_root(config: Path, roots: Roots) -> None:
    """Raises BadSetting, because a project's files must not be able to change what is run or sent."""
    if any(config.resolve().is_relative_to(root) for root in roots.folders):
        raise BadSetting(f"CHARGEHAND_CONFIG: {config} is inside a root, where a task could rewrite it. Move it out.")
