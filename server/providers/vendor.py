"""Who answers at the other end: what errors and remedies need to know of a vendor."""

import urllib.parse
from dataclasses import dataclass
from functools import cached_property

from ...profiles.model import ModelProfile
from .locality import is_local_url


@dataclass(frozen=True)
class Vendor:
    """A vendor at its address."""

    name: str
    url: str
    address_variable: str
    """Where the address stands: a variable, or a field of a profile."""
    key_variable: str | None = None
    """The variable that holds the key. None: it takes none."""
    key_remedy: str = ""
    """What to do when it wants a key all the same. Empty where it always takes one."""
    start_command: str | None = None
    """The command that starts it here. None: it runs elsewhere."""
    local_hosts: frozenset[str] = frozenset()

    @cached_property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).hostname or self.url

    @property
    def is_local(self) -> bool:
        return is_local_url(self.url, self.local_hosts)

    def keeps_local(self, profile: ModelProfile) -> bool:
        """Whether what the model is sent stays on the machine.

        A model with a price runs at its vendor: behind a loopback address it is reached through a
        gateway, and its text leaves all the same. Such a gateway's host counts only when the user
        lists it.
        """
        return self.is_local and (profile.price is None or self.host in self.local_hosts)

    @property
    def missing_key(self) -> str:
        """Why it cannot be asked without a key, and where hosts keep keys."""
        return f'No key for {self.name}: set {self.key_variable} in the "env" block of your host\'s MCP config.'
