"""The agents that people start from: what they ask, in which order, what they make of replies, what may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Override, Trace, load_graph, parameters
from agentopt.evaluate import Example, Task, numeric
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

PROBLEM = "A taxi ride costs 5 euros to begin with and 4 euros for each kilometre. How much is a ride of 8 kilometres?"


@contextmanager
def model(reply: Callable[[Request], Any] | list[Any], delay: float = 0.0) -> Iterator[ScriptedLLM]:
    """A scripted model for the calls inside."""
    scripted = ScriptedLLM(reply, delay=delay)
    with use_session(Session(scripted, models={"agent": "any"})):
        yield scripted


def said(request: Request) -> str:
    """The last turn of a request."""
    return str(request.messages[-1].content)


# -- self-consistency ------------------------------------------------------------------------------------------------


async def test_most_answers_win_however_they_are_written() -> None:
    replies = ["...\nAnswer: 36", "so\nAnswer: 37.0", "Answer: 36.5", "the answer is 37.", "#### 37"]
    with model(replies):
        assert await load_graph("self_consistency")(PROBLEM) == "Answer: 37.0"


async def test_replies_without_an_answer_do_not_vote() -> None:
    with model(["I cannot tell.", "", "I do not know.", "Answer: yes", "Answer: Yes."]):
        assert await load_graph("self_consistency")(PROBLEM) == "Answer: yes"
    with model(["I cannot tell."] * 5):
        assert await load_graph("self_consistency")(PROBLEM) == "I cannot tell."


async def test_as_many_samples_as_the_parameter_says_side_by_side_each_drawn_for_itself() -> None:
    with model(lambda r: "Answer: 1", delay=0.01) as scripted, Override({"samples": 7, "temperature": 0.9}):
        await load_graph("self_consistency")(PROBLEM)
    assert scripted.calls == scripted.most_in_flight == 7
    assert {r.temperature for r in scripted.requests} == {0.9}
    assert len({r.hash for r in scripted.requests}) == 7  # a cache would give equal requests one answer


async def test_samples_and_repeats_of_an_evaluation_are_different_requests() -> None:
    seen = []
    for repeat in range(3):
        scripted = ScriptedLLM(lambda r: "Answer: 1")
        with use_session(Session(scripted, models={"agent": "any"}, defaults={"repeat": repeat})):
            await load_graph("self_consistency")(PROBLEM)
        seen += [r.hash for r in scripted.requests]
    assert len(set(seen)) == 15


async def test_all_three_parameters_lead_to_the_vote() -> None:
    with model(lambda r: "Answer: 1"), Trace() as trace:
        trace.output = await load_graph("self_consistency")(PROBLEM)
    minimal = trace.graph.subgraph(trace.graph.output)
    assert {r.name for r in minimal.nodes if r.kind == "param"} == {"chain_of_thought", "samples", "temperature"}


def test_a_vote_corrects_a_model_that_is_right_most_of_the_time_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def often_right(request: Request) -> str:
        right = said(request).rsplit(" ", 1)[-1]
        return "Answer: 0" if request.repeat // 1000 in (1, 3) else f"Answer: {right}"

    task = Task("echo", [Example(input=f"say {i}", target=i) for i in range(1, 9)], numeric())
    done = agentopt.evaluate(
        load_graph("self_consistency"), task=task, clients={"m": ScriptedLLM(often_right)}, model="m", split="all"
    )
    assert done.summary.mean == 1.0
    assert {o.metrics["calls"] for o in done.outcomes} == {5}
