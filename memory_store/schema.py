"""The ledger's schema as a series of migrations, and its write transactions."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

# Times are seconds since 1970 UTC. A NULL cost in `attempts` is unsettled: the request is in progress
# or its owner died; until settled it counts as `reserved_usd`, its worst case.
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

# `text_form` says how much of the text is stored. Pruned or forgotten tasks keep only their costs; the
# triggers reject later writes of anything else. `elsewhere` marks tasks imported from another ledger,
# which do not count towards this ledger's daily budget.
# Vectors are float32, little-endian, of unit length; vectors of different embedders are never compared.
# `row` is never reused, so readers can continue after the last row they saw; `removed_embeddings` lists
# deletions in the same way.
# Aggregates count pruned tasks: good and bad delegations as in the track record, or, for origin 'import',
# sums of success; `cost_usd` is the known cost.
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

# The ledger's id, which stays with its file.
_VERSION_4 = """
CREATE TABLE identity (id TEXT NOT NULL) STRICT;
INSERT INTO identity (id) VALUES (LOWER(HEX(RANDOMBLOB(6))));
"""

# Callers' tasks on a shared server; tasks not listed belong to the local user.
_VERSION_5 = """
CREATE TABLE task_callers (
    task_id  TEXT PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
    caller   TEXT NOT NULL
) STRICT;
CREATE INDEX tasks_of_use ON tasks (task_type, begun_at) WHERE kind = 'delegation' AND origin = 'use' AND NOT elsewhere;
CREATE INDEX decisions_offered ON decisions (task_type, made_at) WHERE task_id IS NULL;
"""

# Evaluations of models. An item is a task of a suite with its seed, or one mined from a repository;
# `passed` is NULL when the result is no evidence about the model (unreachable or interrupted).
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

# Requests submitted in a batch, from before submission until their answers are recorded. Their cost is recorded
# with the attempt.
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

# `expected_success` is the estimate for the chosen model; NULL in decisions made before this version. `measuring`
# counts changes to `measurements`, whose rows may be updated in place.
_VERSION_8 = """
ALTER TABLE decisions ADD COLUMN expected_success REAL;

CREATE TABLE measuring (changes INTEGER NOT NULL) STRICT;
INSERT INTO measuring (changes) SELECT COUNT(*) FROM measurements;
CREATE TRIGGER measured_anew AFTER INSERT ON measurements BEGIN UPDATE measuring SET changes = changes + 1; END;
CREATE TRIGGER measured_again AFTER UPDATE ON measurements BEGIN UPDATE measuring SET changes = changes + 1; END;
CREATE TRIGGER measured_no_more AFTER DELETE ON measurements BEGIN UPDATE measuring SET changes = changes + 1; END;
"""

# Finds each model's newest attempts.
_VERSION_9 = """
CREATE INDEX attempts_in_order ON attempts (model, id);
"""

# Tests of tasks that can be run again from text and tests alone; stored only with the full text.
_VERSION_10 = """
ALTER TABLE tasks ADD COLUMN tests TEXT;
CREATE TRIGGER no_tests_without_text AFTER UPDATE ON tasks WHEN NEW.tests IS NOT NULL AND NEW.text_form <> 'full'
    BEGIN UPDATE tasks SET tests = NULL WHERE id = NEW.id; END;
"""

# Some ledgers reached version 5 with other indexes or none.
_VERSION_11 = """
DROP INDEX IF EXISTS tasks_by_type;
CREATE INDEX IF NOT EXISTS tasks_of_use ON tasks (task_type, begun_at)
    WHERE kind = 'delegation' AND origin = 'use' AND NOT elsewhere;
CREATE INDEX IF NOT EXISTS decisions_offered ON decisions (task_type, made_at) WHERE task_id IS NULL;
"""

# Finds the newest unverified delegations among many verified ones.
_VERSION_12 = """
CREATE INDEX tasks_by_status ON tasks (status, begun_at) WHERE kind = 'delegation' AND origin = 'use' AND NOT elsewhere;
"""

MIGRATIONS: tuple[str, ...] = (
    _VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4, _VERSION_5, _VERSION_6, _VERSION_7, _VERSION_8, _VERSION_9,
    _VERSION_10, _VERSION_11, _VERSION_12,
)  # fmt: skip
"""`MIGRATIONS[n]` migrates from version n to n + 1. Append only."""


@contextmanager
def write_transaction(connection: sqlite3.Connection) -> Generator[None]:
    """A transaction that excludes other writers; committed at the end, rolled back if the block raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has already rolled back after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
