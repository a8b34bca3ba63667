"""Brings a ledger's file to this version: once, forward, with a copy of the old one kept beside it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ..profiles.durable_files import sync
from .errors import LedgerUnusable
from .schema import MIGRATIONS, write_transaction

_WAIT_MS = 120_000
"""How long a process waits while another one migrates: copying a large ledger takes its time."""

_NOT_AS_EXPECTED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
"""What a step meets in a file whose tables or rows are not those of its version."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this version, all steps or none; several processes may do so at once.

    Before an existing ledger changes, it is copied to `backup_of(path, version)`. Killed at any moment
    the file is the old one or the new one. Raises LedgerUnusable when a newer Chargehand wrote it, or it holds
    something that no Chargehand put there.
    """
    if _version(connection) == len(MIGRATIONS):
        _clear_away(connection, path)
        return
    patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
    with write_transaction(connection):
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise LedgerUnusable(
                f"the ledger {path} was written by a newer Chargehand (version {version}; this one knows"
                f" {len(MIGRATIONS)}). Upgrade this Chargehand, or set CHARGEHAND_HOME to another folder."
            )
        if 0 < version < len(MIGRATIONS):
            # This transaction keeps all other writers out, so the copy is what is about to change.
            _back_up(path, version)
        for step, script in enumerate(MIGRATIONS[version:], start=version):
            try:
                for statement in _statements(script):
                    connection.execute(statement)
            except sqlite3.Error as error:
                if error.sqlite_errorcode & 0xFF not in _NOT_AS_EXPECTED:
                    raise
                kept = f" Its copy {backup_of(path, version).name} beside it is as good." if version else ""
                raise LedgerUnusable(
                    f"the ledger {path} cannot be brought from version {step} to {step + 1} ({error}), and stays at"
                    f" version {version}, unchanged.{kept} Use the Chargehand that wrote it, or set CHARGEHAND_HOME to"
                    " another folder."
                ) from error
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    connection.execute(f"PRAGMA busy_timeout = {patience}")


def backup_of(path: Path, version: int) -> Path:
    """Where the copy of a ledger's file lies that was made before it left a version."""
    return path.with_name(f"{path.name}.v{version}.bak")


def backups_of(path: Path) -> list[Path]:
    """The copies there are, the oldest version first."""
    copies = (backup_of(path, version) for version in range(1, len(MIGRATIONS)))
    return [copy for copy in copies if copy.exists()]


def _clear_away(connection: sqlite3.Connection, path: Path) -> None:
    """Remove copies that a process was killed over.

    One may be left although the ledger is new: a commit whose writer died within it is seen by the next
    to open the file, and not by those who have it open and begin the same migration.
    """
    left = [file for version in range(1, len(MIGRATIONS)) for file in _unfinished(path, version) if file.exists()]
    if left:
        with write_transaction(connection):  # then nobody is writing one
            for file in left:
                file.unlink(missing_ok=True)


def _unfinished(path: Path, version: int) -> tuple[Path, Path]:
    """A copy that is being written, and SQLite's journal of it."""
    name = backup_of(path, version).name + ".unfinished"
    return path.with_name(name), path.with_name(name + "-journal")


def _back_up(path: Path, version: int) -> None:
    copy = backup_of(path, version)
    unfinished, journal = _unfinished(path, version)
    # Left by a process that was killed: whoever holds the write lock is the only one here.
    for file in (journal, unfinished):
        file.unlink(missing_ok=True)
    try:
        unfinished.touch(mode=0o600)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("VACUUM INTO ?", (str(unfinished),))
        sync(unfinished)
        unfinished.replace(copy)
        sync(copy.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one; a trigger's own semicolons do not end it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
