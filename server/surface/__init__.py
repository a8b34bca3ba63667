"""What a host sees of us: tools, prompts, resources, instructions, and the protocol where the SDK is laxer."""
