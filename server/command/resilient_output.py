"""Standard output for all commands except serving: a write error is reported at the end instead of raised."""

import io
import os
import sys
from typing import TextIO


class ResilientOutput(io.TextIOBase):
    """A text stream that records write errors and discards the text instead of raising."""

    def __init__(self, out: TextIO | None) -> None:
        """out: None if the process was started with standard output closed."""
        self._out = out
        self.why_failed: str | None = None
        """Why output was lost. None: none was."""
        self.remedy = ""
        """Where the lost output can still be found."""

    def write(self, text: str, /) -> int:
        if self._out is None:
            self.why_failed = "it is closed"
            return len(text)
        try:
            return self._out.write(text)
        except OSError as error:
            self._lose(self._out, error)
            return len(text)

    def flush(self) -> None:
        if self._out is None or self._out.closed:  # closed by the server, when its host has disconnected
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
        self.why_failed = f"it cannot be written ({error.strerror})"
        # Otherwise the rest of the buffer would be written again, and the error printed, when the process exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def set_fallback(remedy: str) -> None:
    """Name where the text printed from now on can be found if writing it fails."""
    if isinstance(sys.stdout, ResilientOutput):
        sys.stdout.remedy = f" {remedy} still has it."
