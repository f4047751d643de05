"""The split ledger: which examples of a workspace have been used, by which run, for what.

A claim counts as fresh only when nothing has touched its examples before. The ledger is one SQLite file of the
workspace; several runs may use it at once.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentopt.core.values import Frozen
from agentopt.errors import StoreError

__all__ = ["SplitLedger", "Touch"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS touches (
    split TEXT NOT NULL, run TEXT NOT NULL, what TEXT NOT NULL, time REAL NOT NULL, PRIMARY KEY (split, run, what));
CREATE TABLE IF NOT EXISTS members (
    split TEXT NOT NULL, example TEXT NOT NULL, PRIMARY KEY (split, example)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_by_example ON members (example);
"""

_TUNING = ("search", "validation")
"""What is done with examples to make a program better."""
_NAMED = 3
"""So many runs a note names."""


class Touch(Frozen):
    """One use of a split."""

    split: str
    """Hash of the split that was used."""
    run: str
    """Which run used it."""
    what: str
    """For what: search, validation, claim."""
    time: float
    """Seconds since the epoch."""
    shared: int | None = None
    """Examples that it shares with the split now asked for, when it is another split; None when it is the same one."""


class SplitLedger:
    """Uses of splits, kept in ``path`` (by custom ``<workspace>/.agentopt/splits.sqlite``).

    >>> import tempfile
    >>> ledger = SplitLedger(Path(tempfile.mkdtemp()) / "splits.sqlite")
    >>> ledger.touch("hash of a split", "run-1", "claim")
    []
    >>> [t.run for t in ledger.touch("hash of a split", "run-2", "claim")]
    ['run-1']
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def touch(self, split_hash: str, run_id: str, what: str, *, examples: Iterable[str] = ()) -> list[Touch]:
        """Record a use and tell the earlier ones of other runs, oldest first. A run that is resumed is one run.

        Args:
            split_hash: ``Splits.hash(name)``.
            run_id: the run's name.
            what: search, validation or claim.
            examples: hashes of its examples; with them, uses of other splits that share some are told too.

        Raises:
            StoreError: the file cannot be read or written.
        """
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", [(split_hash, e) for e in examples])
            earlier = self._earlier(db, split_hash, run_id)
            db.execute("INSERT OR IGNORE INTO touches VALUES (?, ?, ?, ?)", (split_hash, run_id, what, time.time()))
        return earlier

    def touches(self, split_hash: str) -> list[Touch]:
        """All uses of a split, or of others that share examples with it, oldest first."""
        with self._open() as db:
            return self._earlier(db, split_hash, "")

    def tuned(self, examples: Iterable[str]) -> tuple[int, list[str]]:
        """Of how many of these examples runs have searched or chosen on, in whatever split, and which runs did.

        A score that was looked at, or a claim, makes no program better: such uses are not told.

        >>> import tempfile
        >>> ledger = SplitLedger(Path(tempfile.mkdtemp()) / "splits.sqlite")
        >>> _ = ledger.touch("one", "run-1", "search", examples=["a", "b"])
        >>> _ = ledger.touch("two", "run-2", "evaluate", examples=["b", "c"])
        >>> ledger.tuned(["b", "c"])
        (1, ['run-1'])

        Raises:
            StoreError: the file is there and cannot be read.
        """
        if not self.path.is_file():
            return 0, []
        shared = "asked JOIN members m USING (example) JOIN touches t USING (split) WHERE t.what IN (?, ?)"
        with self._open() as db:
            db.execute("CREATE TEMP TABLE asked (example TEXT PRIMARY KEY)")
            db.executemany("INSERT OR IGNORE INTO asked VALUES (?)", [(e,) for e in examples])
            ((count,),) = db.execute(f"SELECT count(DISTINCT example) FROM {shared}", _TUNING)
            rows = db.execute(f"SELECT t.run FROM {shared} GROUP BY t.run ORDER BY min(t.time), t.run", _TUNING)
            return count, [run for (run,) in rows]

    def not_fresh(self, examples: Iterable[str], them: str, under: str = "") -> tuple[str, ...]:
        """A note that examples were tuned on, where they were: it belongs to every number on them.

        Args:
            examples: their hashes, as ``touch`` has them.
            them: how the note calls them all.
            under: as what they were used.

        Raises:
            StoreError: as ``tuned``.
        """
        count, runs = self.tuned(examples)
        if not count:
            return ()
        named = ", ".join(runs[:_NAMED]) + (f" and {len(runs) - _NAMED} more" if len(runs) > _NAMED else "")
        return (
            f"{count} of {them} were already searched or chosen on{under} (by {named}): a number on them is not fresh",
        )

    def _earlier(self, db: sqlite3.Connection, split: str, run: str) -> list[Touch]:
        rows = db.execute(
            """
            SELECT t.split, t.run, t.what, t.time, CASE WHEN t.split = :split THEN NULL ELSE s.shared END
            FROM touches t LEFT JOIN (
                SELECT b.split AS split, count(*) AS shared FROM members a JOIN members b ON a.example = b.example
                WHERE a.split = :split AND b.split <> :split GROUP BY b.split
            ) s ON s.split = t.split
            WHERE t.run <> :run AND (t.split = :split OR s.shared > 0) ORDER BY t.time, t.run, t.what
            """,
            {"split": split, "run": run},
        )
        return [Touch(split=a, run=b, what=c, time=d, shared=e) for a, b, c, d, e in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = sqlite3.connect(self.path, timeout=30.0)
            try:
                db.executescript(_SCHEMA)
                with db:
                    yield db
            finally:
                db.close()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"the split ledger {self.path} cannot be used: {error}; it records which examples were used, so that a"
                " claim can say whether they are fresh: make it writable, or move it away to start anew"
            ) from error
