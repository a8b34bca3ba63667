"""A check command of the user's, run in the sandbox in a copy of the project that contains the answer."""

from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.tools.checking.command_check import CommandCheck, configured, run_command_check
from chargehand.tools.checking.sandbox import Sandbox, SandboxFailed
from chargehand.tools.errors import BadArgument

pytestmark = pytest.mark.anyio

NEEDS_NODE = pytest.mark.skipif(
    not Path("/usr/bin/node").exists(), reason="this machine has no Node.js of the system's"
)
NEEDS_NPM = pytest.mark.skipif(not Path("/usr/bin/npm").exists(), reason="this machine has no npm of the system's")

CHECK = CommandCheck("unit", ("sh", "-c", "grep -q good lib/answer.txt"), "lib/answer.txt")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "answer.txt").write_text("old")
    (folder / ".env").write_text("KEY=secret")
    return folder


async def test_exit_code_0_passes_and_names_the_sandbox(sandbox: Sandbox, project: Path):
    result = await run_command_check(CHECK, "good", None, project, sandbox)

    assert (result.name, result.outcome, result.executed, result.sandbox) == ("unit", "passed", True, sandbox.name)
    assert (project / "lib" / "answer.txt").read_text() == "old"


async def test_a_command_finds_the_programs_that_its_user_installed_for_the_machine(sandbox: Sandbox, project: Path):
    check = replace(CHECK, command=("sh", "-c", "case :$PATH: in *:/usr/local/bin:*) ;; *) exit 1 ;; esac"))

    assert (await run_command_check(check, "good", None, project, sandbox)).outcome == "passed"


async def test_another_exit_code_fails_with_the_output(sandbox: Sandbox, project: Path):
    check = replace(CHECK, command=("sh", "-c", "echo one; echo two >&2; exit 3"))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.executed) == ("failed", True)
    assert result.first_failure == "unit ended with exit code 3\none\ntwo"


@pytest.mark.parametrize(
    ("command", "written", "outcome"),
    [
        ("true", "new.py", "not_run"),
        ("python3 new.py", "new.py", "passed"),
        ("true", "old.py", "passed"),
        ("true", "new.md", "passed"),
        ("python3 test_new.py", "new.py test_new.py", "not_run"),
        ("python3 test_new.py", "new.py test_old.py test_new.py", "not_run"),
        ("python3 test_new.py; python3 new.py", "new.py test_new.py", "passed"),
        ("python3 test_new.py", "test_new.py", "passed"),
    ],
)
async def test_a_command_that_passes_whatever_is_in_new_code_counts_as_not_run(
    sandbox: Sandbox, project: Path, command: str, written: str, outcome: str
):
    for old in ("old.py", "test_old.py"):
        (project / old).write_text("old = 1\n")
    change = {Path(path): b"new = 1\n" for path in written.split()}

    result = await run_command_check(replace(CHECK, command=("sh", "-c", command)), "", None, project, sandbox, change)

    assert result.outcome == outcome
    assert outcome == "passed" or "it passes whatever is in new.py, which nothing it runs reads" in (result.note or "")


@pytest.mark.parametrize(
    ("command", "answer", "outcome"),
    [
        ("python3 -m unittest", "import os\nhalf = None\nos._exit(0)", "failed"),
        ("python3 -m unittest", "import os\ndef half(n): os._exit(0)", "failed"),
        ("python3 -m unittest", "half = lambda n: n / 2\nif __name__ == '__main__': exit(0)", "passed"),
        ("python3 half.py", "half = lambda n: n / 2\nexit(0)", "passed"),
        pytest.param("node --test", "(async () => 0)().then(() => process.exit(0));", "failed", marks=NEEDS_NODE),
    ],
)
async def test_an_answer_that_ends_the_process_of_its_tests_fails(
    sandbox: Sandbox, project: Path, command: str, answer: str, outcome: str
):
    (project / "test_half.py").write_text(
        "from unittest import TestCase\nfrom half import half\n"
        "class Half(TestCase):\n    def test_it(self): self.assertEqual(half(4), 2)\n"
    )
    (project / "half.test.mjs").write_text(
        "import test from 'node:test';\nimport './half.mjs';\ntest('it', async () => { throw new Error('wrong'); });\n"
    )
    check = replace(CHECK, command=tuple(command.split()))
    written = Path("half.py" if "python3" in command else "half.mjs")

    result = await run_command_check(check, "", None, project, sandbox, {written: answer.encode()})

    assert result.outcome == outcome
    assert outcome == "passed" or "the answer ends the process of its tests" in (result.first_failure or "")


@pytest.mark.parametrize(
    ("name", "tests", "outcome"),
    [("unit", "true", "not_run"), ("unit", "test -e new.go", "passed"), ("lint", "true", "passed")],
)
async def test_a_command_that_tests_compiled_code_counts_as_not_run_if_it_passes_without_it(
    sandbox: Sandbox, project: Path, name: str, tests: str, outcome: str
):
    compile_all = "! grep -q php *.go"
    check = replace(CHECK, name=name, command=("sh", "-c", f"{compile_all} && {tests}"))

    result = await run_command_check(check, "", None, project, sandbox, {Path("new.go"): b"package new\n"})

    assert result.outcome == outcome
    assert outcome == "passed" or "it passes without new.go too, which no test uses" in (result.note or "")


async def test_the_output_is_truncated_to_its_last_4000_characters(sandbox: Sandbox, project: Path):
    check = replace(CHECK, command=("sh", "-c", "yes | head -20000; echo end; exit 1"))

    failure = (await run_command_check(check, "good", None, project, sandbox)).first_failure or ""

    assert len(failure) <= 4000
    assert failure.endswith("end")


async def test_a_command_sees_no_secret_file_no_network_and_not_the_servers_environment(
    sandbox: Sandbox, project: Path
):
    script = "test ! -e .env && test $(env | grep -c .) -le 15 && ! grep -v lo: /proc/net/dev | grep :"
    check = replace(CHECK, command=("sh", "-c", script))

    assert (await run_command_check(check, "good", None, project, sandbox)).first_failure is None


@NEEDS_NODE
async def test_a_command_can_run_the_systems_node(sandbox: Sandbox, project: Path):
    check = replace(CHECK, command=("sh", "-c", "node -e 0"))

    assert (await run_command_check(check, "good", None, project, sandbox)).first_failure is None


async def test_a_command_that_exceeds_its_timeout_fails(sandbox: Sandbox, project: Path):
    check = replace(CHECK, command=("sleep", "60"), timeout_s=0.5)

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("failed", "unit did not finish within 0.5 s")


@pytest.mark.parametrize("named", ["toolchain", "toolchain/bin", "toolchain/bin/check-it"])
async def test_what_is_named_in_read_only_is_visible_and_its_programs_are_on_the_path(
    sandbox: Sandbox, project: Path, tmp_path: Path, named: str
):
    tool = tmp_path / "toolchain" / "bin" / "check-it"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\ngrep -q good lib/answer.txt && ! touch $(dirname $0)/mark 2>/dev/null\n")
    tool.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # pytest's folders are closed to the sandbox's user

    with_it = replace(CHECK, command=("check-it",), read_only=(tmp_path / named,))
    without_it = replace(CHECK, command=("check-it",))

    assert (await run_command_check(with_it, "good", None, project, sandbox)).outcome == "passed"
    assert (await run_command_check(without_it, "good", None, project, sandbox)).outcome == "not_run"
    assert not (tool.parent / "mark").exists()


@NEEDS_NODE
async def test_a_folder_of_the_project_named_in_read_only_is_in_the_copy_too(sandbox: Sandbox, project: Path):
    (project / "node_modules" / "sum").mkdir(parents=True)
    (project / "node_modules" / "sum" / "index.js").write_text("module.exports = (a, b) => a + b\n")
    command = ("node", "-e", "require('node:assert').equal(require('sum')(1, 2), 3)")
    check = replace(CHECK, command=command, read_only=(project / "node_modules",))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


async def test_what_is_shown_of_the_users_home_is_in_the_home_inside(
    sandbox: Sandbox, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    (home / ".cargo").mkdir(parents=True)
    modules = home / "go" / "pkg" / "mod"
    modules.mkdir(parents=True)
    command = ("sh", "-c", "test -d ~/.cargo && test -d ~/go/pkg/mod && touch ~/go/mark && ! touch ~/go/pkg/mod/mark")
    check = replace(CHECK, command=command, read_only=(home / ".cargo", modules))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)
    assert not (modules / "mark").exists()


@pytest.mark.skipif(not Path("/usr/bin/java").exists(), reason="this machine has no Java of the system's")
async def test_the_systems_java_runs_and_knows_the_home_folder(sandbox: Sandbox, project: Path):
    check = replace(
        CHECK, command=("sh", "-c", 'java -XshowSettings:properties -version 2>&1 | grep "user.home = $HOME"')
    )

    assert (await run_command_check(check, "good", None, project, sandbox)).first_failure is None


@NEEDS_NODE
async def test_a_command_can_use_webassembly_in_node(sandbox: Sandbox, project: Path):
    like_vitest = "const kept = [1, 2].map(() => new WebAssembly.Memory({ initial: 1 })); Buffer.alloc(3e8)"
    check = replace(CHECK, command=("node", "-e", like_vitest))

    assert (await run_command_check(check, "good", None, project, sandbox)).first_failure is None


@NEEDS_NODE
async def test_a_member_of_an_npm_workspace_is_tested_as_the_answer_changes_it(sandbox: Sandbox, project: Path):
    for name in ("packages/core", "node_modules/@acme", "node_modules/sum"):
        (project / name).mkdir(parents=True)
    (project / "packages" / "core" / "index.js").write_text("module.exports = 'old'\n")
    (project / "node_modules" / "@acme" / "core").symlink_to("../../packages/core")
    (project / "node_modules" / "sum" / "index.js").write_text("module.exports = (a, b) => a + b\n")
    command = ("node", "-e", "require('node:assert').equal(require('sum')('', require('@acme/core')), 'new')")
    check = CommandCheck("unit", command, "packages/core/index.js", read_only=(project / "node_modules",))

    right, wrong = [
        await run_command_check(check, f"module.exports = '{value}'", None, project, sandbox) for value in ("new", "x")
    ]

    assert (right.outcome, right.first_failure) == ("passed", None)
    assert (wrong.outcome, wrong.executed) == ("failed", True)


async def test_tools_can_write_into_node_modules_and_not_into_its_packages(sandbox: Sandbox, project: Path):
    (project / "node_modules" / "sum").mkdir(parents=True)
    (project / "node_modules" / ".cache" / "of-another-run").mkdir(parents=True)
    script = "mkdir node_modules/.vite-temp && mkdir node_modules/.cache && ! touch node_modules/sum/mark"
    check = replace(CHECK, command=("sh", "-c", script), read_only=(project / "node_modules",))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)
    assert not (project / "node_modules" / ".vite-temp").exists()


async def test_a_python_environment_imports_what_it_links_to_in_the_project(sandbox: Sandbox, project: Path):
    packages = project / ".venv" / "lib" / "python3.13" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "_shapes.pth").write_text(f"{project}/src\n")
    (project / "src").mkdir()
    (project / "src" / "shapes.py").write_text("SIDES = 3\n")
    command = ("python3", "-c", "import shapes; assert shapes.SIDES == 3")
    check = replace(CHECK, command=command, read_only=(project / ".venv",))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


async def test_a_python_environment_brings_the_python_that_it_links_to(sandbox: Sandbox, project: Path, tmp_path: Path):
    base, environment = tmp_path / "python" / "bin", project / ".venv"
    base.mkdir(parents=True)
    (base / "python").symlink_to("/bin/sh")
    (environment / "bin").mkdir(parents=True)
    (environment / "pyvenv.cfg").write_text(f"home = {base}\n")
    (environment / "bin" / "python").symlink_to(base / "python")
    script = "grep -q good lib/answer.txt && test $UV_NO_SYNC = 1\n"
    (environment / "bin" / "check-it").write_text(f"#!{environment}/bin/python\n{script}")
    (environment / "bin" / "check-it").chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)  # pytest's folders are closed to the sandbox's user
    check = replace(CHECK, command=("check-it",), read_only=(environment,))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


@pytest.mark.parametrize("changed", ["shapes.py", "shapes/__init__.py", "src/shapes/__init__.py", "src/shapes/n.txt"])
async def test_a_package_that_is_installed_too_is_tested_as_the_answer_changes_it(
    sandbox: Sandbox, project: Path, changed: str
):
    installed = project / ".venv" / "lib" / "python3.13" / "site-packages" / "shapes"
    place = project / changed
    for folder in {installed, place.parent} - {project}:
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    tested = f"import sys, pathlib; sys.path.append({str(installed.parent)!r}); sys.path.remove(''); import shapes"
    script = f"{tested}; assert 'good' in pathlib.Path(shapes.__file__).with_name({place.name!r}).read_text()"
    check = replace(CHECK, command=("python3", "-c", script), read_only=(project / ".venv",))
    good, bad = ({Path(changed): f"# {word}".encode()} for word in ("good", "bad"))

    passed, failed = [await run_command_check(check, "", None, project, sandbox, one) for one in (good, bad)]

    assert (passed.outcome, passed.first_failure) == ("passed", None)
    assert failed.outcome == "failed"


@NEEDS_NPM
async def test_the_systems_npm_runs_a_script_of_the_project(sandbox: Sandbox, project: Path):
    (project / "package.json").write_text('{"scripts": {"test": "grep -q good lib/answer.txt"}}')

    result = await run_command_check(replace(CHECK, command=("npm", "test")), "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


@NEEDS_NPM
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("no-such-runner lib", "no-such-runner: not found"),
        ("node absent.js", "Cannot find module 'no-such-package'"),
        ("npx no-such-runner lib", "request to"),
        ("python3 -m no_such_runner", "No module named no_such_runner"),
    ],
)
async def test_a_command_that_lacks_something_without_the_answer_too_does_not_fail_the_answer(
    sandbox: Sandbox, project: Path, script: str, said: str
):
    (project / "package.json").write_text(f'{{"scripts": {{"test": "{script}"}}}}')
    (project / "absent.js").write_text("require('no-such-package')")
    (project / "node_modules").mkdir()
    check = replace(CHECK, command=("npm", "test"), timeout_s=60)

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert said in (result.note or "")
    assert f"name {project}/node_modules in `read_only` of [checks.unit]" in (result.note or "")


@pytest.mark.parametrize(
    "command", ["cat .env", "python3 -c \"open('.env')\"", "cat no-such-file", "cat lib/answer.txt && exit 1"]
)
async def test_a_file_of_the_project_that_its_copy_leaves_out_fails_no_answer(
    sandbox: Sandbox, project: Path, command: str
):
    result = await run_command_check(replace(CHECK, command=("sh", "-c", command)), "good", None, project, sandbox)

    assert result.outcome == ("not_run" if ".env" in command else "failed")
    assert result.outcome == "failed" or f"name {project / '.env'} in `read_only` of [checks.unit]" in (
        result.note or ""
    )


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("make: mypy: No such file or directory", "a cache in your home folder"),
        ("/usr/bin/env: \u2018node\u2019: No such file or directory", "a cache in your home folder"),
        ("Command not found: pytest", "a cache in your home folder"),
        ("error: Failed to spawn: `pytest`", "a cache in your home folder"),
        ("fatal: not a git repository (or any of the parent directories): .git", "begin with `git init`"),
        ("Error: browserType.launch: Executable doesn't exist at /tmp/x", "a cache in your home folder"),
        ("ERROR: No matching distribution found for pytest", "a cache in your home folder"),
        ("ModuleNotFoundError: No module named 'attr'", "a cache in your home folder"),
        ('a.py:1: error: Library stubs not installed for "requests"  [import-untyped]', "a cache in your home folder"),
        ("dial tcp: address proxy.golang.org: no suitable address found", "a cache in your home folder"),
        ("error: no matching package named `itoa` found", "a cache in your home folder"),
        ("require: cannot load such file -- rspec (LoadError)", "a cache in your home folder"),
        ("> No cached version of junit:junit:4.13.2 available for offline mode.", "a cache in your home folder"),
        ('Could not find a package configuration file provided by "fmt" with any of', "a cache in your home folder"),
        ("error: failed to read root of directory source: vendor", "vendor in `read_only`"),
        ("Missing package: ms@npm:2.1.3", ".yarn/cache in `read_only`"),
        ("Fatal process OOM in Failed to reserve virtual memory for CodeRange", "raise `memory_mb`"),
        ("OSError: [Errno 30] Read-only file system: '/home/you/.local/share/hatch/env'", "not `hatch run pytest`"),
        ("memory allocation of 224 bytes failed", "raise `memory_mb`"),
        ("There is insufficient memory for the Java Runtime Environment to continue.", "raise `memory_mb`"),
    ],
)
async def test_what_other_languages_say_is_missing_names_what_to_do(
    sandbox: Sandbox, project: Path, said: str, remedy: str
):
    (project / "said").write_text(said)
    for folder in ("vendor", ".yarn/cache"):
        if folder in remedy:
            (project / folder).mkdir(parents=True)
    check = replace(CHECK, command=("sh", "-c", "cat said; exit 1"))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert remedy in (result.note or "")


async def test_a_failure_that_prints_one_long_word_is_judged(sandbox: Sandbox, project: Path):
    script = "head -c 500000 /dev/zero | tr '\\0' x; exit 1"  # would take hours if it were searched letter by letter
    result = await run_command_check(replace(CHECK, command=("sh", "-c", script)), "good", None, project, sandbox)

    assert (result.outcome, result.executed) == ("failed", True)


async def test_the_packages_of_a_workspaces_members_are_named_too(sandbox: Sandbox, project: Path):
    member = project / "packages" / "core" / "node_modules"
    for folder in (project / "node_modules" / "sum" / "node_modules", member):
        folder.mkdir(parents=True)
    script = "echo \"Error: Cannot find package 'sum'\"; exit 1"
    check = replace(CHECK, command=("sh", "-c", script), read_only=(project / "node_modules",))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.note or "").endswith(f"; name {member} in `read_only` of [checks.unit] in the config file")


@pytest.mark.parametrize("where", ["shop/stock.py", "src/shop/prices.py"])
async def test_a_module_of_the_project_that_the_answer_should_have_written_fails_it(
    sandbox: Sandbox, project: Path, where: str
):
    script = "echo \"ModuleNotFoundError: No module named 'shop.prices'\"; exit 1"
    check = replace(CHECK, command=("sh", "-c", script), answer_path=where)

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.executed) == ("failed", True)


async def test_a_command_that_does_not_look_where_the_projects_modules_are_fails_no_answer(
    sandbox: Sandbox, project: Path
):
    (project / "shop.py").write_text("PRICE = 1\n")
    (project / "lib" / "check.py").write_text("import shop\n")
    check = replace(CHECK, command=("python3", "lib/check.py"), answer_path="shop.py")

    result = await run_command_check(check, "PRICE = 2\n", None, project, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert "No module named 'shop'" in (result.note or "")
    assert "as `python -m pytest` does" in (result.note or "")


@NEEDS_NODE
async def test_a_package_that_only_the_answer_requires_fails_it(sandbox: Sandbox, project: Path):
    check = replace(CHECK, command=("node", "lib/answer.txt"))

    result = await run_command_check(check, "require('no-such-package')", None, project, sandbox)

    assert (result.outcome, result.executed) == ("failed", True)
    assert "Cannot find module 'no-such-package'" in (result.first_failure or "")


async def test_a_command_that_the_system_reaches_through_etc_alternatives_runs(sandbox: Sandbox, project: Path):
    check = replace(CHECK, command=("awk", "/good/ { found = 1 } END { exit !found }", "lib/answer.txt"))

    result = await run_command_check(check, "good", None, project, sandbox)

    assert (result.outcome, result.first_failure) == ("passed", None)


async def test_the_answer_is_not_written_through_a_symlink_in_the_project(
    sandbox: Sandbox, project: Path, tmp_path: Path
):
    outside = tmp_path / "outside.txt"
    outside.write_text("untouched")
    (project / "lib" / "answer.txt").unlink()
    (project / "lib" / "answer.txt").symlink_to("../notes.txt")
    (project / "notes.txt").write_text("notes")

    result = await run_command_check(CHECK, "good", None, project, sandbox)

    assert result.outcome == "passed"
    assert (outside.read_text(), (project / "notes.txt").read_text()) == ("untouched", "notes")


async def test_an_answer_path_outside_the_project_is_refused(sandbox: Sandbox, project: Path):
    result = await run_command_check(replace(CHECK, answer_path="../x"), "good", None, project, sandbox)

    assert (result.outcome, result.executed) == ("not_run", False)
    assert "leads outside the project" in (result.note or "")


async def test_without_a_project_the_command_is_not_run(sandbox: Sandbox):
    result = await run_command_check(CHECK, "good", None, None, sandbox)

    assert result.outcome == "not_run"
    assert "Set CHARGEHAND_ROOTS" in (result.note or "")


async def test_a_failing_sandbox_counts_as_not_run(project: Path):
    class Broken:
        name = "broken"
        python = ("python",)

        async def run(self, _: object):
            raise SandboxFailed("no namespaces here")

    result = await run_command_check(CHECK, "good", None, project, Broken())

    assert (result.name, result.outcome, result.note) == ("unit", "not_run", "unit was not run: no namespaces here")


def test_configured_checks_are_found_once_each_and_unknown_names_are_refused():
    assert configured(["unit", "unit"], {"unit": CHECK}) == (CHECK,)
    with pytest.raises(BadArgument, match="There are none"):
        configured(["unit"], {})
