"""Migrates a ledger's file to the current version, after a backup of the old one."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ..profiles.durable_files import sync
from .errors import LedgerUnusable
from .schema import MIGRATIONS, write_transaction

_WAIT_MS = 120_000
"""How long to wait for another process's migration; copying a large ledger is slow."""

_NOT_AS_EXPECTED = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT)
"""Errors of a migration step on a file whose tables or rows do not match its version."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Migrate the file to the current version in one transaction; safe for concurrent processes.

    An existing ledger is first copied to `backup_of(path, version)`. After a kill at any moment the file is
    either the old or the new one. Raises LedgerUnusable when a newer Chargehand wrote the file, or when its
    content does not match its version.
    """
    if _version(connection) == len(MIGRATIONS):
        _remove_unfinished(connection, path)
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
            # This transaction excludes other writers, so the copy matches what is about to be migrated.
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
    """Path of the backup made before migrating from a version."""
    return path.with_name(f"{path.name}.v{version}.bak")


def backups_of(path: Path) -> list[Path]:
    """The existing backups, oldest version first."""
    copies = (backup_of(path, version) for version in range(1, len(MIGRATIONS)))
    return [copy for copy in copies if copy.exists()]


def _remove_unfinished(connection: sqlite3.Connection, path: Path) -> None:
    """Remove unfinished backups of killed processes.

    One may be left beside a migrated ledger: a commit whose writer died during it is seen by the next
    process to open the file, but not by those that have it open and start the same migration.
    """
    left = [file for version in range(1, len(MIGRATIONS)) for file in _unfinished(path, version) if file.exists()]
    if left:
        with write_transaction(connection):  # so no process is writing one
            for file in left:
                file.unlink(missing_ok=True)


def _unfinished(path: Path, version: int) -> tuple[Path, Path]:
    """Path of an unfinished backup, and of its SQLite journal."""
    name = backup_of(path, version).name + ".unfinished"
    return path.with_name(name), path.with_name(name + "-journal")


def _back_up(path: Path, version: int) -> None:
    copy = backup_of(path, version)
    unfinished, journal = _unfinished(path, version)
    # Left by a killed process; the write lock excludes all others.
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
    """The statements of a script; semicolons within a trigger do not end one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
