"""The one writer of a run file: a thread that commits what is waiting in groups.

An append is acknowledged after its transaction is on disk (``synchronous=FULL``), and many appends that wait at once
share one transaction, so that durability costs one disk flush a group and not one an event. An event loop is woken once
a group, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import sqlite3
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias

from agentopt.errors import StoreError
from agentopt.store.events import Event, checksum, project
from agentopt.store.schema import run_id

__all__ = ["ADVICE", "RESERVE_BYTES", "Writer"]

RESERVE_BYTES = 4 << 20
ADVICE = "free some space, then `agentopt resume`"
_GROUP = 256
Done: TypeAlias = "Future[Event] | asyncio.Future[Event]"
"""What is set to the committed event; one of asyncio is set in its own loop."""
_Item = tuple[str, Mapping[str, Any], Sequence[tuple[str, bytes]], Done]


class Writer:
    """Appends events. ``append`` may be called from any thread."""

    def __init__(self, path: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        self.full = False
        """Set when the disk was full and the reserve has been used: the run should stop now."""
        self._path, self._db = path, connect()
        self._run = run_id(self._db)
        self._last = int(self._db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])
        self._reserve = path.with_name("reserve")
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._closed = False
        self._gate = threading.Lock()
        self._keep_reserve()
        self._thread = threading.Thread(target=self._work, name=f"store {path.parent.name}", daemon=True)
        self._thread.start()

    def append(self, type: str, data: Mapping[str, Any], blobs: Sequence[tuple[str, bytes]], done: Done) -> None:
        """Queue one event with the blobs it names; ``done`` gets it after the commit, or a ``StoreError``."""
        with self._gate:
            if self._closed:
                raise StoreError(f"{self._path} is closed: nothing more can be written to this run")
            self._queue.put((type, data, blobs, done))

    def close(self) -> None:
        """Commit what is waiting and end the thread. Safe to call twice."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        self._reserve.unlink(missing_ok=True)

    def _keep_reserve(self) -> None:
        """A file to delete when the disk is full, so that the last events still fit."""
        try:
            if not self._reserve.exists() or self._reserve.stat().st_size < RESERVE_BYTES:
                with self._reserve.open("wb") as file:
                    for _ in range(RESERVE_BYTES // 65536):
                        file.write(b"\1" * 65536)
        except OSError:
            self._reserve.unlink(missing_ok=True)
            self.full = True

    def _work(self) -> None:
        ended = False
        while not ended:
            group = self._take()
            ended = group[-1] is None
            items = [item for item in group if item is not None]
            if items:
                self._commit(items)
        self._db.close()

    def _take(self) -> list[_Item | None]:
        group = [self._queue.get()]
        while group[-1] is not None and len(group) < _GROUP:
            try:
                group.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return group

    def _commit(self, items: Sequence[_Item]) -> None:
        """One transaction for the group; on a full disk the reserve is given up and it is tried again."""
        try:
            events = self._transaction(items)
        except Exception as error:
            with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled it back already
                self._db.rollback()
            if isinstance(error, sqlite3.Error) and _is_full(error) and self._reserve.exists():
                self._reserve.unlink(missing_ok=True)
                self.full = True
                self._commit(items)
            elif len(items) > 1:  # one bad event must not take its neighbours with it
                for item in items:
                    self._commit([item])
            else:
                _tell([(items[0][3], self._failure(items[0][0], error))])
            return
        self._last += len(items)
        _tell((item[3], event) for event, item in zip(events, items, strict=True))

    def _failure(self, type: str, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error  # a value that JSON or SQLite cannot hold
        self.full = self.full or _is_full(error)
        advice = f": {ADVICE}" if _is_full(error) else ""
        return StoreError(f"could not write {type!r} to {self._path}: {error}{advice}")

    def _transaction(self, items: Sequence[_Item]) -> list[Event]:
        events, db = [], self._db
        db.execute("BEGIN IMMEDIATE")
        for seq, (type_, data, blobs, _) in enumerate(items, self._last + 1):
            event = Event(seq=seq, time=time.time(), type=type_, data=dict(data))
            for id_, content in blobs:
                db.execute("INSERT OR IGNORE INTO blobs VALUES (?,?,?)", (id_, len(content), zlib.compress(content, 3)))
            text = json.dumps(event.data, allow_nan=False)  # ASCII: half a character in it must not end the run
            row = (seq, event.time, type_, text)
            db.execute("INSERT INTO events VALUES (?,?,?,?,?)", (*row, checksum(self._run, *row)))
            project(db, seq, type_, event.data)
            events.append(event)
        db.execute("COMMIT")
        return events


def _tell(results: Iterable[tuple[Done, Event | Exception]]) -> None:
    """Set what waits in no loop here, and the others each in their own loop, which is woken once."""
    elsewhere: dict[asyncio.AbstractEventLoop, list[tuple[Done, Event | Exception]]] = defaultdict(list)
    for done, result in results:
        if isinstance(done, Future):
            _set([(done, result)])
        else:
            elsewhere[done.get_loop()].append((done, result))
    for loop, waiting in elsewhere.items():
        with contextlib.suppress(RuntimeError):  # it was closed in the meantime: nobody waits
            loop.call_soon_threadsafe(_set, waiting)


def _set(results: Iterable[tuple[Done, Event | Exception]]) -> None:
    for done, result in results:
        if done.done():  # who waited was cancelled
            continue
        if isinstance(result, Exception):
            done.set_exception(result)
        else:
            done.set_result(result)


def _is_full(error: sqlite3.Error) -> bool:
    return "disk is full" in str(error) or "disk I/O error" in str(error)
