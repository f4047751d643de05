"""An agent that finds the numbers of a table which a question asks for.

What may change: the words of the request (``bookkeeper``), and how many worked examples come before it (``shots``).
"""

from __future__ import annotations

import re

from agentopt import allm, graph, node, prompt
from agentopt.workspace import read_worked, shots, worked_turns

REQUEST = prompt("agents/bookkeeper")
WORKED = read_worked("agents/bookkeeper_worked")
SHOTS = shots(WORKED)
worked = worked_turns(WORKED)


@node
def numbers(reply: str) -> list[int]:
    """The whole numbers of the reply, each once, in order."""
    return list(dict.fromkeys(int(number) for number in re.findall(r"\d{1,9}", reply)))


@graph
async def bookkeeper(problem: str) -> list[int]:
    """Ask which numbers count, and read them."""
    return numbers(await allm(REQUEST, problem=problem, messages=worked(REQUEST, SHOTS), max_tokens=48))
