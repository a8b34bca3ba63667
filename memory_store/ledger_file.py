"""Opens the ledger's file, and says what to do when it cannot be used."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .errors import LedgerUnusable
from .schema import migrate

BUSY_TIMEOUT_S = 10.0

_T = TypeVar("_T")


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the ledger's file, made and migrated where needed; its folder too.

    Raises LedgerUnusable, which names the file and what to do.
    """
    try:
        # Folder and file hold task texts and answers: for their owner's eyes.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnusable(_remedy(path, error)) from error
    try:
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise LedgerUnusable(_remedy(path, error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def in_ledger(work: Callable[[sqlite3.Connection], _T], connection: sqlite3.Connection, path: Path) -> _T:
    """What the work gives; what SQLite cannot do is raised as LedgerUnusable."""
    try:
        return work(connection)
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # our own mistake, and nothing that another folder would mend
    except sqlite3.Error as error:
        raise LedgerUnusable(_remedy(path, error)) from error


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL.

    SQLite does not wait for its busy timeout here when another process switches the same new file.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_PAUSE_S)
        else:
            return


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


def _remedy(path: Path, error: Exception) -> str:
    if _is_busy(error):
        return (
            f"the ledger {path} has been held by another process for {BUSY_TIMEOUT_S:g} s. Try again, and if it"
            " stays so, end the process that holds it."
        )
    return (
        f"the ledger {path} cannot be used ({error}). Make the folder writable and the disk not full,"
        " or set CHARGEHAND_HOME to another folder. If the file is damaged, move it aside: a new one is begun."
    )


_RETRY_PAUSE_S = 0.02
