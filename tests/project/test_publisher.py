"""`scripts/publisher.py` writes the publisher's name into all files, and its check fails on the placeholder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FILES = ("packaging/server.json", "README.md", "Dockerfile")
PLACEHOLDER = "io.github.your-account/chargehand"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that contain the name."""
    (tmp_path / "packaging").mkdir()
    for file in FILES:
        shutil.copy(PROJECT / file, tmp_path / file)
    return tmp_path


def run(*arguments: str, checkout_folder: Path) -> tuple[int, str]:
    command = [sys.executable, str(PROJECT / "scripts" / "publisher.py"), *arguments, "--in", str(checkout_folder)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return process.returncode, process.stdout + process.stderr


def test_the_placeholder_fails_the_check(checkout: Path):
    code, output = run("--check", checkout_folder=checkout)

    assert code == 1
    assert output.startswith(f"Not published: {PLACEHOLDER} is a placeholder")


def test_one_command_fills_in_the_name_in_all_files_and_the_check_passes(checkout: Path):
    before = {file: (checkout / file).read_text() for file in FILES}

    filled = run("io.github.jane-doe", checkout_folder=checkout)
    checked = run("--check", checkout_folder=checkout)

    assert (filled[0], checked) == (0, (0, "io.github.jane-doe/chargehand may be published\n"))
    for file, text in before.items():
        assert (checkout / file).read_text() == text.replace(PLACEHOLDER, "io.github.jane-doe/chargehand")


@pytest.mark.parametrize("file", FILES)
def test_a_file_with_a_different_name_fails_the_check(checkout: Path, file: str):
    run("io.github.jane-doe", checkout_folder=checkout)
    text = (checkout / file).read_text()
    (checkout / file).write_text(text.replace("jane-doe", "john-doe"))

    code, output = run("--check", checkout_folder=checkout)

    assert code == 1
    assert file in output
    assert "io.github.john-doe/chargehand" in output


@pytest.mark.parametrize("namespace", ["io.github.your-account", "jane", "io.github.jane/doe", "io.github.jane doe"])
def test_an_invalid_namespace_is_not_filled_in(checkout: Path, namespace: str):
    code, _ = run(namespace, checkout_folder=checkout)

    assert code == 2
    assert run("--check", checkout_folder=checkout)[1].startswith(f"Not published: {PLACEHOLDER}")


def test_this_checkout_has_the_same_name_in_all_files():
    output = run("--check", checkout_folder=PROJECT)[1]

    assert "is a placeholder" in output or "may be published" in output
