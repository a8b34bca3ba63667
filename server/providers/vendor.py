"""Who answers at the other end: what errors and remedies need to know of a vendor."""

import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...profiles.model import ModelProfile
from ...tools.provider import Availability, GenerationRequest, MissingKey, NotLocal
from .egress import not_local
from .locality import is_local_url


@dataclass(frozen=True)
class Vendor:
    """A vendor at its address."""

    name: str
    url: str
    address_variable: str
    """The variable that holds the address."""
    key_variable: str | None = None
    """The variable that holds the key. None: it takes none."""
    start_command: str | None = None
    """The command that starts it here. None: it runs elsewhere."""
    local_hosts: frozenset[str] = frozenset()

    @property
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

    def availability_by_key(self, key: str, profiles: Sequence[ModelProfile]) -> Mapping[str, Availability]:
        """Whether there is a key. Nothing is sent, so a wrong key shows only when it is used."""
        why_not = None if key else self.missing_key
        return {
            profile.id: Availability(
                is_reachable=bool(key), is_local=self.keeps_local(profile), host=self.host, why_not=why_not
            )
            for profile in profiles
        }

    def check_before_sending(self, request: GenerationRequest, key: str) -> None:
        """Raises NotLocal or MissingKey when the request may not, or cannot, be sent here."""
        if request.local_only and not self.keeps_local(request.profile):
            raise NotLocal(not_local(self.host))
        if not key:
            raise MissingKey(self.missing_key)
