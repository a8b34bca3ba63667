"""The ledger's file, opened beside a server to read or change rows."""

import contextlib
import sqlite3
from collections.abc import Generator
from pathlib import Path

from chargehand.memory_store.ledger import LEDGER_FILE


@contextlib.contextmanager
def opened_ledger(folder: Path) -> Generator[sqlite3.Connection]:
    """Open the ledger in a data folder; commits when the block ends, and closes it."""
    with contextlib.closing(sqlite3.connect(folder / LEDGER_FILE)) as db, db:
        yield db
