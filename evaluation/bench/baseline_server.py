"""A minimal Python MCP server, over stdio or on a port: the baseline for benchmarks of our own.

With a port and a file, the first tool also makes one durable commit to that file per call.
"""

import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from mcp.server.mcpserver import MCPServer


def one(text: str) -> str:
    return text


def durable(file: Path) -> Callable[[str], str]:
    """A variant of the first tool that commits the text durably to a database before it answers."""
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE said (text TEXT NOT NULL)")
    turn = threading.Lock()

    def one(text: str) -> str:
        with turn:
            db.execute("INSERT INTO said (text) VALUES (?)", (text,))
        return text

    return one


def two(text: str) -> str:
    return text


def three(text: str) -> str:
    return text


def four(text: str) -> str:
    return text


def five(text: str) -> str:
    return text


def main() -> None:
    server = MCPServer("baseline", version="0", log_level="WARNING")
    first = durable(Path(sys.argv[2])) if len(sys.argv) > 2 else one
    for tool in (first, two, three, four, five):
        server.tool()(tool)
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
