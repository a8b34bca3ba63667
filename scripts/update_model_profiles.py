"""Proposes changes to the measured facts in model profiles: an alias of `chargehand profiles update`.

uv run python scripts/update_model_profiles.py --from-evaluation
"""

import shlex
import sys

try:
    from chargehand.server.cli import main
except ImportError:
    command = shlex.join(["uv", "run", "python", "scripts/update_model_profiles.py", *sys.argv[1:]])
    print(f"Chargehand's environment is not the one of this Python. Run: {command}", file=sys.stderr)
    sys.exit(2)

if __name__ == "__main__":
    sys.exit(main(["profiles", "update", *sys.argv[1:]]))
