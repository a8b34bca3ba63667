"""Every HTTP client for a vendor is created with `client_options`, which enforces the privacy rules."""

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FOLDERS = ("server", "evaluation", "tools", "memory_store", "profiles")
CLIENT_CLASSES = {"AsyncClient", "Client", "AsyncAnthropic", "AsyncCerebras", "AsyncOpenAI"}
LIBRARIES = {"httpx", "httpx2", "ollama", "anthropic", "sdk", "openai"}
EXCEPTIONS = {
    "server/http/issuer_keys.py": "asks the issuer of tokens that the user names",
    "memory_store/index/chroma_connection.py": "speaks to our own worker",
    "server/hosts/examining.py": "asks a server of ours on this machine whether it runs",
}


def test_all_vendor_http_clients_are_created_with_client_options():
    unprotected = [place for file in _modules() for place in _unprotected_clients(file)]

    assert {place.partition(":")[0] for place in unprotected} == set(EXCEPTIONS)
    assert len(unprotected) == len(EXCEPTIONS)


def _modules() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (PROJECT / folder).rglob("*.py")


def _unprotected_clients(file: Path) -> Iterator[str]:
    """File and line of each client that is created without `**client_options(...)` and without an `http_client`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(library), attr=name)) if (
                library in LIBRARIES and name in CLIENT_CLASSES and not any(map(_is_protected, node.keywords))
            ):
                yield f"{file.relative_to(PROJECT).as_posix()}:{node.lineno}"
            case _:
                pass


def _is_protected(keyword: ast.keyword) -> bool:
    if keyword.arg == "http_client":
        return True
    match keyword:
        case ast.keyword(arg=None, value=ast.Call(func=ast.Name("client_options"))):
            return True
        case _:
            return False
