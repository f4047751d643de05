"""The agents that come with agentopt: what they ask, how they read the reply, what may change in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agentopt import NodeError, Override, Trace, load_graph, load_task, parameters
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

PROBLEM = "A taxi ride costs 5 euros to begin with and 4 euros for each kilometre. How much is a ride of 8 kilometres?"


@contextmanager
def answering(reply: str) -> Iterator[ScriptedLLM]:
    """A model that always says the same."""
    model = ScriptedLLM(lambda request: reply)
    with use_session(Session(model, models={"agent": "any"})):
        yield model


def listening(reply: str) -> tuple[list[Request], ScriptedLLM]:
    """A model that always says the same, and what it was asked."""
    asked: list[Request] = []

    def answer(request: Request) -> str:
        asked.append(request)
        return reply

    return asked, ScriptedLLM(answer)


@pytest.mark.parametrize("name", ["zero_shot", "chain_of_thought", "cashier", "clerk", "bookkeeper", "sorter"])
async def test_every_agent_asks_for_the_problem_once(name: str) -> None:
    asked, model = listening("Answer: 37")
    with use_session(Session(model, models={"agent": "any"})):
        await load_graph(name)(PROBLEM)
    (request,) = asked
    assert str(request.messages[-1].content).count(PROBLEM) == 1
    assert "{{" not in str(request.messages[-1].content)


async def test_sixteen_problems_at_once_get_their_own_answers() -> None:
    def sum_of(request: Request) -> str:
        return str(request.messages[-1].content).split("\n\n")[-1]

    agent = load_graph("cashier")
    with use_session(Session(ScriptedLLM(sum_of), models={"agent": "any"})):
        answers = await asyncio.gather(*(agent(f"{i} + 100") for i in range(16)))
    assert answers == [i + 100 for i in range(16)]


@pytest.mark.parametrize(("name", "pool"), [("cashier", 6), ("clerk", 4), ("bookkeeper", 4), ("sorter", 4)])
async def test_an_agent_shows_as_many_worked_examples_as_shots_says(name: str, pool: int) -> None:
    asked, model = listening("1")
    agent = load_graph(name)
    assert parameters(agent)["shots"].high == pool
    with use_session(Session(model, models={"agent": "any"})):
        for count in range(pool + 1):
            with Override({"shots": count}):
                await agent(PROBLEM)
    assert [len(r.messages) for r in asked] == [1 + 2 * k for k in range(pool + 1)]
    last = asked[-1].messages
    assert [m.role for m in last] == ["user", "assistant"] * pool + ["user"]
    instruction = str(last[-1].content).removesuffix(PROBLEM)
    assert all(str(m.content).startswith(instruction) for m in last[::2])


WORKED = [("cashier", "bills"), ("clerk", "orders"), ("bookkeeper", "ledger"), ("sorter", "mail")]


@pytest.mark.parametrize(("name", "task"), WORKED)
async def test_worked_examples_are_not_among_the_examples_of_the_task(name: str, task: str) -> None:
    worked = load_graph(name).__wrapped__.__globals__["WORKED"]
    given = {e.input for seed in range(3) for e in load_task(task, seed=seed).examples}
    assert not given & {problem for problem, _ in worked}
    assert all(problem and reply for problem, reply in worked)


async def test_the_bookkeeper_reads_the_numbers_of_a_reply() -> None:
    with answering("The rows are 12, 7 and 12."):
        assert await load_graph("bookkeeper")(PROBLEM) == [12, 7]


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("5 + 4 * 8", 37),
        ("```python\n(5 + 4) * 8\n```", 72),
        ("\\(5 + 4 \\times 8\\)", 37),
        ("5 + 4 × 8 = 37", 37),
        ("Total = 5 + 4 * 8", 37),
        ("Answer: -(3 - 5) / 2", 1),
        ("We add them.\n7 euros + 8 euros", 15),
    ],
)
async def test_the_cashier_computes_the_expression(reply: str, value: float) -> None:
    with answering(reply):
        assert await load_graph("cashier")(PROBLEM) == value


@pytest.mark.parametrize(
    "reply", ["", "I do not know.", "2 ** 9 ** 9", "x + 1", "1 / 0", "True + 1", "len([1])", "(" * 500]
)
async def test_what_is_no_expression_is_an_error_that_says_so(reply: str) -> None:
    with answering(reply), pytest.raises(ValueError, match="arithmetic expression|divides by zero"):
        await load_graph("cashier")(PROBLEM)


async def test_a_failed_calculation_is_a_node_of_the_trace() -> None:
    with answering("none of them"), Trace() as trace, pytest.raises(NodeError):
        await load_graph("cashier")(PROBLEM)
    assert any(r.kind == "error" and r.name.startswith("calculate") for r in trace.graph.nodes)


async def test_both_parameters_lead_to_the_cashiers_output() -> None:
    agent = load_graph("cashier")
    with answering("1 + 1"), Trace() as trace:
        trace.output = await agent(PROBLEM)
    minimal = trace.graph.subgraph(trace.graph.output)
    assert {r.name for r in minimal.nodes if r.kind == "param"} == {"cashier", "shots"} == set(parameters(agent))


@pytest.mark.parametrize(
    ("reply", "kept"),
    [
        ("4 * 8 = 32\n5 + 32 = 37\nAnswer: 37", "Answer: 37"),
        ("So the answer is 37.", "Answer: 37."),
        ("Answer: 1\nNo, again.\nAnswer: 37", "Answer: 37"),
    ],
)
async def test_chain_of_thought_keeps_its_conclusion(reply: str, kept: str) -> None:
    with answering(reply):
        assert await load_graph("chain_of_thought")(PROBLEM) == kept
