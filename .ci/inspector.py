"""Has the MCP Inspector's command line list and call every tool of the real server, in both protocol eras."""

import json
import sys
import tempfile
from pathlib import Path

import anyio
from npm import install

from chargehand.evaluation.peers.reply import Ask, Reply
from chargehand.evaluation.peers.vendors import vendors

INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
TIMEOUT_S = 90

TASK = "Rename n to count: def double(n): return 2 * n"
CALLS = {
    "route_task": {"task": TASK},
    "delegate_generation": {"task": TASK, "tests": "assert double(2) == 4"},
    "validate_code": {"code": "def double(count):\n    return 2 * count\n"},
    "strategic_review": {"goal": "Ship it", "progress": "Half done"},
    "report_outcome": {"task_id": "", "outcome": "accepted"},
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
    return 0


async def inspect(inspector: list[str], environment: dict[str, str], era: str, *arguments: str) -> dict:
    server = [sys.executable, "-m", "chargehand.server"]
    variables = [part for name, value in environment.items() for part in ("-e", f"{name}={value}")]
    command = [*inspector, *server, *variables, "--protocol-era", era, *arguments, "--format", "json", "-q"]
    with anyio.fail_after(TIMEOUT_S):
        done = await anyio.run_process(command, check=False)
    if done.returncode:
        raise SystemExit(
            f"{era} {arguments}: exit code {done.returncode}\n{done.stdout.decode()}{done.stderr.decode()}"
        )
    return json.loads(done.stdout)["result"]


if __name__ == "__main__":
    sys.exit(anyio.run(main))
