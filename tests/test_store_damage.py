"""What may happen to a run file: cut, flipped bytes, a full or read-only disk, a kill in a commit or a checkpoint."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentopt.core.values import Feedback, Outcome
from agentopt.errors import RunCorrupt, RunLocked, StoreError
from agentopt.llm.types import Address
from agentopt.run.calllog import StoreLog
from agentopt.run.files import list_runs
from agentopt.store import Store


def fill(folder: Path) -> None:
    """A run file with every kind of event that has a projection, and a blob."""
    with Store(folder) as store:
        for i in range(12):
            head = {"address": f"cell/c/e{i}/0/~0", "hash": "h", "attempt": 0, "role": "agent"}
            reserved = {"key": f"k{i}", "reserved": {"calls": 1.0}, "payload": "p", "endpoint": "e"}
            store.append_now("call.sent", head | reserved, [f"payload {i}".encode() * 20])
            answer = {"text": f"answer {i}", "endpoint": "e"}
            store.append_now("call.received", head | {"response": answer, "settled": {"calls": 1.0, "tokens": 7.0}})
            outcome = Outcome(candidate="c", example=f"e{i}", split="search", feedback=Feedback(score=i / 10))
            store.append_now("cell", {"outcome": outcome.model_dump(mode="json")})
        store.append_now("call.sent", head | reserved | {"address": "cell/c/late/0/~0"})
        store.append_now("clock", {"seconds": 2.5})


def everything(store: Store) -> Any:
    """All that a store says of itself; blobs apart, which check themselves."""
    return (
        store.id,
        list(store.events()),
        list(store.events("call.received")),
        store.cells(),
        store.cells("c", "search"),
        [store.call(f"cell/c/e{i}/0/~0") for i in range(12)],
        store.unanswered(),
        store.spend(),
    )


def test_no_flipped_byte_is_ever_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thorough: bool) -> None:
    """Whatever byte is another: the file is refused as damaged, or mended from its log, or says what it said before."""
    monkeypatch.setattr("agentopt.store.writer.RESERVE_BYTES", 65536)
    fill(tmp_path / "sound")
    sound = (tmp_path / "sound" / "run.sqlite").read_bytes()
    with Store(tmp_path / "sound", readonly=True) as store:
        before = everything(store)
    rng, refused, mended = random.Random(11), 0, 0
    folder = tmp_path / "flipped"
    for at in [*range(0, 100, 3), *rng.sample(range(100, len(sound)), 400 if thorough else 120)]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "run.sqlite").write_bytes(sound[:at] + bytes([sound[at] ^ (1 << rng.randrange(8))]) + sound[at + 1 :])
        try:
            with Store(folder) as store:
                warnings = list(store.events("warning"))
                mended += bool(warnings)
                if not warnings:
                    assert everything(store) == before, f"byte {at}"
                else:
                    assert (store.cells(), store.spend(), store.unanswered()) == (before[3], before[7], before[6])
        except StoreError:
            refused += 1
    assert refused > 20, "the flips do not reach what is checked"


def test_a_reader_does_not_believe_a_changed_row_either(tmp_path: Path) -> None:
    fill(tmp_path)
    file = tmp_path / "run.sqlite"
    content = file.read_bytes()
    assert content.count(b'"answer 7"') == 1
    file.write_bytes(content.replace(b'"answer 7"', b'"answer 8"'))
    with Store(tmp_path, readonly=True) as store, pytest.raises(RunCorrupt, match=r"event 23 in .* is damaged"):
        store.call("cell/c/e7/0/~0")
    with pytest.raises(RunCorrupt, match=r"event 23 in .* is damaged"):
        Store(tmp_path)
    assert file.read_bytes() == content.replace(b'"answer 7"', b'"answer 8"')


def test_tables_that_are_not_what_the_log_says_are_made_anew(tmp_path: Path) -> None:
    fill(tmp_path)
    with Store(tmp_path, readonly=True) as store:
        before = store.spend(), store.cells()
        wrong = store._connect()
    with Store(tmp_path) as store:
        store._db.execute("UPDATE spend SET amount=1 WHERE axis='tokens'")
        store._db.execute("DELETE FROM cells WHERE example='e3'")
    wrong.close()
    with Store(tmp_path) as store:
        assert (store.spend(), store.cells()) == before
        assert [e.data["text"] for e in store.events("warning")] == [
            "the tables beside the log were damaged: made anew from the log"
        ]
    with Store(tmp_path) as store:
        assert len(list(store.events("warning"))) == 1


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9, 0.999])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, keep: float) -> None:
    fill(tmp_path / "run")
    file = tmp_path / "run" / "run.sqlite"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(RunCorrupt, match="damaged"):
        Store(tmp_path / "run")
    assert [info.status for info in list_runs(tmp_path)] == ["damaged"]


def test_an_event_that_is_missing_is_noticed(tmp_path: Path) -> None:
    fill(tmp_path)
    with Store(tmp_path) as store:
        store._db.execute("DELETE FROM events WHERE seq=5")
    with pytest.raises(RunCorrupt, match="event 5"):
        Store(tmp_path)


def test_a_file_without_tables_says_that_nothing_was_paid(tmp_path: Path) -> None:
    (tmp_path / "run.sqlite").touch()
    with pytest.raises(StoreError, match="killed before anything was paid"):
        Store(tmp_path, readonly=True)
    with Store(tmp_path) as store:
        assert store.append_now("a", {}).seq == 1


# -- disks -------------------------------------------------------------------------------------------------------


def on_disk(tmp_path: Path, options: str, script: str) -> str:
    """Run a script with a file system of its own mounted at ``disk``; returns what it printed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    code = tmp_path / "script.py"
    imports = "import os, subprocess, sys\nfrom agentopt.errors import *\nfrom agentopt.store import Store\n"
    code.write_text(imports + textwrap.dedent(script))
    mount = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"', "sh"]
    mount += [options, str(disk)]
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"]).returncode:
        pytest.skip("file systems cannot be mounted here")
    done = subprocess.run([*mount, sys.executable, str(code), str(disk)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_on_a_disk_that_fills_up_the_last_events_are_kept(tmp_path: Path) -> None:
    told = on_disk(
        tmp_path,
        "size=8m",
        """
        acknowledged, more = [], 0
        with Store(sys.argv[1] + "/run") as store:
            while not store.full:
                acknowledged.append(store.append_now("n", {"text": os.urandom(20000).hex()}).seq)
            for i in range(16):  # answers that were under way when the disk was full
                more += bool(store.append_now("late", {"text": os.urandom(2000).hex()}))
            try:
                store.require_room()
            except StoreError as error:
                print(error)
        with Store(sys.argv[1] + "/run", readonly=True) as store:
            assert [e.seq for e in store.events("n")] == acknowledged
            print(len(list(store.events("late"))), more)
        """,
    )
    lines = told.splitlines()
    assert "is full, what was answered is kept: free some space, then `agentopt resume`" in lines[0]
    assert lines[1] == "16 16"


def test_a_disk_that_is_full_to_the_last_byte_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    told = on_disk(
        tmp_path,
        "size=6m",
        """
        acknowledged = []
        with Store(sys.argv[1] + "/run") as store:
            try:
                while True:
                    acknowledged.append(store.append_now("n", {"text": os.urandom(20000).hex()}).seq)
            except StoreError as error:
                print(error)
        try:
            Store(sys.argv[1] + "/run").append_now("n", {"text": "x" * 100000})
        except StoreError as error:
            print(error)
        try:
            Store(sys.argv[1] + "/new")
        except StoreError as error:
            print(error)
        with Store(sys.argv[1] + "/run", readonly=True) as store:
            assert [e.seq for e in store.events("n")] == acknowledged and len(acknowledged) > 20
        """,
    )
    lines = told.splitlines()
    assert len(lines) == 3
    assert all("free some space" in line or "disk" in line for line in lines), lines


def test_on_a_read_only_disk_a_run_is_read_and_not_written(tmp_path: Path) -> None:
    told = on_disk(
        tmp_path,
        "size=20m",
        """
        disk = sys.argv[1]
        with Store(disk + "/closed") as store:
            store.append_now("n", {"text": "kept"})
        if not os.fork():
            Store(disk + "/killed").append_now("n", {})
            os._exit(9)
        os.wait()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with Store(disk + "/closed", readonly=True) as store:
            print([e.data["text"] for e in store.events("n")])
        for folder, readonly in (("closed", False), ("killed", True), ("new", False)):
            try:
                with Store(disk + "/" + folder, readonly=readonly) as store:
                    print([e.type for e in store.events("n")])
            except StoreError as error:
                print(type(error).__name__, error)
        """,
    )
    lines = told.splitlines()
    assert lines[0] == "['kept']"
    assert "StoreError cannot write in" in lines[1] and "reading only" in lines[1]
    assert lines[2] == "['n']" or "copy the whole folder" in lines[2]
    assert "StoreError cannot write in" in lines[3]


async def test_nothing_is_sent_that_could_not_be_kept(tmp_path: Path) -> None:
    from agentopt.llm.types import Message, Request

    with Store(tmp_path) as store:
        log = StoreLog(store)
        request = Request(model="m", messages=(Message(role="user", content="hi"),), address=Address(scope="cell/x"))
        await log.sent(request, 0, "k", {"calls": 1.0}, "e")
        assert store._writer is not None
        store._writer.full = True
        with pytest.raises(StoreError, match="free some space"):
            await log.sent(request, 1, "k", {"calls": 1.0}, "e")


def test_a_write_that_breaks_in_an_unforeseen_way_does_not_stop_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentopt.store import writer

    real = writer.project

    def odd(*args: Any) -> None:
        if args[2] == "odd":
            raise MemoryError("no room")
        real(*args)

    monkeypatch.setattr(writer, "project", odd)
    with Store(tmp_path) as store:
        with pytest.raises(MemoryError):
            store.append_now("odd", {})
        assert store.append_now("fine", {"n": 1}).seq == 1


# -- kills -------------------------------------------------------------------------------------------------------

WRITES = """
import os, signal, sys, threading
from agentopt.store import Store
from agentopt.store.store import Store as S
connect = S._connect
def often(self):
    db = connect(self)
    db.execute("PRAGMA wal_autocheckpoint=4")  # nearly every commit moves the WAL into the file
    return db
S._connect = often
store = Store(sys.argv[1])
print("open", flush=True)
first = (store.last("n").data["i"] + 1) if store.last("n") else 0
for i in range(first, first + 100000):
    store.append_now("n", {"i": i, "text": "x" * 3000}, [os.urandom(3000)])
    os.write(1, b"%d\\n" % i)
"""


def killed(script: str, folder: Path, seconds: float) -> list[str]:
    """What a child printed until it was killed, so many seconds after it had opened its store."""
    child = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    said, _ = child.communicate()
    return said.splitlines()


def test_killed_in_commits_and_checkpoints_it_keeps_what_was_acknowledged(tmp_path: Path, thorough: bool) -> None:
    rng, last = random.Random(5), -1
    for _ in range(12 if thorough else 5):
        said = killed(WRITES, tmp_path, rng.uniform(0.01, 0.15))
        last = max([last, *(int(line) for line in said if line.isdigit())])
        with Store(tmp_path) as store:
            kept = [e.data["i"] for e in store.events("n")]
        assert kept == list(range(len(kept)))
        assert len(kept) > last
    assert last > 12


@pytest.mark.parametrize("point", ["BEGIN IMMEDIATE", "INSERT INTO events", "COMMIT"])
def test_killed_at_a_point_of_a_transaction_it_has_all_of_it_or_nothing(tmp_path: Path, point: str) -> None:
    script = f"""
import os, signal, sys
from agentopt.store.store import Store as S
connect = S._connect
def armed(self):
    db = connect(self)
    db.set_trace_callback(lambda sql: len(done) == 3 and sql.startswith({point!r}) and kill())
    return db
def kill():
    os.kill(os.getpid(), signal.SIGKILL)
S._connect, done = armed, []
store = S(sys.argv[1])
for i in range(9):
    store.append_now("n", {{"i": i}}, [b"blob %d" % i])
    done.append(i)
"""
    child = subprocess.run([sys.executable, "-c", script, str(tmp_path)])
    assert child.returncode == -signal.SIGKILL
    with Store(tmp_path) as store:
        assert [e.data["i"] for e in store.events("n")] == [0, 1, 2]
        assert store._read("SELECT count(*) FROM blobs", []) == [(3,)]


def test_a_second_process_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    script = """
import sys
from agentopt.store import Store
with Store(sys.argv[1]) as store:
    for line in sys.stdin:
        print(store.append_now("n", {}).seq, flush=True)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None

    def append() -> str:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write("\n")
        child.stdin.flush()
        return child.stdout.readline()

    assert append() == "1\n"
    with pytest.raises(RunLocked, match=f"pid {child.pid}"):
        Store(tmp_path)
    assert append() == "2\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with Store(tmp_path) as store:  # a killed process holds no lock
        assert store.append_now("n", {}).seq == 3


# -- clocks ------------------------------------------------------------------------------------------------------


def test_a_wall_clock_that_jumps_changes_no_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1e9, 2e9, -5.0, 1e9, 1.5])
    clock: Callable[[], float] = lambda: next(times)  # noqa: E731
    with Store(tmp_path) as store:
        monkeypatch.setattr("agentopt.store.writer.time.time", clock)
        for i in range(4):
            store.append_now("n", {"i": i})
        assert [(e.seq, e.data["i"]) for e in store.events()] == [(1, 0), (2, 1), (3, 2), (4, 3)]
        last = store.last("n")
        assert last is not None
        assert last.data == {"i": 3}
