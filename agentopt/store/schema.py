"""The run file: SQLite tables, their version, and the upgrades from older versions.

``events`` is the truth: an append-only log, each row with a checksum. ``cells``, ``calls`` and ``spend`` project
it, written in the same transaction as the event they come from, so that a large run opens without reading its whole
log; they hold no answer and no outcome of their own, but the ``seq`` of the event that has it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from agentopt.errors import RunCorrupt, SchemaTooNew, StoreError
from agentopt.store.events import checksum, project

__all__ = ["APPLICATION_ID", "FAILURES", "SCHEMA_VERSION", "prepare", "run_id", "unusable", "verify"]

FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises; the second where the text of its own message is damaged."""
APPLICATION_ID = 0x61676F70  # "agop"
SCHEMA_VERSION = 2

_LOG = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO about VALUES ('id', lower(hex(randomblob(16))));
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    sum INTEGER NOT NULL
);
CREATE INDEX events_by_type ON events (type, seq);
CREATE TABLE blobs (id TEXT PRIMARY KEY, size INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
"""
_PROJECTIONS = """
CREATE TABLE cells (
    candidate TEXT NOT NULL, example TEXT NOT NULL, repeat INTEGER NOT NULL, split TEXT NOT NULL,
    seq INTEGER NOT NULL, status TEXT NOT NULL, score REAL, PRIMARY KEY (candidate, example, repeat)
) WITHOUT ROWID;
CREATE TABLE calls (
    address TEXT NOT NULL, hash TEXT NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, role TEXT NOT NULL,
    key TEXT NOT NULL, reserved TEXT NOT NULL, answer INTEGER, payload TEXT, endpoint TEXT,
    PRIMARY KEY (address, hash)
) WITHOUT ROWID;
CREATE TABLE spend (
    role TEXT NOT NULL, axis TEXT NOT NULL, amount REAL NOT NULL, PRIMARY KEY (role, axis)
) WITHOUT ROWID;
CREATE VIEW scores AS
    SELECT candidate, split, count(DISTINCT example) AS examples, avg(score) AS mean_of_cells FROM cells
    WHERE status != 'infra_error' GROUP BY candidate, split;
"""
_NAMES = ("cells", "calls", "spend")


def prepare(db: sqlite3.Connection, *, name: str, readonly: bool = False) -> sqlite3.Connection:
    """Make the tables in a new file; upgrade an old one, in place or, for a reader, in a copy in memory.

    Returns the connection to use. Raises ``RunCorrupt`` for a file that is not a run file and ``SchemaTooNew`` for one
    of a newer version.
    """
    try:
        application = int(db.execute("PRAGMA application_id").fetchone()[0])
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if tables == 0 and version == 0:
            if readonly:
                raise StoreError(f"{name} has no beginning: it was killed before anything was paid; delete its folder")
            _run(
                db,
                f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION}; {_LOG}{_PROJECTIONS}",
            )
            return db
        if application != APPLICATION_ID:
            raise RunCorrupt(
                f"{name} is not a run file of agentopt; name a folder under runs/ (`agentopt runs` lists them)"
            )
        if version < 1:
            raise RunCorrupt(f"{name} is damaged (schema {version}); restore it from a copy, nothing was changed")
        if version > SCHEMA_VERSION:
            raise SchemaTooNew(
                f"{name} has schema {version}, this agentopt reads up to {SCHEMA_VERSION}: `pip install -U agentopt`"
            )
        if version < SCHEMA_VERSION:
            if readonly:
                old, db = db, sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                old.backup(db)
                old.close()
            _check_pages(db, name)
            for step in range(version, SCHEMA_VERSION):
                db.execute("BEGIN IMMEDIATE")
                _UPGRADES[step](db)
                db.execute(f"PRAGMA user_version={step + 1}")
                db.execute("COMMIT")
    except FAILURES as error:
        if db.in_transaction:
            db.rollback()
        raise unusable(error, name) from error
    return db


def run_id(db: sqlite3.Connection) -> str:
    """The run's own random name."""
    return str(db.execute("SELECT value FROM about WHERE key='id'").fetchone()[0])


def verify(db: sqlite3.Connection, name: str) -> bool:
    """Check a file before anything is added to it: its pages, every event's checksum, and the tables beside the log.

    Tables that are not what the log says are made anew from it; returns whether they were as they should be. Raises
    ``RunCorrupt`` when the log itself is damaged.
    """
    try:
        _check_pages(db, name)
        made = sqlite3.connect(":memory:", isolation_level=None)
        made.executescript(_PROJECTIONS)
        _project_all(db, made, name)
        same = all(_rows(db, table) == _rows(made, table) for table in _NAMES)
        made.close()
        if not same:
            db.execute("BEGIN IMMEDIATE")
            for table in _NAMES:
                db.execute(f"DELETE FROM {table}")
            _project_all(db, db, name)
            db.execute("COMMIT")
    except FAILURES as error:
        raise unusable(error, name) from error
    return same


def unusable(error: Exception, name: str) -> StoreError:
    """What an error of SQLite means: a damaged file, or a place that cannot be read or written now."""
    kind = str(getattr(error, "sqlite_errorname", None) or "")
    if kind.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")) or "decode" in str(error):
        return RunCorrupt(f"{name} is cut or damaged ({error}); restore it from a copy, nothing was changed")
    if kind == "SQLITE_FULL" or "disk is full" in str(error):
        return StoreError(f"cannot write {name}: the disk is full; free some space, then `agentopt resume`")
    return StoreError(f"cannot use {name}: {error}; is its folder there, and may you write to it?")


def _check_pages(db: sqlite3.Connection, name: str) -> None:
    found = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if found != "ok":
        raise RunCorrupt(f"{name} is cut or damaged ({found}); restore it from a copy, nothing was changed")


def _project_all(log: sqlite3.Connection, into: sqlite3.Connection, name: str) -> None:
    """Write what every event means; raises ``RunCorrupt`` at an event that is not what was written, or is missing."""
    run, at = run_id(log), 0
    for at, row in enumerate(log.execute("SELECT seq, time, type, data, sum FROM events ORDER BY seq"), 1):
        if row[0] != at or checksum(run, *row[:4]) != row[4]:
            raise RunCorrupt(f"event {at} in {name} is damaged; restore the run from a copy, nothing was changed")
        project(into, row[0], row[2], json.loads(row[3]))


def _rows(db: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    return db.execute(f"SELECT * FROM {table}").fetchall()


def _run(db: sqlite3.Connection, script: str) -> None:
    db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")


def _checksums(db: sqlite3.Connection) -> None:
    """1 to 2: events have a checksum; cells and calls name the event that they come from and repeat none of it."""
    run = run_id(db)
    db.execute("ALTER TABLE events ADD COLUMN sum INTEGER NOT NULL DEFAULT 0")
    db.create_function("event_sum", 4, lambda *row: checksum(run, *row), deterministic=True)
    db.execute("UPDATE events SET sum=event_sum(seq, time, type, data)")
    db.execute("DROP VIEW scores")
    for table in _NAMES:
        db.execute(f"DROP TABLE {table}")
    for statement in _PROJECTIONS.split(";")[:-1]:
        db.execute(statement)
    _project_all(db, db, "the file that is upgraded")


_UPGRADES: dict[int, Callable[[sqlite3.Connection], None]] = {1: _checksums}
"""From version n: the function that makes a file of version n + 1 of it, inside a transaction."""
