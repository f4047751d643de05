"""An agent that sorts a customer's message by its topic.

What may change: the words of the request (``sorter``), and how many worked examples come before it (``shots``).
"""

from __future__ import annotations

from agentopt import allm, graph, prompt
from agentopt.workspace import read_worked, shots, worked_turns

REQUEST = prompt("agents/sorter")
WORKED = read_worked("agents/sorter_worked")
SHOTS = shots(WORKED)
worked = worked_turns(WORKED)


@graph
async def sorter(problem: str) -> str:
    """Ask for the topic."""
    return await allm(REQUEST, problem=problem, messages=worked(REQUEST, SHOTS), max_tokens=12)
