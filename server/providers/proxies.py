"""The proxies and certificates that the environment names, and what is wrong with them."""

import os
import ssl
import urllib.parse
import urllib.request
from importlib.util import find_spec


def unusable_proxy() -> str | None:
    """Why a proxy of the environment cannot be used, with the remedy. None: they can, or there are none."""
    import httpx

    for kind, address in urllib.request.getproxies().items():
        if kind in ("http", "https", "all") and address:
            variable = f"{kind.upper()}_PROXY"
            try:
                proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
            except (ValueError, httpx.InvalidURL):
                return f"{variable} is not the address of a proxy over HTTP. Correct it, or unset it."
            if proxy.url.scheme.startswith("socks") and find_spec("socksio") is None:
                return f"{variable} names a SOCKS proxy. Name one over HTTP, or install `socksio` beside Chargehand."
    return None


def proxy_variable(url: str) -> str | None:
    """The variable that names the proxy for an address, in capitals. None: it is reached without one."""
    split = urllib.parse.urlsplit(url)
    proxies = urllib.request.getproxies()
    kind = next((kind for kind in (split.scheme, "all") if proxies.get(kind)), None)
    if kind is None or urllib.request.proxy_bypass(split.hostname or ""):
        return None
    return f"{kind.upper()}_PROXY"


def unusable_certificates() -> str | None:
    """Why the file that SSL_CERT_FILE names cannot be used, with the remedy. None: it can, or there is none."""
    file = os.environ.get("SSL_CERT_FILE")
    if not file:
        return None
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        why = (error.reason if isinstance(error, ssl.SSLError) else error.strerror) or "unreadable"
        why = why.replace("_", " ").lower()
        return f"SSL_CERT_FILE names {file}, which cannot be read as certificates ({why}). Correct it, or unset it."
    return None
