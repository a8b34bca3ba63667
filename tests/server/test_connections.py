"""Every connection that a server process makes, as the interpreter's audit hook sees them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from house import Script
from rename_task import RENAME, STILL_WRONG, TESTS, WRONG

from chargehand.evaluation.bench.stdio_host import Host, hosts
from chargehand.evaluation.peers.reply import Reply
from chargehand.evaluation.peers.vendors import vendors

pytestmark = pytest.mark.anyio

BOUND_S = 120
LOCAL = "qwen3:30b-a3b"
CODE_REVIEW = Reply('{"verdict": "pass", "findings": []}')
DIRECTION = Reply('{"verdict": "continue", "guidance": "Go on."}')

# Loaded by the interpreter before anything else. Writes the name and the target of what opens a way out.
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


_HERE = ("127.0.0.1", "localhost", "::1")


class Watched:
    """A server that is watched, and what it did."""

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
            # Names of a zone that never exists (RFC 2606): reaching for them fails, and shows.
            "ANTHROPIC_API_KEY": "made-up",
            "ANTHROPIC_BASE_URL": "https://anthropic.invalid",
            "CEREBRAS_API_KEY": "made-up",
            "CEREBRAS_BASE_URL": "https://cerebras.invalid",
            "HTTP_PROXY": "http://proxy.invalid:3128",
            "HTTPS_PROXY": "http://proxy.invalid:3128",
            **environment,
        }

    def reached(self) -> set[str]:
        """What is not on this machine among the targets."""
        events = [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return {target for _, target in events if not any(f"'{name}'" in target for name in _HERE)}

    def is_awake(self) -> bool:
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


@pytest.mark.parametrize("how", ["call", "setting"])
async def test_with_local_only_every_connection_stays_on_the_machine(tmp_path: Path, how: str):
    script = Script({LOCAL: [WRONG, STILL_WRONG, CODE_REVIEW, DIRECTION, CODE_REVIEW]})
    async with vendors(script) as peers:
        environment = {"OLLAMA_HOST": peers.environment["OLLAMA_HOST"]}
        if how == "setting":
            environment["CHARGEHAND_LOCAL_ONLY"] = "true"
        watched = Watched(tmp_path, environment)
        with anyio.fail_after(BOUND_S):
            async with hosts(watched.environment, tmp_path) as started:
                host = await started.start()
                answers = await use_every_tool(host, **({"local_only": True} if how == "call" else {}))

    assert all(answer is not None for answer in answers)
    assert LOCAL in script.models
    assert watched.is_awake()
    assert watched.reached() == set()


@pytest.mark.parametrize("how", ["call", "setting"])
async def test_with_local_only_an_ollama_elsewhere_is_left_alone(tmp_path: Path, how: str):
    environment = {"OLLAMA_HOST": "http://ollama.invalid:11434"}
    if how == "setting":
        environment |= {"CHARGEHAND_LOCAL_ONLY": "true", "CHARGEHAND_EMBEDDER": "ollama:nomic-embed-text"}
    watched = Watched(tmp_path, environment)
    with anyio.fail_after(BOUND_S):
        async with hosts(watched.environment, tmp_path) as started:
            host = await started.start()
            answers = await use_every_tool(host, **({"local_only": True} if how == "call" else {}))

    assert answers[0] is not None
    assert answers[0]["status"] == "refused"
    assert watched.reached() == set()


async def test_the_watcher_sees_what_leaves(tmp_path: Path):
    watched = Watched(tmp_path, {"OLLAMA_HOST": "http://127.0.0.1:9"})
    with anyio.fail_after(BOUND_S):
        async with hosts(watched.environment, tmp_path) as started:
            host = await started.start()
            await ask(host, "delegate_generation", task=RENAME, tests=TESTS)

    assert any("proxy.invalid" in target or "invalid" in target for target in watched.reached())
