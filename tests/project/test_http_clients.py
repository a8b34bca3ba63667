"""Every HTTP client that speaks to a vendor keeps the rules of the one place that knows them."""

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FOLDERS = ("server", "evaluation", "tools", "memory_store", "profiles")
BUILT = {"AsyncClient", "Client", "AsyncAnthropic", "AsyncCerebras", "AsyncOpenAI"}
LIBRARIES = {"httpx", "httpx2", "ollama", "anthropic", "sdk", "openai"}
NO_VENDORS = {
    "server/http/issuer_keys.py": "asks the issuer of tokens that the user names",
    "memory_store/index/chroma_connection.py": "speaks to our own worker",
    "server/hosts/examining.py": "asks a server of ours on this machine whether it runs",
}


def test_each_http_client_takes_the_options_that_keep_what_is_local_on_the_machine():
    lax = [place for file in _modules() for place in _lax_clients(file)]

    assert {place.partition(":")[0] for place in lax} == set(NO_VENDORS)
    assert len(lax) == len(NO_VENDORS)


def _modules() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (PROJECT / folder).rglob("*.py")


def _lax_clients(file: Path) -> Iterator[str]:
    """File and line of each client that is made without `**client_options(...)`, and given no client with it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(library), attr=name)) if (
                library in LIBRARIES and name in BUILT and not any(map(_is_strict, node.keywords))
            ):
                yield f"{file.relative_to(PROJECT).as_posix()}:{node.lineno}"
            case _:
                pass


def _is_strict(keyword: ast.keyword) -> bool:
    if keyword.arg == "http_client":
        return True
    match keyword:
        case ast.keyword(arg=None, value=ast.Call(func=ast.Name("client_options"))):
            return True
        case _:
            return False
