"""A run's file: an append-only log of events with content-addressed blobs, in one SQLite database (WAL)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from agentopt.core.values import Outcome
from agentopt.errors import RunCorrupt, RunLocked, StoreError
from agentopt.store.events import Event
from agentopt.store.schema import prepare
from agentopt.store.writer import Writer

__all__ = ["Store", "blob_id"]


def blob_id(content: bytes) -> str:
    """The address of a blob: the sha256 of its content, in hex."""
    return hashlib.sha256(content).hexdigest()


class Store:
    """The log of one run. One process writes it; any number may read it at the same time.

    Args:
        folder: the run's folder; ``run.sqlite`` lies in it.
        readonly: open without the writer's lock, for reports and dashboards.

    Raises:
        RunLocked: another process writes this run.
        RunCorrupt, SchemaTooNew: see their docstrings.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as d, Store(d) as store:
    ...     event = store.append_now("note", {"text": "hello"})
    ...     event.seq, [e.type for e in store.events()]
    (1, ['note'])
    """

    def __init__(self, folder: str | os.PathLike[str], *, readonly: bool = False) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "run.sqlite"
        self.readonly = readonly
        self._lock: IO[str] | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._listeners: list[Callable[[Event], None]] = []
        self._writer: Writer | None = None
        if readonly:
            if not self.path.exists():
                raise StoreError(f"there is no run in {self.folder} (`agentopt runs` lists them)")
            prepare(self._db, name=str(self.path), readonly=True)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.folder / "lock", self.folder)
        try:
            prepare(self._db, name=str(self.path))
            self._writer = Writer(self.path, self._connect)
        except BaseException:
            self.close()
            raise

    # -- writing -------------------------------------------------------------------------------------------------

    async def append(self, type: str, data: Mapping[str, Any], blobs: Iterable[bytes] = ()) -> Event:
        """Append one event; returns when it is on disk. Blobs that the event names go into the same transaction.

        Raises ``StoreError`` when it could not be written (disk full, store closed). A cancelled caller does not
        take the event back.
        """
        future = self._write().append(type, data, [(blob_id(b), b) for b in blobs])
        event = await asyncio.shield(asyncio.wrap_future(future))
        self._tell(event)
        return event

    def append_now(self, type: str, data: Mapping[str, Any], blobs: Iterable[bytes] = ()) -> Event:
        """``append`` for code outside an event loop: blocks until the event is on disk."""
        event = self._write().append(type, data, [(blob_id(b), b) for b in blobs]).result()
        self._tell(event)
        return event

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with each event that this process commits, after its commit."""
        self._listeners.append(listener)

    @property
    def full(self) -> bool:
        """Whether the disk was full and the reserve is used up: stop and resume later."""
        return self._writer is not None and self._writer.full

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's own random name: the same wherever the file is moved to."""
        return str(self._read("SELECT value FROM about WHERE key='id'", [])[0][0])

    def events(self, *types: str, since: int = 0) -> Iterator[Event]:
        """Events in order, those after ``since``, of the given types (all when none is given)."""
        where, args = "seq > ?", [since, *types]
        if types:
            where += f" AND type IN ({','.join('?' * len(types))})"
        rows = self._read(f"SELECT seq, time, type, data FROM events WHERE {where} ORDER BY seq", args)
        for seq, time, type_, data in rows:
            yield Event(seq=seq, time=time, type=type_, data=json.loads(data))

    def last(self, type: str) -> Event | None:
        """The latest event of a type, or None."""
        rows = self._read("SELECT seq, time, type, data FROM events WHERE type=? ORDER BY seq DESC LIMIT 1", [type])
        return next((Event(seq=s, time=t, type=y, data=json.loads(d)) for s, t, y, d in rows), None)

    def blob(self, id: str) -> bytes:
        """The content of a blob. Raises ``StoreError`` for an unknown id and ``RunCorrupt`` for damaged content."""
        rows = self._read("SELECT data FROM blobs WHERE id=?", [id])
        if not rows:
            raise StoreError(f"no blob {id[:16]} in {self.path}")
        try:
            content = zlib.decompress(rows[0][0])
        except zlib.error as error:
            raise RunCorrupt(f"blob {id[:16]} in {self.path} is damaged: {error}") from error
        if blob_id(content) != id:
            raise RunCorrupt(f"blob {id[:16]} in {self.path} does not have the content that its address promises")
        return content

    def cells(self, candidate: str | None = None, split: str | None = None) -> list[Outcome]:
        """Committed outcomes, in the order of their commit."""
        where, args = "1", []
        for column, value in (("candidate", candidate), ("split", split)):
            if value is not None:
                where += f" AND {column}=?"
                args.append(value)
        rows = self._read(f"SELECT outcome FROM cells WHERE {where} ORDER BY seq", args)
        return [Outcome.model_validate_json(row[0]) for row in rows]

    def call(self, address: str) -> dict[str, Any] | None:
        """What the journal knows of a call: hash, state, attempt, role, key, reserved, response, endpoint."""
        columns = "hash, state, attempt, role, key, reserved, response, payload, endpoint"
        rows = self._read(f"SELECT {columns} FROM calls WHERE address=?", [address])
        if not rows:
            return None
        call = dict(zip(columns.split(", "), rows[0], strict=True))
        call["reserved"] = json.loads(call["reserved"])
        call["response"] = json.loads(call["response"]) if call["response"] else None
        return call

    def unanswered(self) -> list[dict[str, Any]]:
        """Calls that were sent and never answered: address, role and what was reserved for each."""
        rows = self._read("SELECT address, role, reserved FROM calls WHERE state='sent'", [])
        return [{"address": a, "role": r, "reserved": json.loads(v)} for a, r, v in rows]

    def spend(self) -> dict[str, dict[str, float]]:
        """Settled amounts: role to axis to amount."""
        spent: dict[str, dict[str, float]] = {}
        for role, axis, amount in self._read("SELECT role, axis, amount FROM spend ORDER BY role, axis", []):
            spent.setdefault(role, {})[axis] = amount
        return spent

    # -- life ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Commit what is waiting, let the lock go. Safe to call twice."""
        if self._writer is not None:
            self._writer.close()
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _write(self) -> Writer:
        if self._writer is None:
            raise StoreError(f"{self.path} is open for reading only")
        return self._writer

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode={'ro' if self.readonly else 'rwc'}"
        try:
            db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"cannot open {self.path}: {error}; is its folder there, and may you write to it?"
            ) from error
        try:
            if not self.readonly:
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA temp_store=MEMORY")
        except sqlite3.DatabaseError as error:
            db.close()
            raise RunCorrupt(f"{self.path} is cut or damaged ({error}); restore it from a copy") from error
        return db

    @property
    def _db(self) -> sqlite3.Connection:
        """The connection of this thread."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
            self._connections.append(db)
        return db

    def _read(self, sql: str, args: list[Any]) -> list[Any]:
        try:
            return self._db.execute(sql, args).fetchall()
        except sqlite3.DatabaseError as error:
            raise RunCorrupt(f"{self.path} cannot be read: {error}; restore it from a copy") from error


def _lock(path: Path, run: Path) -> IO[str]:
    """Take the writer's lock of a run, or raise ``RunLocked`` with the process that has it."""
    file = path.open("a+", encoding="utf-8")
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise RunLocked(f"run {run} is open in another process (pid {owner}); wait for it or stop it") from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file
