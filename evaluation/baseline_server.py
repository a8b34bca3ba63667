"""The least that a Python MCP server can be: what our own start is measured against."""

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
    server = MCPServer("baseline", version="0")
    for tool in (one, two, three, four, five):
        server.tool()(tool)
    server.run("stdio")


if __name__ == "__main__":
    main()
