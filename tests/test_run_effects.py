"""An effect is performed once, however often its cell is run; an error of an effect is tried again."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.core.effects import effect
from agentopt.errors import LLMError
from agentopt.evaluate import Example, Task, exact
from agentopt.llm.types import Request
from agentopt.run.api import evaluate_async
from agentopt.run.files import open_run
from agentopt.run.replay import replay_async
from agentopt.testing import ScriptedLLM

STYLE = agentopt.Parameter("Answer {{question}}", name="style")
TASK = Task("t", [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(3)], exact())


@pytest.fixture(autouse=True)
def _outside_any_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def model() -> ScriptedLLM:
    """Fails the first time that it is asked for an answer, after the plan was paid."""
    asked: Counter[str] = Counter()

    def reply(request: Request) -> Any:
        text = str(request.messages[-1].content)
        asked[text] += 1
        return LLMError("gone") if text.startswith("Answer") and asked[text] == 1 else f"right {text.split()[-1]}"

    return ScriptedLLM(reply)


async def scored(graph: Any, llm: ScriptedLLM) -> Any:
    return await evaluate_async(graph, task=TASK, model=llm, name="run", split="all", cache=False, max_connections=1)


async def test_a_cell_that_is_tried_again_takes_the_effects_that_it_had() -> None:
    bought: list[str] = []

    @effect
    def buy(question: str) -> list[int]:
        bought.append(question)
        return [len(bought)]

    @agentopt.graph
    async def solve(question: Any) -> Any:
        receipt = buy(question.value)
        await agentopt.allm(f"plan with receipt {receipt} for {question.value}")
        receipt.append(0)  # what the program does with a result is no part of it
        return await agentopt.allm(STYLE, question=question)

    llm = model()
    result = await scored(solve, llm)
    assert result.summary.mean == 1.0
    assert sorted(bought) == ["q0", "q1", "q2"]
    plans = [str(r.messages[-1].content) for r in llm.requests if "plan" in str(r.messages[-1].content)]
    assert len(plans) == len(set(plans)) == 3, "what was answered is not asked again with another receipt"
    with open_run(result.dir) as run:
        assert sorted(e.data["record"]["value"] for e in run.events("effect")) == [[1], [2], [3]]
    replayed = await replay_async(result.dir, graph=solve, task=TASK)
    assert replayed.clean, replayed.summary()


async def test_an_effect_that_failed_is_tried_again_with_its_cell() -> None:
    tried: Counter[str] = Counter()

    @effect
    def look(question: str) -> str:
        tried[question] += 1
        if tried[question] == 1:
            raise FileNotFoundError("not there yet")
        return "seen"

    @agentopt.graph
    async def solve(question: Any) -> Any:
        with contextlib.suppress(FileNotFoundError):
            look(question.value)
        return await agentopt.allm(STYLE, question=question)

    assert (await scored(solve, model())).summary.mean == 1.0
    assert tried == {"q0": 2, "q1": 2, "q2": 2}
