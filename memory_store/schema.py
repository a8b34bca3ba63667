"""The ledger's tables, one version after the other, and how they are written to."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

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

# `text_form` says what is left of the text; of a task that was pruned or forgotten only its money is,
# and the triggers keep it so whatever comes in late. A task was done `elsewhere` when another ledger
# did it and it was imported: it is history, and no part of this ledger's budget of the day.
# Vectors are float32, little-endian, of unit length; those of different embedders are never compared.
# `row` is never used twice, so whoever knows the last one he has seen can ask for what came after;
# `removed_embeddings` says the same way what went.
# An aggregate counts the pruned: delegations that were found good or bad as the track record has it,
# or, of origin 'import', sums of success; `cost_usd` is what is known of it.
_VERSION_2 = """
ALTER TABLE tasks ADD COLUMN project TEXT;
ALTER TABLE tasks ADD COLUMN origin TEXT NOT NULL DEFAULT 'use' CHECK (origin IN ('use', 'evaluation', 'import'));
ALTER TABLE tasks ADD COLUMN text_form TEXT NOT NULL DEFAULT 'full'
    CHECK (text_form IN ('full', 'redacted', 'hash', 'pruned', 'forgotten'));
ALTER TABLE tasks ADD COLUMN elsewhere INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_in_order ON tasks (begun_at, id);
CREATE INDEX tasks_by_model ON tasks (model);
CREATE INDEX attempts_by_model ON attempts (model, task_id);
CREATE INDEX checks_by_attempt ON checks (attempt_id);

CREATE TABLE embeddings (
    row       INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id   TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    embedder  TEXT NOT NULL,
    vector    BLOB NOT NULL,
    UNIQUE (task_id, embedder)
) STRICT;
CREATE INDEX embeddings_by_embedder ON embeddings (embedder, row);

CREATE TABLE removed_embeddings (
    row       INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id   TEXT NOT NULL,
    embedder  TEXT NOT NULL
) STRICT;
CREATE TRIGGER embedding_goes AFTER DELETE ON embeddings BEGIN
    INSERT INTO removed_embeddings (task_id, embedder) VALUES (OLD.task_id, OLD.embedder);
END;

CREATE TABLE imported_outcomes (
    task_id   TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE,
    model     TEXT NOT NULL,
    success   REAL NOT NULL CHECK (success BETWEEN 0 AND 1),
    cost_usd  REAL,
    at        REAL NOT NULL,
    PRIMARY KEY (task_id, model)
) STRICT;

CREATE TABLE aggregates (
    model      TEXT NOT NULL,
    task_type  TEXT NOT NULL,
    origin     TEXT NOT NULL,
    tasks      INTEGER NOT NULL,
    successes  REAL NOT NULL,
    failures   REAL NOT NULL,
    cost_usd   REAL NOT NULL,
    PRIMARY KEY (model, task_type, origin)
) STRICT;

CREATE VIEW remembered_tasks AS SELECT * FROM tasks WHERE text_form NOT IN ('pruned', 'forgotten');

CREATE VIEW evidence (task_id, model, build, kind, success, at) AS
    SELECT a.task_id, a.model, a.build, 'executed', MAX(c.outcome = 'passed'), MAX(a.begun_at)
        FROM attempts a JOIN checks c ON c.attempt_id = a.id
        WHERE c.executed AND c.outcome IN ('passed', 'failed') GROUP BY a.task_id, a.model
    UNION ALL
    SELECT a.task_id, a.model, a.build, 'static', 0, MAX(a.begun_at)
        FROM attempts a JOIN remembered_tasks t ON t.id = a.task_id
        WHERE a.outcome IN ('truncated', 'refused', 'empty') OR EXISTS (
            SELECT 1 FROM checks c WHERE c.attempt_id = a.id AND NOT c.executed AND c.outcome = 'failed')
        GROUP BY a.task_id, a.model
    UNION ALL
    SELECT t.id, t.model, NULL, 'word',
        o.outcome IN ('accepted', 'edited', 'tests_passed'), o.recorded_at
        FROM remembered_tasks t JOIN outcomes o ON o.task_id = t.id WHERE t.model IS NOT NULL
    UNION ALL
    SELECT i.task_id, i.model, NULL, 'executed', i.success, i.at FROM imported_outcomes i;

CREATE TRIGGER no_embedding_returns BEFORE INSERT ON embeddings
    WHEN EXISTS (SELECT 1 FROM tasks WHERE id = NEW.task_id AND text_form IN ('pruned', 'forgotten'))
    BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER no_check_returns BEFORE INSERT ON checks
    WHEN EXISTS (SELECT 1 FROM tasks WHERE id = NEW.task_id AND text_form IN ('pruned', 'forgotten'))
    BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER no_decision_returns BEFORE INSERT ON decisions
    WHEN EXISTS (SELECT 1 FROM tasks WHERE id = NEW.task_id AND text_form IN ('pruned', 'forgotten'))
    BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER no_receipt_returns AFTER UPDATE ON tasks
    WHEN NEW.text_form IN ('pruned', 'forgotten') AND (NEW.receipt IS NOT NULL OR NEW.verified_by <> '[]')
    BEGIN UPDATE tasks SET receipt = NULL, verified_by = '[]' WHERE id = NEW.id; END;
CREATE TRIGGER no_note_returns AFTER INSERT ON outcomes
    WHEN NEW.note IS NOT NULL
        AND EXISTS (SELECT 1 FROM tasks WHERE id = NEW.task_id AND text_form IN ('pruned', 'forgotten'))
    BEGIN UPDATE outcomes SET note = NULL WHERE task_id = NEW.task_id; END;
CREATE TRIGGER no_later_note_returns AFTER UPDATE OF note ON outcomes
    WHEN NEW.note IS NOT NULL
        AND EXISTS (SELECT 1 FROM tasks WHERE id = NEW.task_id AND text_form IN ('pruned', 'forgotten'))
    BEGIN UPDATE outcomes SET note = NULL WHERE task_id = NEW.task_id; END;
"""

_VERSION_3 = """
ALTER TABLE tasks ADD COLUMN owner TEXT;
ALTER TABLE tasks ADD COLUMN stage TEXT;
ALTER TABLE tasks ADD COLUMN expected_end REAL;
ALTER TABLE tasks ADD COLUMN cancel_wished_at REAL;
ALTER TABLE tasks ADD COLUMN interrupted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_under_way ON tasks (owner) WHERE status = 'running';

ALTER TABLE attempts ADD COLUMN load_seconds REAL;
ALTER TABLE attempts ADD COLUMN first_token_seconds REAL;
ALTER TABLE attempts ADD COLUMN stream_seconds REAL;
CREATE INDEX attempts_with_pace ON attempts (model, id) WHERE first_token_seconds IS NOT NULL;

CREATE TABLE tickets (
    id      INTEGER PRIMARY KEY,
    server  TEXT NOT NULL,
    owner   TEXT NOT NULL
) STRICT;
"""

# Which ledger this is, wherever its file lies.
_VERSION_4 = """
CREATE TABLE identity (id TEXT NOT NULL) STRICT;
INSERT INTO identity (id) VALUES (LOWER(HEX(RANDOMBLOB(6))));
"""

# Whose a task is that came from one of several callers; a task that is not here is the user's of this machine.
_VERSION_5 = """
CREATE TABLE task_callers (
    task_id  TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    caller   TEXT NOT NULL
) STRICT;
CREATE INDEX tasks_of_use ON tasks (task_type, begun_at) WHERE kind = 'delegation' AND origin = 'use' AND NOT elsewhere;
CREATE INDEX decisions_offered ON decisions (task_type, made_at) WHERE task_id IS NULL;
"""

# What models were measured at. An item is one task of a suite with its seed, or one that was mined from a
# repository; `passed` is NULL where nothing was learnt of the model (nobody answered, or it was cut short).
_VERSION_6 = """
CREATE TABLE evaluations (
    id           TEXT PRIMARY KEY,
    suite        TEXT NOT NULL,
    seed         INTEGER NOT NULL,
    begun_at     REAL NOT NULL,
    finished_at  REAL,
    budget_usd   REAL,
    owner        TEXT,
    terms        TEXT NOT NULL
) STRICT;
CREATE INDEX evaluations_by_time ON evaluations (begun_at);

CREATE TABLE measurements (
    evaluation_id        TEXT NOT NULL REFERENCES evaluations (id) ON DELETE CASCADE,
    item                 TEXT NOT NULL,
    model                TEXT NOT NULL,
    repetition           INTEGER NOT NULL,
    build                TEXT,
    kind                 TEXT NOT NULL,
    task_type            TEXT NOT NULL,
    language             TEXT NOT NULL,
    complexity           REAL NOT NULL,
    passed               INTEGER,
    outcome              TEXT NOT NULL,
    task_id              TEXT,
    at                   REAL NOT NULL,
    seconds              REAL NOT NULL,
    first_token_seconds  REAL,
    output_tokens        INTEGER NOT NULL,
    thinking_tokens      INTEGER NOT NULL,
    cost_usd             REAL NOT NULL,
    PRIMARY KEY (evaluation_id, item, model, repetition)
) STRICT;
CREATE INDEX measurements_by_model ON measurements (model, at);
"""

# Requests that were handed in with a batch, from before they leave until their answers are in the books. What they
# cost stands with the attempt.
_VERSION_7 = """
CREATE TABLE batched (
    name         TEXT PRIMARY KEY,
    fingerprint  TEXT NOT NULL,
    attempt_id   INTEGER NOT NULL REFERENCES attempts (id) ON DELETE CASCADE,
    provider     TEXT NOT NULL,
    batch_id     TEXT,
    written_at   REAL NOT NULL
) STRICT;
"""

# `expected_success` is what was believed of the chosen model; NULL in decisions from before it was kept. `measuring`
# says whether anything was measured since one last looked: a row of `measurements` may change in place.
_VERSION_8 = """
ALTER TABLE decisions ADD COLUMN expected_success REAL;

CREATE TABLE measuring (changes INTEGER NOT NULL) STRICT;
INSERT INTO measuring (changes) SELECT COUNT(*) FROM measurements;
CREATE TRIGGER measured_anew AFTER INSERT ON measurements BEGIN UPDATE measuring SET changes = changes + 1; END;
CREATE TRIGGER measured_again AFTER UPDATE ON measurements BEGIN UPDATE measuring SET changes = changes + 1; END;
CREATE TRIGGER measured_no_more AFTER DELETE ON measurements BEGIN UPDATE measuring SET changes = changes + 1; END;
"""

# The newest attempts of each model, whatever lies between.
_VERSION_9 = """
CREATE INDEX attempts_in_order ON attempts (model, id);
"""

# The code that an answer had to pass, of tasks that can be asked again by their text alone; kept only while the
# text is kept whole.
_VERSION_10 = """
ALTER TABLE tasks ADD COLUMN tests TEXT;
CREATE TRIGGER no_tests_without_text AFTER UPDATE ON tasks WHEN NEW.tests IS NOT NULL AND NEW.text_form <> 'full'
    BEGIN UPDATE tasks SET tests = NULL WHERE id = NEW.id; END;
"""

# Some ledgers came to version 5 with other indexes, or without.
_VERSION_11 = """
DROP INDEX IF EXISTS tasks_by_type;
CREATE INDEX IF NOT EXISTS tasks_of_use ON tasks (task_type, begun_at)
    WHERE kind = 'delegation' AND origin = 'use' AND NOT elsewhere;
CREATE INDEX IF NOT EXISTS decisions_offered ON decisions (task_type, made_at) WHERE task_id IS NULL;
"""

MIGRATIONS: tuple[str, ...] = (
    _VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5, _VERSION_6, _VERSION_7, _VERSION_8, _VERSION_9,
    _VERSION_10, _VERSION_11,
)  # fmt: skip
"""`MIGRATIONS[n]` takes a file from version n to n + 1. Entries are only ever added."""


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
