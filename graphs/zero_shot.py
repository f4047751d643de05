"""The plainest agent: one prompt, one answer."""

from __future__ import annotations

from agentopt import allm, graph, prompt

ZERO_SHOT = prompt("agents/zero_shot")


@graph
async def zero_shot(problem: str) -> str:
    """Put the problem to the model as it is."""
    return await allm(ZERO_SHOT, problem=problem)
