"""The signals that ask a process to end: by Ctrl-C, by the system, or because its terminal was closed."""

import signal
import sys
from collections.abc import Sequence


def end_signals() -> Sequence[signal.Signals]:
    """The signals to handle; none on Windows. Under `nohup` a closed terminal ends nothing."""
    if sys.platform == "win32":  # no signal receiver there
        return ()
    ignores_terminal = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *(() if ignores_terminal else (signal.SIGHUP,)))
