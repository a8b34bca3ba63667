"""The ledger's tables, one version after the other; a file is brought up to date when it is opened."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import LedgerUnusable

# Times are seconds since 1970 UTC. A cost of NULL in `attempts` is not settled: the request is under
# way, or its owner died; until it is settled it counts at `reserved_usd`, its worst case.
_VERSION_1 = """
CREATE TABLE tasks (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL CHECK (kind IN ('delegation', 'validation', 'review')),
    begun_at         REAL NOT NULL,
    finished_at      REAL,
    text             TEXT NOT NULL,
    task_type        TEXT NOT NULL,
    complexity       REAL NOT NULL,
    local_only       INTEGER NOT NULL,
    status           TEXT NOT NULL,
    model            TEXT,
    verified_by      TEXT NOT NULL DEFAULT '[]',
    baseline_model   TEXT,
    baseline_usd     REAL,
    receipt          TEXT
) STRICT;
CREATE INDEX tasks_by_time ON tasks (kind, begun_at);

CREATE TABLE decisions (
    id          TEXT PRIMARY KEY,
    task_id     TEXT REFERENCES tasks (id),
    made_at     REAL NOT NULL,
    model       TEXT NOT NULL,
    role        TEXT NOT NULL,
    source      TEXT NOT NULL,
    task_type   TEXT NOT NULL,
    complexity  REAL NOT NULL,
    confidence  REAL NOT NULL,
    reason      TEXT NOT NULL
) STRICT;
CREATE INDEX decisions_by_task ON decisions (task_id);

CREATE TABLE attempts (
    id                  INTEGER PRIMARY KEY,
    task_id             TEXT NOT NULL REFERENCES tasks (id),
    model               TEXT NOT NULL,
    provider            TEXT NOT NULL,
    build               TEXT,
    thinking            INTEGER NOT NULL,
    begun_at            REAL NOT NULL,
    seconds             REAL,
    outcome             TEXT,
    input_tokens        INTEGER NOT NULL DEFAULT 0,
    output_tokens       INTEGER NOT NULL DEFAULT 0,
    thinking_tokens     INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens   INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens  INTEGER NOT NULL DEFAULT 0,
    reserved_usd        REAL NOT NULL,
    cost_usd            REAL
) STRICT;
CREATE INDEX attempts_by_task ON attempts (task_id);
CREATE INDEX attempts_by_time ON attempts (begun_at);

CREATE TABLE checks (
    id             INTEGER PRIMARY KEY,
    task_id        TEXT NOT NULL REFERENCES tasks (id),
    attempt_id     INTEGER REFERENCES attempts (id),
    name           TEXT NOT NULL,
    outcome        TEXT NOT NULL,
    executed       INTEGER NOT NULL,
    tests_passed   INTEGER,
    tests_total    INTEGER,
    seconds        REAL NOT NULL,
    first_failure  TEXT
) STRICT;
CREATE INDEX checks_by_task ON checks (task_id);

CREATE TABLE outcomes (
    task_id      TEXT NOT NULL REFERENCES tasks (id),
    outcome      TEXT NOT NULL,
    note         TEXT,
    recorded_at  REAL NOT NULL,
    PRIMARY KEY (task_id, outcome)
) STRICT;
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1,)
"""`MIGRATIONS[n]` takes a file from version n to n + 1. Entries are only ever added."""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this version, all steps or none; several processes may do so at once.

    path: the file's, for messages. Raises LedgerUnusable when a newer Chargehand wrote it.
    """
    if _version(connection) == len(MIGRATIONS):
        return
    with write_transaction(connection):
        version = _version(connection)
        if version > len(MIGRATIONS):
            raise LedgerUnusable(
                f"the ledger {path} was written by a newer Chargehand (version {version}; this one knows"
                f" {len(MIGRATIONS)}). Upgrade this Chargehand, or set CHARGEHAND_HOME to another folder."
            )
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


@contextmanager
def write_transaction(connection: sqlite3.Connection) -> Generator[None]:
    """One transaction that no other process can write beside; committed at the end, else undone."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already undone it after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version
