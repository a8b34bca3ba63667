"""A vendor's facts, as needed for error messages and remedies."""

import urllib.parse
from dataclasses import dataclass, field
from functools import cached_property

from ...profiles.headers import is_sendable
from ...profiles.model import ModelProfile
from ...tools.errors import WHERE_VARIABLES_ARE_SET
from .locality import is_local_url
from .own_headers import OwnHeaders


@dataclass(frozen=True)
class Vendor:
    """A vendor and its address."""

    name: str
    url: str
    address_variable: str
    """Where the address is configured: a variable, or a field of a profile."""
    key_variable: str | None = None
    """The variable that holds the key. None: no key is needed."""
    headers: OwnHeaders = field(default_factory=OwnHeaders)
    """Sent with every request."""
    key_remedy: str = ""
    """What to do if it requires a key nevertheless. Empty if it always requires one."""
    start_command: str | None = None
    """The command that starts it on this machine. None: it runs elsewhere."""
    local_hosts: frozenset[str] = frozenset()
    own_url: str = ""
    """Where the vendor itself answers. Empty: it has no address of its own."""

    @cached_property
    def host(self) -> str:
        return urllib.parse.urlsplit(self.url).hostname or self.url

    @property
    def place(self) -> str:
        """Who answers: the vendor, or what stands at the address that the user gave instead of the vendor's own."""
        return f"{self.name} at {self.url}" if self.own_url and self.url != self.own_url else self.name

    @property
    def is_local(self) -> bool:
        return is_local_url(self.url, self.local_hosts)

    def keeps_local(self, profile: ModelProfile) -> bool:
        """Whether data sent to the model stays on the machine.

        A model with a price runs at its vendor: a loopback address is then a gateway, through which the text leaves
        the machine. Such a gateway counts as local only if the user lists its host.
        """
        return self.is_local and (profile.price is None or self.host in self.local_hosts)

    @property
    def credentials(self) -> str:
        """The variables that hold key and headers, for a remedy. Empty: there are none."""
        return " or ".join(filter(None, (self.key_variable, *self.headers.variables)))

    def why_unusable(self, api_key: str) -> str | None:
        """Why nothing can be sent with this key (empty: none), and where hosts keep what is missing. None: it can."""
        if self.key_variable is None:
            return self.headers.problem
        if api_key and not is_sendable(api_key):
            return (
                f"The key in {self.key_variable} is not one line of ASCII, so it cannot be sent. Copy it again"
                f" {WHERE_VARIABLES_ARE_SET}."
            )
        if api_key:
            return self.headers.problem
        return f"No key for {self.name}: set {self.key_variable} {WHERE_VARIABLES_ARE_SET}."
