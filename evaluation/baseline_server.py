"""The least that a Python MCP server can be, over stdio or on a port: what our own is measured against."""

import sys

from mcp.server.mcpserver import MCPServer


def one(text: str) -> str:
    return text


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
    for tool in (one, two, three, four, five):
        server.tool()(tool)
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")


if __name__ == "__main__":
    main()
