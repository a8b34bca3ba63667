"""The bubblewrap sandbox: isolation, limits, and clean-up of processes."""

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from chargehand.evaluation.bench.orphans import adopting
from chargehand.tools.checking.sandbox import Command, Limits, Sandbox, SandboxFailed

pytestmark = pytest.mark.anyio


async def test_the_working_folder_is_a_copy_and_the_original_stays_unchanged(run_python, tmp_path):
    (tmp_path / "given.txt").write_text("given")

    run = await run_python("print(open('given.txt').read()); open('given.txt', 'w').write('changed')", tmp_path)

    assert (run.exit_code, run.output, run.killed_by) == (0, "given\n", None)
    assert (tmp_path / "given.txt").read_text() == "given"


async def test_descriptor_3_is_returned_separately_from_the_output(run_python):
    run = await run_python("import os; os.write(3, b'told'); print('printed')")

    assert (run.report, run.output) == (b"told", "printed\n")


async def test_the_code_inherits_only_its_standard_streams_and_the_report_descriptor(run_python):
    descriptors = [os.dup(0) for _ in range(40)]  # so that the pipes get high numbers

    run = await run_python("import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])")

    for descriptor in descriptors:
        os.close(descriptor)
    assert run.output == "['0', '1', '2', '3']\n"


async def test_standard_input_is_passed_in_full(sandbox: Sandbox):
    data = b"x" * 300_000

    run = await sandbox.run(
        Command([*sandbox.python, "-c", "import sys; print(len(sys.stdin.buffer.read()))"], stdin=data)
    )

    assert run.output == "300000\n"


async def test_unread_standard_input_is_not_an_error(sandbox: Sandbox):
    run = await sandbox.run(Command([*sandbox.python, "-c", ""], stdin=b"x" * 300_000))

    assert run.exit_code == 0


async def test_the_exit_code_is_returned(run_python):
    assert (await run_python("raise SystemExit(7)")).exit_code == 7


async def test_terminal_sequences_and_hidden_characters_are_removed_from_the_output(run_python):
    run = await run_python(r"print('\x1b[31mred\x1b[0m\x07 \u202edone\U000e0041')")

    assert run.output == "red done\n"


async def test_a_missing_command_is_reported(sandbox: Sandbox):
    with pytest.raises(SandboxFailed, match="No such file"):
        await sandbox.run(Command(["/no/such/command"]))


async def test_keys_in_the_servers_environment_are_not_visible(run_python, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret-canary")

    run = await run_python(
        "import glob, os\n"
        "print(sorted(os.environ))\n"
        "for path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    try: print(open(path).read())\n"
        "    except OSError: pass\n"
    )

    assert run.exit_code == 0
    assert "canary" not in run.output
    assert "ANTHROPIC" not in run.output


async def test_the_users_home_and_files_are_not_visible(run_python, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")

    run = await run_python(
        "import os\n"
        f"for path in ({str(secret)!r}, {str(Path(__file__))!r}, '/etc/group', '/etc/shadow'):\n"
        "    for way in (path, '/proc/1/root' + path, '/proc/self/root' + path):\n"
        "        try: print(open(way).read())\n"
        "        except OSError: print('closed')\n"
        f"print(os.path.exists({str(Path.home() / '.ssh')!r}))\n"
    )

    assert run.output == "closed\n" * 12 + "False\n"


async def test_symlinks_that_lead_out_of_the_folder_do_not_resolve(run_python, tmp_path):
    (tmp_path / "secret.txt").write_text("canary")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to("../secret.txt")
    (folder / "etc").symlink_to("/etc")

    run = await run_python(
        "import os\n"
        "for name in ('link', 'up', 'etc/group'):\n"
        "    print(os.path.islink(name), os.path.exists(name))\n"
        "open('link-of-mine', 'w').close(); os.symlink('/usr', 'to-usr')\n"
        "try: open('to-usr/x', 'w')\n"
        "except OSError as error: print(error.strerror)\n",
        folder,
    )

    assert run.output == "True False\nTrue False\nFalse False\nRead-only file system\n"
    assert (tmp_path / "secret.txt").read_text() == "canary"


async def test_only_the_scratch_folders_are_writable(run_python):
    run = await run_python(
        "import sys\n"
        "places = ['/work', '/tmp', '/dev/shm', '/', '/dev', '/usr', '/etc', '/checker', '/input', '/home', '/root',\n"
        "          '/proc', '/proc/sys/kernel', sys.base_prefix, sys.base_prefix + '/lib']\n"
        "for place in places:\n"
        "    try: open(place + '/written', 'w'); print(place)\n"
        "    except OSError: pass\n"
    )

    assert run.output.split() == ["/work", "/tmp", "/dev/shm"]


async def test_network_addresses_cannot_be_reached(run_python):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)

        run = await run_python(
            "import socket\n"
            f"for kind, address in ((1, ('127.0.0.1', {listener.getsockname()[1]})), (2, ('192.0.2.1', 53))):\n"
            "    try: socket.socket(socket.AF_INET, kind).connect(address); print('out')\n"
            "    except OSError as error: print('closed')\n"
        )

        assert run.output == "closed\nclosed\n"
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_a_server_that_the_code_starts_is_reached_as_localhost_and_by_the_hosts_name(run_python):
    run = await run_python(
        "import socket\n"
        "server = socket.create_server(('localhost', 0))\n"
        "for name in ('localhost', socket.gethostname()):\n"
        "    socket.create_connection((name, server.getsockname()[1])).close()\n"
        "print('reached')\n"
    )

    assert run.output.strip() == "reached"


async def test_git_commits_without_settings_of_the_user(sandbox: Sandbox):
    run = await sandbox.run(
        Command(["sh", "-c", "git init -q && git commit -q --allow-empty -m first && git log --format=%s"])
    )

    assert run.output.splitlines()[-1] == "first"


async def test_a_hundred_threads_run_at_once(sandbox: Sandbox):
    run = await sandbox.run(
        Command(
            [
                *sandbox.python,
                "-c",
                "import threading\n"
                "together = threading.Barrier(101)\n"
                "for _ in range(100): threading.Thread(target=together.wait).start()\n"
                "together.wait()\n"
                "print('together')\n",
            ],
            limits=Limits(wall_s=20),
        )
    )

    assert run.output == "together\n"


async def test_the_code_runs_unprivileged_and_cannot_gain_privileges(run_python):
    run = await run_python(
        "import os\n"
        "fields = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(0 in os.getresuid() + os.getresgid(), int(fields['CapEff'], 16), int(fields['NoNewPrivs']))\n"
        "try: os.setuid(0); print('root')\n"
        "except OSError: print('closed')\n"
    )

    assert run.output == "False 0 1\nclosed\n"


async def test_the_code_cannot_create_a_user_namespace_mount_or_trace(run_python):
    run = await run_python(
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "print(libc.unshare(0x10000000), libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))\n"
        "print(libc.ptrace(0, 0, 0, 0))\n"
    )

    assert run.output == "-1 -1\n-1\n"


async def test_threads_and_subprocesses_work(run_python):
    run = await run_python(
        "import multiprocessing, subprocess, sys, threading\n"
        "thread = threading.Thread(target=print, args=('thread',), kwargs={'flush': True})\n"
        "thread.start(); thread.join()\n"
        "subprocess.run([sys.executable, '-c', 'print(\"process\")'])\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))\n"
    )

    assert run.output == "thread\nprocess\n[1, 2]\n"


async def test_processes_of_the_machine_are_not_visible(run_python):
    run = await run_python("import os; print(sum(name.isdigit() for name in os.listdir('/proc')) <= 2)")

    assert run.output == "True\n"


async def test_only_the_standard_library_can_be_imported(run_python):
    run = await run_python(
        "import json, subprocess, sys, importlib.util as u\n"
        "names = ('pydantic', 'anyio', 'pytest', 'pip', 'chargehand')\n"
        "print([name for name in names if u.find_spec(name)])\n"
        "code = f'import importlib.util as u; print([name for name in {names} if u.find_spec(name)])'\n"
        "subprocess.run([sys.executable, '-c', code])\n"
    )

    assert run.output == "[]\n[]\n"


async def test_a_fork_bomb_is_stopped_by_the_process_limit(run_python):
    run = await run_python(
        "import os, signal\n"
        "children = 0\n"
        "try:\n"
        "    while children < 500:\n"
        "        if os.fork() == 0: signal.pause()\n"
        "        children += 1\n"
        "except OSError: print(children < 16)\n"
    )

    assert run.output == "True\n"


async def test_an_endless_fork_bomb_is_killed_by_the_wall_time_limit(run_python):
    code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"

    run = await run_python(code, wall_s=0.7)

    assert run.killed_by == "wall_time"


async def test_a_memory_bomb_gets_a_memory_error(run_python):
    run = await run_python("try: bytearray(300_000_000)\nexcept MemoryError: print('refused')")

    assert run.output == "refused\n"


@pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm"])
async def test_the_scratch_folders_are_limited_in_size(run_python, folder):
    run = await run_python(
        "try:\n"
        "    for number in range(100):\n"
        f"        open(f'{folder}/{{number}}', 'wb').write(bytes(1_000_000))\n"
        "except OSError as error: print(number < 20, error.strerror)\n"
    )

    assert run.output == "True No space left on device\n"


async def test_the_size_of_a_file_is_limited(run_python):
    run = await run_python("open('big', 'wb').write(bytes(3_000_000))", file_mb=1)

    assert run.exit_code != 0


async def test_an_endless_loop_is_killed_by_the_wall_time_limit(run_python):
    run = await run_python("while True: pass", wall_s=0.5)

    assert (run.exit_code, run.killed_by) == (None, "wall_time")


async def test_processor_time_is_limited_separately(run_python):
    run = await run_python("while True: pass", cpu_s=1)

    assert (run.exit_code, run.killed_by) == (None, "cpu_time")


async def test_endless_output_is_truncated_and_ends_the_run(run_python):
    run = await run_python("while True: print('x' * 1000)", output_kb=8)

    assert (run.exit_code, run.killed_by) == (None, "output")
    assert len(run.output) == 8 * 1024


async def test_an_endless_report_ends_the_run(run_python):
    run = await run_python("import os\nwhile True: os.write(3, b'x' * 60000)")

    assert run.killed_by == "output"


async def test_child_processes_do_not_outlive_the_run(run_python):
    marker = f"outliving-{os.getpid()}"

    run = await run_python(
        "import os, sys\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        os.execv(sys.executable, [sys.executable, '-c', 'import signal; signal.pause()', '{marker}'])\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )

    assert run.exit_code == 0
    assert processes_with(marker) == []


async def test_cancelling_a_run_ends_all_its_processes(sandbox: Sandbox):
    marker = f"cancelled-{os.getpid()}"
    command = [*sandbox.python, "-c", "import signal; signal.pause()", marker]

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sandbox.run, Command(command))
            await wait_for_process(marker)
            tasks.cancel_scope.cancel()

    assert processes_with(marker) == []


@pytest.mark.parametrize("moment", range(20))
async def test_cancelling_while_the_sandbox_starts_leaves_no_process(sandbox: Sandbox, moment: int):
    command = [*sandbox.python, "-c", "import signal; signal.pause()"]

    with adopting() as adoption:
        with anyio.move_on_after(moment * 0.003):
            await sandbox.run(Command(command))

        with anyio.fail_after(60):
            await wait_until(lambda: not adoption.orphans(()))


async def test_killing_the_server_ends_all_sandboxed_processes():
    marker = f"orphaned-{os.getpid()}"
    runner = await anyio.open_process([sys.executable, "-c", RUN_AND_WAIT, marker], stdout=None, stderr=None)
    with anyio.fail_after(60):
        await wait_for_process(f"in-the-sandbox-{marker}")

        runner.kill()
        await runner.wait()

        await wait_until(lambda: not processes_with(f"in-the-sandbox-{marker}"))


RUN_AND_WAIT = """
import anyio, sys
from chargehand.evaluation.bench.orphans import adopting
from chargehand.tools.checking.sandbox import Command
from chargehand.tools.checking.sandbox_search import find_sandbox

async def main():
    sandbox = (await find_sandbox()).sandbox
    command = [*sandbox.python, "-c", "import signal; signal.pause()", "in-the-sandbox-" + sys.argv[1]]
    await sandbox.run(Command(command))

anyio.run(main)
"""


async def test_concurrent_runs_do_not_share_their_limits(sandbox: Sandbox):
    code = "import os, signal\nfor _ in range(8):\n    if os.fork() == 0: signal.alarm(1); signal.pause()\nprint('all')"
    outputs: list[str] = []

    async def run() -> None:
        outputs.append((await sandbox.run(Command([*sandbox.python, "-c", code], limits=Limits(processes=12)))).output)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(run)

    assert outputs == ["all\n"] * 3


def processes_with(marker: str) -> list[str]:
    """Command lines of other processes on this machine that contain the marker."""
    lines: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if marker in line and str(os.getpid()) != path.parent.name:
            lines.append(line)
    return lines


async def wait_for_process(marker: str) -> None:
    """Wait until the innermost process runs; the command line of bubblewrap also contains the launcher."""
    await wait_until(lambda: any("launcher.py" not in line for line in processes_with(marker)))


async def wait_until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # other processes set no event
        await anyio.sleep(0.01)
