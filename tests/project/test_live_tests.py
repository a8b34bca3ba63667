"""The live tests, run against the strict local peers: they pass, fail on a wrong key, and are skipped aloud."""

import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from open_peer import OpenAICompatiblePeer, OpenModel
from running_server import fenced

from chargehand.evaluation.peers.reply import Ask, Reply, Stall
from chargehand.evaluation.peers.serving import serving
from chargehand.evaluation.peers.vendors import KEY, vendors

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


def obey(ask: Ask) -> Reply | Stall:
    """Count as far as the live tests ask; what they cancel would never end."""
    _, wanted = ask.messages[-1]
    if "from 1 to 20," in wanted:
        return Reply(" ".join(map(str, range(1, 21))), thinking="Up to twenty.")
    if "from 1 to 2000," in wanted:
        numbers = Reply(" ".join(map(str, range(1, 2001))), thinking="Up to two thousand.")
        return Stall(numbers, until=anyio.Event(), after=9) if "1500" in str(ask.body) else numbers
    return Reply(fenced("def double(n):\n    return 2 * n"))


@asynccontextmanager
async def peers_of_all_vendors() -> AsyncGenerator[dict[str, str]]:
    """Yields the environment in which the live tests reach them."""
    compatible = OpenAICompatiblePeer(obey, (OpenModel("org/own-qwen"),), api_key=KEY)
    async with vendors(obey) as peers, serving(compatible.app) as url:
        yield peers.environment | {
            "LIVE_COMPATIBLE_URL": f"{url}/v1",
            "LIVE_COMPATIBLE_MODEL": "org/own-qwen",
            "LIVE_COMPATIBLE_KEY": KEY,
        }


async def run_pytest(folder: Path, variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
    with anyio.fail_after(300):
        return await anyio.run_process(
            [sys.executable, "-m", "pytest", *arguments], cwd=ROOT, env=environment, check=False
        )


async def test_the_live_tests_pass_on_peers_that_answer_as_the_vendors_document(tmp_path: Path):
    async with peers_of_all_vendors() as variables:
        run = await run_pytest(tmp_path, variables, "tests/live")

    output = run.stdout.decode()
    assert run.returncode == 0, output
    assert "skipped" not in output


async def test_a_wrong_key_fails_the_live_tests(tmp_path: Path):
    async with peers_of_all_vendors() as variables:
        wrong = {name: "a-wrong-key" for name in variables if name.endswith("_KEY")}
        run = await run_pytest(tmp_path, variables | wrong, "tests/live", "-k", "arrives_in_pieces")

    assert run.returncode == 1
    assert "3 failed, 1 passed" in run.stdout.decode()


async def test_a_vendor_that_is_not_set_up_is_skipped_with_the_variables_to_set(tmp_path: Path):
    run = await run_pytest(tmp_path, {"OLLAMA_HOST": "http://127.0.0.1:9"}, "tests/live")

    output = run.stdout.decode()
    assert run.returncode == 0, output
    assert "passed" not in output
    for name in ("ANTHROPIC_API_KEY", "CEREBRAS_API_KEY", "OLLAMA_HOST", "LIVE_COMPATIBLE_URL"):
        assert name in output


async def test_a_plain_run_leaves_the_live_tests_out(tmp_path: Path):
    run = await run_pytest(tmp_path, {}, "--collect-only", "--ignore-glob=tests/[!l]*")

    assert run.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, run.stdout.decode()
