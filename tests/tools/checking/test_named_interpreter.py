"""`[sandbox] python`: tests run on a Python of the user's choice, with only its packages."""

import sys
import venv
from pathlib import Path

import pytest

from chargehand.tools.checking.interpreter import named_interpreter
from chargehand.tools.checking.running import run_project_tests, run_tests
from chargehand.tools.checking.sandbox import Command, Sandbox, SandboxFailed
from chargehand.tools.checking.sandbox_search import SandboxConfig, find_sandbox

pytestmark = pytest.mark.anyio

ANSWER = "from greetings import hello\n\ndef greet(name):\n    return hello(name)\n"


def packages_of(environment: Path) -> Path:
    return next(environment.glob("lib/python3*/site-packages"))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment that contains one package."""
    folder = tmp_path / "a project" / ".venv"
    venv.create(folder, symlinks=True)
    (packages_of(folder) / "greetings.py").write_text("def hello(name):\n    return f'hello {name}'\n")
    return folder


@pytest.fixture
async def sandbox(environment: Path) -> Sandbox:
    search = await find_sandbox(SandboxConfig(python=environment / "bin" / "python"))
    assert search.sandbox is not None, search.reason
    assert search.reason.endswith(f"its escape probe got nothing out; tests have the packages of {environment}")
    return search.sandbox


@pytest.mark.parametrize(
    "tests", ["assert greet('you') == 'hello you'", "def test_it():\n    assert greet('you') == 'hello you'"]
)
async def test_an_answer_can_import_packages_of_the_users_environment(sandbox: Sandbox, tests: str):
    result = await run_tests(ANSWER, tests, sandbox)

    assert (result.outcome, result.executed) == ("passed", True)


async def test_project_tests_can_import_packages_of_the_users_environment(sandbox: Sandbox, tmp_path: Path):
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "test_greet.py").write_text(
        "import greetings\nfrom solution import greet\n\n"
        "def test_it():\n    assert greet('a') == greetings.hello('a')\n"
    )

    result = await run_project_tests(ANSWER, ["test_greet.py"], copy, sandbox)

    assert (result.outcome, result.tests_passed) == ("passed", 1)


PLUGINS = {
    "xdist": "parser._addoption('-n', type=int); parser.addoption('--dist')",
    "pytest_cov": "parser.addoption('--no-cov', action='store_true'); parser.addoption('--cov-fail-under')",
}
"""Stand-ins for two plugins, with their options; both fail a run unless they are switched off."""


async def test_options_for_xdist_and_coverage_in_a_projects_config_are_switched_off(
    sandbox: Sandbox, environment: Path, tmp_path: Path
):
    packages = packages_of(environment)
    for name, options in PLUGINS.items():
        (packages / name).mkdir()
        (packages / name / "__init__.py").touch()
        (packages / name / "plugin.py").write_text(
            f"def pytest_addoption(parser):\n    parser = parser.getgroup('{name}')\n    {options}\n"
            "def pytest_sessionfinish(session):\n    options = vars(session.config.option)\n"
            "    if options.get('n') or not options.get('no_cov', True):\n        session.exitstatus = 1\n"
        )
        metadata = packages / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[pytest11]\n{name} = {name}.plugin\n")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "pytest.ini").write_text("[pytest]\naddopts = -n 2 --dist loadfile --cov-fail-under=90\n")
    (copy / "test_greet.py").write_text("from solution import greet\n\ndef test_it():\n    assert greet('a')\n")

    result = await run_project_tests(ANSWER, ["test_greet.py"], copy, sandbox)

    assert (result.outcome, result.first_failure, result.tests_passed) == ("passed", None, 1)


async def test_a_package_missing_in_the_users_environment_fails_the_answer_with_a_note(
    sandbox: Sandbox, environment: Path
):
    result = await run_tests("import no_such_package\n", "assert max(1, 2) == 2", sandbox)

    assert (result.outcome, result.missing_module) == ("failed", None)
    assert result.note == f"the sandbox has the packages of {environment}; module no_such_package is missing"


async def test_the_environment_is_read_only_and_files_beside_it_are_not_visible(sandbox: Sandbox, environment: Path):
    (environment.parent / "secret.txt").write_text("canary")
    code = (
        "import greetings, os\n"
        f"print(sorted(os.listdir({str(environment.parent)!r})))\n"
        "try:\n    open(greetings.__file__, 'a')\n"
        "except OSError as error:\n    print(type(error).__name__, error.errno)\n"
    )

    run = await sandbox.run(Command([*sandbox.python, "-c", code]))

    assert run.output.splitlines()[0] == "['.venv']"
    assert run.output.splitlines()[1] in ("OSError 30", "PermissionError 13")


def test_symlinks_to_the_interpreter_are_followed_through_every_environment(tmp_path: Path):
    for name in ("first", "second"):
        (tmp_path / name / "bin").mkdir(parents=True)
    (tmp_path / "first" / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "second" / "bin" / "python").symlink_to("../../first/bin/python3")

    interpreter = named_interpreter(tmp_path / "second" / "bin" / "python")

    assert interpreter.packages == str(tmp_path / "second")
    assert {tmp_path / "first", tmp_path / "second"} <= set(interpreter.folders)


def test_the_home_folder_as_a_whole_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.touch()
    (tmp_path / "lib").mkdir()

    assert named_interpreter(python).folders == (python, tmp_path / "lib")


@pytest.mark.parametrize(
    ("settings", "name", "message"),
    [
        ("version = 3.9.2\n", "python", r"is Python 3\.9; name one of 3\.10 or newer"),
        ("", "python3.8", r"is Python 3\.8; name one of 3\.10 or newer"),
        ("", "ls", "is not named like a Python"),
    ],
)
def test_an_unsuitable_interpreter_is_refused_without_being_run(tmp_path: Path, settings: str, name: str, message: str):
    python = tmp_path / "bin" / name
    python.parent.mkdir()
    python.touch()
    (tmp_path / "pyvenv.cfg").write_text(settings)

    with pytest.raises(SandboxFailed, match=message):
        named_interpreter(python)


async def test_an_interpreter_that_does_not_start_leaves_no_sandbox_and_the_setting_is_named(tmp_path: Path):
    broken = tmp_path / "bin" / "python"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)

    search = await find_sandbox(SandboxConfig(python=broken))

    assert search.sandbox is None
    assert "[sandbox] python" in (search.remedy or "")
