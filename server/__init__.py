"""How we meet the outside world: the MCP app, settings, wiring, adapters, the command."""
