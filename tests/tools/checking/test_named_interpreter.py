"""`[sandbox] python`: tests run on a Python of the user's choice, with its packages and no more."""

import sys
import venv
from pathlib import Path

import pytest

from chargehand.tools.checking.interpreter import named_interpreter
from chargehand.tools.checking.running import run_project_tests, run_tests
from chargehand.tools.checking.sandbox import Limits, Sandbox, SandboxFailed
from chargehand.tools.checking.sandbox_search import SandboxConfig, find_sandbox

pytestmark = pytest.mark.anyio

ANSWER = "from greetings import hello\n\ndef greet(name):\n    return hello(name)\n"


def packages_of(environment: Path) -> Path:
    return next(environment.glob("lib/python3*/site-packages"))


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment with one package in it."""
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
async def test_an_answer_may_import_what_the_users_environment_has(sandbox: Sandbox, tests: str):
    result = await run_tests(ANSWER, tests, sandbox)

    assert (result.outcome, result.executed) == ("passed", True)


async def test_a_project_is_tested_with_its_own_packages(sandbox: Sandbox, tmp_path: Path):
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
"""Of two plugins what their options are; here both end a run that they were not told to leave alone."""


async def test_a_project_that_is_tested_in_parts_or_for_its_coverage_is_tested_plainly(
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
        about = packages / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[pytest11]\n{name} = {name}.plugin\n")
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "pytest.ini").write_text("[pytest]\naddopts = -n 2 --dist loadfile --cov-fail-under=90\n")
    (copy / "test_greet.py").write_text("from solution import greet\n\ndef test_it():\n    assert greet('a')\n")

    result = await run_project_tests(ANSWER, ["test_greet.py"], copy, sandbox)

    assert (result.outcome, result.first_failure, result.tests_passed) == ("passed", None, 1)


async def test_a_package_that_the_users_environment_lacks_is_the_answers_mistake(sandbox: Sandbox, environment: Path):
    result = await run_tests("import no_such_package\n", "assert max(1, 2) == 2", sandbox)

    assert (result.outcome, result.missing_module) == ("failed", None)
    assert result.note == f"the sandbox has the packages of {environment}; module no_such_package is missing"


async def test_the_environment_can_be_read_and_not_written_and_what_lies_beside_it_is_not_there(
    sandbox: Sandbox, environment: Path
):
    (environment.parent / "secret.txt").write_text("canary")
    code = (
        "import greetings, os\n"
        f"print(sorted(os.listdir({str(environment.parent)!r})))\n"
        "try:\n    open(greetings.__file__, 'a')\n"
        "except OSError as error:\n    print(type(error).__name__, error.errno)\n"
    )

    run = await sandbox.run([*sandbox.python, "-c", code], None, Limits())

    assert run.output.splitlines()[0] == "['.venv']"
    assert run.output.splitlines()[1] in ("OSError 30", "PermissionError 13")


def test_links_to_a_python_elsewhere_are_followed_to_their_end(tmp_path: Path):
    for name in ("first", "second"):
        (tmp_path / name / "bin").mkdir(parents=True)
    (tmp_path / "first" / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    (tmp_path / "second" / "bin" / "python").symlink_to("../../first/bin/python3")

    interpreter = named_interpreter(tmp_path / "second" / "bin" / "python")

    assert interpreter.packages == str(tmp_path / "second")
    assert {tmp_path / "first", tmp_path / "second"} <= set(interpreter.folders)


def test_a_home_folder_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.touch()
    (tmp_path / "lib").mkdir()

    assert named_interpreter(python).folders == (python, tmp_path / "lib")


@pytest.mark.parametrize(
    ("settings", "name", "said"),
    [
        ("version = 3.9.2\n", "python", r"is Python 3\.9; name one of 3\.10 or newer"),
        ("", "python3.8", r"is Python 3\.8; name one of 3\.10 or newer"),
        ("", "ls", "is not named like a Python"),
    ],
)
def test_what_cannot_run_the_checker_is_refused_without_being_run(tmp_path: Path, settings: str, name: str, said: str):
    python = tmp_path / "bin" / name
    python.parent.mkdir()
    python.touch()
    (tmp_path / "pyvenv.cfg").write_text(settings)

    with pytest.raises(SandboxFailed, match=said):
        named_interpreter(python)


async def test_a_python_that_does_not_start_leaves_no_sandbox_and_says_where_to_look(tmp_path: Path):
    broken = tmp_path / "bin" / "python"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)

    search = await find_sandbox(SandboxConfig(python=broken))

    assert search.sandbox is None
    assert "[sandbox] python" in (search.remedy or "")
