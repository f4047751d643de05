"""An agent that sorts a customer's message by its topic.

What may change: the words of the request (``sorter``), and how many worked examples come before it (``shots``).
"""

from __future__ import annotations

from agentopt import Parameter, allm, graph, node, prompt, render
from agentopt.workspace import prompt_text

REQUEST = prompt("agents/sorter")
WORKED = [pair.rpartition("\n")[::2] for pair in prompt_text("agents/sorter_worked").split("\n\n")]
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


@graph
async def sorter(problem: str) -> str:
    """Ask for the topic."""
    return await allm(REQUEST, problem=problem, messages=worked(REQUEST, SHOTS), max_tokens=12)
