"""Pins the exact tested versions in pyproject.toml, so that every `uv run` resolves to them.

uv.lock itself is not committed, because it contains registry URLs. Run from the checkout:

    uv run --no-project python scripts/pin.py            # today's newest versions that the ranges allow
    uv run --no-project python scripts/pin.py --check    # exit 1 when a dependency has no pinned version
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
PYPROJECT = PROJECT / "pyproject.toml"
LOCK = PROJECT / "uv.lock"

_BLOCK = re.compile(r"^constraint-dependencies = \[\n(?:    .*\n)*\]\n", re.MULTILINE)


def main() -> int:
    text = PYPROJECT.read_text(encoding="utf-8")
    if "--check" in sys.argv[1:]:
        missing = sorted(_versions(locked()) - _versions(pinned(text)))
        print("\n".join(f"not pinned: {line}" for line in missing) or "every dependency is pinned")
        return 1 if missing else 0
    PYPROJECT.write_text(with_pins(text, set()), encoding="utf-8")
    LOCK.unlink(missing_ok=True)
    pins = locked()
    PYPROJECT.write_text(with_pins(text, pins), encoding="utf-8")
    print(f"{len(pins)} versions pinned")
    return 0


def locked() -> set[str]:
    """`name==version`, with `; marker` where needed, of every package that uv resolves, for all platforms."""
    subprocess.run(["uv", "lock", "--quiet"], cwd=PROJECT, check=True)
    packages = tomllib.loads(LOCK.read_text(encoding="utf-8"))["package"]
    return {_pin(package) for package in packages if "editable" not in package["source"]}


def _pin(package: dict[str, Any]) -> str:
    """The pin of a package, with markers if uv resolves it differently for some Pythons or platforms."""
    pin = f"{package['name']}=={package['version']}"
    markers = " or ".join(f"({marker})" for marker in package.get("resolution-markers", ()))
    return f"{pin} ; {markers}" if markers else pin


def pinned(text: str) -> set[str]:
    return set(tomllib.loads(text).get("tool", {}).get("uv", {}).get("constraint-dependencies", []))


def _versions(pins: set[str]) -> set[str]:
    return {pin.partition(" ;")[0] for pin in pins}


def with_pins(text: str, pins: set[str]) -> str:
    block = "constraint-dependencies = [\n" + "".join(f"    {json.dumps(pin)},\n" for pin in sorted(pins)) + "]\n"
    if not _BLOCK.search(text):
        raise SystemExit("pyproject.toml: no `constraint-dependencies = [` block under [tool.uv]. Add an empty one.")
    return _BLOCK.sub(lambda _: block, text)


if __name__ == "__main__":
    sys.exit(main())
