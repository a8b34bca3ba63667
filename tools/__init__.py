"""What shall we do: one module per MCP tool, and under it a room per concept."""
