"""What a run holds back, writes down and remembers of its examples."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Parameter, graph
from agentopt.core.values import Budget, Proposal
from agentopt.errors import BudgetTooSmall, LLMError
from agentopt.evaluate import SplitSpec, Task, exact
from agentopt.optim.registry import make
from agentopt.run.api import optimize_async, resume_async
from agentopt.run.config import RunConfig
from agentopt.run.files import RunFile
from agentopt.run.forecast import CallCost, kept_back
from agentopt.testing import ScriptedLLM, StubServer

WORD = Parameter("no", name="word", kind="choice", choices=("no", "yes"))
STYLE = Parameter("Say it. {{question}}", name="style")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@graph
def says(question: str) -> Any:
    return WORD + ""


def optimized(name: str, target: str = "yes") -> Any:
    return agentopt.optimize(
        says, task=[(f"q{i}", target) for i in range(30)], optimizer="random", steps=2, name=name,
        metric=lambda gold, prediction, trace: prediction == "yes",
    )  # fmt: skip


def test_validation_of_every_finalist_and_the_test_are_held_back() -> None:
    config = RunConfig(graph="g", task="t", finalists=10, repeats=2, budget=Budget(calls=1000))
    cost = CallCost(calls=1.5, tokens=100.0, usd=None, most_tokens=700.0)
    held = kept_back(config, (40, 20, 30), cost)
    cells = 2 * (11 * 20 + 2 * 30)
    assert held["calls"] == cells * 1.5
    assert held["tokens"] == pytest.approx(cells * 100 * 1.1 + 700)
    assert kept_back(config, (40, 20, 30), cost, validation=False)["evaluations"] == 2 * 2 * 30


def test_outside_a_workspace_too_a_second_test_on_the_same_examples_is_labelled() -> None:
    assert "not a fresh test" not in optimized("first").claim.sentence
    assert "not a fresh test" in optimized("second").claim.sentence
    assert "not a fresh test" in optimized("relabelled", target="Yes").claim.sentence


def test_a_key_in_a_models_url_is_in_no_file_of_the_run() -> None:
    @graph
    async def asks(question: str) -> Any:
        return await agentopt.allm(STYLE, question=question)

    key = "secret-of-the-house-42"
    with StubServer(lambda request: "yes") as server:
        url = server.url.replace("http://", f"http://{key}@")
        agentopt.optimize(
            asks, task=[(f"q{i}", "yes") for i in range(12)], optimizer="random", steps=1, name="run", cache=False,
            metric=lambda gold, prediction, trace: False, model=f"{url}#stub",
            optimizer_model="scripted", clients={"scripted": ScriptedLLM(lambda request: '{"suggestion": {}}')},
        )  # fmt: skip
    files = [path for path in Path().rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if key.encode() in path.read_bytes()]


def test_budgets_add_up_on_the_axes_that_have_a_limit() -> None:
    base = Budget(calls=3, tokens=100, seconds=2.5)
    assert base.plus(Budget(calls=4, usd=1, evaluations=7, seconds=0.5)) == Budget(calls=7, tokens=100, seconds=3.0)
    assert base.plus(Budget()) == base
    assert Budget().plus(base) == Budget()


# -- the deadline, where the baseline's time does not show its pace ---------------------------------------------------


@graph
async def slow(question: str) -> Any:
    return (await agentopt.allm(STYLE, question=question)).value


class Further:
    """A new text in every step, without an end."""

    name, at = "further", 0

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        if self.fails:
            raise RuntimeError("cut off in ask")
        self.at += 1
        text = f"Say it {'again ' * self.at}. {{{{question}}}}"
        return [Proposal(candidate=view.baseline.change({"style": text}))]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


def long_test() -> Task:
    """8 examples to search on, and 112 evaluations after that: at 0.05 s each the end takes over 5.6 s."""
    spec = SplitSpec(search=8, validation=8, test=40)
    return Task("t", [(f"q{i}", "yes") for i in range(56)], exact(), split=spec)


HASTE: dict[str, Any] = {"budget": "seconds=6", "max_connections": 1, "patience": 99}


async def test_a_baseline_that_was_cut_off_does_not_make_the_run_look_fast() -> None:
    begun = asyncio.Event()
    llm = ScriptedLLM(lambda request: "no", delay=0.05)
    seen: list[str] = []

    def watch(event: Any) -> None:
        seen.append(event.type)
        if seen.count("cell") == 7:
            begun.set()

    run = asyncio.create_task(
        optimize_async(slow, task=long_test(), optimizer=Further(), model=llm, name="run", on_event=watch, **HASTE)
    )
    await begun.wait()
    run.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    result = await resume_async("run", graph=slow, task=long_test(), optimizer=Further(), clients={"given/model": llm})
    assert "just the time for validation and test" in result.reason
    assert len(result.archive) == 1


def test_a_baseline_from_the_cache_does_not_make_the_run_look_fast() -> None:
    with StubServer(lambda request: time.sleep(0.05) or "no", fingerprint="weights") as server:
        model = f"{server.url}#stub"
        agentopt.evaluate(slow, task=long_test(), model=model, name="before")
        result = agentopt.optimize(slow, task=long_test(), optimizer=Further(), model=model, name="run", **HASTE)
    assert "just the time for validation and test" in result.reason
    assert len(result.archive) == 1
    with RunFile(result.dir) as run:
        answers: list[Any] = [e.data["response"] for e in run.events("call.received")]
    assert [answer["cached"] for answer in answers[:8]] == [True] * 8


# -- a budget that suffices -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["noise", "ask"])
def test_a_run_that_its_budget_bears_is_resumed_wherever_it_was_cut(place: str) -> None:
    """128 evaluations are the least for 40 examples: 16 baseline, 16 A/A, 48 proposals, 16 validation, 32 test."""
    llm = ScriptedLLM(lambda request: "yes" if "again" in str(request.messages[-1].content) else "no")
    task = Task("t", [(f"q{i}", "yes") for i in range(40)], exact())
    options: dict[str, Any] = {"task": task, "model": llm, "name": "run", "steps": 1, "max_connections": 1}

    def cut(event: Any) -> None:
        if place == "noise" and event.type == "cell" and event.data["outcome"]["split"] == "noise":
            raise KeyboardInterrupt

    with pytest.raises(BudgetTooSmall):
        agentopt.optimize(slow, optimizer=Further(), budget="evaluations=127", **options)
    with contextlib.suppress(KeyboardInterrupt, RuntimeError):
        agentopt.optimize(
            slow, optimizer=Further(fails=place == "ask"), budget="evaluations=128", on_event=cut, **options
        )
    result = agentopt.resume("run", graph=slow, task=task, optimizer=Further(), clients={"given/model": llm})
    assert result.status == "finished"
    assert result.claim is not None


def test_a_start_that_is_refused_leaves_no_run() -> None:
    @graph
    async def asks(question: str) -> Any:
        return await agentopt.allm(STYLE, question=question)

    with pytest.raises(agentopt.UsageError):
        agentopt.optimize(
            asks, task=[(f"q{i}", "yes") for i in range(12)], metric=lambda g, p, t: True, model="local/nosuch"
        )
    assert not list(Path().glob("runs/*/run.sqlite"))


def test_a_program_that_fails_on_examples_is_told_after_the_baseline() -> None:
    @graph
    def fails(question: str) -> Any:
        raise KeyError(WORD.value)

    told: list[str] = []
    agentopt.optimize(
        fails, task=[(f"q{i}", "yes") for i in range(30)], metric=lambda g, p, t: True, optimizer="random", steps=1,
        on_event=lambda event: told.append(str(event.data.get("text", ""))) if event.type == "warning" else None,
    )  # fmt: skip
    assert any(
        "12 of 12 evaluations of the baseline failed in the program; the first: KeyError: 'no'" in t for t in told
    )


def test_a_run_with_a_model_of_its_own_is_resumed_with_one() -> None:
    @graph
    async def asks(question: str) -> Any:
        return await agentopt.allm(STYLE, question=question)

    task: Any = [(f"q{i}", "yes") for i in range(30)]

    def right(gold: Any, prediction: Any, trace: Any) -> bool:
        return bool(gold.target == prediction)

    down = ScriptedLLM(lambda request: LLMError("the key was refused"))
    with pytest.raises(LLMError, match="the key was refused"):
        agentopt.optimize(asks, task=task, metric=right, model=down, optimizer="random", steps=0, name="run")
    up = ScriptedLLM(lambda request: "yes")
    result = agentopt.resume("run", graph=asks, task=task, metric=right, model=up, optimizer=make("random"))
    assert result.status == "finished"
    assert up.calls > 0
