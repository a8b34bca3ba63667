"""Every package reaches the wheel, and the pinned versions name no registry."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2]
FOLDERS = ("evaluation", "memory_store", "profiles", "server", "tools")
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_with_code_is_listed_for_the_wheel():
    found = {
        "chargehand." + ".".join(file.parent.relative_to(PROJECT).parts)
        for folder in FOLDERS
        for file in (PROJECT / folder).rglob("*.py")
    }

    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_package_has_a_docstring_and_imports_nothing():
    for name in PYPROJECT["tool"]["setuptools"]["packages"]:
        source = (PROJECT / Path(*name.split(".")[1:]) / "__init__.py").read_text(encoding="utf-8")

        assert source.startswith('"""'), name
        assert not re.search(r"^(?:from|import) ", source, re.MULTILINE), name


def test_every_top_folder_is_mapped_and_typed():
    assert PYPROJECT["tool"]["setuptools"]["package-dir"] == {f"chargehand.{folder}": folder for folder in FOLDERS}
    for folder in FOLDERS:
        assert (PROJECT / folder / "py.typed").exists()


def test_pinned_versions_are_versions_and_nothing_else():
    pins = PYPROJECT["tool"]["uv"]["constraint-dependencies"]

    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[\w.!+]+( ; [^:/]+)?", pin)] == []


def test_no_lock_file_is_committed():
    assert "uv.lock" in (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_no_module_has_grown_past_its_second_idea():
    long = {
        str(file.relative_to(PROJECT)): lines
        for folder in FOLDERS
        for file in (PROJECT / folder).rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 400
    }

    assert long == {}
