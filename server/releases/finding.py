"""Reads the listings of all vendors concurrently; an error from one does not affect the others."""

import datetime as dt
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import anyio
import anyio.to_thread
from pydantic import ValidationError

from ...profiles.catalogue import Catalogue
from ...profiles.model import Endpoint, ModelProfile
from ...profiles.releases.compare import Findings, compare
from ...profiles.releases.comparison import KnownPrice
from ...profiles.releases.listing import Listing
from ...tools.provider import NotLocal
from ..providers.anthropic import anthropic_at
from ..providers.cerebras import cerebras_at
from ..providers.egress import Gate
from ..providers.locality import InvalidAddress
from ..providers.ollama import ollama_at
from ..providers.openai_compatible import compatible_at
from ..providers.vendor import Vendor
from ..providers.vendor_settings import VendorSettings
from .anthropic_listing import read_anthropic
from .cerebras_listing import read_cerebras
from .compatible_listing import read_compatible
from .fetching import ListingUnavailable, VendorUnreachable, why_invalid
from .known_prices import KnownPrices
from .ollama_listing import read_ollama


@dataclass(frozen=True)
class _Query:
    """One vendor to query."""

    vendor: Vendor
    read: Callable[[], Awaitable[Listing]]
    why_not: str | None = None
    """What is not set, with the remedy. None: nothing."""


@dataclass
class _Answer:
    """The result of a query: exactly one of these."""

    listing: Listing | None = None
    note: str | None = None
    problem: str | None = None


async def find_releases(
    settings: VendorSettings, catalogue: Catalogue, today: dt.date, known_price: KnownPrice | None = None
) -> Findings:
    """Changes to the profiles proposed by the vendors' listings, with a note for each vendor that was not queried.

    known_price: looks up a price that a listing does not state. None: in genai-prices. Never raises for a vendor's
    error, an invalid listing or an invalid address in a profile; raises InvalidAddress for one in the settings.
    """
    unusable: list[str] = []
    queries = list(_queries(settings, catalogue, today, unusable))
    answers = [_Answer() for _ in queries]

    async def ask(query: _Query, answer: _Answer) -> None:
        try:
            if query.why_not is not None:
                answer.note = f"{query.vendor.name} was not asked. {query.why_not}"
            else:
                answer.listing = await query.read()
        except NotLocal:
            answer.note = f"{query.vendor.name} was not asked: nothing may leave this machine."
        except VendorUnreachable as error:
            if not query.vendor.is_local:
                answer.problem = str(error)
            else:
                answer.note = f"{query.vendor.name} was not asked: {error}"
        except ListingUnavailable as error:
            answer.problem = str(error)
        except ValidationError as error:
            answer.problem = why_invalid(query.vendor.name, error)

    async with anyio.create_task_group() as group:
        for query, answer in zip(queries, answers, strict=True):
            group.start_soon(ask, query, answer)
    # In a thread: the price list takes more than half a second to load.
    listings = [answer.listing for answer in answers if answer.listing is not None]
    found = await anyio.to_thread.run_sync(_compared, listings, catalogue, known_price or KnownPrices(today), today)
    return Findings(
        proposals=found.proposals,
        notes=(*(answer.note for answer in answers if answer.note), *found.notes),
        problems=(*unusable, *(answer.problem for answer in answers if answer.problem)),
    )


def _compared(listings: list[Listing], catalogue: Catalogue, known_price: KnownPrice, today: dt.date) -> Findings:
    found = Findings()
    for listing in listings:
        one = compare(listing, catalogue, known_price, today)
        found = Findings((*found.proposals, *one.proposals), (*found.notes, *one.notes))
        # So that a new model of the next vendor gets a different profile id.
        new = {p.profile: ModelProfile.model_validate(p.after) for p in one.proposals if not p.place}
        catalogue = replace(catalogue, profiles={**catalogue.profiles, **new})
    return found


def _queries(settings: VendorSettings, catalogue: Catalogue, today: dt.date, unusable: list[str]) -> Iterator[_Query]:
    """unusable: gets a message for each address in a profile that cannot be used."""
    gate = settings.common_gate
    anthropic = anthropic_at(settings)
    key = settings.anthropic_api_key.strip()
    yield _Query(anthropic, partial(read_anthropic, anthropic, gate, key, today), anthropic.why_unusable(key))
    cerebras = cerebras_at(settings)
    key = settings.cerebras_api_key.strip()
    yield _Query(cerebras, partial(read_cerebras, cerebras, gate, key, today), cerebras.why_unusable(key))
    ollama = ollama_at(settings)
    pulled = [profile for profile in catalogue if profile.provider == "ollama"]
    yield _Query(ollama, partial(read_ollama, ollama, gate, pulled, today), ollama.why_unusable(""))
    yield from _own_servers(settings, catalogue, gate, today, unusable)


def _own_servers(
    settings: VendorSettings, catalogue: Catalogue, gate: Gate, today: dt.date, unusable: list[str]
) -> Iterator[_Query]:
    """The servers that profiles name by `base_url`, each once."""
    asked = set[Endpoint]()
    for profile in catalogue:
        endpoint = profile.endpoint
        if endpoint.base_url is None or endpoint in asked:
            continue
        asked.add(endpoint)
        try:
            vendor = compatible_at(profile, settings)
        except InvalidAddress as error:
            unusable.append(str(error))
            continue
        key = settings.key_of(profile.api_key_env).strip() if profile.api_key_env else ""
        yield _Query(
            vendor,
            partial(read_compatible, vendor, gate, key or None, today, endpoint),
            vendor.why_unusable(key),
        )
