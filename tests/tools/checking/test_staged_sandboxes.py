"""Backends that prepare a folder for each run: sandbox-exec and containers (stand-ins here), and unsafe-local.

The stand-in for an engine does what podman 4.3 and docker 20.10 were seen to do.
"""

import ast
import itertools
import json
import signal
import struct
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from chargehand.evaluation.bench.orphans import adopting
from chargehand.tools.checking import inside_escape, inside_launcher
from chargehand.tools.checking.container import Container
from chargehand.tools.checking.interpreter import Interpreter
from chargehand.tools.checking.node import find_node
from chargehand.tools.checking.running import run_project_tests, run_tests
from chargehand.tools.checking.running_node import run_node_tests
from chargehand.tools.checking.sandbox import ENVIRONMENT, Command, Limits, Sandbox, SandboxFailed
from chargehand.tools.checking.sandbox_exec import SandboxExec, profile
from chargehand.tools.checking.sandbox_search import Backends, SandboxConfig, find_sandbox, search_sandbox
from chargehand.tools.checking.staging import Stage, launch_options
from chargehand.tools.checking.unsafe_local import UnsafeLocal

pytestmark = pytest.mark.anyio

ADD = "def add(a, b):\n    return a + b\n"
SMALL = Limits(wall_s=30, cpu_s=20, memory_mb=256, processes=32, scratch_mb=16, output_kb=64)

# A stand-in for macOS's sandbox-exec: it checks its arguments and runs the command.
FAKE_SANDBOX_EXEC = """#!/bin/sh
[ "$1" = -p ] || exit 64
printf '%s' "$2" > "{record}"
shift 2
exec "$@"
"""

# An engine that records its arguments and runs the command on this machine, with the sources of the mounts, below the
# variables of an image, and with a monitor that inherits all but the standard streams and ends with the container.
FAKE_ENGINE = """#!{python}
import json, os, signal, subprocess, sys
with open({record!r}, "a") as record:
    record.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "image":
    sys.stderr.write("" if {image_status} == 0 else "Cannot connect to Podman\\n")
    sys.exit({image_status})
monitor_file = os.path.join({scratch!r}, "monitor")
if sys.argv[1] == "rm":
    os.kill(int(open(monitor_file).read()), signal.SIGKILL)
    sys.exit(0)
words = sys.argv[sys.argv.index("--entrypoint") + 1 :]
mounts = [word for word in sys.argv if word.startswith("type=bind")]
paths = [dict(part.split("=") for part in mount.split(",") if "=" in part) for mount in mounts]
scratch = {scratch!r}
for name in ("work", "tmp"):
    os.makedirs(os.path.join(scratch, name), exist_ok=True)
    os.chmod(os.path.join(scratch, name), 0o1777)
none = subprocess.DEVNULL
monitor = subprocess.Popen(
    ["sleep", "60"], stdin=none, stdout=none, stderr=none, close_fds=False, start_new_session=True
)
with open(monitor_file, "w") as file:
    file.write(str(monitor.pid))
def here(word):
    for path in paths:
        word = word.replace(path["target"] + "/", path["source"] + "/")
        word = word.replace(repr(path["target"]), repr(path["source"]))
    for name in ("work", "tmp"):
        word = word.replace(repr("/" + name), repr(os.path.join(scratch, name)))
    return word
os.environ.update(KEY_OF_THE_IMAGE="1", PATH=os.path.dirname({python!r}) + ":/usr/bin:/bin")
os.execv({python!r}, [{python!r}, *map(here, words[2:])])
"""

# An engine that records the modes of the run's folder, of the mounted folder in it, and of a file in that.
MODE_RECORDING_ENGINE = """#!{python}
import os, re, stat, sys
mounted = re.search("source=([^,]+),target=/input", " ".join(sys.argv))
if mounted:
    paths = (os.path.dirname(mounted[1]), mounted[1], mounted[1] + "/code.py")
    open({modes!r}, "w").write(" ".join(oct(stat.S_IMODE(os.stat(path).st_mode)) for path in paths))
"""


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def sandbox_exec(tmp_path: Path) -> SandboxExec:
    return SandboxExec(executable(tmp_path / "sandbox-exec", FAKE_SANDBOX_EXEC.format(record=tmp_path / "profile")))


def engine_in(folder: Path, *, image_status: int = 0) -> Path:
    text = FAKE_ENGINE.format(
        python=sys.executable,
        record=str(folder / "record"),
        scratch=str(folder / "scratch"),
        image_status=image_status,
    )
    return executable(folder / "podman", text)


def engine_calls(folder: Path) -> list[list[str]]:
    return [json.loads(line) for line in (folder / "record").read_text().splitlines()]


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(engine_in(tmp_path))


@pytest.fixture(params=["unsafe-local", "sandbox-exec", "container"])
def backend(request: pytest.FixtureRequest, sandbox_exec: SandboxExec, container: Container) -> Sandbox:
    backends: dict[str, Sandbox] = {
        "unsafe-local": UnsafeLocal(),
        "sandbox-exec": sandbox_exec,
        "container": container,
    }
    return backends[request.param]


async def test_python_tests_pass_and_fail_in_every_backend(backend: Sandbox):
    passed = await run_tests(ADD, "assert add(1, 2) == 3", backend, SMALL)
    failed = await run_tests(ADD, "assert add(1, 2) == 4", backend, SMALL)

    assert (passed.outcome, passed.sandbox) == ("passed", backend.name)
    assert (failed.outcome, failed.executed) == ("failed", True)
    assert "left: 3\nright: 4" in (failed.first_failure or "")


async def test_project_tests_run_in_a_copy_in_every_backend(backend: Sandbox, tmp_path: Path):
    project = tmp_path / "project"
    project.mkdir()
    (project / "test_it.py").write_text(
        "import solution\ndef test_it():\n    open('made', 'w')\n    assert solution.X == 1\n"
    )

    result = await run_project_tests("X = 1\n", ["test_it.py"], project, backend, SMALL)

    assert (result.outcome, result.tests_total) == ("passed", 1)
    assert not (project / "made").exists()


async def test_failures_contain_no_path_of_the_run(backend: Sandbox):
    result = await run_tests("def add(a, b):\n    return a.nope\n", "def test_a():\n    add(1, 2)", backend, SMALL)

    assert "solution.py:2" in (result.first_failure or "")
    assert not any(part in (result.first_failure or "") for part in ("chargehand-run", "/checker", "/tmp"))


async def test_the_environment_is_clean_in_every_backend(backend: Sandbox, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret")
    own = {*ENVIRONMENT, "LC_CTYPE", "PYTHONPATH"}
    tests = f"import os\nassert set(os.environ) <= {own}"

    assert (await run_tests(ADD, tests, backend, SMALL)).first_failure is None


async def test_the_wall_time_is_limited_in_every_backend(backend: Sandbox):
    result = await run_tests("import time; time.sleep(60)", "assert max(1, 2) == 2", backend, Limits(wall_s=0.3))

    assert (result.outcome, result.first_failure) == ("failed", "the tests did not finish within 0.3 s")


async def test_a_memory_bomb_fails_in_every_backend(backend: Sandbox):
    result = await run_tests("x = 'x' * 10**9", "assert max(1, 2) == 2", backend, SMALL)

    assert result.outcome == "failed"
    assert "MemoryError" in (result.first_failure or "")


async def test_child_processes_end_with_the_run_in_every_backend(backend: Sandbox):
    child = "import os, signal\nif os.fork() == 0:\n    signal.alarm(60)\n    signal.pause()\n"

    with adopting() as adoption:
        await run_tests(child, "assert max(1, 2) == 2", backend, SMALL)

        with anyio.fail_after(60):
            while adoption.orphans(()):  # noqa: ASYNC110  # there is no event for the end of an orphan
                await anyio.sleep(0.01)


async def test_a_run_leaves_no_temporary_folder_behind(
    backend: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    await run_tests(ADD, "assert add(1, 2) == 3", backend, SMALL)

    assert list(folder.iterdir()) == []


async def test_javascript_tests_run_in_unsafe_local_and_sandbox_exec(sandbox_exec: SandboxExec):
    node = await find_node()
    for backend in (UnsafeLocal(), sandbox_exec):
        result = await run_node_tests("const x = 1;", "test('x', () => assert.equal(x, 1));", backend, node)

        assert (result.outcome, result.tests_passed) == ("passed", 1)


async def test_a_container_gets_no_network_no_privileges_and_only_the_copies_as_mounts(
    container: Container, tmp_path: Path
):
    await run_tests(ADD, "assert add(1, 2) == 3", container, SMALL)

    run, remove = engine_calls(tmp_path)
    pairs = dict(itertools.pairwise(run))
    assert run[0] == "run"
    assert (pairs["--network"], pairs["--cap-drop"], pairs["--security-opt"]) == ("none", "ALL", "no-new-privileges")
    assert (pairs["--pull"], pairs["--memory"], pairs["--pids-limit"]) == ("never", "256m", "33")
    assert (pairs["--stop-timeout"], pairs["--workdir"]) == ("0", "/")
    assert {"--rm", "--read-only", "--interactive"} <= set(run)
    assert int(pairs["--user"].split(":")[0]) >= 30_000
    mounts = [word for word in run if word.startswith("type=")]
    assert [mount.split("target=")[1] for mount in mounts] == ["/input,readonly", "/checker,readonly"]
    assert all("chargehand-run-" in mount for mount in mounts)
    assert not {"-v", "--volume", "--privileged", "-e", "--env"} & set(run)
    assert remove == ["rm", "--force", pairs["--name"]]


async def test_the_working_folder_of_a_container_which_is_not_the_users_keeps_its_mode(
    container: Container, tmp_path: Path
):
    project = tmp_path / "project"
    project.mkdir(0o700)
    (project / "code.py").write_text("")
    show = "import os; print(oct(os.stat('.').st_mode))"

    run = await container.run(Command(["python3", "-c", show], project, SMALL))

    assert run.output == "0o41777\n"


async def test_code_sees_no_variable_of_the_image_in_the_first_process_of_a_container(container: Container):
    look = (
        "import os; print(sorted(x.split('=')[0] for x in open(f'/proc/{os.getppid()}/environ').read().split('\\0')))"
    )

    run = await container.run(Command(["python3", "-c", look], limits=SMALL))

    assert set(ast.literal_eval(run.output)) <= {"", "PATH", "LC_CTYPE"}


def test_a_container_whose_server_was_killed_ends_by_itself():
    limits = launch_options(SMALL, 1, 1, {})
    launch = [sys.executable, "-I", "-S", inside_launcher.__file__, repr({**limits, "ends_after_s": 0.3}), "cat"]

    with subprocess.Popen(launch, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.wait(60) == 128 + signal.SIGKILL


async def test_a_container_runs_the_images_program_in_place_of_this_machines(container: Container):
    run = await container.run(Command(["/only/on/this/machine/sh", "-c", "echo found"], limits=SMALL))

    assert run.output == "found\n"


async def test_a_command_missing_in_the_image_is_a_sandbox_failure(container: Container):
    with pytest.raises(SandboxFailed, match="No such file or directory: 'no-such-command'"):
        await container.run(Command(["no-such-command"], limits=SMALL))


async def test_files_mounted_into_a_container_are_closed_to_other_users_of_the_machine(tmp_path: Path):
    project, modes = tmp_path / "project", tmp_path / "modes"
    project.mkdir(0o700)
    (project / "code.py").write_text("PRIVATE = 1\n")
    engine = executable(tmp_path / "podman", MODE_RECORDING_ENGINE.format(python=sys.executable, modes=str(modes)))

    with pytest.raises(SandboxFailed):
        await Container(engine).run(Command(["true"], project, SMALL))

    assert modes.read_text() == "0o700 0o755 0o644"


async def test_all_calls_of_the_engine_get_its_environment_variables_and_no_api_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_DATA_HOME", "/images/here")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-canary")
    message = tmp_path / "seen"
    note = f"import os, sys; open({str(message)!r}, 'a').write(' '.join([sys.argv[1], *sorted(os.environ)]) + '\\n')"
    container = Container(executable(tmp_path / "podman", f"#!{sys.executable}\n{note}\n"))

    await container.find_image()
    with pytest.raises(SandboxFailed):
        await container.run(Command(["true"], limits=SMALL))

    call = [set(line.split()) for line in message.read_text().splitlines()]
    assert [words & {"image", "run", "rm"} for words in call] == [{"image"}, {"run"}, {"rm"}]
    assert all({"XDG_DATA_HOME", "DOCKER_TLS_VERIFY"} <= words for words in call)
    assert not any("ANTHROPIC_API_KEY" in words for words in call)


def test_interfaces_that_are_up_or_unreadable_count_as_network_and_those_down_do_not(monkeypatch: pytest.MonkeyPatch):
    flags = {"tunl0": 0x80, "eth0": 0x1043}
    monkeypatch.setattr(
        inside_escape.socket, "if_nameindex", lambda: [(1, "lo"), (2, "tunl0"), (3, "eth0"), (4, "odd")]
    )

    def answer(_: object, __: int, request: bytes) -> bytes:
        name = request[:16].rstrip(b"\0").decode()
        if name not in flags:
            raise OSError
        return struct.pack("16sh14x", name.encode(), flags[name])

    monkeypatch.setattr(inside_escape.fcntl, "ioctl", answer)

    assert inside_escape.interfaces() == ["eth0", "odd"]


async def test_a_container_is_removed_when_the_run_is_cancelled(container: Container, tmp_path: Path):
    async with anyio.create_task_group() as group:
        group.start_soon(run_tests, "import time; time.sleep(60)", "assert max(1, 2) == 2", container, SMALL)
        with anyio.fail_after(60):
            while not (tmp_path / "record").exists() or not engine_calls(tmp_path):
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert [call[0] for call in engine_calls(tmp_path)] == ["run", "rm"]


async def test_a_container_refuses_to_mount_tools_of_this_machine(container: Container):
    with pytest.raises(SandboxFailed, match=r"put /usr/bin into an image and name it as \[sandbox\] image"):
        await container.run(Command(["/usr/bin/env"], limits=SMALL, read_only={"/usr/bin": Path("/usr/bin")}))


async def test_an_engine_that_does_not_answer_is_skipped_with_a_remedy(tmp_path: Path):
    engine = engine_in(tmp_path, image_status=1)

    search = await search_sandbox("darwin", Backends(engines=[engine, tmp_path / "docker"]))

    assert search.sandbox is None
    assert "has no image python:3.13-slim: podman pull python:3.13-slim" in search.reason
    assert "Cannot connect to Podman" in search.reason
    assert "the engine cannot be asked" in search.reason
    assert "docker or podman" in (search.remedy or "")


async def test_an_engine_that_isolates_nothing_is_refused(tmp_path: Path):
    search = await search_sandbox("linux", Backends(engines=[engine_in(tmp_path)]))

    assert search.sandbox is None
    assert str(tmp_path / "podman") in search.reason
    # Either is found first: the escape, or the process that is left behind.
    assert any(message in search.reason for message in ("left a process behind", "its escape probe got out"))


async def test_a_sandbox_exec_that_isolates_nothing_is_refused(tmp_path: Path):
    program = executable(tmp_path / "sandbox-exec", FAKE_SANDBOX_EXEC.format(record=tmp_path / "profile"))

    search = await search_sandbox("darwin", Backends(sandbox_exec=program))

    assert search.sandbox is None
    assert f"{program}: the sandbox left a process behind" in search.reason


def test_the_sandbox_exec_profile_denies_by_default_and_allows_only_named_folders(tmp_path: Path):
    python = Path("/Users/you/.local/share/uv/python/cpython-3.13")
    interpreter = Interpreter(python / "bin" / "python3", (python,), (python / "lib" / "site-packages",))

    lines = profile(Stage(Path("/private/var/run-1"), (Path("/opt/cargo"),)), interpreter).splitlines()

    assert lines[:2] == ["(version 1)", "(deny default)"]
    assert lines[-1] == "(deny network*)"
    assert "process-fork" not in lines[2]
    (reads,) = [line for line in lines if line.startswith("(allow file-read* ")]
    assert f'(subpath "{python}")' in reads
    assert '(subpath "/opt/cargo")' in reads
    assert '(subpath "/Users")' not in reads
    assert '(subpath "/")' not in reads
    assert lines[lines.index(reads) + 1] == f'(deny file-read* (subpath "{python}/lib/site-packages"))'
    (writes,) = [line for line in lines if line.startswith("(allow file-write* ")]
    folders = '(subpath "/private/var/run-1/work") (subpath "/private/var/run-1/tmp")'
    assert writes == f'(allow file-write* {folders} (literal "/dev/null"))'


def test_a_path_cannot_inject_rules_into_the_profile():
    stage = Stage(Path('/tmp/a") (allow default) ("'), ())

    text = profile(stage, Interpreter(Path("/usr/bin/python3"), (), ()))

    assert "\n(allow default)" not in text
    assert r'"/tmp/a\") (allow default) (\"' in text


async def test_unsafe_local_is_marked_as_unsafe_in_its_name_and_reason():
    search = await find_sandbox(SandboxConfig(unsafe_local=True))

    assert search.is_unsafe
    assert search.sandbox is not None
    assert search.sandbox.name == "unsafe-local (NO SANDBOX)"
    assert "WITHOUT a sandbox" in search.reason
    assert not (await find_sandbox()).is_unsafe
