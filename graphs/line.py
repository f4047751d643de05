"""A straight line as an agent, without any model: its slope and where it begins may change."""

from __future__ import annotations

from agentopt import Parameter, graph, node

W = Parameter(0, name="w", kind="number", low=-50, high=50)
B = Parameter(0, name="b", kind="number", low=-50, high=50)


@node
def height(x: list[float], w: float, b: float) -> list[float]:
    """Where the line is at each x."""
    return [w * at + b for at in x]


@graph
def line(x: list[float]) -> list[float]:
    """The heights w * x + b.

    >>> line([1, 2]).value
    [0, 0]
    """
    return height(x, W, B)
