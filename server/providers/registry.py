"""The adapter for each vendor. An adapter's module is imported on first use."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...profiles.vocabulary import ProviderName
from ...tools.provider import Provider
from .egress import Gate
from .reply import Clock


@dataclass(frozen=True)
class VendorSettings:
    """The vendors' own variables, from the settings; an empty string means absent."""

    ollama_host: str = ""
    ollama_custom_headers: str = field(default="", repr=False)
    anthropic_api_key: str = field(default="", repr=False)
    anthropic_base_url: str = ""
    anthropic_custom_headers: str = field(default="", repr=False)
    cerebras_api_key: str = field(default="", repr=False)
    cerebras_base_url: str = ""
    cerebras_custom_headers: str = field(default="", repr=False)
    key_of: Callable[[str], str] = field(default=lambda _: "", repr=False)
    """Returns the key in a variable that a profile names (`api_key_env`); empty means absent."""
    local_hosts: frozenset[str] = frozenset()
    """Hosts that the user declares local."""
    clock: Clock = field(default=time.monotonic, repr=False)
    gate: Gate | None = None
    """The gate for all requests. None: one per vendor, which knows only the local hosts."""


Loader = Callable[[VendorSettings], Provider]
"""Creates an adapter; its SDK is imported on the adapter's first use. Raises InvalidAddress."""


def _ollama(settings: VendorSettings) -> Provider:
    from .ollama import OllamaProvider

    return OllamaProvider(
        host=settings.ollama_host,
        custom_headers=settings.ollama_custom_headers,
        local_hosts=settings.local_hosts,
        clock=settings.clock,
        gate=settings.gate,
    )


def _cerebras(settings: VendorSettings) -> Provider:
    from .cerebras import CerebrasProvider

    return CerebrasProvider(
        api_key=settings.cerebras_api_key,
        base_url=settings.cerebras_base_url,
        custom_headers=settings.cerebras_custom_headers,
        local_hosts=settings.local_hosts,
        clock=settings.clock,
        gate=settings.gate,
    )


def _anthropic(settings: VendorSettings) -> Provider:
    from .anthropic import AnthropicProvider

    return AnthropicProvider(
        api_key=settings.anthropic_api_key,
        base_url=settings.anthropic_base_url,
        custom_headers=settings.anthropic_custom_headers,
        local_hosts=settings.local_hosts,
        clock=settings.clock,
        gate=settings.gate,
    )


def _openai_compatible(settings: VendorSettings) -> Provider:
    from .openai_compatible import OpenAICompatibleProvider

    return OpenAICompatibleProvider(
        key_of=settings.key_of, local_hosts=settings.local_hosts, clock=settings.clock, gate=settings.gate
    )


LOADERS: Mapping[ProviderName, Loader] = {
    "ollama": _ollama,
    "cerebras": _cerebras,
    "anthropic": _anthropic,
    "openai_compatible": _openai_compatible,
}
"""By the name that profiles use."""
