"""A run's file: an append-only log of events with content-addressed blobs, in one SQLite database (WAL)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import os
import sqlite3
import threading
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from agentopt.core.values import Outcome
from agentopt.errors import RunCorrupt, RunLocked, StoreError
from agentopt.store.events import Event, checksum
from agentopt.store.schema import FAILURES, prepare, run_id, unusable, verify
from agentopt.store.writer import ADVICE, Writer

__all__ = ["Store", "blob_id", "in_use"]


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
            self._db  # noqa: B018
            return
        self._lock = _lock(self.folder)
        try:
            prepare(self._db, name=str(self.path))
            sound = verify(self._db, str(self.path))
            self._writer = Writer(self.path, self._connect)
            if not sound:
                self.append_now("warning", {"text": "the tables beside the log were damaged: made anew from the log"})
        except BaseException:
            self.close()
            raise

    # -- writing -------------------------------------------------------------------------------------------------

    async def append(self, type: str, data: Mapping[str, Any], blobs: Iterable[bytes] = ()) -> Event:
        """Append one event; returns when it is on disk. Blobs that the event names go into the same transaction.

        Raises ``StoreError`` when it could not be written (disk full, store closed). A cancelled caller does not
        take the event back.
        """
        done: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        self._write().append(type, data, [(blob_id(b), b) for b in blobs], done)
        event = await done
        self._tell(event)
        return event

    def append_now(self, type: str, data: Mapping[str, Any], blobs: Iterable[bytes] = ()) -> Event:
        """``append`` for code outside an event loop: blocks until the event is on disk."""
        done: Future[Event] = Future()
        self._write().append(type, data, [(blob_id(b), b) for b in blobs], done)
        event = done.result()
        self._tell(event)
        return event

    def post(self, type: str, data: Mapping[str, Any]) -> None:
        """Append one event without waiting; it is on disk before everything that is appended after it."""

        def told(done: Future[Event]) -> None:
            if done.exception() is None:
                self._tell(done.result())

        done: Future[Event] = Future()
        done.add_done_callback(told)
        self._write().append(type, data, (), done)

    def subscribe(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with each event that this process commits, after its commit.

        One that raises is told no more, with a warning; the run goes on.
        """
        self._listeners.append(listener)

    @property
    def full(self) -> bool:
        """Whether the disk was full and the reserve is used up: stop and resume later."""
        return self._writer is not None and self._writer.full

    def require_room(self) -> None:
        """Raise ``StoreError`` when the disk was full: nothing more is to be paid for that could not be kept."""
        if self.full:
            raise StoreError(f"the disk of {self.path} is full, what was answered is kept: {ADVICE}")

    # -- reading -------------------------------------------------------------------------------------------------

    @functools.cached_property
    def id(self) -> str:
        """The run's own random name: the same wherever the file is moved to."""
        try:
            return run_id(self._db)
        except FAILURES as error:
            raise unusable(error, str(self.path)) from error

    def events(self, *types: str, since: int = 0) -> Iterator[Event]:
        """Events in order, those after ``since``, of the given types (all when none is given)."""
        where, args = "seq > ?", [since, *types]
        if types:
            where += f" AND type IN ({','.join('?' * len(types))})"
        return self._events(f"FROM events e WHERE {where} ORDER BY seq", args)

    def last(self, type: str) -> Event | None:
        """The latest event of a type, or None."""
        return next(self._events("FROM events e WHERE type=? ORDER BY seq DESC LIMIT 1", [type]), None)

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
        events = self._events(f"FROM cells JOIN events e USING (seq) WHERE {where} ORDER BY seq", args)
        return [Outcome.model_validate(event.data["outcome"]) for event in events]

    def call(self, address: str, hash: str | None = None) -> dict[str, Any] | None:
        """What the journal knows of a call: hash, state, attempt, role, key, reserved, response, endpoint.

        ``hash`` says which payload, where a program that was changed has sent several from one address; without it, it
        is the one that was answered last.
        """
        columns = "hash, state, attempt, role, key, reserved, answer, payload, endpoint"
        which, args = ("", [address]) if hash is None else (" AND hash=?", [address, hash])
        rows = self._read(f"SELECT {columns} FROM calls WHERE address=?{which} ORDER BY answer DESC", args)
        if not rows:
            return None
        call = dict(zip(columns.split(", "), rows[0], strict=True))
        call["reserved"] = json.loads(call["reserved"])
        answer = call.pop("answer")
        events = self._events("FROM events e WHERE seq=?", [answer]) if answer else ()
        call["response"] = next((event.data["response"] for event in events), None)
        return call

    def journal(self, below: str = "") -> list[tuple[str, str]]:
        """Address and payload hash of every call that was answered, then of those that were sent and never answered.

        ``below`` is how their addresses begin.
        """
        query = "SELECT address, hash FROM calls WHERE state IN ('received', 'sent') AND address >= ? AND address < ?"
        return self._read(f"{query} ORDER BY state", [below, f"{below}\U0010ffff"])

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
        for listener in list(self._listeners):
            try:
                listener(event)
            except Exception as error:  # who looks on must not end what is looked at
                with contextlib.suppress(ValueError):  # events are told by several threads
                    self._listeners.remove(listener)
                text = f"a listener of {self.folder.name} failed and is told no more: {type(error).__name__}: {error}"
                warnings.warn(text, stacklevel=2)

    def _connect(self) -> sqlite3.Connection:
        uri = self.path.absolute().as_uri()
        try:
            if not self.readonly:
                db = _open(f"{uri}?mode=rwc")
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                return db
            try:
                db = _open(f"{uri}?mode=ro")
                db.execute("SELECT 1 FROM sqlite_master").fetchone()
            except sqlite3.OperationalError as error:  # a folder where SQLite cannot put its index of the WAL
                wal = self.path.with_name("run.sqlite-wal")
                if os.access(self.folder, os.W_OK) or (wal.exists() and wal.stat().st_size):
                    raise StoreError(
                        f"cannot read {self.path} ({error}): it was not closed, and its last events can only be read "
                        "where its folder can be written to; copy the whole folder there"
                    ) from error
                db = _open(f"{uri}?immutable=1")
            return prepare(db, name=str(self.path), readonly=True)
        except FAILURES as error:
            raise unusable(error, str(self.path)) from error

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
        except FAILURES as error:
            raise unusable(error, str(self.path)) from error

    def _events(self, which: str, args: list[Any]) -> Iterator[Event]:
        run = self.id
        for *row, sum_ in self._read(f"SELECT e.seq, e.time, e.type, e.data, e.sum {which}", args):
            if checksum(run, *row) != sum_:
                raise RunCorrupt(f"event {row[0]} in {self.path} is damaged; restore the run from a copy")
            seq, time, type_, data = row
            yield Event(seq=seq, time=time, type=type_, data=json.loads(data))


def _open(uri: str) -> sqlite3.Connection:
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
    db.execute("PRAGMA temp_store=MEMORY")
    return db


def in_use(run: str | Path) -> bool:
    """Whether another process, or another ``Store`` of this one, has a run open for writing."""
    place = Path(run) / "lock"
    if os.name == "nt" or not place.is_file():
        return False
    import fcntl

    try:
        with place.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk that cannot be written: nobody writes there
        pass
    return False


def _lock(run: Path) -> IO[str]:
    """Take the writer's lock of a run, or raise ``RunLocked`` with the process that has it."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"cannot write in {run}: {error.strerror}; is its disk full, or open for reading only?"
        ) from error
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
    with contextlib.suppress(OSError):  # the pid is for the message above alone; a full disk need not have room for it
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), str(os.getpid()).encode())
    return file
