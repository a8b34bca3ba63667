"""The shipped profiles: valid, sourced, with their vendors' prices, and quick to load."""

import datetime as dt
import time
from decimal import Decimal
from importlib.resources import files
from typing import get_args

import genai_prices
import pytest
import yaml

from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.model import ModelProfile
from chargehand.profiles.vocabulary import ROLES, ProviderName

CATALOGUE = load_catalogue()
PROFILES = tuple(CATALOGUE)
PRICED = [p for p in PROFILES if p.price is not None]
TODAY = dt.date(2026, 12, 1)
SHIPPED = [f for f in files("chargehand.profiles").iterdir() if f.name.endswith(".yaml") and f.name != "routing.yaml"]


def test_all_shipped_profiles_load_without_problems():
    assert CATALOGUE.problems == ()
    assert len(PROFILES) == len(SHIPPED)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_each_file_is_named_after_its_profile(file):
    assert file.name == f"{yaml.safe_load(file.read_text(encoding='utf-8'))['id']}.yaml"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_every_figure_has_a_source_and_a_date(profile: ModelProfile):
    sourced = [profile.lifecycle, profile.price, profile.speed, *profile.benchmarks]

    for fact in filter(None, sourced):
        assert fact.source
        assert dt.date(2025, 1, 1) < fact.seen <= TODAY


@pytest.mark.parametrize("profile", PROFILES, ids=lambda p: p.id)
def test_providers_roles_and_successors_in_profiles_exist(profile: ModelProfile):
    assert profile.provider in get_args(ProviderName)
    assert set(profile.roles) <= set(ROLES)
    assert profile.lifecycle.successor is None or profile.lifecycle.successor in CATALOGUE.profiles


def test_successors_are_still_offered():
    for profile in PROFILES:
        if profile.lifecycle.successor:
            assert CATALOGUE.profiles[profile.lifecycle.successor].is_offered_on(TODAY)


def test_wire_ids_are_unique():
    wire_ids = [(p.provider, p.api_model) for p in PROFILES]

    assert len(set(wire_ids)) == len(wire_ids)


def test_ranks_within_a_role_are_unique():
    for role in ROLES:
        places = [p.roles[role] for p in PROFILES if role in p.roles and p.is_offered_on(TODAY)]

        assert len(set(places)) == len(places)


@pytest.mark.parametrize("profile", [p for p in PROFILES if p.provider == "ollama"], ids=lambda p: p.id)
def test_local_models_are_free_and_have_a_setup_command(profile: ModelProfile):
    assert profile.price is None
    assert profile.setup_command == f"ollama pull {profile.api_model}"
    assert profile.cost_usd(input_tokens=10**6, output_tokens=10**6) == 0


@pytest.mark.parametrize("profile", PRICED, ids=lambda p: p.id)
def test_prices_match_genai_prices(profile: ModelProfile):
    for prompt_tokens in (1_000, 100_000, 100_001, 500_000):
        actual = profile.cost_usd(input_tokens=prompt_tokens, output_tokens=3_000)

        expected = _genai_price(profile, input_tokens=prompt_tokens, output_tokens=3_000)
        assert Decimal(f"{actual:.9f}") == pytest.approx(expected, abs=Decimal("1e-9"))


@pytest.mark.parametrize(
    "profile",
    [p for p in PRICED if p.price is not None and p.price.cache_read_usd_per_million_tokens is not None],
    ids=lambda p: p.id,
)
def test_prices_of_cached_tokens_match_genai_prices(profile: ModelProfile):
    for prompt_tokens in (50_000, 150_000):
        tokens = {
            "input_tokens": prompt_tokens,
            "output_tokens": 100,
            "cache_read_tokens": 30_000,
            "cache_write_tokens": 10_000,
        }

        actual = profile.cost_usd(**tokens)

        assert Decimal(f"{actual:.9f}") == pytest.approx(_genai_price(profile, **tokens), abs=Decimal("1e-9"))


def _genai_price(profile: ModelProfile, **tokens: int) -> Decimal:
    return genai_prices.calc_price(
        genai_prices.Usage(**tokens),
        profile.api_model,
        provider_id=profile.provider,
        genai_request_timestamp=dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
    ).total_price


def test_only_anthropic_and_cerebras_models_have_prices():
    assert {p.provider for p in PRICED} == {"anthropic", "cerebras"}


def test_loading_takes_less_than_three_times_as_long_as_parsing_the_yaml():
    """Loading takes about 4 ms on two shared cores of 2026, more than half of it for the YAML."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    def read() -> object:
        return [yaml.load(f.read_text(encoding="utf-8"), Loader=loader) for f in SHIPPED]

    assert _best_seconds(load_catalogue) < 3 * _best_seconds(read)


def _best_seconds(work, rounds: int = 9) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best
