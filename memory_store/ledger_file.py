"""Opens the ledger's file and turns SQLite errors into messages with a remedy."""

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .errors import LedgerUnusable
from .migration import backups_of, migrate

BUSY_TIMEOUT_S = 10.0

# Bugs of ours, which no other folder would fix.
_OUR_MISTAKES = (sqlite3.IntegrityError, sqlite3.ProgrammingError)

_T = TypeVar("_T")


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the ledger's file; creates file and folder and migrates as needed.

    Raises LedgerUnusable, which names the file and the remedy.
    """
    try:
        _make_folder(path.parent)
        _refuse_emptied(path)
        path.touch(mode=0o600)
        _keep_private(path)
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise LedgerUnusable(_remedy(path, error)) from error
    try:
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, path)
    except (OSError, sqlite3.Error) as error:
        connection.close()
        raise LedgerUnusable(_remedy(path, error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


class FileWatch:
    """Notices that a path no longer leads to the file in use: SQLite would go on writing into a deleted one.

    SQLite itself checks this only without a write-ahead log (SQLITE_READONLY_DBMOVED).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = path.stat()

    def require(self) -> None:
        """Raise an sqlite3.OperationalError if the file was moved, deleted or replaced."""
        try:
            is_same = os.path.samestat(self._path.stat(), self._known)
        except (FileNotFoundError, NotADirectoryError):
            is_same = False
        except OSError:
            return  # cannot be looked at for the moment, which SQLite does not need
        if not is_same:
            error = sqlite3.OperationalError("the file was moved")
            error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DBMOVED
            raise error


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode that overwrites deleted data."""
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def with_ledger_errors(work: Callable[[sqlite3.Connection], _T], connection: sqlite3.Connection, path: Path) -> _T:
    """The result of the work; SQLite errors are raised as LedgerUnusable."""
    try:
        return work(connection)
    except _OUR_MISTAKES:
        raise
    except sqlite3.Error as error:
        raise LedgerUnusable(_remedy(path, error)) from error


def to_ledger_error(path: Path, error: sqlite3.Error) -> Exception:
    """The exception to raise for a caught SQLite error; a new one at each call, except for bugs of ours."""
    if isinstance(error, _OUR_MISTAKES):
        return error
    unusable = LedgerUnusable(_remedy(path, error))
    unusable.__cause__ = error
    return unusable


def files_of(path: Path) -> list[Path]:
    """The ledger's existing files: database, write-ahead log, shared memory and backups."""
    companions = (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm")), *backups_of(path))
    return [file for file in companions if file.exists()]


def _make_folder(folder: Path) -> None:
    """Create the data folder as private to its owner; an existing empty one of ours is made private too."""
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        # A folder with other content may be shared, so only the files' own modes protect the ledger.
        if _is_ours(folder.stat()) and not any(folder.iterdir()):
            folder.chmod(0o700)


def _keep_private(path: Path) -> None:
    for file in files_of(path):
        found = file.stat()
        if _is_ours(found) and stat.S_IMODE(found.st_mode) & 0o077:
            file.chmod(0o600)


def _is_ours(found: os.stat_result) -> bool:
    return os.name != "nt" and found.st_uid == os.geteuid()


def _refuse_emptied(path: Path) -> None:
    """Refuse an empty file beside a non-empty log: SQLite would treat it as new and delete the log.

    SQLite itself refuses a truncated file. The file is not opened here, since closing it would drop
    the locks of this process's other connections (https://www.sqlite.org/howtocorrupt.html, 2.2,
    seen 2026-11-24).
    """
    # The order matters: a log is only created after the first page of its file.
    has_log = _size(path.with_name(path.name + "-wal")) > 0
    if has_log and _size(path) == 0:
        raise sqlite3.DatabaseError("it is empty, and its log is not")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL.

    SQLite ignores its busy timeout here while another process switches the same new file.
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
    return _code(error) == sqlite3.SQLITE_BUSY


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    # Without room for its shared memory, SQLite calls it an I/O error.
    return _code(error) == sqlite3.SQLITE_FULL or _extended_code(error) == sqlite3.SQLITE_IOERR_SHMSIZE


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 for errors it did not report."""
    return _extended_code(error) & 0xFF


def _extended_code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) if isinstance(error, sqlite3.Error) else 0


def _remedy(path: Path, error: Exception) -> str:
    if _is_busy(error):
        return (
            f"the ledger {path} has been locked by another process for {BUSY_TIMEOUT_S:g} s. Try again; if it stays"
            " locked, end the process that holds the lock."
        )
    if isinstance(error, sqlite3.DatabaseError) and _code(error) in _DAMAGE:
        backups = ", ".join(copy.name for copy in backups_of(path))
        return (
            f"the ledger {path} is damaged ({error}). It was not changed. Stop all Chargehand processes, then move it"
            " aside,"
            f" together with {path.name}-wal and {path.name}-shm if they exist: a new one is created. To recover what"
            f" is readable: sqlite3 {path.name} .recover" + (f"; an older copy is in {backups}." if backups else ".")
        )
    if _extended_code(error) == sqlite3.SQLITE_READONLY_DBMOVED:
        return (
            f"the ledger {path} was moved, deleted or replaced while it was in use, so nothing more is written to it."
            " Put it back, or restart the server, which goes on with what is there now."
        )
    if _is_full(error):
        return f"the ledger {path} cannot be written: the disk is full. What it holds is safe. Make room and try again."
    if isinstance(error, OSError) or _code(error) in _FORBIDDEN:
        why = f"{error.filename or path}: {error.strerror or error}" if isinstance(error, OSError) else error
        return (
            f"the ledger {path} cannot be used ({why}). Make the folder and its files readable and writable for you,"
            " or set CHARGEHAND_HOME to another folder."
        )
    return (
        f"the ledger {path} cannot be used ({error}). Make the folder writable and free disk space, or set"
        " CHARGEHAND_HOME to another folder. If the file is damaged, move it aside: a new one is created."
    )


_RETRY_PAUSE_S = 0.02
_FORBIDDEN = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
# 0: raised by _refuse_emptied.
_DAMAGE = (0, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
