"""The MCP surface: tools, prompts, resources, instructions, and protocol checks that the SDK lacks."""
