"""`chargehand serve --http` on the command line. Its modules are imported when it runs."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

import anyio

from .option_values import whole
from .user_errors import WrongOptions

if TYPE_CHECKING:
    from ..surface.server_state import OpenServices


def add_http_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--http", action="store_true", help="Streamable HTTP instead of stdio")
    parser.add_argument("--host", help="the address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=whole(0, 65_535), help="the port; 0 picks a free one (8765)")
    parser.add_argument(
        "--public-url", metavar="URL", help="the address that clients use, behind a proxy; ends in /mcp"
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="one more Host header to answer, without a port",
    )
    parser.add_argument(
        "--issuer", metavar="URL", help="an OAuth issuer whose tokens, issued for that URL, are accepted"
    )
    parser.add_argument("--scope", metavar="SCOPE", action="append", default=[], help="a scope that tokens must have")


def refuse_conflicts(chosen: argparse.Namespace) -> None:
    """Raise WrongOptions for options that would have no effect."""
    if chosen.http:
        if chosen.scope and chosen.issuer is None:
            raise WrongOptions(
                "serve: --scope goes with --issuer: without an issuer, nothing says what a token allows."
            )
        return
    given = {
        "--host": chosen.host,
        "--port": chosen.port,
        "--public-url": chosen.public_url,
        "--allow-host": chosen.allow_host or None,
        "--issuer": chosen.issuer,
        "--scope": chosen.scope or None,
    }
    if alone := [name for name, value in given.items() if value is not None]:
        raise WrongOptions(f"serve: {', '.join(alone)} goes with --http.")


def serve_over_http(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    """Serve until a signal. Returns the exit code."""
    from ..http.binding import Binding
    from ..http.serving import serve_http

    binding = Binding(
        host="127.0.0.1" if chosen.host is None else chosen.host,
        port=8765 if chosen.port is None else chosen.port,
        public_url=chosen.public_url,
        allowed_hosts=tuple(chosen.allow_host),
        issuer=chosen.issuer,
        scopes=tuple(chosen.scope),
    )
    try:
        anyio.run(partial(serve_http, open_services, binding))
    except KeyboardInterrupt:  # on Windows, where signals are not handled; costs are settled by now
        return 0
    return 0
