"""A ledger in a temporary folder, a clock set by the test, and the shared helper modules."""

import datetime as dt
import importlib.util
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from chargehand.memory_store.ledger import Ledger

for _name in ("ledger_rows", "portable_rows", "agreement_host"):
    _spec = importlib.util.spec_from_file_location(_name, Path(__file__).with_name(f"{_name}.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules[_name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_name])


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.moment = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.moment

    def advance(self, **by: float) -> None:
        self.moment += dt.timedelta(**by)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
async def ledger(home: Path, clock: ManualClock) -> AsyncIterator[Ledger]:
    new_ledger = await Ledger.open(home, clock)
    yield new_ledger
    await new_ledger.aclose()


StartWriter = Callable[..., AbstractContextManager[tuple["subprocess.Popen[str]", str]]]


@pytest.fixture
def start_writer(home: Path) -> StartWriter:
    """Starts `ledger_writer.py`: `with start_writer(command, *arguments) as (process, its_first_line)`."""
    writer = Path(__file__).with_name("ledger_writer.py")

    @contextmanager
    def started(*command: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
        process = subprocess.Popen(
            [sys.executable, str(writer), str(home), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            process.stdin.write("go\n")
            process.stdin.flush()
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()
            process.wait(60)
            process.stdin.close()
            process.stdout.close()

    return started
