"""Standard output of every command but serving: what cannot be printed ends none half-way, and is said at the end."""

import io
import os
import sys
from typing import TextIO


class KeptOutput(io.TextIOBase):
    """Takes what is printed, for as long as it arrives and after."""

    def __init__(self, out: TextIO | None) -> None:
        """out: None where the process was started with its standard output closed."""
        self._out = out
        self.why_lost: str | None = None
        """Why something has not arrived. None: all has."""
        self.remedy = ""
        """What still has it."""

    def write(self, text: str, /) -> int:
        if self._out is None:
            self.why_lost = "it is closed"
            return len(text)
        try:
            return self._out.write(text)
        except OSError as error:
            self._lose(self._out, error)
            return len(text)

    def flush(self) -> None:
        if self._out is None or self._out.closed:  # by the server, when its host has hung up
            return
        try:
            self._out.flush()
        except OSError as error:
            self._lose(self._out, error)

    def isatty(self) -> bool:
        return self._out is not None and self._out.isatty()

    def fileno(self) -> int:
        return super().fileno() if self._out is None else self._out.fileno()

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride] - in C it is a property too
        return "utf-8" if self._out is None else self._out.encoding

    def _lose(self, out: TextIO, error: OSError) -> None:
        self.why_lost = f"it cannot be written ({error.strerror})"
        # What is left in its buffer would be tried once more, and complained of, when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def still_has(remedy: str) -> None:
    """Name what still has the text that is printed from now on, should it not arrive."""
    if isinstance(sys.stdout, KeptOutput):
        sys.stdout.remedy = f" {remedy} still has it."
