"""An agent that finds the numbers of a table which a question asks for.

What may change: the words of the request (``bookkeeper``), and how many worked examples come before it (``shots``).
"""

from __future__ import annotations

import re

from agentopt import Parameter, allm, graph, node, prompt, render
from agentopt.workspace import prompt_text

REQUEST = prompt("agents/bookkeeper")
WORKED = [pair.rpartition("\n")[::2] for pair in prompt_text("agents/bookkeeper_worked").split("\n\n")]
SHOTS = Parameter(
    0,
    name="shots",
    kind="number",
    low=0,
    high=len(WORKED),
    description="how many worked examples the model is shown before the problem; each makes the prompt longer",
    constraint="a whole number",
)


@node
def worked(request: str, shots: int) -> list[tuple[str, str]]:
    """The first so many worked examples, as turns of a conversation that uses the same request."""
    turns: list[tuple[str, str]] = []
    for problem, reply in WORKED[:shots]:
        turns += [("user", str(render(request, problem=problem))), ("assistant", reply)]
    return turns


@node
def numbers(reply: str) -> list[int]:
    """The whole numbers of the reply, each once, in order."""
    return list(dict.fromkeys(int(number) for number in re.findall(r"\d{1,9}", reply)))


@graph
async def bookkeeper(problem: str) -> list[int]:
    """Ask which numbers count, and read them."""
    return numbers(await allm(REQUEST, problem=problem, messages=worked(REQUEST, SHOTS), max_tokens=48))
