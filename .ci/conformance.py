"""Runs the official conformance suite against the server in both protocol revisions; no failure is tolerated."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from npm import install

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
REVISIONS = ("2025-11-25", "2026-07-28")
FIXTURE = Path(__file__).parents[1] / "tests" / "conformance" / "server.py"


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        suite = install(SUITE, "conformance", folder)
        environment = os.environ | {"CHARGEHAND_HOME": f"{folder}/home"}
        with subprocess.Popen(
            [sys.executable, str(FIXTURE)], stdout=subprocess.PIPE, text=True, env=environment, cwd=folder
        ) as server:
            try:
                assert server.stdout is not None
                url = server.stdout.readline().strip()
                return max(run(suite, url, revision, folder) for revision in REVISIONS)
            finally:
                server.terminate()


def run(suite: str, url: str, revision: str, folder: Path) -> int:
    """The suite's exit code: 0 when every scenario that the revision requires passed."""
    command = [suite, "server", "--url", url, "--requirements", revision, "-o", str(folder / revision)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    print(done.stdout[-6_000:] if done.returncode else f"{revision}: every required scenario passed")
    if done.returncode:
        print(done.stderr[-2_000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
