"""The hosts that start this server: where their configuration lies, and how it is changed without harm."""
