"""Lists and calls every tool of the real server with the MCP Inspector's CLI, in both protocol eras.

Then makes many concurrent calls over HTTP, each of which must be answered; speed is not judged.
"""

import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
from npm import install

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import vendors

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
SERVER = (sys.executable, "-m", "chargehand.server")
TIMEOUT_S = 90

TASK = "Rename n to count: def double(n): return 2 * n"
CALLS = {
    "route_task": {"task": TASK},
    "delegate_generation": {"task": TASK, "tests": "assert double(2) == 4"},
    "validate_code": {"code": "def double(count):\n    return 2 * count\n"},
    "strategic_review": {"goal": "Ship it", "progress": "Half done"},
    "report_outcome": {"task_id": "", "outcome": "accepted"},
}
LOADS = {
    # Arguments, calls, concurrency. Both eras together stay below a caller's limit per minute.
    "route_task": ({"task": TASK}, 200, 8),
    "validate_code": ({"code": "def double(count):\n    return 2 * count\n", "depth": "static"}, 50, 4),
    "delegate_generation": ({"task": TASK}, 24, 4),
}


def answer(ask: Ask) -> Reply:
    said = "\n".join(text for _, text in ask.messages)
    if "You direct a software project" in said:
        return Reply('{"verdict": "continue", "guidance": "Go on."}')
    if "You review code for defects" in said:
        return Reply('{"verdict": "pass", "findings": []}')
    return Reply("```python\ndef double(count):\n    return 2 * count\n```")


async def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inspector = [install(INSPECTOR, "mcp-inspector", folder), "--cli"]
        async with vendors(answer) as peers:
            environment = peers.environment | {"CHARGEHAND_HOME": f"{folder}/home"}
            for era in ("legacy", "modern"):
                listed = await inspect(inspector, environment, era, "--method", "tools/list", "--strict")
                names = [tool["name"] for tool in listed["tools"]]
                assert names == list(CALLS), names
                task_id = ""
                for tool, arguments in CALLS.items():
                    given = arguments | ({"task_id": task_id} if tool == "report_outcome" else {})
                    call = ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(given)]
                    result = await inspect(inspector, environment, era, *call)
                    assert not result.get("isError"), result
                    task_id = result["structuredContent"].get("task_id", task_id)
                    print(f"{era}: {tool}: {result['content'][0]['text'].splitlines()[0]}")
                    if tool == "delegate_generation":
                        assert result["structuredContent"]["status"] == "succeeded", result
            async with serving_http(environment) as url:
                for era in ("legacy", "modern"):
                    for tool, (arguments, calls, at_once) in LOADS.items():
                        await load(inspector, url, era, tool, arguments, calls, at_once)
    return 0


@contextlib.asynccontextmanager
async def serving_http(environment: dict[str, str]) -> AsyncGenerator[str]:
    """Starts the server over HTTP as a process, and yields its URL."""
    command = [*SERVER, "serve", "--http", "--port", "0"]
    async with await anyio.open_process(command, env=os.environ | environment, stdout=None) as server:
        try:
            assert server.stderr is not None
            with anyio.fail_after(TIMEOUT_S):
                said = await server.stderr.receive()
            (url,) = re.findall(r"http://\S+/mcp", said.decode())
            yield url
        finally:
            server.terminate()


async def load(
    inspector: list[str], url: str, era: str, tool: str, arguments: dict[str, str], calls: int, at_once: int
) -> None:
    """Make concurrent calls; each must be answered without an error."""
    call = ["--method", "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments)]
    many = ["--load", "--load-requests", str(calls), "--load-concurrency", str(at_once)]
    done = await run([*inspector, url], era, *call, *many)
    assert (done["requests"], done["ok"], done["toolErrors"], done["errors"]) == (calls, calls, 0, 0), done
    print(f"{era}: {tool}: {calls} calls, {at_once} at a time: all answered")


async def inspect(inspector: list[str], environment: dict[str, str], era: str, *arguments: str) -> dict:
    variables = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
    return await run([*inspector, *SERVER, *variables], era, *arguments)


async def run(inspecting: list[str], era: str, *arguments: str) -> dict:
    """The result that the Inspector prints."""
    command = [*inspecting, "--protocol-era", era, *arguments, "--format", "json", "-q"]
    with anyio.fail_after(TIMEOUT_S):
        done = await anyio.run_process(command, check=False)
    if done.returncode:
        raise SystemExit(
            f"{era} {arguments}: exit code {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}"
        )
    return json.loads(done.stdout)["result"]


if __name__ == "__main__":
    sys.exit(anyio.run(main))
