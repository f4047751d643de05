"""Whose fault it is: what counts against a program, what is the world's, and what ends a run."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import agentopt
from agentopt import Parameter, allm, graph, llm, node
from agentopt._aio import in_thread
from agentopt.core.effects import effect
from agentopt.core.values import Proposal
from agentopt.errors import LLMError, RateLimited, StoreError
from agentopt.evaluate import Example, SplitSpec, Task
from agentopt.llm.cache import Cache, ResponseCache
from agentopt.llm.types import Message, Request
from agentopt.run.api import optimize_async
from agentopt.run.files import open_run
from agentopt.testing import ScriptedLLM

STYLE = Parameter("Answer {{question}}", name="style")
PICK = Parameter("x", name="pick", kind="choice", choices=("x", "y"))


class Answer(BaseModel):
    word: str


def task_of(n: int, scorer: Any = lambda example, output: float(output == "right")) -> Task:
    examples = [Example(input={"question": f"q{i}"}, target="right") for i in range(n)]
    return Task("t", examples, scorer, split=SplitSpec(search=n - 2, validation=1, test=1))


@graph
async def answer(question: str) -> Any:
    return await allm(STYLE, question=question)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def statuses(evaluation: Any) -> Counter[str]:
    return Counter(outcome.status for outcome in evaluation.outcomes)


def test_an_answer_without_the_asked_form_counts_against_the_program() -> None:
    @graph
    async def typed(question: str) -> str:
        return (await allm(STYLE, question=question, schema=Answer)).word

    def says(request: Request) -> Any:
        return "no json" if "q3" in str(request.messages) else '{"word": "right"}'

    found = agentopt.evaluate(typed, task=task_of(10), split="all", model=ScriptedLLM(says))
    assert statuses(found) == {"ok": 9, "agent_error": 1}
    assert found.summary.mean == 0.9


def test_waiting_for_a_busy_server_is_not_the_programs_time() -> None:
    calls = 0

    def says(request: Request) -> Any:
        nonlocal calls
        calls += 1
        return RateLimited("slow down", retry_after=0.5) if calls <= 4 else "right"

    found = agentopt.evaluate(answer, task=task_of(10), split="all", model=ScriptedLLM(says), timeout=0.3)
    assert statuses(found) == {"ok": 10}


async def _asleep(question: str) -> str:
    word = PICK.value
    await asyncio.sleep(30 if question == "q1" else 0)
    return "right" if word else ""


def _stuck(question: str) -> str:
    word = PICK.value
    if question == "q1":
        time.sleep(30)
    return "right" if word else ""


@pytest.mark.parametrize("program", [_asleep, _stuck], ids=["async", "sync"])
def test_a_program_that_hangs_holds_nothing_up(program: Any) -> None:
    begun = time.monotonic()
    found = agentopt.evaluate(graph(program), task=task_of(12), split="all", timeout=0.3, max_connections=1)
    assert statuses(found) == {"ok": 11, "timeout": 1}
    assert time.monotonic() - begun < 10


def test_code_that_never_returns_does_not_keep_the_process() -> None:
    code = """
import asyncio, time
from agentopt._aio import in_thread
async def main():
    try:
        async with asyncio.timeout(0.1):
            await in_thread(lambda: time.sleep(60))
    except TimeoutError:
        print("left")
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout == "left\n", done.stderr


async def test_in_thread_passes_errors_on() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


def test_a_judge_that_brings_nothing_leaves_out_one_example_and_a_run_goes_on() -> None:
    def judged(example: Example, output: Any) -> float:
        return float(llm(f"is {output} right?", schema=Answer).word == "yes")

    def says(request: Request) -> Any:
        if request.role == "judge":
            return "hm" if "q3" in str(request.messages) else '{"word": "yes"}'
        return str(request.messages[-1].content)

    found = agentopt.evaluate(answer, task=task_of(10, judged), split="all", model=ScriptedLLM(says))
    assert statuses(found) == {"ok": 9, "infra_error": 1}
    assert "judge" in next(o.error for o in found.outcomes if o.error)


def test_a_scorer_that_hangs_is_no_wrong_answer() -> None:
    def slow(example: Example, output: Any) -> float:
        if example.input["question"] == "q1":
            time.sleep(30)
        return 1.0

    found = agentopt.evaluate(graph(_plain), task=task_of(8, slow), split="all", timeout=0.3)
    assert statuses(found) == {"ok": 7, "infra_error": 1}


def _plain(question: str) -> Any:
    return PICK.value and question


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


_RING: list[Any] = []
_RING.append(_RING)
_DEEP: list[Any] = []
for _ in range(3000):
    _DEEP = [_DEEP]


@pytest.mark.parametrize(
    "value",
    ["\ud800", Odd(), _RING, _DEEP, 10**5000, {(1, 2): "\ud800"}, float("nan"), {"\udc80"}],
    ids=["half a character", "no repr", "a ring", "deep", "5000 digits", "odd keys", "nan", "a set"],
)
def test_whatever_a_program_returns_the_run_goes_on(value: Any) -> None:
    def returns(question: str) -> Any:
        return value if question == "q1" and PICK.value else "right"

    found = agentopt.evaluate(graph(returns), task=task_of(8, lambda e, o: 1.0), split="all")
    assert sum(statuses(found).values()) == 8
    assert statuses(found)["ok"] >= 7
    assert agentopt.evaluate(graph(returns), task=task_of(8, lambda e, o: 1.0), split="all", name="again").outcomes


async def test_a_cache_that_fails_costs_no_answer(tmp_path: Path) -> None:
    class Full(ResponseCache):
        def put(self, key: str, response: Any) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    kept = Full(tmp_path / "responses.sqlite")
    client = Cache(ScriptedLLM(lambda request: "right"), kept, "model")
    request = Request(model="m", messages=(Message(role="user", content="hello"),))
    with pytest.warns(UserWarning, match=r"responses\.sqlite fails .*not used any more"):
        assert (await client.complete(request)).text == "right"
    assert (await client.complete(request)).text == "right"
    kept.close()


def test_a_full_disk_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from agentopt.store import Store

    monkeypatch.setattr(Store, "full", property(lambda store: store.last("baseline") is not None))
    with pytest.raises(StoreError, match=r"disk is full.*agentopt resume"):
        agentopt.evaluate(answer, task=task_of(5), model=ScriptedLLM(lambda request: "right"))


async def test_a_loaded_object_with_an_async_call_has_the_best_values() -> None:
    class Agent:
        def __init__(self) -> None:
            self.word = Parameter("x", name="word", kind="choice", choices=("x", "y"))

        async def __call__(self, question: str) -> Any:
            await asyncio.sleep(0)
            return self.word.value

    agent = Agent()
    result = await optimize_async(
        agent, task=task_of(30, lambda e, o: float(o == "y")), optimizer="random", steps=2, name="run"
    )
    assert result.best.values == {"word": "y"}
    loaded = agentopt.load("runs/run", graph=agent)
    assert await loaded("q") == "y"


def test_a_listener_that_fails_ends_nothing() -> None:
    heard = 0

    def listen(event: Any) -> None:
        nonlocal heard
        heard += 1
        raise RuntimeError("no ears")

    with pytest.warns(UserWarning, match="a listener of run failed and is told no more: RuntimeError: no ears"):
        found = agentopt.evaluate(
            answer, task=task_of(6), model=ScriptedLLM(lambda request: "right"), on_event=listen, name="run"
        )
    assert statuses(found) == {"ok": 4}
    assert heard == 1


class Two:
    """Proposes one candidate after the other."""

    name = "two"

    def __init__(self, *values: dict[str, Any]) -> None:
        self.values = list(values)

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        taken, self.values = self.values[:n], self.values[n:]
        return [Proposal(candidate=view.baseline.change(values), operator=self.name) for values in taken]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Any) -> None: ...


HEAT = Parameter(0.5, name="heat", kind="number", low=0, high=5)


def test_a_request_that_a_provider_refuses_counts_against_the_candidate_that_makes_it() -> None:
    @graph
    async def warm(question: str) -> Any:
        return await allm(question, temperature=HEAT)

    def says(request: Request) -> Any:
        if (request.temperature or 0) > 2:
            refused = LLMError("refused with 400 (temperature must be at most 2)")
            refused.status = 400
            return refused
        return "right" if request.temperature == 1 else "wrong"

    task = Task("t", [Example(input={"question": f"q{i}"}, target="right") for i in range(40)], _right)
    result = agentopt.optimize(
        warm, task=task, optimizer=Two({"heat": 4.0}, {"heat": 1.0}), proposals=1, steps=2, model=ScriptedLLM(says),
        temperature=None, name="run",
    )  # fmt: skip
    assert result.status == "finished"
    assert result.best.values == {"heat": 1.0}
    refused = next(s for s in result.archive if s.candidate.values == {"heat": 4.0})
    assert {o.status for o in refused.outcomes} == {"agent_error"}


def _right(example: Example, output: Any) -> float:
    return float(output == example.target)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_set_up_that_cannot_work_ends_the_run_also_where_the_program_hides_it(grouped: bool) -> None:
    @graph
    async def hides(question: str) -> Any:
        try:
            if not grouped:
                return await allm(STYLE, question=question, model="nosuchprovider-zzz/x")
            async with asyncio.TaskGroup() as group:
                group.create_task(allm(STYLE, question=question, model="nosuchprovider-zzz/x"))
        except Exception:
            if grouped:
                raise
            return "right"

    with pytest.raises(agentopt.UsageError, match="names no provider"):
        agentopt.evaluate(hides, task=task_of(6), model=ScriptedLLM(lambda request: "right"))


def test_a_timeout_of_the_programs_own_is_its_own_error() -> None:
    @graph
    def asks_a_database(question: str) -> Any:
        if PICK.value:
            raise TimeoutError("the database said nothing")

    found = agentopt.evaluate(asks_a_database, task=task_of(6))
    assert statuses(found) == {"agent_error": 4}
    assert "the database said nothing" in str(found.outcomes[0].error)


def test_half_a_character_in_an_error_or_a_feedback_ends_nothing() -> None:
    @graph
    def raises(question: str) -> Any:
        raise ValueError(f"\ud83d {PICK.value}")

    assert statuses(agentopt.evaluate(raises, task=task_of(6))) == {"agent_error": 4}

    def scorer(example: Example, output: Any) -> Any:
        return 0.0, "no \ud83d"

    assert statuses(agentopt.evaluate(graph(_plain), task=task_of(6, scorer))) == {"ok": 4}


def test_the_sentinel_sends_nothing_and_has_places_of_its_own() -> None:
    sent: list[str] = []

    @graph
    async def acts(question: Any) -> Any:
        return await _sends(f"{PICK.value} {question.value}", sent)

    task = Task(
        "t", [Example(input={"question": f"q{i}"}, target="y") for i in range(30)], lambda e, o: float(o == "y")
    )
    result = agentopt.optimize(acts, task=task, optimizer=Two({"pick": "y"}), proposals=1, steps=1, name="run")
    assert result.best.values == {"pick": "y"}
    done = Counter(sent)
    assert set(done.values()) <= {1, 2}, "the A/A repeat does it once more, the sentinel does not"
    assert sum(text.startswith("x") for text in done.elements()) == sum(
        o.candidate == result.baseline.id for o in _cells("run")
    )
    assert sum(text.startswith("y") for text in done.elements()) == sum(
        o.candidate == result.best.id for o in _cells("run")
    )


def _cells(run: str) -> Any:
    with open_run(run) as file:
        return file.outcomes()


@node
@effect
async def _sends(text: str, sent: list[str]) -> str:
    sent.append(text)
    return text[0]
