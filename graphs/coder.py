"""A program from its description: one prompt, one answer."""

from __future__ import annotations

from agentopt import allm, graph, prompt

CODER = prompt("agents/coder")


@graph
async def coder(problem: str) -> str:
    """Ask for the program; what comes back is the model's whole answer, and the scorer finds the program in it."""
    return await allm(CODER, problem=problem)
