"""A sandbox in which environment variables of the user's choice are set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .sandbox import Limits, Sandbox, SandboxRun


@dataclass(frozen=True)
class WithVariables:
    """Sets variables for each command in another sandbox; they can replace those that every sandbox has."""

    sandbox: Sandbox
    variables: tuple[tuple[str, str], ...]
    """Names and values. The code inside can read them, and so can the machine's other users while it runs."""

    @property
    def name(self) -> str:
        return self.sandbox.name

    @property
    def python(self) -> Sequence[str]:
        return self.sandbox.python

    @property
    def packages(self) -> str | None:
        return self.sandbox.packages

    async def run(
        self,
        command: Sequence[str],
        folder: Path | None,
        limits: Limits,
        *,
        stdin: bytes = b"",
        read_only: Mapping[str, Path] | None = None,
    ) -> SandboxRun:
        settings = [f"{name}={value}" for name, value in self.variables]
        return await self.sandbox.run(
            ["/usr/bin/env", *settings, *command], folder, limits, stdin=stdin, read_only=read_only
        )
