"""Run files of earlier schemas open, read the same, and can be resumed.

``tests/data/store/vN.sqlite.gz`` are runs that were killed in their second step, as agentopt wrote them when N was its
schema. One more is made by ``python tests/test_store_upgrade.py FOLDER`` before a schema changes, and never again.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.core.values import Candidate, Proposal
from agentopt.errors import RunCorrupt
from agentopt.evaluate import Example, Task
from agentopt.llm.types import Message, Request
from agentopt.run.files import open_run
from agentopt.store import Store, schema
from agentopt.store.schema import SCHEMA_VERSION
from agentopt.testing import ScriptedLLM

FOLDER = Path(__file__).parent / "data" / "store"
sys.path.insert(0, str(FOLDER))
from scorer import same  # noqa: E402

sys.path.pop(0)

STYLE = agentopt.Parameter("Answer {{question}}", name="style")
WORDS = ("briefly", "quickly", "carefully", "slowly")


@agentopt.graph
async def answer(question: str) -> Any:
    return await agentopt.allm(STYLE, question=question)


def questions() -> Task:
    examples = [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(24)]
    return Task("questions", examples, same)


def says(request: Request) -> str:
    text = str(request.messages[-1].content)
    if text.startswith("word "):
        return WORDS[int(text[5:])]
    question = next(word for word in text.split() if word.startswith("q") and word[1:].isdigit())
    return f"right {question}" if "carefully" in text or int(question[1:]) % 4 == 0 else "wrong"


class Words:
    """Asks the model for a word, once for each proposal."""

    name, at = "words", 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        texts = []
        for i in range(self.at, self.at + n):
            word = await view.llm.complete(Request(model="", messages=(Message(role="user", content=f"word {i}"),)))
            texts.append(f"Answer {word.text} {{{{question}}}}")
        self.at += n
        return [Proposal(candidate=Candidate(values={"style": text})) for text in texts]

    def tell(self, outcomes: Sequence[Any]) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


def run(folder: Path, **options: Any) -> Any:
    return agentopt.optimize(
        answer, task=questions(), model=ScriptedLLM(says, delay=0.002), optimizer=Words(), steps=2, proposals=2,
        max_connections=4, runs_dir=str(folder), name="run", cache=False, budget="calls=1000", **options,
    )  # fmt: skip


FILES = sorted(FOLDER.glob("v*.sqlite.gz"))


@pytest.fixture(params=FILES, ids=lambda file: file.name.partition(".")[0])
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an old run."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "run"
    folder.mkdir(parents=True)
    with gzip.open(request.param) as packed, (folder / "run.sqlite").open("wb") as file:
        shutil.copyfileobj(packed, file)
    return folder


def version(folder: Path) -> int:
    return int.from_bytes((folder / "run.sqlite").read_bytes()[60:64], "big")


def test_every_schema_before_this_one_has_its_file() -> None:
    assert [file.name for file in FILES] == [f"v{n}.sqlite.gz" for n in range(1, SCHEMA_VERSION)]


def test_an_old_file_is_read_without_being_changed(old: Path) -> None:
    before = (old / "run.sqlite").read_bytes()
    with open_run(old) as run:
        assert run.status == "interrupted"
        assert len(run.outcomes()) == len(list(run.events("cell"))) == 42
        graph = run.graph(run.outcomes()[0])
        assert graph is not None
        assert len(graph.nodes) > 1
        assert run.spend()["agent"] == {"calls": 42.0, "evaluations": 42.0, "tokens": run.spend()["agent"]["tokens"]}
        assert len(run.store.unanswered()) == 1
    assert (old / "run.sqlite").read_bytes() == before


def test_an_old_file_is_upgraded_and_reads_the_same(old: Path) -> None:
    with Store(old, readonly=True) as store:
        before = list(store.events()), store.cells(), store.spend(), store.unanswered(), store.id
        calls = [store.call(str(e.data["address"])) for e in store.events("call.sent")]
    Store(old).close()
    assert version(old) == SCHEMA_VERSION
    with Store(old, readonly=True) as store:
        assert (list(store.events()), store.cells(), store.spend(), store.unanswered(), store.id) == before
        assert [store.call(str(e.data["address"])) for e in store.events("call.sent")] == calls


def test_an_old_run_is_resumed_and_ends_like_one_of_today(old: Path) -> None:
    with open_run(old) as then:
        paid = len(list(then.events("call.received")))
    llm = ScriptedLLM(says)
    result = agentopt.resume(old, graph=answer, task=questions(), optimizer=Words(), clients={"given/model": llm})
    whole = run(old.parent.parent / "whole")
    assert (result.best, result.claim, result.status) == (whole.best, whole.claim, "finished")
    with open_run(whole.dir) as file:
        assert llm.calls == len(list(file.events("call.received"))) - paid


def test_an_upgrade_that_fails_changes_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, since = version(old), (old / "run.sqlite").read_bytes()
    real = schema.project

    def breaks(db: sqlite3.Connection, seq: int, *rest: Any) -> None:
        if seq == 100:
            raise sqlite3.OperationalError("database or disk is full")
        real(db, seq, *rest)

    monkeypatch.setattr(schema, "project", breaks)
    with pytest.raises(Exception, match="disk is full"):
        Store(old)
    assert version(old) == before
    (old / "copy.sqlite").write_bytes(since)
    assert dump(old / "run.sqlite") == dump(old / "copy.sqlite")
    monkeypatch.undo()
    Store(old).close()
    assert version(old) == SCHEMA_VERSION


def dump(file: Path) -> list[str]:
    db = sqlite3.connect(file)
    lines = list(db.iterdump())
    db.close()
    return lines


def test_an_upgrade_that_is_killed_is_made_again(old: Path) -> None:
    child = os.fork()
    if child == 0:

        def kill(db: sqlite3.Connection, seq: int, *rest: Any) -> None:
            if seq == 100:
                os.kill(os.getpid(), signal.SIGKILL)

        schema.project = kill
        Store(old)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with Store(old) as store:
        assert len(store.cells()) == 42


def test_a_damaged_old_file_is_not_upgraded(old: Path) -> None:
    file = old / "run.sqlite"
    file.write_bytes(file.read_bytes()[:-5000])
    with pytest.raises(RunCorrupt, match="cut or damaged"):
        Store(old)
    assert version(old) < SCHEMA_VERSION


def main(folder: Path) -> None:
    """Make a run that is killed in its second step, as one file."""
    if os.fork() == 0:
        seen = []

        def kill(event: Any) -> None:
            seen.append(event.type)
            if "step.done" in seen and seen[seen.index("step.done") :].count("cell") == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        run(folder, on_event=kill)
    os.wait()
    db = sqlite3.connect(folder / "run" / "run.sqlite")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("PRAGMA journal_mode=DELETE")
    db.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
