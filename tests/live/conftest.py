"""Tests against the real vendors: `uv run pytest tests/live`. `uv run pytest` leaves them out.

A vendor is tested if its variables are set, and otherwise skipped:

- Anthropic: ANTHROPIC_API_KEY; ANTHROPIC_BASE_URL, if it is elsewhere.
- Cerebras: CEREBRAS_API_KEY; CEREBRAS_BASE_URL, if it is elsewhere.
- Ollama: none, if it runs here with one of the models in `profiles/`; OLLAMA_HOST, if it listens elsewhere.
- An OpenAI-compatible server: LIVE_COMPATIBLE_URL, with its /v1; LIVE_COMPATIBLE_MODEL, as its server lists it;
  LIVE_COMPATIBLE_KEY, if it needs one.

A vendor's cheapest model is asked. With every answer as long as its limit allows, all tests together cost $0.011:
$0.0048 on claude-haiku-5-5 ($0.50 per million output tokens: https://platform.claude.com/docs/en/about-claude/pricing,
seen 2026-11-23) and $0.0060 on gpt-oss-120b ($0.75: genai-prices 0.2.3). $0.003 of each is the cap of a delegation that
needs a tenth of it. An OpenAI-compatible model may write 3,600 tokens and answer one delegation, whose cap holds only
if the server states its costs.
"""

import os
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from recorder import Recorder

from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.model import ModelProfile
from chargehand.profiles.vocabulary import ProviderName
from chargehand.server.cli import own_services
from chargehand.server.providers.ollama import ollama_at
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.server.wiring import utc_now
from chargehand.tools.provider import GenerationRequest, Provider, Turn
from chargehand.tools.routing.thinking import LEAST, decide_thinking

DEVELOPER = dict(os.environ)
"""Read at import, before the fixture `_own_environment` clears it for each test."""

ANSWER_TIMEOUT_S = 300.0
"""Enough for a local model to be loaded first."""


@dataclass(frozen=True)
class Vendor:
    """A vendor and the variables that a test of it gets back from the developer's environment."""

    provider: ProviderName
    title: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    key_variable: str | None = None


VENDORS = {
    "anthropic": Vendor(
        "anthropic", "Anthropic", ("ANTHROPIC_API_KEY",), ("ANTHROPIC_BASE_URL",), key_variable="ANTHROPIC_API_KEY"
    ),
    "cerebras": Vendor(
        "cerebras", "Cerebras", ("CEREBRAS_API_KEY",), ("CEREBRAS_BASE_URL",), key_variable="CEREBRAS_API_KEY"
    ),
    "ollama": Vendor("ollama", "Ollama", optional=("OLLAMA_HOST",)),
    "compatible": Vendor(
        "openai_compatible",
        "An OpenAI-compatible server",
        ("LIVE_COMPATIBLE_URL", "LIVE_COMPATIBLE_MODEL"),
        ("LIVE_COMPATIBLE_KEY",),
        key_variable="LIVE_COMPATIBLE_KEY",
    ),
}
OWN_MODEL = "live-compatible"


def pytest_configure(config: pytest.Config) -> None:
    """Print the reasons of skipped tests without being asked, since they name the variables to set."""
    config.option.reportchars += "s"


@pytest.fixture(params=list(VENDORS))
def vendor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Each vendor in turn, alone in the environment; skips the test if the vendor is not set up."""
    wanted = VENDORS[request.param]
    if missing := [name for name in wanted.required if not DEVELOPER.get(name)]:
        pytest.skip(f"{wanted.title} is not tested: set {' and '.join(missing)}")
    for name in (*wanted.required, *wanted.optional):
        if DEVELOPER.get(name):
            monkeypatch.setenv(name, DEVELOPER[name])
    return wanted


@pytest.fixture
def profile(vendor: Vendor) -> ModelProfile:
    """The vendor's cheapest model; for Ollama the smallest that is installed."""
    if vendor.provider == "openai_compatible":
        _write_own_profile()
    today = utc_now().date()
    catalogue = load_catalogue(Path(os.environ["CHARGEHAND_HOME"]) / "profiles").on(today)
    offered = [p for p in catalogue if p.provider == vendor.provider and p.is_offered_on(today)]
    if vendor.provider == "ollama":
        offered = _installed(offered)
        return min(offered, key=lambda p: p.memory.with_overhead_gb if p.memory else 0.0)
    return min(offered, key=lambda p: p.cost_usd(input_tokens=1_000, output_tokens=1_000))


def _write_own_profile() -> None:
    facts = {
        "id": OWN_MODEL,
        "name": "The model of LIVE_COMPATIBLE_MODEL",
        "provider": "openai_compatible",
        "api_model": DEVELOPER["LIVE_COMPATIBLE_MODEL"],
        "base_url": DEVELOPER["LIVE_COMPATIBLE_URL"],
        "lifecycle": {"status": "active", "source": "the environment", "seen": utc_now().date()},
    }
    if DEVELOPER.get("LIVE_COMPATIBLE_KEY"):
        facts["api_key_env"] = "LIVE_COMPATIBLE_KEY"
    folder = Path(os.environ["CHARGEHAND_HOME"]) / "profiles"
    folder.mkdir(parents=True)
    (folder / f"{OWN_MODEL}.yaml").write_text(yaml.safe_dump(facts), encoding="utf-8")


def _installed(profiles: list[ModelProfile]) -> list[ModelProfile]:
    """The profiles whose model Ollama has; skips the test if it does not run or has none.

    Asked without the adapter, so that a defect of the adapter fails the tests instead of skipping them.
    """
    url = ollama_at(VendorSettings(ollama_host=os.environ.get("OLLAMA_HOST", ""))).url
    try:
        response = httpx.get(f"{url}/api/tags", timeout=3.0, trust_env=False)
    except httpx.TransportError:
        pytest.skip(f"Ollama is not tested: it does not answer at {url}; start it, or set OLLAMA_HOST")
    names = {model["name"] for model in response.json()["models"]}
    if not (found := [profile for profile in profiles if profile.api_model in names]):
        wanted = " or ".join(profile.api_model for profile in profiles)
        pytest.skip(f"Ollama is not tested: it has none of the models in profiles/; pull {wanted}")
    return found


@pytest.fixture
async def provider(vendor: Vendor, profile: ModelProfile) -> AsyncGenerator[Provider]:
    """The vendor's adapter as the server builds it from the environment."""
    async with own_services() as services:
        yield services.providers[vendor.provider]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


MakeRequest = Callable[[str, int], GenerationRequest]


@pytest.fixture
def make_request(profile: ModelProfile) -> MakeRequest:
    """A request with the least thinking that the model allows, from its text and its limit of output tokens."""

    def make(text: str, max_output_tokens: int) -> GenerationRequest:
        return GenerationRequest(
            profile=profile,
            system="You follow instructions to the letter.",
            turns=(Turn("user", text),),
            thinking=decide_thinking(profile, LEAST),
            max_output_tokens=max_output_tokens,
            timeout_s=ANSWER_TIMEOUT_S,
        )

    return make
