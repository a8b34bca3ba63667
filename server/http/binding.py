"""The address that the server listens on, the host names that it accepts, and its access rules."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from ..settings import BadSetting
from .addresses import checked_host, checked_url

if TYPE_CHECKING:
    from mcp.server.transport_security import TransportSecuritySettings

PATH = "/mcp"
HEALTH = "/health"
MIN_TOKEN_LENGTH = 24
"""Characters. A guessed token would spend the user's money."""

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
_UNSPECIFIED_ADDRESSES = ("0.0.0.0", "[::]")  # noqa: S104 - only compared with, not bound


@dataclass(frozen=True)
class AccessRules:
    """The credentials that a request needs."""

    token: SecretStr | None = None
    """The fixed bearer token. None: no fixed token is accepted."""
    issuer: str | None = None
    """The OAuth issuer whose tokens are accepted. None: no OAuth."""
    scopes: tuple[str, ...] = ()
    """The scopes that a token of the issuer must have."""

    @property
    def is_open(self) -> bool:
        """Whether requests need no credentials."""
        return self.token is None and self.issuer is None


@dataclass(frozen=True)
class Binding:
    """The command-line options for the address."""

    host: str = "127.0.0.1"
    port: int = 8765
    """0: any free port."""
    public_url: str | None = None
    """The address that clients use, behind a proxy. None: the listening address."""
    allowed_hosts: Sequence[str] = ()
    """Further accepted values of the Host header, without a port."""
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
        """The MCP endpoint, which is also the audience required in OAuth tokens. Raises BadSetting."""
        if self.public_url is not None:
            url = str(checked_url("--public-url", self.public_url)).rstrip("/")
            if not re.fullmatch(rf"https?://[^/]+{PATH}", url):
                raise BadSetting(f"--public-url: {self.public_url} must have the path {PATH}. Correct it.")
            return url
        return f"http://{self._names[0]}{'' if self.port == 80 else f':{self.port}'}{PATH}"

    def at_port(self, port: int) -> Self:
        return replace(self, port=port)

    def access_rules(self, token: SecretStr | None) -> AccessRules:
        """The access rules. Raises BadSetting for options that cannot work or would be insecure."""
        self.transport_security()
        _check_issuer(self.issuer)
        _check_scopes(self.scopes)
        _check_token(token)
        access = AccessRules(token=token, issuer=self.issuer, scopes=self.scopes)
        if access.is_open and not (self.is_loopback and self.public_url is None):
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
        return access

    def transport_security(self, *, of_health: bool = False) -> "TransportSecuritySettings":
        """The accepted Host and Origin headers. Raises BadSetting.

        of_health: for `/health`, which also accepts loopback names, as used by a container's health check.
        """
        from mcp.server.transport_security import TransportSecuritySettings

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
        """The host's own name, unless unspecified, and the allowed ones, as in a Host header without a port."""
        own = checked_host("--host", self.host.partition("%")[0])  # a Host header has no IPv6 zone
        return [
            *([] if own in _UNSPECIFIED_ADDRESSES else [own]),
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
    if len(token.get_secret_value()) < MIN_TOKEN_LENGTH:
        raise BadSetting(f"CHARGEHAND_HTTP_TOKEN: it is shorter than {MIN_TOKEN_LENGTH} characters. {remedy}")
    if not re.fullmatch(r"[\x21-\x7e]+", token.get_secret_value()):
        raise BadSetting(f"CHARGEHAND_HTTP_TOKEN: it must be in ASCII and without spaces, as a header is. {remedy}")
