"""Worked examples before a question: read from a prompt file, counted by a parameter, shown as turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentopt.core import Parameter, node, render
from agentopt.workspace.prompts import prompt_text

__all__ = ["read_worked", "shots", "worked_turns"]

Pairs = Sequence[tuple[str, str]]


def read_worked(name: str) -> list[tuple[str, str]]:
    """Problems and replies of a prompt file whose blocks, apart by a blank line, each end with the reply in one line.

    >>> read_worked("agents/sorter_worked")[0][1]
    'technical'
    """
    blocks = (block.rpartition("\n") for block in prompt_text(name).split("\n\n"))
    return [(problem, reply) for problem, _, reply in blocks]


def shots(pairs: Pairs) -> Parameter[int]:
    """How many of them are shown: a parameter that begins at none."""
    return Parameter(
        0,
        name="shots",
        kind="number",
        low=0,
        high=len(pairs),
        description="how many worked examples the model is shown before the problem; each makes the prompt longer",
        constraint="a whole number",
    )


def worked_turns(pairs: Pairs) -> Callable[..., list[tuple[str, str]]]:
    """The node ``worked(request, shots)`` of a graph: ``request`` is a template with ``{{problem}}``."""

    @node
    def worked(request: str, shots: int) -> list[tuple[str, str]]:
        """The first so many worked examples, as turns of a conversation that uses the same request."""
        turns: list[tuple[str, str]] = []
        for problem, reply in pairs[:shots]:
            turns += [("user", str(render(request, problem=problem))), ("assistant", reply)]
        return turns

    return worked
