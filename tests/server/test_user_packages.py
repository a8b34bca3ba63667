"""`[sandbox] python` over MCP: an answer is tested with the packages of the user's environment."""

import venv
from pathlib import Path

import pytest
from running_server import OpenServer, Script, fenced

from chargehand.evaluation.peers.reply import Reply

pytestmark = pytest.mark.anyio

LOCAL = "qwen3:30b-a3b"
TASK = "Rename the variable n to count in this function: def double(n): return 2 * n"
GOOD = Reply(fenced("from doubling import twice\n\ndef double(count):\n    return twice(count)"))
INVENTED = Reply(fenced("from no_such_package import twice\n\ndef double(count):\n    return twice(count)"))


@pytest.fixture(autouse=True)
def configured(tmp_path: Path) -> None:
    environment = tmp_path / "project" / ".venv"
    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/python3*/site-packages"))
    (packages / "doubling.py").write_text("def twice(n):\n    return 2 * n\n")
    home = tmp_path / "chargehand-home"
    home.mkdir()
    (home / "config.toml").write_text(
        f'[sandbox]\npython = "{environment}/bin/python"\n[sandbox.variables]\nSERVICE_URL = "http://a"\n'
    )


async def test_an_answer_that_needs_the_projects_packages_is_verified_with_them(open_server: OpenServer):
    async with open_server(Script({LOCAL: [GOOD]})) as server:
        receipt = await server.call("delegate_generation", task=TASK, tests="assert double(4) == 8")

    assert (receipt["status"], receipt["verified_by"]) == ("succeeded", ["parse", "lint", "tests"])


async def test_an_import_of_a_package_the_project_lacks_is_sent_back_for_repair(open_server: OpenServer):
    script = Script({LOCAL: [INVENTED, GOOD]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=TASK, tests="assert double(4) == 8")

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]
    assert "No module named 'no_such_package'" in script.asked[1].messages[-1][1]


HOOK = """from __future__ import annotations
MAPPING: dict[str, str] = {{'core': {place!r}}}
NAMESPACES: dict[str, list[str]] = {{}}
"""


@pytest.mark.parametrize("by_hook", [False, True])
async def test_a_member_of_a_workspace_is_tested_with_the_other_members_that_are_linked(
    open_server: OpenServer, tmp_path: Path, by_hook: bool
):
    project = tmp_path / "project"
    for member, code in {"app": "from core import twice\n\ndef double(n):\n    return twice(n)\n", "core": ""}.items():
        folder = project / "members" / member
        (folder / "src" / member).mkdir(parents=True)
        (folder / "pyproject.toml").write_text(f"[project]\nname = '{member}'\n")
        (folder / "src" / member / "__init__.py").write_text(code or "def twice(n):\n    return 2 * n\n")
    packages = next((project / ".venv").glob("lib/python3*/site-packages"))
    if by_hook:
        hook = HOOK.format(place=f"{project}/members/core/src/core")
        (packages / "__editable___core_0_1_finder.py").write_text(hook)
    else:
        (packages / "_core.pth").write_text(f"{project}/members/core/src\n")
    (project / "members" / "app" / "test_app.py").write_text(
        "from app import double\n\ndef test_double():\n    assert double(4) == 8\n"
    )
    given = {"target": "members/app/src/app/__init__.py", "tests": "members/app/test_app.py"}
    good = Reply(fenced("from core import twice\n\ndef double(count):\n    return twice(count)"))
    async with open_server(Script({LOCAL: [good]})) as server:
        receipt = await server.call("delegate_generation", task=TASK, output="apply", **given)

    assert (receipt["status"], receipt["verified_by"]) == ("succeeded", ["parse", "lint", "tests"])


async def test_a_member_of_a_workspace_that_is_installed_too_is_tested_as_the_answer_changes_it(
    open_server: OpenServer, tmp_path: Path
):
    project = tmp_path / "project"
    installed = next((project / ".venv").glob("lib/python3*/site-packages")) / "core"
    for folder in (project / "app" / "app", project / "core" / "core", installed):
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("def twice(n):\n    return 2 * n\n")
    for member in ("app", "core"):
        (project / member / "pyproject.toml").touch()
    (project / "app" / "test_app.py").write_text(
        "from app import double\n\ndef test_double():\n    assert double(4) == 8\n"
    )
    wrong = "app/app/__init__.py\n" + fenced("from core import twice\n\ndef double(count):\n    return twice(count)")
    wrong += "core/core/__init__.py\n" + fenced("def twice(n):\n    return 3 * n").removeprefix("Here it is.\n\n")
    given = {"target": "app/app/__init__.py", "context_files": ["core/core/__init__.py"], "tests": "app/test_app.py"}
    async with open_server(Script({LOCAL: [Reply(wrong.replace("Here it is.\n\n", ""))]})) as server:
        receipt = await server.call("delegate_generation", task=TASK, output="apply", max_attempts=1, **given)

    assert (receipt["status"], receipt["attempts"][0]["outcome"]) == ("failed", "failed_check"), receipt
    assert "assert 12 == 8" in receipt["attempts"][0]["checks"][-1]["first_failure"]


@pytest.mark.parametrize("file", ["test_doubled.py", "conftest.py"])
async def test_a_package_that_only_the_tests_need_is_no_mistake_of_the_answer(
    open_server: OpenServer, tmp_path: Path, file: str
):
    project = tmp_path / "project"
    (project / "doubled.py").write_text("def double(n):\n    return 2 * n\n")
    (project / "test_doubled.py").write_text(
        "from doubled import double\n\ndef test_it():\n    assert double(4) == 8\n"
    )
    old = (project / file).read_text() if (project / file).exists() else ""
    (project / file).write_text(f"import not_installed\n{old}")
    good = Reply(fenced("def double(count):\n    return 2 * count"))
    script = Script({LOCAL: [good]})
    async with open_server(script) as server:
        receipt = await server.call("delegate_generation", task=TASK, target="doubled.py", tests="test_doubled.py")

    assert (receipt["status"], len(script.asked)) == ("unverified", 1)
    assert any(
        "No module named 'not_installed'" in n or "module not_installed is missing" in n for n in receipt["notes"]
    )


@pytest.mark.parametrize("wrong", ["from no_such_package import twice", "from members import no_such_module"])
async def test_an_import_that_the_answer_adds_to_a_file_fails_it_if_the_module_is_missing(
    open_server: OpenServer, tmp_path: Path, wrong: str
):
    project = tmp_path / "project"
    (project / "members").mkdir()
    (project / "doubled.py").write_text("def double(n):\n    return 2 * n\n")
    (project / "test_doubled.py").write_text(
        "from doubled import double\n\ndef test_it():\n    assert double(4) == 8\n"
    )
    bad, good = (Reply(fenced(f"{line}def double(count):\n    return 2 * count")) for line in (f"{wrong}\n\n", ""))
    async with open_server(Script({LOCAL: [bad, good]})) as server:
        receipt = await server.call("delegate_generation", task=TASK, target="doubled.py", tests="test_doubled.py")

    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["failed_check", "passed"]


@pytest.mark.parametrize(
    ("needed_by", "tests", "status"),
    [
        ("shop/__init__.py", "test_stock.py", "unverified"),
        ("shop/__init__.py", "assert double(4) == 8", "unverified"),
        ("test_stock.py", "test_stock.py", "failed"),
    ],
)
async def test_a_module_that_the_unchanged_package_itself_needs_is_no_mistake_of_the_answer(
    open_server: OpenServer, tmp_path: Path, needed_by: str, tests: str, status: str
):
    project = tmp_path / "project"
    (project / "shop").mkdir()
    (project / "shop" / "__init__.py").touch()
    (project / "shop" / "stock.py").write_text("def double(n):\n    return 2 * n\n")
    test = "from shop.stock import double\n\ndef test_it():\n    assert double(4) == 8\n"
    (project / "test_stock.py").write_text(test)
    (project / needed_by).write_text("from shop._compiled import total\n" + (project / needed_by).read_text())
    given = {"target": "shop/stock.py", "tests": tests, "max_attempts": 1}
    async with open_server(Script({LOCAL: [Reply(fenced("def double(count):\n    return 2 * count"))]})) as server:
        receipt = await server.call("delegate_generation", task=TASK, **given)

    assert receipt["status"] == status
    assert any("module shop._compiled is missing" in note for note in receipt["notes"])


async def test_a_doctest_of_the_answer_verifies_nothing(open_server: OpenServer, tmp_path: Path):
    project = tmp_path / "project"
    (project / "pytest.ini").write_text("[pytest]\naddopts = --doctest-modules\n")
    (project / "doubled.py").write_text("def double(n):\n    return 2 * n\n")
    wrong = Reply(fenced('def double(count):\n    """>>> double(4)\n    12\n    """\n    return 3 * count'))
    async with open_server(Script({LOCAL: [wrong]})) as server:
        receipt = await server.call("delegate_generation", task=TASK, target="doubled.py", tests="doubled.py")

    assert receipt["status"] == "unverified"
    assert any("tests that the answer itself changes do not count" in note for note in receipt["notes"])
