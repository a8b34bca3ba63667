"""All packages are in the wheel, and pinned versions name no registry."""

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


def test_every_package_init_has_a_docstring_and_no_imports():
    for name in PYPROJECT["tool"]["setuptools"]["packages"]:
        source = (PROJECT / Path(*name.split(".")[1:]) / "__init__.py").read_text(encoding="utf-8")

        assert source.startswith('"""'), name
        assert not re.search(r"^(?:from|import) ", source, re.MULTILINE), name


def test_all_top_level_folders_are_mapped_to_packages_and_typed():
    assert PYPROJECT["tool"]["setuptools"]["package-dir"] == {f"chargehand.{folder}": folder for folder in FOLDERS}
    for folder in FOLDERS:
        assert (PROJECT / folder / "py.typed").exists()


def test_pins_contain_only_names_versions_and_markers():
    pins = PYPROJECT["tool"]["uv"]["constraint-dependencies"]

    assert pins
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[\w.!+]+( ; [^:/]+)?", pin)] == []


def test_the_lock_file_is_ignored_by_git():
    assert "uv.lock" in (PROJECT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_no_module_is_longer_than_400_lines():
    long = {
        str(file.relative_to(PROJECT)): lines
        for folder in FOLDERS
        for file in (PROJECT / folder).rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > 400
    }

    assert long == {}
