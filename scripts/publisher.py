"""Writes the publisher's namespace into every file that registries compare; publishing requires it.

The name stands in packaging/server.json; README.md and Dockerfile repeat it, since registries look for it there to
see that the package belongs to whoever owns the namespace.

    uv run --no-project python scripts/publisher.py io.github.ACCOUNT    # your namespace, into all three
    uv run --no-project python scripts/publisher.py --check              # exit 1 when it must not be published
"""

import argparse
import json
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PLACEHOLDER = "io.github.your-account"
PACKAGE = "chargehand"

# Where the name occurs, the authoritative entry first; each pattern as that file's reader finds it.
PLACES = {
    "packaging/server.json": r'^  "name": "(?P<name>[^"\n]*)",$',
    "README.md": r"^<!-- mcp-name: (?P<name>\S+) ",
    "Dockerfile": r'^LABEL io\.modelcontextprotocol\.server\.name="(?P<name>[^"\n]*)"$',
}
# The namespace part of a name in the registry's schema.
_NAMESPACE = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


def main() -> int:
    parser = argparse.ArgumentParser(description="Fills in whose package this is, or checks that it may be published.")
    parser.add_argument("namespace", nargs="?", help="reverse DNS of what you own: io.github.ACCOUNT, or your domain's")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when it must not be published yet")
    parser.add_argument("--in", dest="project", type=Path, default=PROJECT, help="the checkout (default: this one)")
    given = parser.parse_args()
    if given.check == (given.namespace is not None):
        parser.error("give a namespace, or --check")
    if given.check:
        problem = why_not_published(given.project)
        print(problem or f"{names(given.project)['packaging/server.json']} may be published")
        return 1 if problem else 0
    if not _NAMESPACE.fullmatch(given.namespace) or given.namespace == PLACEHOLDER:
        parser.error(f"{given.namespace} is no namespace of yours: io.github.ACCOUNT, or the reverse of your domain")
    fill_in(given.project, f"{given.namespace}/{PACKAGE}")
    print(f"{given.namespace}/{PACKAGE} in {', '.join(PLACES)}")
    return 0


def names(project: Path) -> dict[str, str]:
    """The name in each file; empty if there is none."""
    found = {place: re.search(form, _text(project, place), re.MULTILINE) for place, form in PLACES.items()}
    return {place: match["name"] if match else "" for place, match in found.items()}


def why_not_published(project: Path) -> str | None:
    """What must be done before publishing. None: nothing."""
    said = names(project)
    name = json.loads(_text(project, "packaging/server.json"))["name"]
    others = [f"{place} says {other or 'nothing'}" for place, other in said.items() if other != name]
    again = "Run: uv run --no-project python scripts/publisher.py io.github.ACCOUNT"
    if others:
        return f"Not published: packaging/server.json says {name}, but {', '.join(others)}. {again}"
    if name.startswith(f"{PLACEHOLDER}/"):
        return f"Not published: {name} is a placeholder, and nobody's. {again}"
    return None


def fill_in(project: Path, name: str) -> None:
    """Write the name into every file."""
    for place, form in PLACES.items():
        text = _text(project, place)
        match = re.search(form, text, re.MULTILINE)
        if match is None:
            raise SystemExit(f"{place}: the line with the name is gone. It has the form {form}")
        start, end = match.span("name")
        (project / place).write_text(text[:start] + name + text[end:], encoding="utf-8")


def _text(project: Path, place: str) -> str:
    return (project / place).read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
