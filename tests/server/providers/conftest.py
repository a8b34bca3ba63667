"""Peers with the facts that the vendors state, and the adapters connected to them."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from open_peer import OpenAICompatiblePeer, OpenModel
from recorder import Recorder

from chargehand.evaluation.peers.anthropic import AnthropicPeer
from chargehand.evaluation.peers.anthropic_request import ClaudeModel
from chargehand.evaluation.peers.cerebras import CerebrasModel, CerebrasPeer
from chargehand.evaluation.peers.ollama import OllamaModel, OllamaPeer
from chargehand.evaluation.peers.reply import Answer
from chargehand.evaluation.peers.serving import serving
from chargehand.profiles.catalogue import Catalogue
from chargehand.profiles.loading import load_catalogue
from chargehand.profiles.model import ModelProfile
from chargehand.profiles.vocabulary import ProviderName
from chargehand.server.providers.registry import LOADERS
from chargehand.server.providers.vendor_settings import VendorSettings
from chargehand.tools.provider import GenerationRequest, Provider, Thinking, Turn

KEY = "sk-test-0123456789abcdef"
PROMPT = "Write a function that reverses the words of a very particular sentence."

CLAUDE_EFFORTS = ("low", "medium", "high", "xhigh", "max")
CLAUDE_MODELS = (
    ClaudeModel("claude-haiku-5-5", frozenset({"adaptive", "disabled"}), CLAUDE_EFFORTS, line="haiku"),
    ClaudeModel("claude-sonnet-5-5", frozenset({"adaptive", "between_tools"}), CLAUDE_EFFORTS, line="sonnet"),
    ClaudeModel("claude-opus-5-5", frozenset({"adaptive"}), CLAUDE_EFFORTS, line="opus"),
    ClaudeModel("claude-sonnet-4-5", frozenset({"enabled", "disabled"}), (), lifecycle="deprecated", line="sonnet"),
    ClaudeModel("claude-3-opus-20240229", lifecycle="retired", line="opus"),
)
CEREBRAS_MODELS = (
    CerebrasModel("gpt-oss-120b", ("low", "medium", "high")),
    CerebrasModel("qwen-3.8-27b", ("none", "low", "medium", "high"), context_tokens=65_536),
)
OPEN_MODELS = (
    OpenModel("org/own-qwen", thinks=True),
    OpenModel("org/own-oss", thinks=True, efforts=("none", "low", "high")),
)
OLLAMA_MODELS = (
    OllamaModel("qwen3:30b-a3b", capabilities=("completion", "tools", "thinking")),
    OllamaModel("qwen2.5-coder:32b", context_tokens=32_768, family="qwen2"),
    OllamaModel("qwen3:14b", capabilities=("completion", "thinking"), remote_host="https://ollama.example"),
)


@dataclass
class ManualClock:
    """A clock that a test sets by hand."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def observer() -> Recorder:
    return Recorder()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load_catalogue()


MakeRequest = Callable[..., GenerationRequest]


@dataclass
class Address:
    """The address at which a test's OpenAI-compatible server listens; its profiles must name it."""

    url: str = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture
def address() -> Address:
    return Address()


MakeProfile = Callable[..., ModelProfile]


@pytest.fixture
def make_profile(address: Address) -> MakeProfile:
    """A profile of a model on an OpenAI-compatible server, with changes by name of a field."""

    def make(**facts: object) -> ModelProfile:
        return ModelProfile.model_validate(
            {
                "id": "own-qwen",
                "name": "Own Qwen",
                "provider": "openai_compatible",
                "api_model": "org/own-qwen",
                "base_url": f"{address.url}/v1",
                "thinking": {},
                "lifecycle": {"status": "active", "source": "a test", "seen": "2026-11-25"},
                **facts,
            }
        )

    return make


@pytest.fixture
def make_request(catalogue: Catalogue, make_profile: MakeProfile) -> MakeRequest:
    """A request to a profile, with changes by name."""

    def make(profile_id: str, **changes: object) -> GenerationRequest:
        request = GenerationRequest(
            profile=make_profile() if profile_id == "own-qwen" else catalogue.profiles[profile_id],
            system="You write code.",
            turns=(Turn("user", PROMPT),),
            thinking=Thinking(on=False),
            max_output_tokens=2_000,
            timeout_s=10.0,
        )
        return replace(request, **changes)  # type: ignore[arg-type]  # the caller names the fields

    return make


OpenVendor = Callable[..., AbstractAsyncContextManager[tuple]]
"""Opens a peer and the adapter connected to it: `async with claude(answer) as (peer, provider)`."""


@asynccontextmanager
async def open_peer_and_adapter(
    peer: AnthropicPeer | CerebrasPeer | OllamaPeer | OpenAICompatiblePeer,
    vendor: ProviderName,
    settings_at: Callable[[str], VendorSettings],
) -> AsyncGenerator[tuple]:
    """Serves the peer; yields it and the vendor's adapter with settings for the peer's URL."""
    async with serving(peer.app) as url:
        provider = LOADERS[vendor](settings_at(url))
        try:
            yield peer, provider
        finally:
            await provider.aclose()


@pytest.fixture
def claude() -> OpenVendor:
    def open_vendor(
        answer: Answer,
        *,
        key: str = KEY,
        models: Sequence[ClaudeModel] = CLAUDE_MODELS,
        local_hosts: frozenset[str] = frozenset(),
    ) -> AbstractAsyncContextManager[tuple]:
        def settings(url: str) -> VendorSettings:
            return VendorSettings(anthropic_api_key=key, anthropic_base_url=url, local_hosts=local_hosts)

        return open_peer_and_adapter(AnthropicPeer(answer, models, api_key=KEY), "anthropic", settings)

    return open_vendor


@pytest.fixture
def cerebras() -> OpenVendor:
    def open_vendor(
        answer: Answer, *, key: str = KEY, local_hosts: frozenset[str] = frozenset()
    ) -> AbstractAsyncContextManager[tuple]:
        def settings(url: str) -> VendorSettings:
            return VendorSettings(cerebras_api_key=key, cerebras_base_url=url, local_hosts=local_hosts)

        return open_peer_and_adapter(CerebrasPeer(answer, CEREBRAS_MODELS, api_key=KEY), "cerebras", settings)

    return open_vendor


@pytest.fixture
def local(clock: ManualClock) -> OpenVendor:
    def open_vendor(
        answer: Answer, models: Sequence[OllamaModel] = OLLAMA_MODELS, *, local_hosts: frozenset[str] = frozenset()
    ) -> AbstractAsyncContextManager[tuple]:
        def settings(url: str) -> VendorSettings:
            return VendorSettings(ollama_host=url, clock=clock, local_hosts=local_hosts)

        return open_peer_and_adapter(OllamaPeer(answer, models), "ollama", settings)

    return open_vendor


@pytest.fixture
def compatible(clock: ManualClock, address: Address) -> OpenVendor:
    def open_vendor(
        answer: Answer,
        models: Sequence[OpenModel] = OPEN_MODELS,
        *,
        keys: Mapping[str, str] | None = None,
        local_hosts: frozenset[str] = frozenset(),
        **habits: Any,
    ) -> AbstractAsyncContextManager[tuple]:
        """keys: the keys in the environment, by variable."""
        environment = keys or {}

        def settings(url: str) -> VendorSettings:
            address.url = url
            return VendorSettings(key_of=lambda name: environment.get(name, ""), clock=clock, local_hosts=local_hosts)

        return open_peer_and_adapter(OpenAICompatiblePeer(answer, models, **habits), "openai_compatible", settings)

    return open_vendor


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def prompt() -> str:
    return PROMPT


@pytest.fixture
def unreachable_provider() -> Callable[[str], Provider]:
    """An adapter for a vendor's address at which nothing listens."""

    def make(name: str) -> Provider:
        url = "http://127.0.0.1:9"  # the discard port: refused at once
        settings = VendorSettings(
            ollama_host=url,
            anthropic_api_key=KEY,
            anthropic_base_url=url,
            cerebras_api_key=KEY,
            cerebras_base_url=url,
        )
        return LOADERS[name](settings)  # type: ignore[index]  # a provider's name

    return make
