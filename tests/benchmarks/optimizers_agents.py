"""The agents that are improved: an instruction, worked examples, a problem, one call; peers' scripts do the same.

The request is the instruction, a blank line, and the problem, in one user turn; each worked example is such a turn and
a reply to it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agentopt import Parameter, allm, graph, node
from agentopt.workspace import demo_turns, demonstrations, load_graph

HERE = Path(__file__).resolve().parent
DESCRIPTION = "what the model is told before each problem"
"""All that anybody is told in words of the instruction; a constraint is given to nobody."""


def start_text(name: str) -> str:
    """The instruction that a task starts with.

    >>> start_text("boolean")
    'Evaluate the expression.'
    """
    return (HERE / f"optimizers_{name}.md").read_text(encoding="utf-8").strip()


@node
def request(instruction: str) -> str:
    """The template of the request: the instruction, a blank line, and the problem."""
    return plain(instruction) + "\n\n{{problem}}"


def plain(instruction: str) -> str:
    """An instruction without placeholders: double braces are drawn apart, here and in peers' scripts.

    >>> plain("Solve {{x}}")
    'Solve { {x} }'
    """
    return instruction.replace("{{", "{ {").replace("}}", "} }")


shown = demo_turns()


def agent(start: str, max_tokens: int, read: Callable[[str], Any] | None) -> Any:
    """A graph with the parameters ``instruction`` (a text) and ``demos`` (worked examples, none at the start).

    Args:
        start: the instruction to begin with.
        max_tokens: cap of an answer.
        read: what makes the output of a reply; None gives the reply itself.
    """
    instruction = Parameter(start, name="instruction", description=DESCRIPTION)
    demos = demonstrations()

    @graph
    async def solve(problem: str) -> Any:
        """Ask for the answer, and read it."""
        asked = request(instruction)
        reply = await allm(asked, problem=problem, messages=shown(asked, demos), max_tokens=max_tokens)
        return reply if read is None else read(reply)

    return solve


def calculation() -> Callable[[str], Any]:
    """``calculate`` of ``graphs/cashier.py``: computes the arithmetic expression that a reply ends with."""
    found: Callable[[str], Any] = load_graph("cashier").__wrapped__.__globals__["calculate"]
    return found
