"""Where the server listens, under which names it answers, and what it asks of whoever comes."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import urlsplit

from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr

from ..settings import BadSetting

PATH = "/mcp"
SHORTEST_TOKEN = 24
"""Characters. Whoever can guess the token spends the user's money."""

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True)
class Entrance:
    """What a request must bring."""

    token: SecretStr | None = None
    """The one bearer token that opens. None: it is not by a fixed token."""
    issuer: str | None = None
    """The OAuth issuer whose tokens open. None: it is not by OAuth."""
    scopes: tuple[str, ...] = ()
    """What a token of the issuer must allow."""

    @property
    def is_open(self) -> bool:
        """Whether anybody may come in who reaches the address."""
        return self.token is None and self.issuer is None


@dataclass(frozen=True)
class Binding:
    """What was typed."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0: any that is free."""
    public_url: str | None = None
    """The address that clients use, behind a proxy. None: the one that is listened on."""
    allowed_hosts: Sequence[str] = ()
    """Further values of the Host header that are answered, without a port."""
    issuer: str | None = None
    scopes: tuple[str, ...] = ()

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """The address of MCP: also the resource that OAuth tokens must be made out for."""
        if self.public_url is not None:
            return self.public_url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{PATH}"

    def at_port(self, port: int) -> Self:
        return replace(self, port=port)

    def entrance(self, token: SecretStr | None) -> Entrance:
        """What is asked of whoever comes. Raises BadSetting where the two together would leave a door open."""
        if self.public_url is not None and urlsplit(self.public_url).path.rstrip("/") != PATH:
            raise BadSetting(f"--public-url: {self.public_url} must be a URL that ends in {PATH}.")
        if self.issuer is not None and not _is_safe(self.issuer):
            raise BadSetting(f"--issuer: {self.issuer} must be https: keys come from there. Correct it.")
        if token is not None and len(token.get_secret_value()) < SHORTEST_TOKEN:
            raise BadSetting(
                f"CHARGEHAND_HTTP_TOKEN: it is shorter than {SHORTEST_TOKEN} characters. Make one with"
                " `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'`."
            )
        entrance = Entrance(token=token, issuer=self.issuer, scopes=self.scopes)
        if entrance.is_open and not (self.is_loopback and self.public_url is None):
            where = self.public_url or self.host
            raise BadSetting(
                f"{where} can be reached from elsewhere, so calls must show a token: set CHARGEHAND_HTTP_TOKEN, or"
                " give --issuer URL. With neither, leave out --host and --public-url: then only this machine is served."
            )
        return entrance

    def transport_security(self) -> TransportSecuritySettings:
        """The Host and Origin headers that are answered, whatever is listened on."""
        names = [*(_LOOPBACK_NAMES if self.is_loopback else ()), *self.allowed_hosts]
        if not self.is_loopback and not _is_any(self.host):
            names.append(f"[{self.host}]" if ":" in self.host else self.host)
        hosts = [value for name in names for value in (name, f"{name}:*")]
        origins = [f"{scheme}://{value}" for scheme in ("http", "https") for value in hosts]
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            hosts.append(parts.netloc)
            origins.append(f"{parts.scheme}://{parts.netloc}")
        return TransportSecuritySettings(
            enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
        )


def _is_any(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
