"""A home folder, and an unprivileged user."""

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

AsUnprivileged = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def as_unprivileged(tmp_path: Path) -> AsUnprivileged:
    """Runs a block as an unprivileged user, who may enter the folders above the test's."""

    @contextlib.contextmanager
    def run_unprivileged() -> Generator[None]:
        if sys.platform == "win32" or os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        modes = {folder: folder.stat().st_mode for folder in (tmp_path, *tmp_path.parents)}
        for folder, mode in modes.items():
            if not mode & 0o001:
                folder.chmod(mode | 0o011)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
            for folder, mode in modes.items():
                folder.chmod(mode)

    return run_unprivileged


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a project in it, and a data folder."""
    home = tmp_path / "home"
    (home / "project" / "src").mkdir(parents=True)
    (home / "project" / "pyproject.toml").touch()
    (home / "data").mkdir()
    return home
