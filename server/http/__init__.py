"""MCP over Streamable HTTP: who may come in, how often, and whose tasks are whose."""
