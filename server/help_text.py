"""The words of `--help`."""


def sentence(help_text: str) -> str:
    """A command's line in the list of commands, as its own page begins with it; names keep their capitals."""
    return f"{help_text[:1].upper()}{help_text[1:]}."
