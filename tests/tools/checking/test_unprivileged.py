"""The sandbox of an ordinary user; if the tests run as root, an unprivileged user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

pytestmark = pytest.mark.anyio

NOBODY = 65534
ROOT = Path(__file__).parents[3]

CHECK = """
import json, sys, types
package = types.ModuleType("chargehand")
package.__path__ = [sys.argv[1]]
sys.modules["chargehand"] = package
sys.path[:0] = json.loads(sys.argv[2])

import os, socket, tempfile
import anyio
from chargehand.tools.checking.node import find_node
from chargehand.tools.checking.running import run_tests
from chargehand.tools.checking.running_node import run_node_tests
from chargehand.tools.checking.sandbox import Command, Limits
from chargehand.tools.checking.sandbox_search import find_sandbox

FORKS = '''
import os, signal
children = 0
try:
    while children < 100:
        if os.fork() == 0: signal.pause()
        children += 1
except OSError: pass
print(children < 12, os.getuid() != 0)
'''

SMALL = Limits(wall_s=30, cpu_s=20, memory_mb=256, processes=12, output_kb=64)

def tried(deed):
    return f"try:\\n    {deed}\\nexcept (OSError, MemoryError): print('held')\\nelse: print('GOT OUT')"

async def attacks(sandbox):
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as folder, socket.socket() as listener:
        canary = os.path.join(ours, "canary")
        open(canary, "w").close()
        os.symlink(canary, os.path.join(folder, "link"))
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        code = {
            "reads a file of ours": tried(f"open({canary!r})"),
            "follows a link out": tried("open('link')"),
            "reads the system's users": tried("open('/etc/group')"),
            "writes beside our files": tried(f"open({canary + '-out'!r}, 'w')"),
            "writes into the system": tried("open('/usr/bin/out', 'w')"),
            "calls a port": tried(f"__import__('socket').create_connection({listener.getsockname()!r}, 5)"),
            "takes memory": tried("bytearray(10**9)"),
        }
        said = {name: (await sandbox.run(Command([*sandbox.python, "-c", text], folder, SMALL))).output.strip()
                for name, text in code.items()}
    keys = await sandbox.run(Command([*sandbox.python, "-c", "import os; print(*os.environ)"], limits=SMALL))
    said["sees a key"] = "GOT OUT" if "ANTHROPIC_API_KEY" in keys.output else "held"
    loop = await sandbox.run(Command([*sandbox.python, "-c", "while True: pass"], limits=Limits(wall_s=0.5)))
    flood = await sandbox.run(Command([*sandbox.python, "-c", "while True: print('x' * 1000)"], limits=SMALL))
    left = "import os, signal\\nif os.fork() == 0: os.setsid(); signal.pause()"
    child = await sandbox.run(Command([*sandbox.python, "-c", left], limits=SMALL))  # raises when it outlives
    return said | {"never ends": loop.killed_by, "floods": flood.killed_by, "leaves a child": child.exit_code}

async def main():
    search = await find_sandbox()
    sandbox = search.sandbox
    if sandbox is None:
        print(json.dumps([search.reason]))
        return
    forks = await sandbox.run(Command([*sandbox.python, "-c", FORKS], limits=Limits(processes=12)))
    answer = "def add(a, b): return a + b"
    script = await run_tests(answer, "assert add(1, 2) == 3", sandbox)
    module = await run_tests(answer, "def test_add(): assert add(1, 2) == 3", sandbox)
    counted = "test('add', () => assert.equal(add(1, 2), 3));"
    in_node = await run_node_tests("const add = (a, b) => a + b;", counted, sandbox, await find_node())
    held = await attacks(sandbox)
    print(json.dumps([forks.output, script.outcome, module.outcome, in_node.outcome, held]))

anyio.run(main)
"""


def interpreter_for(user: int | None) -> str | None:
    """A Python that the user may run and that can import the packages of this environment. None: there is none."""
    probe = (
        f"import sys; import pydantic, ruff; open({str(ROOT / 'tools' / '__init__.py')!r}); print(sys.version_info[:2])"
    )
    for candidate in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            process = subprocess.run(
                [candidate, "-B", "-c", f"import sys; sys.path[:0] = {packages()!r}; {probe}"],
                user=user, capture_output=True, text=True, check=False,
            )  # fmt: skip
        except OSError:
            continue
        if process.returncode == 0 and process.stdout.strip() == str(sys.version_info[:2]):
            return candidate
    return None


def packages() -> list[str]:
    return [path for path in sys.path if path.endswith("site-packages")]


async def test_an_ordinary_user_has_a_working_sandbox_that_holds():
    user = NOBODY if os.geteuid() == 0 else None
    python = await anyio.to_thread.run_sync(interpreter_for, user)
    if python is None:
        pytest.skip("no Python here that a user without rights may run: run the tests as an ordinary user to see this")

    with anyio.fail_after(180):
        process = await anyio.run_process(
            [python, "-B", "-c", CHECK, str(ROOT), json.dumps(packages())],
            user=user,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "ANTHROPIC_API_KEY": "made-up"},
            stderr=None,
        )

    *outcomes, attacks = json.loads(process.stdout)
    assert outcomes == ["True True\n", "passed", "passed", "passed"]
    endings = [attacks.pop(name) for name in ("never ends", "floods", "leaves a child")]
    assert endings == ["wall_time", "output", 0]
    assert attacks == dict.fromkeys(attacks, "held")
    assert len(attacks) == 8
