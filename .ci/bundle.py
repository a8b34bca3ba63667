"""Builds the .mcpb bundle, validates it with Anthropic's own tool, and runs its command."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from npm import install

MCPB = "@anthropic-ai/mcpb@2.1.2"
PROJECT = Path(__file__).parents[1]
FILES = ("pyproject.toml", "README.md", "LICENSE")
FOLDERS = ("profiles", "memory_store", "tools", "evaluation", "server")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mcpb = install(MCPB, "mcpb", folder)
        bundle = folder / "chargehand.mcpb"
        staged = stage(folder / "staged")
        subprocess.run([mcpb, "validate", str(staged / "manifest.json")], check=True)
        subprocess.run([mcpb, "pack", str(staged), str(bundle)], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([mcpb, "unpack", str(bundle), str(folder / "there")], check=True, stdout=subprocess.DEVNULL)
        start(folder / "there")
        print(f"the bundle has {bundle.stat().st_size / 1e6:.2f} MB and starts")
    return 0


def stage(folder: Path) -> Path:
    """Copy the bundle's contents: sources without dependencies, which `uv` installs on the user's machine."""
    folder.mkdir()
    for name in FILES:
        shutil.copy(PROJECT / name, folder)
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "packaging" / "manifest.json", folder)
    return folder


def start(folder: Path) -> None:
    """Run the bundle's command with `--version` appended."""
    config = json.loads((folder / "manifest.json").read_text())["server"]["mcp_config"]
    arguments = [argument.replace("${__dirname}", str(folder)) for argument in config["args"]]
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    said = subprocess.run(
        [config["command"], *arguments, "--version"], check=True, capture_output=True, text=True, env=environment
    )
    assert said.stdout.startswith("chargehand "), said


if __name__ == "__main__":
    sys.exit(main())
