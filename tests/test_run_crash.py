"""``kill -9`` at any moment: no committed answer is asked again, and the end is that of an uninterrupted run.

The program, the server and the audit of the second half are those of ``benchmarks/crash.py``.
"""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.core.values import Budget
from agentopt.errors import BudgetExhausted, RunLocked, StoreError, UsageError
from agentopt.evaluate import Example, Task
from agentopt.llm.ledger import Ledger
from agentopt.llm.types import Message, Request
from agentopt.run.calllog import StoreLog
from agentopt.run.files import open_run
from agentopt.store import Store
from agentopt.testing import ScriptedLLM

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import crash
import crash_audit
from crash_program import CONNECTIONS, POINTS

sys.path.pop(0)

PROGRAM = textwrap.dedent(
    '''
    import asyncio, sys
    import agentopt
    from agentopt.evaluate import Example, Task
    from agentopt.llm.types import Message, Request
    from agentopt.core.values import Candidate, Proposal

    class Words:
        """Asks the model for a word, once for each proposal."""

        name, at = "words", 0

        async def ask(self, view, n):
            turns = [Message(role="user", content=f"word {self.at + i}") for i in range(n)]
            answers = [view.llm.complete(Request(model="", messages=(turn,))) for turn in turns]
            words = [answer.text for answer in await asyncio.gather(*answers)]
            self.at += n
            return [Proposal(candidate=Candidate(values={"style": f"Answer {w} {{{{question}}}}"})) for w in words]

        def tell(self, outcomes): pass

        def state(self): return {"at": self.at}

        def load(self, state): self.at = state["at"]

    STYLE = agentopt.Parameter("Answer {{question}}", name="style")

    @agentopt.graph
    async def answer(question):
        return await agentopt.allm(STYLE, question=question)

    def same(example, output):
        return output == example.target

    def questions():
        return Task("questions", [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(30)], same)

    if __name__ == "__main__":
        what, folder, url = sys.argv[1:]
        if what == "start":
            agentopt.optimize(answer, task=questions(), model=url, optimizer=Words(), steps=2, proposals=3,
                              max_connections=8, runs_dir=folder, name="run", cache=False, budget="calls=2000")
        else:
            agentopt.resume("run", runs_dir=folder, graph=answer, task=questions(), optimizer=Words())
    '''
)


def reply(body: dict[str, Any]) -> Any:
    """A function of the request alone, as the promise about crashes needs."""
    text = str(body["messages"][-1]["content"])
    time.sleep(0.01)
    if text.startswith("word "):
        return ("briefly", "quickly", "slowly", "carefully", "loudly", "softly")[int(text[5:]) % 6]
    question = re.search(r"q(\d+)", text)
    right = question and ("carefully" in text or int(question[1]) % 3 == 0)
    return f"right q{question[1]}" if question and right else "wrong"


def start(tmp_path: Path, what: str, url: str) -> subprocess.Popen[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), what, str(tmp_path / "runs"), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)


def end_state(folder: Path) -> Any:
    with open_run(folder / "runs" / "run") as run:
        cells = {(o.candidate, o.example, o.repeat, o.split, o.status, o.score) for o in run.outcomes()}
        return cells, run.best(), run.claim()


def test_killed_again_and_again_it_ends_like_an_uninterrupted_run(kill_again_and_again: Any) -> None:
    whole, cut = kill_again_and_again(reply, start, seed=3, part=5)
    assert end_state(cut) == end_state(whole)
    whole_cells, _, claim = end_state(whole)
    assert claim is not None
    assert len(whole_cells) >= 12 + 12


# -- at every point ----------------------------------------------------------------------------------------------

EVERYWHERE = [
    ["random", "transaction", "commit", "checkpoint", "reserve", "sent", "stream", "answered", "ask", "ask"],
    ["ask"], [], ["validation"], ["validation"], ["test", "claim", "claimed"], ["best"],
]  # fmt: skip


@pytest.mark.timeout(400)
def test_killed_at_every_point_it_pays_nothing_twice_and_ends_the_same(tmp_path: Path) -> None:
    with crash.serving(tmp_path / "requests") as model:
        crash.drive(tmp_path, "whole", 0, model, [], crash.Count(0), examples=20)
        killed = crash.drive(tmp_path, "run", 0, model, EVERYWHERE, crash.Count(99), examples=20)
    assert set(killed) == set(POINTS), "a point was not reached"
    requests = crash_audit.read_requests(tmp_path / "requests")
    found = crash_audit.audit(tmp_path, "run", killed, requests, crash_audit.end_state(tmp_path / "whole"))
    assert (found["asked_again"], found["lost"], found["retried"]) == (0, 0, 0), found
    assert found["most_resent"] <= CONNECTIONS
    assert found["equal"]
    assert found["calls"] <= found["requests"] <= found["charged_calls"]


@pytest.mark.timeout(400)
def test_without_its_journal_the_same_program_pays_twice(tmp_path: Path) -> None:
    with crash.serving(tmp_path / "requests") as model:
        killed = crash.drive(tmp_path, "run", 0, model, [["ask"]], crash.Count(99), True, examples=20)
    assert killed == ["ask"]
    found = crash_audit.audit(tmp_path, "run", killed, crash_audit.read_requests(tmp_path / "requests"), None)
    assert found["asked_again"] > 0


# -- beginnings, ends, neighbours, disks and clocks --------------------------------------------------------------

STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@agentopt.graph
async def ask_once(question: str) -> Any:
    return await agentopt.allm(STYLE, question=question)


def questions() -> Task:
    examples = [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(24)]
    return Task("questions", examples, lambda example, output: float(output == example.target))


def says(request: Request) -> str:
    return str(reply({"messages": [{"content": request.messages[-1].content}]}))


def optimize(folder: Path, llm: ScriptedLLM, **options: Any) -> Any:
    fields = {"optimizer": "paraphrase", "steps": 0, "runs_dir": str(folder), "name": "run", "cache": False} | options
    return agentopt.optimize(ask_once, task=questions(), model=llm, **fields)


def resume(folder: Path, llm: ScriptedLLM) -> Any:
    return agentopt.resume("run", graph=ask_once, task=questions(), runs_dir=folder, clients={"given/model": llm})


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_killed_before_its_first_event_is_begun_again_under_its_name(tmp_path: Path) -> None:
    Store(tmp_path / "run").close()
    llm = ScriptedLLM(says)
    with pytest.raises(UsageError, match="start it again"):
        resume(tmp_path, llm)
    assert optimize(tmp_path, llm).status == "finished"
    with pytest.raises(UsageError, match="there is a run in"):
        optimize(tmp_path, llm)


def test_a_run_that_is_open_elsewhere_is_neither_resumed_nor_begun(tmp_path: Path) -> None:
    llm = ScriptedLLM(says)
    optimize(tmp_path, llm)
    with Store(tmp_path / "run"):
        with pytest.raises(RunLocked, match="another process"):
            resume(tmp_path, llm)
        with pytest.raises(UsageError, match="there is a run in"):
            optimize(tmp_path, llm)
        with open_run("run", tmp_path) as run:
            assert (run.status, run.state.finished) == ("running", "finished")


def test_the_best_candidate_is_written_by_resume_when_it_is_missing(tmp_path: Path) -> None:
    llm = ScriptedLLM(says)
    optimize(tmp_path, llm)
    calls, best = llm.calls, tmp_path / "run" / "best"
    content = (best / "candidate.json").read_text()
    for file in best.iterdir():
        file.unlink()
    assert resume(tmp_path, llm).status == "finished"
    assert (best / "candidate.json").read_text() == content
    assert llm.calls == calls


def test_a_best_that_cannot_be_written_says_so_and_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    llm = ScriptedLLM(says)
    monkeypatch.setattr("agentopt.run.api.write_best", full)
    with pytest.raises(StoreError, match=r"No space left on device.*the run itself is kept.*agentopt resume run"):
        optimize(tmp_path, llm)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    calls = llm.calls
    resume(tmp_path, llm)
    assert (tmp_path / "run" / "best" / "candidate.json").exists()
    assert llm.calls == calls


def test_a_disk_that_fills_up_stops_the_run_and_resume_goes_on_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer sees a full disk at its 40th event; what was under way is kept, and nothing more is asked."""
    from agentopt.store.writer import Writer

    real = Writer._transaction

    def full(self: Writer, items: Any) -> Any:
        if self._last > 40 and self._reserve.exists():
            raise sqlite3.OperationalError("database or disk is full")
        return real(self, items)

    llm = ScriptedLLM(says, delay=0.005)
    monkeypatch.setattr(Writer, "_transaction", full)
    with pytest.raises(StoreError, match="agentopt resume"):
        optimize(tmp_path, llm, max_connections=4)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    with open_run("run", tmp_path) as run:
        answered = len(list(run.events("call.received")))
        assert answered == llm.calls, "an answer was paid and not kept"
        assert not [o for o in run.outcomes() if o.status != "ok"], "a full disk became an outcome"
    whole = optimize(tmp_path / "whole", ScriptedLLM(says))
    result = resume(tmp_path, llm)
    assert (result.status, result.best, result.noise) == ("finished", whole.best, whole.noise)
    with open_run("run", tmp_path) as run:
        assert len(list(run.events("call.received"))) == llm.calls


def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(2)
    whole = optimize(tmp_path / "whole", ScriptedLLM(says))
    monkeypatch.setattr("agentopt.store.writer.time.time", lambda: rng.uniform(-1e9, 4e9))
    result = optimize(tmp_path, ScriptedLLM(says), budget="seconds=600")
    monkeypatch.undo()
    assert (result.status, result.best, result.noise) == ("finished", whole.best, whole.noise)
    with open_run("run", tmp_path) as run:
        assert [e.seq for e in run.events()] == sorted(e.seq for e in run.events())


async def test_a_monotonic_clock_that_jumps_ends_the_deadline_and_never_goes_below_zero() -> None:
    now = 100.0
    ledger = Ledger(Budget(seconds=10), clock=lambda: now, elapsed=2.0)
    now = 50.0
    assert ledger.elapsed == 2.0
    ledger.settle(await ledger.reserve("agent", {"calls": 1}), {"calls": 1})
    now = 1e9
    with pytest.raises(BudgetExhausted) as end:
        await ledger.reserve("agent", {"calls": 1})
    assert end.value.axis == "seconds"
    assert ledger.settled["calls"] == 1


# -- which call is which -----------------------------------------------------------------------------------------


def call(text: str, ordinal: int) -> Request:
    from agentopt.llm.types import Address

    return Request(
        model="m", messages=(Message(role="user", content=text),), address=Address(scope="ask/0", ordinal=ordinal)
    )


async def answered(log: StoreLog, request: Request, text: str | None) -> str:
    from agentopt.llm.types import Response

    attempt, key = log.attempt(request)
    await log.sent(request, attempt, key, {"calls": 1.0}, "e")
    if text is not None:
        await log.received(request, attempt, Response(text=text), {"calls": 1.0})
    return key


async def test_calls_side_by_side_that_come_in_another_order_find_their_answers(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        log = StoreLog(store)
        await answered(log, call("a", 0), "A")
        await answered(log, call("b", 1), "B")
        await answered(log, call("twice", 2), "first")
        await answered(log, call("twice", 3), "second")
        key = await answered(log, call("cut", 4), None)
    with Store(tmp_path) as store:
        log = StoreLog(store)
        requests = [call("b", 0), call("c", 1), call("a", 2), call("twice", 5), call("twice", 6), call("cut", 3)]
        found = [log.lookup(request) for request in requests]
        texts = [f[1].text if f and f[0] == r.hash else None for f, r in zip(found, requests, strict=True)]
        assert texts == ["B", None, "A", "first", "second", None]
        assert log.attempt(call("cut", 3)) == (1, key), "what was cut off by the crash is sent with its own key"
        assert log.attempt(call("c", 1))[1] != log.attempt(call("b", 1))[1], "another payload has another key"
        await answered(log, call("c", 1), "C")
        await answered(log, call("cut", 3), "CUT")
        assert store.unanswered() == []
        assert store.spend() == {"agent": {"calls": 7.0}}, "the call that was cut off is charged, too"
    with Store(tmp_path) as store:  # and once more: nothing was overwritten
        log = StoreLog(store)
        found = [log.lookup(request) for request in [*requests[:3], requests[5]]]
        assert [f[1].text for f in found if f] == ["B", "C", "A", "CUT"]


async def test_a_call_that_comes_back_to_its_first_place_is_not_asked_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        await answered(StoreLog(store), call("a", 0), "A")
    for ordinal in (1, 0, 2, 0, 1):  # each process comes by it in another order, and is killed
        with Store(tmp_path) as store:
            found = StoreLog(store).lookup(call("a", ordinal))
            assert found is not None, ordinal
            assert found[1].text == "A"


async def test_a_cell_that_is_run_again_in_one_process_finds_its_answers_in_another_order(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        log = StoreLog(store)
        await answered(log, call("a", 0), "A")
        await answered(log, call("b", 1), "B")
        await answered(log, call("b", 2), "B, too")
        log.again("ask/0")
        texts = [(log.lookup(call(text, n)) or ("", None))[1] for n, text in enumerate("bba")]
        assert [response and response.text for response in texts] == ["B", "B, too", "A"]
        assert log.lookup(call("b", 3)) is None, "each is used once"


async def test_equal_calls_of_one_process_do_not_share_an_answer(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        log = StoreLog(store)
        await answered(log, call("a", 0), "first")
        assert log.lookup(call("a", 1)) is None
