"""The interface to the outside world: MCP app, settings, wiring, provider adapters, and the command."""
