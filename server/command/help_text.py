"""The words of `--help`."""


def sentence(help_text: str) -> str:
    """A command's line in the list of commands, as its own page begins with it; names keep their capitals."""
    end = "" if help_text.endswith("?") else "."
    return f"{help_text[:1].upper()}{help_text[1:]}{end}"
