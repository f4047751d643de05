"""An agent that turns an order in plain words into JSON.

What may change: the words of the request (``clerk``), and how many worked examples come before it (``shots``).
"""

from __future__ import annotations

from agentopt import allm, graph, prompt
from agentopt.workspace import read_worked, shots, worked_turns

REQUEST = prompt("agents/clerk")
WORKED = read_worked("agents/clerk_worked")
SHOTS = shots(WORKED)
worked = worked_turns(WORKED)


@graph
async def clerk(problem: str) -> str:
    """Ask for the order's fields as JSON."""
    return await allm(REQUEST, problem=problem, messages=worked(REQUEST, SHOTS), max_tokens=96)
