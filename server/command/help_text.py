"""Formats the text of `--help`."""


def sentence(help_text: str) -> str:
    """A command's one-line help as a sentence, for its own help page. Other capitals are kept."""
    end = "" if help_text.endswith("?") else "."
    return f"{help_text[:1].upper()}{help_text[1:]}{end}"
