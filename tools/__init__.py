"""The MCP tools, one module each, with one package per concept below."""
