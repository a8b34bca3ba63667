"""`scripts/update_model_profiles.py` does what `chargehand profiles update` does, or says how to be run."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "update_model_profiles.py"


def test_the_script_does_what_the_command_does():
    run = [sys.executable, str(SCRIPT), "--check", "--today", "2026-09-01"]

    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "No shipped profile is stale.\n")


def test_outside_of_its_environment_the_script_says_how_to_run_it():
    # Isolated and without site-packages: a Python that has no Chargehand.
    run = [sys.executable, "-I", "-S", str(SCRIPT), "--from-evaluation", "--apply"]

    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert "uv run python scripts/update_model_profiles.py --from-evaluation --apply" in done.stderr
