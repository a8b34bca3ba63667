"""Vendors whose listings differ from the shipped profiles: a retirement, a successor, a price, a new model."""

import contextlib
import datetime as dt
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial

from chargehand.evaluation.peers.ollama import OllamaModel
from chargehand.evaluation.peers.vendors import CEREBRAS_MODELS, CLAUDE_MODELS, KEY, Vendors
from chargehand.profiles.price import Price
from chargehand.server.cli import own_services
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.server.releases.finding import find_releases
from chargehand.server.surface.server_state import OpenServices
from chargehand.server.wiring import utc_now
from chargehand.tools.services import Services

LAST_DAY = utc_now().date() + dt.timedelta(days=21)
SONNET, NEXT, NEWCOMER = "claude-sonnet-5-5", "claude-sonnet-6", "mistral-small-24b"
YESTERDAY = (utc_now() - dt.timedelta(days=1)).isoformat()
RETIRING_SONNET = replace(CLAUDE_MODELS[1], lifecycle="deprecated", retires_at=f"{LAST_DAY}T09:00:00Z")
NEXT_SONNET = replace(CLAUDE_MODELS[1], id=NEXT, created_at=YESTERDAY)
CLAUDE_WITH_SUCCESSOR = (CLAUDE_MODELS[0], RETIRING_SONNET, CLAUDE_MODELS[2], NEXT_SONNET)
CEREBRAS_AT_A_HIGHER_PRICE = (replace(CEREBRAS_MODELS[0], input_usd_per_million_tokens=0.4), CEREBRAS_MODELS[1])
NEW_WEIGHTS = OllamaModel("mistral-small:24b", family="mistral3", digest="feed" * 16)

PriceOf = Callable[[str], Price | None]


def services_with_prices(peers: Vendors, price_of: PriceOf = lambda _: None, *, in_days: int = 0) -> OpenServices:
    """The services with this price list, and a clock `in_days` days ahead."""
    settings = VendorSettings(
        ollama_host=peers.environment["OLLAMA_HOST"],
        anthropic_api_key=KEY,
        anthropic_base_url=peers.environment["ANTHROPIC_BASE_URL"],
        cerebras_api_key=KEY,
        cerebras_base_url=peers.environment["CEREBRAS_BASE_URL"],
    )

    @contextlib.asynccontextmanager
    async def open_services() -> AsyncGenerator[Services]:
        async with own_services() as services:
            read = partial(find_releases, settings, known_price=lambda _, wire_id: price_of(wire_id))
            later = dt.timedelta(days=in_days)
            yield replace(services, find_releases=read, clock=lambda: utc_now() + later)

    return open_services
