"""A question and one instruction, at each of the places that the OPRO paper compares.

What may change: the instruction, and its place (``--parameters instruction`` keeps the place). ``A_begin`` lets the
answer begin with the instruction, which suits models that continue a text.
"""

from __future__ import annotations

from agentopt import Parameter, allm, graph, node, prompt
from agentopt.core import render
from agentopt.workspace import prompt_text

PLACES = ("Q_begin", "before_Q", "Q_end", "A_begin")
LAYOUTS = {place: prompt_text(f"agents/instructed_{place}") for place in PLACES}
INSTRUCTION = prompt("agents/instruction")
PLACE = Parameter(
    "Q_begin",
    name="place",
    kind="choice",
    choices=PLACES,
    description="where the instruction stands: beside the question or at the begin of the answer",
)


@node
def asked(problem: str, instruction: str, place: str) -> str:
    """The question with the instruction at its place."""
    return str(render(LAYOUTS[place], problem=problem, instruction=instruction))


@graph
async def instructed(problem: str) -> str:
    """Put the question with the instruction to the model."""
    return await allm(asked(problem, INSTRUCTION, PLACE))
