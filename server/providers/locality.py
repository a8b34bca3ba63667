"""Whether a host is local to the user, and the addresses of the vendors' servers.

Host names are not resolved: a hosts file that points `localhost` elsewhere goes unnoticed.
"""

import ipaddress
import urllib.parse
from functools import lru_cache

OLLAMA_PORT = 11434

_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class InvalidAddress(ValueError):
    """An unusable address in a setting; the message names the variable."""


def is_local_host(host: str, local_hosts: frozenset[str] = frozenset()) -> bool:
    """Whether data sent to this host stays with the user.

    local_hosts: names or addresses that the user declares local (`[privacy] local_hosts`).
    """
    name = _normal(host)
    if name in _LOOPBACK_NAMES or name.endswith(".localhost") or name in {_normal(local) for local in local_hosts}:
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    # Connecting to the unspecified address reaches this machine.
    return address.is_loopback or address.is_unspecified


@lru_cache(maxsize=256)  # called with the same few addresses for every model of every decision
def is_local_url(url: str, local_hosts: frozenset[str] = frozenset()) -> bool:
    """The same for a URL; a unix socket (`unix:` or `http+unix:`) is local."""
    split = urllib.parse.urlsplit(url)
    if split.scheme in ("unix", "http+unix"):
        return True
    return split.hostname is not None and is_local_host(split.hostname, local_hosts)


def vendor_url(value: str, variable: str, default: str) -> str:
    """A vendor's address from a setting, reduced to scheme, host, port and path.

    value: the variable's value; empty: the default. Raises InvalidAddress.
    """
    text = value.strip() or default
    scheme = text.partition("://")[0].lower()
    if scheme not in _DEFAULT_PORTS:
        raise InvalidAddress(f"{variable} must begin with https:// or http://. Correct it, or unset it.")
    return _plain_url(text, variable, port=None)


def ollama_url(value: str) -> str:
    """The address that Ollama's own clients read from OLLAMA_HOST: `http://` and port 11434 unless given.

    With a scheme but no port, the scheme's default port is used. The unspecified address, on which a server listens
    on all interfaces, means this machine to a client. Quotes, and an IPv6 address without brackets, are taken as by
    `ollama` itself (`envconfig/config.go`), which the Python package refuses. Raises InvalidAddress.
    (`_parse_host` of the ollama package 0.6.3.)
    """
    text = value.strip().strip("\"'").strip() or "127.0.0.1"
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _plain_url(f"http://{_in_brackets(text)}", "OLLAMA_HOST", port=OLLAMA_PORT)
    if scheme not in _DEFAULT_PORTS:
        raise InvalidAddress("OLLAMA_HOST must be host, host:port, or a URL that begins with http:// or https://.")
    return _plain_url(f"{scheme}://{_in_brackets(rest)}", "OLLAMA_HOST", port=_DEFAULT_PORTS[scheme])


def _in_brackets(location: str) -> str:
    """Host and path, with brackets around a host that is an IPv6 address."""
    host, slash, path = location.partition("/")
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return location
    return f"[{address}]{slash}{path}"


def _plain_url(text: str, variable: str, *, port: int | None) -> str:
    """The URL rebuilt from its parts, so that every later parser sees the same host.

    port: used when the text names none. None: the scheme's default.
    """
    remedy = f"{variable} does not hold a usable address. Write it as http://HOST:PORT, without a user name."
    if "\\" in text or any(character.isspace() or ord(character) < 32 for character in text):
        raise InvalidAddress(remedy)
    try:
        split = urllib.parse.urlsplit(text)
        named_port, host = split.port, split.hostname
    except ValueError as error:
        raise InvalidAddress(remedy) from error
    # Only Ollama's address may omit the host, which then means this machine.
    if "@" in split.netloc or (not host and port is None):
        raise InvalidAddress(remedy)
    host = _reachable(host or "127.0.0.1")
    chosen = named_port or port
    return f"{split.scheme}://{host}{f':{chosen}' if chosen else ''}{split.path.rstrip('/')}"


def _reachable(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    return f"[{address}]" if address.version == 6 else str(address)


def _normal(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()
