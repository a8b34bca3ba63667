"""Whether a host is the user's own, and the addresses of the vendors' servers.

Names are judged by what they say, not by what they resolve to: a hosts file that points
`localhost` elsewhere is not noticed.
"""

import ipaddress
import urllib.parse
from functools import lru_cache

OLLAMA_PORT = 11434

_LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class InvalidAddress(ValueError):
    """An address in a setting that no client could use: the message names the variable."""


def is_local_host(host: str, local_hosts: frozenset[str] = frozenset()) -> bool:
    """Whether what is sent to this host stays with the user.

    local_hosts: names or addresses that the user calls local (`[privacy] local_hosts`).
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


@lru_cache(maxsize=256)  # asked of the same few addresses for every model of every decision
def is_local_url(url: str, local_hosts: frozenset[str] = frozenset()) -> bool:
    """The same for a URL; a unix socket (`unix:` or `http+unix:`) is local."""
    split = urllib.parse.urlsplit(url)
    if split.scheme in ("unix", "http+unix"):
        return True
    return split.hostname is not None and is_local_host(split.hostname, local_hosts)


def vendor_url(value: str, variable: str, default: str) -> str:
    """A vendor's address from a setting, as scheme, host, port and path only.

    value: what the variable holds; empty: the default. Raises InvalidAddress.
    """
    text = value.strip() or default
    scheme = text.partition("://")[0].lower()
    if scheme not in _DEFAULT_PORTS:
        raise InvalidAddress(f"{variable} must begin with https:// or http://. Correct it, or unset it.")
    return _plain_url(text, variable, port=None)


def ollama_url(value: str) -> str:
    """The address that Ollama's own client takes from OLLAMA_HOST: `http://` and port 11434 unless given.

    With a scheme and without a port it is that scheme's port. The unspecified address, which tells the
    server to listen everywhere, means this machine to a client. Raises InvalidAddress.
    (`_parse_host` of the ollama package 0.6.3.)
    """
    text = value.strip() or "127.0.0.1"
    scheme, separator, _ = text.partition("://")
    if not separator:
        return _plain_url(f"http://{text}", "OLLAMA_HOST", port=OLLAMA_PORT)
    if scheme not in _DEFAULT_PORTS:
        raise InvalidAddress("OLLAMA_HOST must be host, host:port, or a URL that begins with http:// or https://.")
    return _plain_url(text, "OLLAMA_HOST", port=_DEFAULT_PORTS[scheme])


def _plain_url(text: str, variable: str, *, port: int | None) -> str:
    """The URL from its parts alone, so that every later reader sees the same host.

    port: used when the text names none. None: left to the scheme.
    """
    remedy = f"{variable} does not hold a usable address. Write it as http://HOST:PORT, without a user name."
    if "\\" in text or any(character.isspace() or ord(character) < 32 for character in text):
        raise InvalidAddress(remedy)
    try:
        split = urllib.parse.urlsplit(text)
        named_port, host = split.port, split.hostname
    except ValueError as error:
        raise InvalidAddress(remedy) from error
    # Only Ollama's address may leave the host out, and then means this machine.
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
