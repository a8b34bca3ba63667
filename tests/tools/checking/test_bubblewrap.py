import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from chargehand.evaluation.bench.orphans import adopting
from chargehand.tools.checking.sandbox import Limits, Sandbox, SandboxFailed

pytestmark = pytest.mark.anyio


async def test_the_folder_is_the_working_folder_and_its_original_stays_as_it_was(run_python, tmp_path):
    (tmp_path / "given.txt").write_text("given")

    run = await run_python("print(open('given.txt').read()); open('given.txt', 'w').write('changed')", tmp_path)

    assert (run.exit_code, run.output, run.killed_by) == (0, "given\n", None)
    assert (tmp_path / "given.txt").read_text() == "given"


async def test_descriptor_three_comes_back_apart_from_the_output(run_python):
    run = await run_python("import os; os.write(3, b'told'); print('printed')")

    assert (run.report, run.output) == (b"told", "printed\n")


async def test_the_code_gets_no_descriptor_of_ours_but_its_streams_and_the_report(run_python):
    many = [os.dup(0) for _ in range(40)]  # so that the pipes' own numbers are high

    run = await run_python("import os; print(sorted(os.listdir('/proc/self/fd'), key=int)[:-1])")

    for descriptor in many:
        os.close(descriptor)
    assert run.output == "['0', '1', '2', '3']\n"


async def test_what_is_given_on_standard_input_arrives_whole(sandbox: Sandbox):
    data = b"x" * 300_000

    run = await sandbox.run(
        [*sandbox.python, "-c", "import sys; print(len(sys.stdin.buffer.read()))"], None, Limits(), stdin=data
    )

    assert run.output == "300000\n"


async def test_input_that_nobody_reads_is_no_error(sandbox: Sandbox):
    run = await sandbox.run([*sandbox.python, "-c", ""], None, Limits(), stdin=b"x" * 300_000)

    assert run.exit_code == 0


async def test_an_exit_code_comes_back(run_python):
    assert (await run_python("raise SystemExit(7)")).exit_code == 7


async def test_terminal_sequences_and_hidden_characters_do_not_come_back(run_python):
    run = await run_python(r"print('\x1b[31mred\x1b[0m\x07 \u202edone\U000e0041')")

    assert run.output == "red done\n"


async def test_a_command_that_does_not_exist_says_so(sandbox: Sandbox):
    with pytest.raises(SandboxFailed, match="No such file"):
        await sandbox.run(["/no/such/command"], None, Limits())


async def test_keys_of_our_environment_are_not_inside(run_python, monkeypatch):
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


async def test_our_home_and_our_files_are_not_inside(run_python, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("canary")

    run = await run_python(
        "import os\n"
        f"for path in ({str(secret)!r}, {str(Path(__file__))!r}, '/etc/passwd', '/etc/shadow'):\n"
        "    for way in (path, '/proc/1/root' + path, '/proc/self/root' + path):\n"
        "        try: print(open(way).read())\n"
        "        except OSError: print('closed')\n"
        f"print(os.path.exists({str(Path.home() / '.ssh')!r}))\n"
    )

    assert run.output == "closed\n" * 12 + "False\n"


async def test_a_link_that_leads_out_of_the_folder_leads_nowhere(run_python, tmp_path):
    (tmp_path / "secret.txt").write_text("canary")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to("../secret.txt")
    (folder / "etc").symlink_to("/etc")

    run = await run_python(
        "import os\n"
        "for name in ('link', 'up', 'etc/passwd'):\n"
        "    print(os.path.islink(name), os.path.exists(name))\n"
        "open('link-of-mine', 'w').close(); os.symlink('/usr', 'to-usr')\n"
        "try: open('to-usr/x', 'w')\n"
        "except OSError as error: print(error.strerror)\n",
        folder,
    )

    assert run.output == "True False\nTrue False\nFalse False\nRead-only file system\n"
    assert (tmp_path / "secret.txt").read_text() == "canary"


async def test_nothing_but_the_scratch_can_be_written(run_python):
    run = await run_python(
        "import sys\n"
        "places = ['/work', '/tmp', '/dev/shm', '/', '/dev', '/usr', '/etc', '/checker', '/input', '/home', '/root',\n"
        "          '/proc', '/proc/sys/kernel', sys.base_prefix, sys.base_prefix + '/lib']\n"
        "for place in places:\n"
        "    try: open(place + '/written', 'w'); print(place)\n"
        "    except OSError: pass\n"
    )

    assert run.output.split() == ["/work", "/tmp", "/dev/shm"]


async def test_no_address_can_be_reached(run_python):
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


async def test_the_code_is_nobody_without_capabilities_and_cannot_gain_any(run_python):
    run = await run_python(
        "import os\n"
        "fields = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(0 in os.getresuid() + os.getresgid(), int(fields['CapEff'], 16), int(fields['NoNewPrivs']))\n"
        "try: os.setuid(0); print('root')\n"
        "except OSError: print('closed')\n"
    )

    assert run.output == "False 0 1\nclosed\n"


async def test_the_code_cannot_make_a_user_namespace_to_gain_capabilities_in(run_python):
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


async def test_no_process_of_the_machine_is_in_sight(run_python):
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


async def test_a_fork_bomb_stops_at_the_limit(run_python):
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


async def test_a_fork_bomb_that_never_gives_up_ends_with_the_clock(run_python):
    code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"

    run = await run_python(code, wall_s=0.7)

    assert run.killed_by == "wall_time"


async def test_a_memory_bomb_gets_an_error_and_not_the_memory(run_python):
    run = await run_python("try: bytearray(300_000_000)\nexcept MemoryError: print('refused')")

    assert run.output == "refused\n"


@pytest.mark.parametrize("folder", [".", "/tmp", "/dev/shm"])
async def test_the_scratch_has_a_size(run_python, folder):
    run = await run_python(
        "try:\n"
        "    for number in range(100):\n"
        f"        open(f'{folder}/{{number}}', 'wb').write(bytes(1_000_000))\n"
        "except OSError as error: print(number < 20, error.strerror)\n"
    )

    assert run.output == "True No space left on device\n"


async def test_one_file_has_a_size(run_python):
    run = await run_python("open('big', 'wb').write(bytes(3_000_000))", file_mb=1)

    assert run.exit_code != 0


async def test_an_endless_loop_ends_with_the_clock(run_python):
    run = await run_python("while True: pass", wall_s=0.5)

    assert (run.exit_code, run.killed_by) == (None, "wall_time")


async def test_processor_time_has_a_limit_of_its_own(run_python):
    run = await run_python("while True: pass", cpu_s=1)

    assert (run.exit_code, run.killed_by) == (None, "cpu_time")


async def test_endless_output_is_cut_and_ends_the_run(run_python):
    run = await run_python("while True: print('x' * 1000)", output_kb=8)

    assert (run.exit_code, run.killed_by) == (None, "output")
    assert len(run.output) == 8 * 1024


async def test_endless_reporting_ends_the_run(run_python):
    run = await run_python("import os\nwhile True: os.write(3, b'x' * 60000)")

    assert run.killed_by == "output"


async def test_a_child_does_not_outlive_the_run(run_python):
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


async def test_cancelling_ends_everything_that_was_started(sandbox: Sandbox):
    marker = f"cancelled-{os.getpid()}"
    command = [*sandbox.python, "-c", "import signal; signal.pause()", marker]

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sandbox.run, command, None, Limits())
            await seen(marker)
            tasks.cancel_scope.cancel()

    assert processes_with(marker) == []


@pytest.mark.parametrize("moment", range(20))
async def test_cancelling_while_the_sandbox_is_still_being_made_leaves_nothing(sandbox: Sandbox, moment: int):
    command = [*sandbox.python, "-c", "import signal; signal.pause()"]

    with adopting() as adoption:
        with anyio.move_on_after(moment * 0.003):
            await sandbox.run(command, None, Limits())

        with anyio.fail_after(60):
            await until(lambda: not adoption.orphans(()))


async def test_killing_us_ends_everything_that_was_started():
    marker = f"orphaned-{os.getpid()}"
    ours = await anyio.open_process([sys.executable, "-c", RUN_AND_WAIT, marker], stdout=None, stderr=None)
    with anyio.fail_after(60):
        await seen(f"in-the-sandbox-{marker}")

        ours.kill()
        await ours.wait()

        await until(lambda: not processes_with(f"in-the-sandbox-{marker}"))


RUN_AND_WAIT = """
import anyio, sys
from chargehand.evaluation.bench.orphans import adopting
from chargehand.tools.checking.sandbox import Limits
from chargehand.tools.checking.sandbox_search import find_sandbox

async def main():
    sandbox = (await find_sandbox()).sandbox
    command = [*sandbox.python, "-c", "import signal; signal.pause()", "in-the-sandbox-" + sys.argv[1]]
    await sandbox.run(command, None, Limits())

anyio.run(main)
"""


async def test_runs_at_the_same_time_do_not_share_their_limits(sandbox: Sandbox):
    code = "import os, signal\nfor _ in range(8):\n    if os.fork() == 0: signal.alarm(1); signal.pause()\nprint('all')"
    outputs: list[str] = []

    async def run() -> None:
        outputs.append((await sandbox.run([*sandbox.python, "-c", code], None, Limits(processes=12))).output)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(run)

    assert outputs == ["all\n"] * 3


def processes_with(marker: str) -> list[str]:
    """Command lines on this machine that hold the marker, ours and pytest's apart."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if marker in line and str(os.getpid()) != path.parent.name:
            found.append(line)
    return found


async def seen(marker: str) -> None:
    """Wait until the innermost process runs: bubblewrap's own command line holds the launcher too."""
    await until(lambda: any("launcher.py" not in line for line in processes_with(marker)))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # other processes set no event of ours
        await anyio.sleep(0.01)
