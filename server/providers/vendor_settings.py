"""The part of the settings that the adapters need."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

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

    @property
    def common_gate(self) -> Gate:
        return self.gate or Gate(self.local_hosts)
