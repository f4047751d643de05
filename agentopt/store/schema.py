"""The run file: SQLite tables, their version, and the upgrades from older versions.

``events`` is the truth: an append-only log. ``cells``, ``calls`` and ``spend`` are projections of it, written in the
same transaction as the event they come from, so that a large run opens without reading its whole log.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from agentopt.errors import RunCorrupt, SchemaTooNew

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "prepare"]

APPLICATION_ID = 0x61676F70  # "agop"
SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO about VALUES ('id', lower(hex(randomblob(16))));
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_by_type ON events (type, seq);
CREATE TABLE blobs (id TEXT PRIMARY KEY, size INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE cells (
    candidate TEXT NOT NULL, example TEXT NOT NULL, repeat INTEGER NOT NULL, split TEXT NOT NULL,
    seq INTEGER NOT NULL, status TEXT NOT NULL, score REAL, outcome TEXT NOT NULL,
    PRIMARY KEY (candidate, example, repeat)
) WITHOUT ROWID;
CREATE TABLE calls (
    address TEXT PRIMARY KEY, hash TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL,
    role TEXT NOT NULL, key TEXT NOT NULL, reserved TEXT NOT NULL, response TEXT, payload TEXT, endpoint TEXT
) WITHOUT ROWID;
CREATE TABLE spend (
    role TEXT NOT NULL, axis TEXT NOT NULL, amount REAL NOT NULL, PRIMARY KEY (role, axis)
) WITHOUT ROWID;
CREATE VIEW scores AS
    SELECT candidate, split, count(DISTINCT example) AS examples, avg(score) AS mean_of_cells FROM cells
    WHERE status != 'infra_error' GROUP BY candidate, split;
"""

_UPGRADES: dict[int, Callable[[sqlite3.Connection], None]] = {}
"""From version n: the function that makes a file of version n + 1 of it."""


def prepare(db: sqlite3.Connection, *, name: str, readonly: bool = False) -> None:
    """Make the tables in a new file; upgrade an old one in place.

    Raises ``RunCorrupt`` for a file that is not a run file and ``SchemaTooNew`` for one of a newer version.
    """
    try:
        application = int(db.execute("PRAGMA application_id").fetchone()[0])
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise RunCorrupt(f"{name} is cut or damaged ({error}); restore it from a copy, nothing was changed") from error
    if tables == 0 and version == 0 and not readonly:
        db.executescript(
            f"BEGIN; PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; {_TABLES} COMMIT;"
        )
        return
    if application != APPLICATION_ID:
        raise RunCorrupt(
            f"{name} is not a run file of agentopt; name a folder under runs/ (`agentopt runs` lists them)"
        )
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"{name} has schema {version}, this agentopt reads up to {SCHEMA_VERSION}: `pip install -U agentopt`"
        )
    while version < SCHEMA_VERSION and not readonly:
        with db:
            _UPGRADES[version](db)
            version += 1
            db.execute(f"PRAGMA user_version={version}")
