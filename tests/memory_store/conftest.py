"""A ledger in a folder of its own, a clock that tests set, and the shared modules of rows."""

import datetime as dt
import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chargehand.memory_store.ledger import Ledger

for _name in ("ledger_rows", "portable_rows"):
    _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_name])


class SetClock:
    """Shows the moment it was set to."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += dt.timedelta(**by)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def ledger(home: Path, clock: SetClock) -> AsyncIterator[Ledger]:
    opened = await Ledger.open(home, clock)
    yield opened
    await opened.aclose()
