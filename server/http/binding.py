"""Where the server listens, under which names it answers, and what it asks of whoever comes."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from mcp.server.transport_security import TransportSecuritySettings
from pydantic import SecretStr

from ..settings import BadSetting
from .addresses import checked_host, checked_url

PATH = "/mcp"
HEALTH = "/health"
SHORTEST_TOKEN = 24
"""Characters. Whoever can guess the token spends the user's money."""

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_EVERY_ADDRESS = ("0.0.0.0", "[::]")  # noqa: S104 - compared, and not listened on


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
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """The address of MCP: also the resource that OAuth tokens must be made out for. Raises BadSetting."""
        if self.public_url is not None:
            url = str(checked_url("--public-url", self.public_url)).rstrip("/")
            if not re.fullmatch(rf"https?://[^/]+{PATH}", url):
                raise BadSetting(f"--public-url: {self.public_url} must have the path {PATH}. Correct it.")
            return url
        return f"http://{self._names[0]}{'' if self.port == 80 else f':{self.port}'}{PATH}"

    def at_port(self, port: int) -> Self:
        return replace(self, port=port)

    def entrance(self, token: SecretStr | None) -> Entrance:
        """What is asked of whoever comes. Raises BadSetting for what could not work or would leave a door open."""
        self.transport_security()
        _check_issuer(self.issuer)
        _check_scopes(self.scopes)
        _check_token(token)
        entrance = Entrance(token=token, issuer=self.issuer, scopes=self.scopes)
        if entrance.is_open and not (self.is_loopback and self.public_url is None):
            where = self.public_url or self.host
            raise BadSetting(
                f"{where} can be reached from other machines, so calls need a token: set CHARGEHAND_HTTP_TOKEN, or"
                " give --issuer URL. With neither, leave out --host and --public-url: then only this machine is served."
            )
        if self.public_url is None and not self._names:
            raise BadSetting(
                f"--host: {self.host} is every address of this machine, and no name that clients could use. Add"
                " --allow-host NAME or --public-url URL."
            )
        return entrance

    def transport_security(self, *, of_health: bool = False) -> TransportSecuritySettings:
        """The Host and Origin headers that are answered, whatever is listened on. Raises BadSetting.

        of_health: for `/health`, which a container's own check asks for by a name of the loopback.
        """
        names = [*(_LOOPBACK_NAMES if self.is_loopback or of_health else ()), *self._names]
        origins = [f"{scheme}://{name}{port}" for scheme in ("http", "https") for name in names for port in ("", ":*")]
        if self.public_url is not None:
            names.append(checked_url("--public-url", self.public_url).host or "")
            origins.append(self.url.removesuffix(PATH))
        hosts = [f"{name}{port}" for name in names for port in ("", ":*")]
        return TransportSecuritySettings(
            enable_dns_rebinding_protection=True, allowed_hosts=hosts, allowed_origins=origins
        )

    @property
    def _names(self) -> list[str]:
        """The host's own name, where it has one, and the allowed ones, as in a Host header without its port."""
        own = checked_host("--host", self.host.partition("%")[0])  # no header names a zone
        return [
            *([] if own in _EVERY_ADDRESS else [own]),
            *(checked_host("--allow-host", name) for name in self.allowed_hosts),
        ]


def _check_issuer(issuer: str | None) -> None:
    if issuer is None:
        return
    url = checked_url("--issuer", issuer)
    if url.scheme != "https" and url.host not in _LOOPBACK_NAMES:
        raise BadSetting(f"--issuer: {issuer} must be https: keys come from there. Correct it.")


def _check_scopes(scopes: Sequence[str]) -> None:
    for scope in scopes:
        if not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope):  # RFC 6749 section 3.3
            raise BadSetting(
                f"--scope: {scope!r} must be one word in ASCII, without quotation marks and backslashes. For several,"
                " give --scope several times."
            )


def _check_token(token: SecretStr | None) -> None:
    if token is None:
        return
    remedy = "Make one with `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'`."
    if len(token.get_secret_value()) < SHORTEST_TOKEN:
        raise BadSetting(f"CHARGEHAND_HTTP_TOKEN: it is shorter than {SHORTEST_TOKEN} characters. {remedy}")
    if not re.fullmatch(r"[\x21-\x7e]+", token.get_secret_value()):
        raise BadSetting(f"CHARGEHAND_HTTP_TOKEN: it must be in ASCII and without spaces, as a header is. {remedy}")
