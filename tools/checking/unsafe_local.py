"""No sandbox: the code runs as the user, with limits and in its own folder. Only by explicit config.

It protects against accidents only (an endless loop, too much memory, output or files): the code can read and write the
user's files, reach the network, and leave a process in another session behind. Scratch space is not limited, and the
process limit counts all of the user's processes.
"""

from collections.abc import Sequence

from .interpreter import Interpreter, base_interpreter
from .sandbox import Command, SandboxRun
from .staging import run_staged


class UnsafeLocal:
    """Runs each command in a temporary folder of this machine."""

    name = "unsafe-local (NO SANDBOX)"

    def __init__(self, interpreter: Interpreter | None = None) -> None:
        interpreter = interpreter or base_interpreter()
        self.python: Sequence[str] = (str(interpreter.executable), "-I", "-B")
        self.packages = interpreter.packages

    async def run(self, command: Command) -> SandboxRun:
        return await run_staged(command, self.python)
