"""An evaluation is a run like any other: it goes on after a kill, keeps its budget, and tries lost examples again."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.errors import LLMError, UsageError
from agentopt.evaluate import Example, Task, exact
from agentopt.llm.types import Request
from agentopt.run import evaluation
from agentopt.run.files import find_run, open_run
from agentopt.run.replay import replay
from agentopt.testing import ScriptedLLM

PROGRAM = textwrap.dedent(
    """
    import sys
    import agentopt
    from agentopt.evaluate import Example, Task

    STYLE = agentopt.Parameter("Answer {{question}}", name="style")

    @agentopt.graph
    async def answer(question):
        draft = await agentopt.allm(STYLE, question=question)
        return await agentopt.allm("Repeat {{draft}}", draft=draft)

    def same(example, output):
        return output == example.target

    def questions():
        return Task("questions", [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(30)], same)

    if __name__ == "__main__":
        what, folder, url = sys.argv[1:]
        if what == "start":
            agentopt.evaluate(answer, task=questions(), model=url, split="all", repeats=2, max_connections=8,
                              values={"style": "Now answer {{question}}"}, runs_dir=folder, name="run", cache=False,
                              budget="calls=2000")
        else:
            agentopt.resume("run", runs_dir=folder, graph=answer, task=questions())
    """
)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def reply(body: dict[str, Any]) -> Any:
    """A function of the request alone."""
    text = str(body["messages"][-1]["content"])
    time.sleep(0.01)
    question = re.search(r"q(\d+)", text)
    if text.startswith("Repeat"):
        return text.removeprefix("Repeat ")
    return f"right q{question[1]}" if question and int(question[1]) % 3 else "wrong"


def start(folder: Path, what: str, url: str) -> subprocess.Popen[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), what, str(folder / "runs"), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


def end_state(folder: Path) -> Any:
    with open_run(folder / "runs" / "run") as run:
        assert run.status == "evaluated"
        assert run.store.spend()["run"]["seconds"] > 0
        return {(o.candidate, o.example, o.repeat, o.split, o.status, o.score) for o in run.outcomes()}


def test_killed_again_and_again_it_ends_like_an_uninterrupted_evaluation(kill_again_and_again: Any) -> None:
    whole, cut = kill_again_and_again(reply, start, seed=5, part=6)
    assert end_state(cut) == end_state(whole)
    assert len(end_state(whole)) == 60


# -- with a scripted model -------------------------------------------------------------------------------------------

STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@agentopt.graph
async def answer(question: str) -> Any:
    said = await agentopt.allm(STYLE, question=question)
    if said == "nonsense":
        raise ValueError("cannot read nonsense")
    return said


def task(n: int = 20) -> Task:
    examples = [
        Example(id=f"e{i}", input=f"q{i}", target="yes", group="odd" if i % 2 else "even" if i else None)
        for i in range(n)
    ]
    return Task("questions", examples, exact())


class World:
    """A model that is gone for some questions, until it is mended. Its second answer is another."""

    def __init__(self, *gone: str) -> None:
        self.gone = set(gone)
        self.asked: Counter[str] = Counter()

    def __call__(self, request: Request) -> Any:
        question = str(request.messages[-1].content).split()[-1]
        self.asked[question] += 1
        if question in self.gone:
            return LLMError("model gone")
        return "nonsense" if question == "q1" else "no" if question == "q2" and request.repeat else "yes"


def scored(world: World, **options: Any) -> Any:
    given = {"split": "all", "cache": False, "progress": False, "name": "run"} | options
    return agentopt.evaluate(answer, task=task(), model=ScriptedLLM(world), **given)


def again(world: World, **options: Any) -> Any:
    given = {"progress": False} | options
    return agentopt.resume("run", graph=answer, task=task(), model=ScriptedLLM(world), **given)


def test_what_was_lost_to_the_world_is_tried_again_and_nothing_else() -> None:
    world = World("q3", "q7")
    first = scored(world)
    assert (first.status, first.summary.n, first.summary.n_infra, first.summary.n_agent_error) == (
        "evaluated",
        18,
        2,
        1,
    )
    assert "--retry-errors" in " ".join(first.notes())
    world.gone.clear()
    before = world.asked.copy()
    assert (again(world).status, again(world).outcomes) == ("evaluated", first.outcomes)
    assert world.asked == before, "without being told to, nothing is asked again"
    mended = again(world, retry_errors=True)
    assert world.asked - before == Counter({"q3": 1, "q7": 1})
    assert (mended.status, mended.summary.n, mended.summary.n_infra, mended.summary.n_agent_error) == (
        "evaluated", 20, 0, 1,
    )  # fmt: skip
    with open_run("run") as run:
        logged = Counter(str(e.data["outcome"]["example"]) for e in run.events("cell"))  # type: ignore[index,call-overload]
    assert {k for k, n in logged.items() if n == 2} == {"e3", "e7"}, "the older outcomes stay in the log"
    assert replay("run", graph=answer, task=task()).clean


def test_examples_that_stay_lost_may_be_tried_once_more() -> None:
    world = World("q3")
    scored(world)
    assert again(world, retry_errors=True).summary.n_infra == 1
    world.gone.clear()
    assert again(world).summary.n_infra == 1
    assert again(world, retry_errors=True).summary.n_infra == 0


@pytest.mark.parametrize("tolerated", [2, 0.1])
def test_it_stops_when_more_is_lost_than_is_tolerated(tolerated: float) -> None:
    world = World(*(f"q{i}" for i in range(8)))
    done = scored(world, fail_on_error=tolerated, max_connections=1)
    assert (done.status, done.complete) == ("errors", False)
    assert done.summary.n_infra == 3
    assert len(done.outcomes) < 20
    before = world.asked.copy()
    assert again(world).status == "errors"
    assert world.asked == before, "it would only stop again"
    world.gone = {"q0", "q1"}
    rest = again(world, retry_errors=True)
    assert (rest.status, rest.summary.n_infra, len(rest.outcomes)) == ("evaluated", 2, 20)
    assert all(n == 1 for q, n in (world.asked - before).items() if q not in world.gone)
    found = replay("run", graph=answer, task=task())
    assert found.clean, found.summary()


def test_as_many_as_are_tolerated_do_not_stop_it() -> None:
    assert scored(World("q3", "q7"), fail_on_error=2, max_connections=1).status == "evaluated"
    assert again(World(), retry_errors=True, fail_on_error=0).status == "evaluated"


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan")])
def test_a_tolerance_that_says_nothing_is_refused_and_leaves_no_run(wrong: float) -> None:
    with pytest.raises(UsageError, match="give a share of the examples"):
        scored(World(), fail_on_error=wrong)
    assert not list(Path("runs").glob("*"))


def test_its_budget_holds_and_can_be_raised() -> None:
    world = World()
    first = scored(world, budget="calls=7")
    assert (first.status, len(first.outcomes), world.asked.total()) == ("budget", 7, 7)
    assert "the budget ended" in first.notes()[0]
    assert again(world).status == "budget"
    with pytest.raises(UsageError, match="no limit on usd"):
        again(world, add_budget="usd=1")
    assert (again(world, add_budget="calls=5").status, world.asked.total()) == ("budget", 12)
    last = again(world, add_budget="calls=50")
    assert (last.status, len(last.outcomes), world.asked.total()) == ("evaluated", 20, 20)
    assert max(world.asked.values()) == 1
    with pytest.raises(UsageError, match="has evaluated every example"):
        again(world, add_budget="calls=5")
    assert replay("run", graph=answer, task=task()).clean


def test_values_that_were_given_are_those_that_it_goes_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    async def killed(*_: Any) -> str:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "score", killed)
        with pytest.raises(RuntimeError, match="killed"):
            scored(World(), values={"style": "Kindly answer {{question}}"})
    assert again(World()).candidate.values == {"style": "Kindly answer {{question}}"}
    assert replay("run", graph=answer, task=task()).clean


def test_other_examples_are_refused_when_it_goes_on() -> None:
    scored(World(), budget="calls=7")
    with pytest.raises(UsageError, match="other examples than when the run began"):
        agentopt.resume("run", graph=answer, task=task(19), model=ScriptedLLM(World()))


def test_last_is_what_began_last_and_errors_of_an_optimization_are_its_own_matter() -> None:
    def gold(gold: Any, prediction: Any, trace: Any) -> bool:
        return bool(prediction == gold.target)

    word = agentopt.Parameter("hi", name="word", kind="choice", choices=("hi", "hello"))

    @agentopt.graph
    def greet(who: str) -> Any:
        return word + " " + who

    pairs: Any = [(f"n{i}", f"hello n{i}") for i in range(30)]
    agentopt.optimize(greet, task=pairs, metric=gold, optimizer="random", steps=1, name="found", progress=False)
    scored(World())
    assert find_run("last").name == find_run("last", kind="evaluate").name == "run"
    assert find_run("last", kind="optimize").name == "found"
    with pytest.raises(UsageError, match="found is an optimization"):
        agentopt.resume("found", graph=greet, task=pairs, metric=gold, retry_errors=True)


# -- the table -------------------------------------------------------------------------------------------------------


def test_rows_by_split_and_group_and_how_repeats_agree() -> None:
    done = scored(World("q4"), repeats=3)
    rows = {row.name: row for row in done.rows}
    assert list(rows)[:4] == ["all", "split search", "split validation", "split test"]
    assert list(rows)[4:] == ["group even", "group odd"]
    assert rows["group even"].summary.n == 8  # without e0, which has no group, and e4, which was lost
    assert rows["group odd"].summary.n_agent_error == 3
    assert rows["group odd"].summary.mean == pytest.approx(0.9)
    assert rows["all"].n_ok == 60 - 3 - 3
    assert sum(rows[f"split {name}"].calls for name in ("search", "validation", "test")) == rows["all"].calls == 57
    assert rows["all"].summary.mean == pytest.approx((17 + 1 / 3) / 19)
    assert done.agreement is not None
    assert (done.agreement.n, done.agreement.times) == (19, 3)
    assert done.agreement.every == pytest.approx(17 / 19)
    assert done.agreement.once == pytest.approx(18 / 19)
    assert done.agreement.within == pytest.approx((1 / 3 / 19) ** 0.5)


def test_a_price_that_is_not_known_is_not_nothing() -> None:
    done = agentopt.evaluate(answer, task=task(), model=ScriptedLLM(World(), usd=None), cache=False, progress=False)
    assert done.rows[0].usd is None
    assert done.rows[0].tokens > 0


def test_it_goes_on_with_more_at_once_and_replays() -> None:
    class Waiting(ScriptedLLM):
        async def complete(self, request: Request) -> Any:
            await asyncio.sleep(0.1 if "q1" in str(request.messages[-1].content) else 0)
            return await super().complete(request)

    scored(World(), budget="calls=2", max_connections=1)
    llm = Waiting(World())
    options: dict[str, Any] = {"graph": answer, "task": task(), "model": llm, "progress": False}
    assert agentopt.resume("run", add_budget="calls=50", max_connections=8, **options).status == "evaluated"
    with open_run("run") as run:
        order = [str(e.data["outcome"]["example"]) for e in run.events("cell")]  # type: ignore[index,call-overload]
    assert order[2:] != [e for e in (o.example for o in again(World()).outcomes) if e not in order[:2]]
    found = replay("run", graph=answer, task=task())
    assert found.clean, found.summary()


def test_it_goes_on_with_fewer_at_once() -> None:
    scored(World(), budget="calls=4")
    llm = ScriptedLLM(World(), delay=0.01)
    options: dict[str, Any] = {"graph": answer, "task": task(), "model": llm, "progress": False}
    assert agentopt.resume("run", add_budget="calls=50", max_connections=2, **options).status == "evaluated"
    assert llm.calls == 16
    assert llm.most_in_flight == 2
    with pytest.raises(UsageError, match="at least 1"):
        agentopt.resume("run", max_connections=0, **options)


def test_it_is_told_that_examples_were_tuned_on(tmp_path: Path) -> None:
    style = agentopt.Parameter("Say {{word}}", name="style")

    @agentopt.graph
    async def answer(word: str) -> Any:
        return await agentopt.allm(style, word=word)

    task = Task("words", [Example(input={"word": f"w{i}"}, target=f"w{i}") for i in range(30)], exact())
    renamed = Task("others", [Example(input={"word": f"w{i}"}, target="") for i in range(25, 40)], exact())
    model = ScriptedLLM(lambda request: str(request.messages[-1].content).removeprefix("Say "))
    options: dict[str, Any] = {"model": model, "cache": False, "progress": False}

    def warned(of: Any, split: Any) -> list[str]:
        done = agentopt.evaluate(answer, task=of, split=split, **options)
        with open_run(done.dir) as run:
            return [e.data["text"] for e in run.events("warning") if "not fresh" in e.data["text"]]

    assert warned(task, "all") == []
    assert warned(task, "all") == [], "a score that was looked at makes no program better"
    agentopt.optimize(answer, task=task, optimizer="random", budget="evaluations=100", name="tuned", **options)
    splits = task.splits(seed=0)
    used = {str(e.input["word"]) for e in (*splits.search, *splits.validation)}  # type: ignore[index,call-overload]
    (said,) = warned(task, "all")
    assert said.startswith(f"{len(used)} of these 30 examples were already searched or chosen on (by tuned (")
    assert warned(task, "test") == [], "only a claim was made there"
    (said,) = warned(renamed, "all")
    assert said.startswith(f"{len(used & {f'w{i}' for i in range(25, 40)})} of these 15 examples")
