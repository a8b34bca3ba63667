"""A home folder, and somebody whom file permissions bind."""

import contextlib
import os
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

AsNobody = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def as_nobody(tmp_path: Path) -> AsNobody:
    """Lets a block run as somebody whom file permissions bind; the folders above the test's are opened to them."""

    @contextlib.contextmanager
    def being_nobody() -> Generator[None]:
        if sys.platform == "win32" or os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        places = {place: place.stat().st_mode for place in (tmp_path, *tmp_path.parents)}
        for place, mode in places.items():
            if not mode & 0o001:
                place.chmod(mode | 0o011)
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
            for place, mode in places.items():
                place.chmod(mode)

    return being_nobody


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a project in it, and a data folder."""
    home = tmp_path / "home"
    (home / "project" / "src").mkdir(parents=True)
    (home / "project" / "pyproject.toml").touch()
    (home / "data").mkdir()
    return home
