"""`profiles update --from-releases --apply` that kills itself at an audit event: `killed_update.py EVENT`."""

import os
import signal
import sys
from pathlib import Path

from chargehand.server.cli import main

FOLDER = str(Path(os.environ["CHARGEHAND_HOME"]) / "profiles" / "measured")


def die(event: str, arguments: tuple[object, ...]) -> None:
    if event == sys.argv[1] and any(FOLDER in str(argument) for argument in arguments):
        os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(die)
sys.exit(main(["profiles", "update", "--from-releases", "--apply"]))
