"""MCP over Streamable HTTP: authentication, rate limits and sessions."""
