"""The one place where every concrete thing is built."""

import contextlib
import datetime as dt
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.to_thread
from pydantic import SecretStr

from ..memory_store.ledger import Ledger
from ..profiles.catalogue import Catalogue
from ..profiles.errors import ProfileError
from ..profiles.loading import load_catalogue
from ..profiles.vocabulary import ProviderName
from ..tools.checking.sandbox_search import find_sandbox
from ..tools.guarding.roots import Roots, find_roots
from ..tools.provider import Provider
from ..tools.workshop import Rules, Workshop
from .providers.locality import InvalidAddress
from .providers.registry import LOADERS, VendorSettings
from .settings import BadSetting, Settings

PROFILES_FOLDER = "profiles"


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@contextlib.asynccontextmanager
async def open_workshop(settings: Settings, start: Path) -> AsyncGenerator[Workshop]:
    """Everything the tools work with, closed again at the end.

    start: the folder the server was started in. Raises BadSetting, InvalidProfile or LedgerUnusable.
    """
    logging.getLogger("chargehand").setLevel(settings.log_level)
    roots = roots_of(settings, start)
    if settings.config is not None:
        _refuse_config_below_a_root(settings.config, roots)
    catalogue = await anyio.to_thread.run_sync(load_catalogue, settings.home / PROFILES_FOLDER)
    _refuse_unknown_baseline(settings.usage.baseline_model, catalogue)
    ledger = await Ledger.open(settings.home, utc_now)
    try:
        providers = _providers(settings)
    except BadSetting:
        await ledger.aclose()
        raise
    try:
        yield Workshop(
            catalogue=catalogue,
            providers=providers,
            ledger=ledger,
            find_sandbox=find_sandbox,
            roots=roots,
            rules=Rules(
                local_only=settings.local_only,
                daily_budget_usd=settings.daily_budget_usd,
                reviews_per_day=settings.reviews_per_day,
                baseline_model=settings.usage.baseline_model,
            ),
            clock=utc_now,
        )
    finally:
        with anyio.CancelScope(shield=True):
            for provider in providers.values():
                with anyio.move_on_after(1):
                    await provider.aclose()
            await ledger.aclose()


def roots_of(settings: Settings, start: Path) -> Roots:
    """The folders whose files may be read."""
    return find_roots(settings.roots, start=start, home=Path.home(), data_folder=settings.home)


def _providers(settings: Settings) -> dict[ProviderName, Provider]:
    def secret(key: SecretStr | None) -> str:
        return key.get_secret_value() if key else ""

    vendors = VendorSettings(
        ollama_host=settings.ollama_host,
        anthropic_api_key=secret(settings.anthropic_api_key),
        anthropic_base_url=settings.anthropic_base_url,
        cerebras_api_key=secret(settings.cerebras_api_key),
        cerebras_base_url=settings.cerebras_base_url,
        local_hosts=settings.privacy.local_hosts,
    )
    try:
        return {name: load(vendors) for name, load in LOADERS.items()}
    except InvalidAddress as error:
        raise BadSetting(str(error)) from error


def _refuse_unknown_baseline(model: str | None, catalogue: Catalogue) -> None:
    """A name that nobody answers to would only show when a delegation is paid for and its saving is counted."""
    if model is None:
        return
    try:
        catalogue.named(model, utc_now().date())
    except ProfileError as error:
        raise BadSetting(f"[usage] baseline_model: {error}") from error


def _refuse_config_below_a_root(config: Path, roots: Roots) -> None:
    """What a project's files could change must not say what is run or sent."""
    if any(config.resolve().is_relative_to(root) for root in roots.folders):
        raise BadSetting(f"CHARGEHAND_CONFIG: {config} lies below a root, where a task could rewrite it. Move it out.")
