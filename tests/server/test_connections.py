"""Every connection of a server process, as seen by the interpreter's audit hook."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from rename_task import RENAME, STILL_WRONG, TESTS, WRONG
from running_server import Script

from chargehand.evaluation.bench.stdio_host import Host, hosts
from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import vendors

pytestmark = pytest.mark.anyio

BOUND_S = 120
LOCAL = "qwen3:30b-a3b"
CODE_REVIEW = Reply('{"verdict": "pass", "findings": []}')
DIRECTION = Reply('{"verdict": "continue", "guidance": "Go on."}')

# Loaded by the interpreter at its start. Logs the name and the target of every event that opens a connection.
WATCHER = """
import json, os, sys
_log = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def _watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        os.write(_log, (json.dumps([event, repr(args[1])]) + "\\n").encode())
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        os.write(_log, (json.dumps([event, repr(args[0])]) + "\\n").encode())
sys.addaudithook(_watch)
"""


_LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


class WatchedServer:
    """The environment of a watched server, and the connections that it made."""

    def __init__(self, tmp_path: Path, environment: Mapping[str, str]) -> None:
        hooks = tmp_path / "hooks"
        hooks.mkdir()
        (hooks / "sitecustomize.py").write_text(WATCHER)
        project = tmp_path / "project"
        project.mkdir()
        self.log = tmp_path / "connections"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": str(hooks),
            "WATCHED": str(self.log),
            "CHARGEHAND_HOME": str(tmp_path / "chargehand-home"),
            "CHARGEHAND_ROOTS": str(project),
            # Names in a domain that never exists (RFC 2606): connecting to them fails, and is logged.
            "ANTHROPIC_API_KEY": "made-up",
            "ANTHROPIC_BASE_URL": "https://anthropic.invalid",
            "CEREBRAS_API_KEY": "made-up",
            "CEREBRAS_BASE_URL": "https://cerebras.invalid",
            "HTTP_PROXY": "http://proxy.invalid:3128",
            "HTTPS_PROXY": "http://proxy.invalid:3128",
            **environment,
        }

    def remote_targets(self) -> set[str]:
        """The targets that are not on this machine."""
        events = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return {target for _, target in events if not any(f"'{name}'" in target for name in _LOCAL_NAMES)}

    def has_logged(self) -> bool:
        return self.log.exists() and bool(self.log.read_text())


async def ask(host: Host, tool: str, **arguments: Any) -> Mapping[str, Any] | None:
    call = await host.call(tool, arguments)
    await call.done.wait()
    return call.answer


async def use_every_tool(host: Host, **arguments: Any) -> list[Mapping[str, Any] | None]:
    receipt = await ask(host, "delegate_generation", task=RENAME, tests=TESTS, max_attempts=20, **arguments)
    assert receipt is not None
    return [
        receipt,
        await ask(host, "route_task", task=RENAME, **arguments),
        await ask(host, "validate_code", code="def f(): return 1\n", depth="review", **arguments),
        await ask(host, "strategic_review", goal="g", progress="p", **arguments),
        await ask(host, "validate_code", task_id=receipt["task_id"], depth="review", **arguments),
    ]


@pytest.mark.parametrize("set_by", ["call", "setting"])
async def test_local_only_opens_no_connection_to_another_machine(tmp_path: Path, set_by: str):
    script = Script({LOCAL: [WRONG, STILL_WRONG, CODE_REVIEW, DIRECTION, CODE_REVIEW]})
    async with vendors(script) as peers:
        environment = {"OLLAMA_HOST": peers.environment["OLLAMA_HOST"]}
        if set_by == "setting":
            environment["CHARGEHAND_LOCAL_ONLY"] = "true"
        watched = WatchedServer(tmp_path, environment)
        with anyio.fail_after(BOUND_S):
            async with hosts(watched.environment, tmp_path) as started:
                host = await started.start()
                answers = await use_every_tool(host, **({"local_only": True} if set_by == "call" else {}))

    assert all(answer is not None for answer in answers)
    assert LOCAL in script.models
    assert watched.has_logged()
    assert watched.remote_targets() == set()


@pytest.mark.parametrize("set_by", ["call", "setting"])
async def test_local_only_does_not_contact_a_remote_ollama(tmp_path: Path, set_by: str):
    environment = {"OLLAMA_HOST": "http://ollama.invalid:11434"}
    if set_by == "setting":
        environment |= {"CHARGEHAND_LOCAL_ONLY": "true", "CHARGEHAND_EMBEDDER": "ollama:nomic-embed-text"}
    watched = WatchedServer(tmp_path, environment)
    with anyio.fail_after(BOUND_S):
        async with hosts(watched.environment, tmp_path) as started:
            host = await started.start()
            answers = await use_every_tool(host, **({"local_only": True} if set_by == "call" else {}))

    assert answers[0] is not None
    assert answers[0]["status"] == "refused"
    assert watched.remote_targets() == set()


async def test_the_watcher_detects_connections_to_other_machines(tmp_path: Path):
    watched = WatchedServer(tmp_path, {"OLLAMA_HOST": "http://127.0.0.1:9"})
    with anyio.fail_after(BOUND_S):
        async with hosts(watched.environment, tmp_path) as started:
            host = await started.start()
            await ask(host, "delegate_generation", task=RENAME, tests=TESTS)

    assert any("proxy.invalid" in target or "invalid" in target for target in watched.remote_targets())
