"""Executes answers in this machine's sandbox, or says why it cannot."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..guarding.secrets import SecretSearch
from .result import CheckResult
from .sandbox import Limits, Sandbox

# Imported only when there is code to check, so that the server starts faster.
if TYPE_CHECKING:
    from .node import Node
    from .running_node import InProject
    from .sandbox_search import SandboxSearch


@dataclass(frozen=True)
class Executor:
    find_sandbox: "Callable[[], Awaitable[SandboxSearch]]"
    limits: Limits = field(default_factory=Limits)
    find_node: "Callable[[], Awaitable[Node | None]] | None" = None
    """None: the `node` on PATH."""
    search: SecretSearch = field(default_factory=SecretSearch)
    """Finds secrets in the output of checks."""

    async def sandbox(self) -> Sandbox | str:
        """The sandbox, or the reason why there is none, with the remedy."""
        search = await self.find_sandbox()
        if search.sandbox is not None:
            return search.sandbox
        return f"{search.reason}; {search.remedy}" if search.remedy else str(search.reason)

    async def node_tests(
        self, code: str, tests: str, sandbox: Sandbox, in_project: "InProject | None" = None
    ) -> CheckResult:
        from .node import find_node
        from .running_node import run_node_tests

        node = await (self.find_node or find_node)()
        return await run_node_tests(code, tests, sandbox, node, self.limits, in_project, self.search)

    async def tests_of_a_file(self, tests: str, language: str | None, copy: Path, sandbox: Sandbox) -> CheckResult:
        """Run tests of a file that they cannot import (a README, a stylesheet, a query) and read in the copy instead.

        language: that of the tests, `python` or `javascript`.
        """
        from .running import InPlace, run_tests
        from .running_node import InProject

        if language == "javascript":
            return await self.node_tests("", tests, sandbox, InProject(copy, None))
        return await run_tests("", tests, sandbox, self.limits, InPlace(copy, None), self.search)
