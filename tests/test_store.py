"""The store: order, durability, blobs, locks, damage, full disks."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.core.values import Feedback, Outcome
from agentopt.errors import RunCorrupt, RunLocked, SchemaTooNew, StoreError
from agentopt.store import Store, blob_id
from agentopt.store.writer import Writer


def outcome(**changes: object) -> dict[str, object]:
    fields = {"candidate": "c", "example": "e", "split": "search", "feedback": Feedback(score=1.0)} | changes
    return Outcome.model_validate(fields).model_dump(mode="json")


def test_events_come_back_in_order_and_by_type(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for i in range(5):
            store.append_now("even" if i % 2 == 0 else "odd", {"i": i})
        assert [e.data["i"] for e in store.events()] == [0, 1, 2, 3, 4]
        assert [e.data["i"] for e in store.events("odd")] == [1, 3]
        assert [e.seq for e in store.events(since=3)] == [4, 5]
        last = store.last("even")
        assert last is not None
        assert last.data == {"i": 4}
        assert store.last("none") is None


def test_sequence_goes_on_after_reopening(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append_now("a", {})
    with Store(tmp_path) as store:
        assert store.append_now("b", {}).seq == 2


async def test_many_appends_at_once_are_all_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        events = await asyncio.gather(*(store.append("n", {"i": i}) for i in range(500)))
        assert sorted(e.seq for e in events) == list(range(1, 501))
        assert sorted(e.data["i"] for e in store.events("n")) == list(range(500))


async def test_a_loop_is_woken_once_for_a_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(tmp_path) as store:
        woken: list[object] = []
        loop = asyncio.get_running_loop()
        wake = loop.call_soon_threadsafe
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call: (woken.append(call), wake(*call))[1])
        events = await asyncio.gather(*(store.append("n", {"i": i}) for i in range(500)))
        assert len(events) == 500
        assert len(woken) < 100


async def test_an_append_that_nobody_waits_for_any_more_is_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        waiting = [asyncio.ensure_future(store.append("n", {"i": i})) for i in range(9)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(event, asyncio.CancelledError) for event in done] == [True, False] * 4 + [True]
        assert [event.data["i"] for event in store.events("n")] == list(range(9))


def test_a_loop_that_has_ended_does_not_end_the_writer(tmp_path: Path) -> None:
    async def queued(store: Store) -> None:
        task = asyncio.ensure_future(store.append("n", {"blob": "x" * 1_000_000}))
        await asyncio.sleep(0)
        task.cancel()

    with Store(tmp_path) as store:
        for _ in range(20):
            asyncio.run(queued(store))
        store.append_now("last", {})
        assert len(list(store.events())) == 21


def test_listeners_hear_only_what_is_committed(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        heard: list[int] = []
        store.subscribe(lambda e: heard.append(len(list(store.events()))))
        store.append_now("a", {})
        store.append_now("b", {})
        assert heard == [1, 2]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_blobs_are_found_by_content(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    with Store(tmp_path_factory.mktemp("run")) as store:
        store.append_now("blobs", {}, contents)
        for content in contents:
            assert store.blob(blob_id(content)) == content


def test_a_blob_that_is_not_there_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store, pytest.raises(StoreError, match="no blob"):
        store.blob("0" * 64)


def test_cells_are_a_projection_of_events(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.append_now("cell", {"outcome": outcome()})
        store.append_now("cell", {"outcome": outcome(example="f", split="test", feedback=None, status="timeout")})
        store.append_now("cell", {"outcome": outcome(feedback=Feedback(score=0.5))})  # a retried cell replaces
        assert [(o.example, o.score) for o in store.cells()] == [("f", None), ("e", 0.5)]
        assert [o.example for o in store.cells(split="test")] == ["f"]
        assert store.spend() == {"agent": {"evaluations": 3.0}}


def test_a_call_cut_off_by_a_crash_is_charged_when_it_is_sent_again(tmp_path: Path) -> None:
    sent = {"address": "a", "hash": "h", "attempt": 0, "role": "agent", "key": "k", "reserved": {"tokens": 70.0}}
    with Store(tmp_path) as store:
        store.append_now("call.sent", sent)
        assert store.unanswered() == [{"address": "a", "role": "agent", "reserved": {"tokens": 70.0}}]
        store.append_now("call.sent", sent | {"attempt": 1})
        response = {"text": "x", "endpoint": "e"}
        received = {"address": "a", "hash": "h", "attempt": 1, "role": "agent", "settled": {"tokens": 5.0}}
        store.append_now("call.received", received | {"response": response})
        assert store.unanswered() == []
        assert store.spend() == {"agent": {"tokens": 75.0}}
        call = store.call("a")
        assert call is not None
        assert (call["state"], call["response"]) == ("received", response)


def test_an_event_that_json_cannot_hold_is_refused_alone(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with pytest.raises((TypeError, ValueError)):
            store.append_now("bad", {"x": float("nan")})
        with pytest.raises((TypeError, ValueError)):
            store.append_now("bad", {"x": object()})
        assert store.append_now("good", {}).seq == 1


def test_two_writers_of_one_run_are_refused(tmp_path: Path) -> None:
    with Store(tmp_path):
        with pytest.raises(RunLocked, match=str(os.getpid())):
            Store(tmp_path)
        Store(tmp_path, readonly=True).close()
    Store(tmp_path).close()


def test_readers_cannot_write(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with Store(tmp_path, readonly=True) as store, pytest.raises(StoreError, match="reading only"):
        store.append_now("a", {})
    with pytest.raises(StoreError, match="no run"):
        Store(tmp_path / "elsewhere", readonly=True)


def test_a_closed_store_refuses(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.append_now("a", {})


@pytest.mark.parametrize("content", [b"not a database, not at all" * 100, b"SQLite format 3\x00" + b"\xff" * 500])
def test_a_damaged_file_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.sqlite").write_bytes(content)
    with pytest.raises(RunCorrupt, match="run.sqlite"):
        Store(tmp_path)


def test_a_cut_file_says_so(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for _ in range(50):
            store.append_now("a", {"text": "x" * 2000})
    file = tmp_path / "run.sqlite"
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(RunCorrupt), Store(tmp_path, readonly=True) as store:
        list(store.events())


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "run.sqlite")
    db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(RunCorrupt, match="not a run file"):
        Store(tmp_path)


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    db = sqlite3.connect(tmp_path / "run.sqlite")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(SchemaTooNew, match="99"):
        Store(tmp_path)


def test_a_full_disk_still_takes_the_last_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Writer._transaction

    def full_while_reserved(self: Writer, *args: object) -> object:
        if self._reserve.exists():
            raise sqlite3.OperationalError("database or disk is full")
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Writer, "_transaction", full_while_reserved)
    with Store(tmp_path) as store:
        assert (tmp_path / "reserve").stat().st_size >= 1 << 20
        store.append_now("last", {"paid": True})
        assert store.full
        assert [e.type for e in store.events()] == ["last"]


def test_a_disk_without_any_room_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Writer, *args: object) -> object:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Writer, "_transaction", full)
    with Store(tmp_path) as store, pytest.raises(StoreError, match="disk is full: free some space"):
        store.append_now("last", {})


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys
        from agentopt.store import Store
        store = Store(sys.argv[1])
        for i in range(100000):
            store.append_now("n", {"i": i})
            print(i, flush=True)
        """
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = -1
    for line in child.stdout:
        acknowledged = int(line)
        if acknowledged == 40:
            child.send_signal(signal.SIGKILL)
            break
    acknowledged = max([acknowledged, *(int(line) for line in child.stdout if line.strip().isdigit())])
    child.wait()
    with Store(tmp_path) as store:
        kept = [e.data["i"] for e in store.events("n")]
        assert kept == list(range(len(kept)))
        assert len(kept) > acknowledged
