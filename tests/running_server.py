"""A running server as tests see it: the real server with the real adapters; only the vendors are local peers."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp import Client
from mcp.types import CallToolResult

from chargehand.evaluation.peers.reply import Ask, Fault, Reply
from chargehand.evaluation.peers.vendors import Vendors


@dataclass
class Script:
    """The peers' answers, by wire id: each model gives its answers in order and then repeats the last one."""

    answers: dict[str, list[Reply | Fault]] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    was_asked: anyio.Event = field(default_factory=anyio.Event)
    """Set by the first request; waiting for it leaves the processor to a server in another process."""

    def __call__(self, ask: Ask) -> Reply | Fault:
        earlier = sum(other.model == ask.model for other in self.asked)
        self.asked.append(ask)
        self.was_asked.set()
        answers = self.answers[ask.model]
        return answers[min(earlier, len(answers) - 1)]

    @property
    def models(self) -> list[str]:
        """The wire ids of all requests, in order."""
        return [ask.model for ask in self.asked]


@dataclass
class RunningServer:
    """A server, its client and its vendors."""

    client: Client
    vendors: Vendors

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured result; fails the test on an error."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, text_of(result)
        assert result.structured_content is not None
        return result.structured_content

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """Call a tool and return its error text; fails the test if the call succeeds."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, result.structured_content
        return text_of(result)


def text_of(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if block.type == "text")


Connect = Callable[..., AbstractAsyncContextManager[Client]]
"""The fixture `connect` of tests/server/conftest.py."""

OpenServer = Callable[..., AbstractAsyncContextManager[RunningServer]]
"""The fixture `open_server` of tests/server/conftest.py."""


def fenced(code: str, language: str = "python") -> str:
    return f"Here it is.\n\n```{language}\n{code}\n```\n"
