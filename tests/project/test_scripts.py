"""`scripts/update_model_profiles.py` runs `chargehand profiles update`, or prints how to run the script."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "update_model_profiles.py"


def test_the_script_runs_profiles_update():
    command = [sys.executable, str(SCRIPT), "--check", "--today", "2026-09-01"]

    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (process.returncode, process.stdout) == (0, "No shipped profile is stale.\n")


def test_a_python_without_chargehand_gets_the_command_that_runs_the_script():
    # Isolated and without site-packages: a Python without Chargehand.
    command = [sys.executable, "-I", "-S", str(SCRIPT), "--from-evaluation", "--apply"]

    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (process.returncode, process.stdout) == (2, "")
    assert "uv run python scripts/update_model_profiles.py --from-evaluation --apply" in process.stderr
