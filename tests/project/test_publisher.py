"""`scripts/publisher.py` names whoever publishes in every place at once, and lets nobody publish the placeholder."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PLACES = ("packaging/server.json", "README.md", "Dockerfile")
PLACEHOLDER = "io.github.your-account/chargehand"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the files that give the name."""
    (tmp_path / "packaging").mkdir()
    for place in PLACES:
        shutil.copy(PROJECT / place, tmp_path / place)
    return tmp_path


def run(*arguments: str, of: Path) -> tuple[int, str]:
    command = [sys.executable, str(PROJECT / "scripts" / "publisher.py"), *arguments, "--in", str(of)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_placeholder_is_not_published(checkout: Path):
    code, said = run("--check", of=checkout)

    assert code == 1
    assert said.startswith(f"Not published: {PLACEHOLDER} is a placeholder")


def test_one_command_fills_in_the_name_everywhere_and_then_it_may_be_published(checkout: Path):
    before = {place: (checkout / place).read_text() for place in PLACES}

    filled = run("io.github.jane-doe", of=checkout)
    checked = run("--check", of=checkout)

    assert (filled[0], checked) == (0, (0, "io.github.jane-doe/chargehand may be published\n"))
    for place, text in before.items():
        assert (checkout / place).read_text() == text.replace(PLACEHOLDER, "io.github.jane-doe/chargehand")


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_names_another_is_not_published(checkout: Path, place: str):
    run("io.github.jane-doe", of=checkout)
    text = (checkout / place).read_text()
    (checkout / place).write_text(text.replace("jane-doe", "john-doe"))

    code, said = run("--check", of=checkout)

    assert code == 1
    assert place in said
    assert "io.github.john-doe/chargehand" in said


@pytest.mark.parametrize("namespace", ["io.github.your-account", "jane", "io.github.jane/doe", "io.github.jane doe"])
def test_what_is_no_namespace_is_not_filled_in(checkout: Path, namespace: str):
    code, _ = run(namespace, of=checkout)

    assert code == 2
    assert run("--check", of=checkout)[1].startswith(f"Not published: {PLACEHOLDER}")


def test_this_checkout_gives_one_name_in_all_places():
    said = run("--check", of=PROJECT)[1]

    assert "is a placeholder" in said or "may be published" in said
