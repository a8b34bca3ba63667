"""pytest is compiled once, outside the sandbox; otherwise each sandboxed run would compile it again."""

import shutil
import venv
from pathlib import Path

import pytest

from chargehand.tools.checking.interpreter import compile_pytest, pytest_modules


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package folder of an environment with an uncompiled installation of pytest."""
    venv.create(tmp_path / "environment", symlinks=True)
    packages = next((tmp_path / "environment").glob("lib/python3*/site-packages"))
    for name, path in pytest_modules().items():
        if path.is_dir():
            shutil.copytree(path, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, packages / name)
    return packages


def bytecode(packages: Path) -> set[str]:
    return {file.name.partition(".")[0] for file in packages.glob("_pytest/__pycache__/*.pyc")}


def test_the_modules_that_a_pytest_run_imports_are_compiled(installed: Path, tmp_path: Path):
    compile_pytest(installed / "pytest", tmp_path / "environment" / "bin" / "python")

    assert {"python", "fixtures", "runner", "terminal", "unittest", "capture"} <= bytecode(installed)


def test_no_bytecode_is_written_under_dont_write_bytecode(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    compile_pytest(installed / "pytest", tmp_path / "environment" / "bin" / "python")

    assert not bytecode(installed)
