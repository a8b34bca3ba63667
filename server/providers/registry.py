"""The adapter for each vendor. An adapter's module is imported on first use."""

from collections.abc import Callable, Mapping

from ...profiles.vocabulary import ProviderName
from ...tools.provider import Provider
from .vendor_settings import VendorSettings

Loader = Callable[[VendorSettings], Provider]
"""Creates an adapter; its SDK is imported on the adapter's first use. Raises InvalidAddress."""


def _ollama(settings: VendorSettings) -> Provider:
    from .ollama import OllamaProvider

    return OllamaProvider(settings)


def _cerebras(settings: VendorSettings) -> Provider:
    from .cerebras import CerebrasProvider

    return CerebrasProvider(settings)


def _anthropic(settings: VendorSettings) -> Provider:
    from .anthropic import AnthropicProvider

    return AnthropicProvider(settings)


def _openai_compatible(settings: VendorSettings) -> Provider:
    from .openai_compatible import OpenAICompatibleProvider

    return OpenAICompatibleProvider(settings)


LOADERS: Mapping[ProviderName, Loader] = {
    "ollama": _ollama,
    "cerebras": _cerebras,
    "anthropic": _anthropic,
    "openai_compatible": _openai_compatible,
}
"""By the name that profiles use."""
