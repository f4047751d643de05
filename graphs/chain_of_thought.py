"""One prompt that asks for reasoning, and the answer that it ends with."""

from __future__ import annotations

from agentopt import allm, graph, node, prompt
from agentopt.evaluate.answers import Unreadable, stated_answer

CHAIN_OF_THOUGHT = prompt("agents/chain_of_thought")


@node
def conclusion(reasoning: str) -> str:
    """Keep what the reasoning ends with: the last stated answer, or all of it where none is stated."""
    try:
        return f"Answer: {stated_answer(reasoning, denials=True)}"
    except Unreadable:
        return reasoning


@graph
async def chain_of_thought(problem: str) -> str:
    """Have the model reason about the problem, and keep its conclusion."""
    return conclusion(await allm(CHAIN_OF_THOUGHT, problem=problem))
