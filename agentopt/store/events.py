"""Events, and what each of them projects into the tables beside the log."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import JsonValue

from agentopt.core.values import Frozen

__all__ = ["Event", "checksum", "project"]


class Event(Frozen):
    """One line of a run's log."""

    seq: int
    """1 for the first event of the run."""
    time: float
    """Seconds since the epoch, by the clock of the machine."""
    type: str
    """``run.started``, ``cell``, ``call.sent``, ``call.received``, ``step.done``, ..."""
    data: dict[str, JsonValue]
    """What happened."""


def checksum(run: str, seq: int, time: float, type: str, data: str) -> int:
    """CRC-32 of a row of the log: it shows every change of up to 32 bits in a row, and a row of another run."""
    return zlib.crc32(f"{run} {seq} {time!r} {type} {data}".encode())


def project(db: sqlite3.Connection, seq: int, type: str, data: Mapping[str, Any]) -> None:
    """Write what an event means into ``cells``, ``calls`` and ``spend``."""
    handler = _PROJECTIONS.get(type)
    if handler is not None:
        handler(db, seq, data)


def _cell(db: sqlite3.Connection, seq: int, data: Mapping[str, Any]) -> None:
    outcome = data["outcome"]
    feedback = outcome.get("feedback") or {}
    db.execute(
        "INSERT OR REPLACE INTO cells VALUES (?,?,?,?,?,?,?)",
        (
            outcome["candidate"], outcome["example"], outcome["repeat"], outcome["split"], seq, outcome["status"],
            feedback.get("score"),
        ),
    )  # fmt: skip
    _spend(db, "agent", {"evaluations": 1})


def _sent(db: sqlite3.Connection, seq: int, data: Mapping[str, Any]) -> None:
    cut = (data.get("instead", data["address"]), data["hash"])
    old = db.execute("SELECT state, role, reserved FROM calls WHERE address=? AND hash=?", cut).fetchone()
    if old is not None and old[0] == "sent":  # an earlier try was cut off by a crash: charged as reserved
        _spend(db, old[1], json.loads(old[2]))
        db.execute("UPDATE calls SET state='failed', reserved='{}' WHERE address=? AND hash=?", cut)
    db.execute(
        "INSERT OR REPLACE INTO calls VALUES (?,?,'sent',?,?,?,?,NULL,?,?)",
        (
            data["address"], data["hash"], data["attempt"], data["role"], data["key"], json.dumps(data["reserved"]),
            data.get("payload"), data.get("endpoint", ""),
        ),
    )  # fmt: skip


def _received(db: sqlite3.Connection, seq: int, data: Mapping[str, Any]) -> None:
    db.execute(
        "INSERT INTO calls VALUES (?,?,'received',?,?,?,'{}',?,?,?) ON CONFLICT (address, hash) DO UPDATE SET "
        "state='received', answer=excluded.answer, reserved='{}'",
        (
            data["address"], data["hash"], data.get("attempt", 0), data["role"], data.get("key", ""),
            seq, data.get("payload"), data["response"].get("endpoint", ""),
        ),
    )  # fmt: skip
    _spend(db, data["role"], data["settled"])


def _failed(db: sqlite3.Connection, seq: int, data: Mapping[str, Any]) -> None:
    failed = (data["address"], data["hash"])
    db.execute("UPDATE calls SET state='failed', reserved='{}' WHERE address=? AND hash=?", failed)
    _spend(db, data["role"], data["settled"])


def _spend(db: sqlite3.Connection, role: str, amounts: Mapping[str, float]) -> None:
    for axis, amount in amounts.items():
        if amount:
            db.execute(
                "INSERT INTO spend VALUES (?,?,?) ON CONFLICT (role, axis) DO UPDATE SET amount=amount+excluded.amount",
                (role, axis, amount),
            )


def _clock(db: sqlite3.Connection, seq: int, data: Mapping[str, Any]) -> None:
    _spend(db, "run", {"seconds": data["seconds"]})


_PROJECTIONS: dict[str, Callable[[sqlite3.Connection, int, Mapping[str, Any]], None]] = {
    "cell": _cell,
    "call.sent": _sent,
    "call.received": _received,
    "call.failed": _failed,
    "clock": _clock,
}
