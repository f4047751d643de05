"""A linear program from a word problem: one prompt, one answer."""

from __future__ import annotations

from agentopt import allm, graph, prompt

MODELLER = prompt("agents/modeller")


@graph
async def modeller(problem: str) -> str:
    """Ask for the formulation; the scorer finds it in the model's answer."""
    return await allm(MODELLER, problem=problem)
