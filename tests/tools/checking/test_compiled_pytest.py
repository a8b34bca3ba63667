"""pytest is compiled once, outside the sandbox: else each run in a sandbox would compile it anew."""

import shutil
import venv
from pathlib import Path

import pytest

from chargehand.tools.checking.interpreter import compile_pytest, pytest_modules


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package folder of an environment in which pytest was installed by an installer that does not compile."""
    venv.create(tmp_path / "environment", symlinks=True)
    packages = next((tmp_path / "environment").glob("lib/python3*/site-packages"))
    for name, place in pytest_modules().items():
        if place.is_dir():
            shutil.copytree(place, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, packages / name)
    return packages


def bytecode(packages: Path) -> set[str]:
    return {file.name.partition(".")[0] for file in packages.glob("_pytest/__pycache__/*.pyc")}


def test_whatever_a_run_of_pytest_imports_is_compiled(installed: Path, tmp_path: Path):
    compile_pytest(installed / "pytest", tmp_path / "environment" / "bin" / "python")

    assert {"python", "fixtures", "runner", "terminal", "unittest", "capture"} <= bytecode(installed)


def test_nothing_is_written_where_python_was_told_not_to(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    compile_pytest(installed / "pytest", tmp_path / "environment" / "bin" / "python")

    assert not bytecode(installed)
