"""A round trip as an agent, without any model: the order of its points is the one parameter.

A parameter knows how many points it orders, so there is a graph for each size: ``tour`` for 10 points, ``tour_15``,
``tour_20`` and ``tour_50``.
"""

from __future__ import annotations

from typing import Any

from agentopt import Parameter, UsageError, graph, node

Point = list[float]


def order_of(n: int) -> Parameter[list[int]]:
    """The order of n points, as a parameter: each number from 0 to n - 1 once, 0 first."""

    def validator(value: Any) -> str | bool:
        """The reason why a list is no tour, or True."""
        if sorted(value) != list(range(n)):
            missing = [i for i in range(n) if i not in value]
            twice = sorted({i for i in value if value.count(i) > 1})
            parts = [f"{missing} are missing" if missing else "", f"{twice} come twice" if twice else ""]
            return f"no tour of the {n} points: " + (" and ".join(filter(None, parts)) or "unknown points")
        return True if value[0] == 0 else f"the tour begins at {value[0]}, not at 0"

    return Parameter(
        list(range(n)),
        name="tour",
        kind="json",
        description="the order in which the points are visited; the way ends where it began",
        constraint=f"each number from 0 to {n - 1} exactly once, 0 first",
        validator=validator,
        json_schema={"type": "array", "items": {"type": "integer"}, "minItems": n, "maxItems": n},
    )


TOUR_10, TOUR_15, TOUR_20, TOUR_50 = (order_of(n) for n in (10, 15, 20, 50))


@node
def visit(points: list[Point], order: list[int]) -> list[Point]:
    """The points in the order of the tour."""
    if len(points) != len(order):
        raise UsageError(f"a tour of {len(order)} points on {len(points)} points: use the graph of that size")
    return [points[i] for i in order]


@graph
def tour(points: list[Point]) -> list[Point]:
    """Visit 10 points."""
    return visit(points, TOUR_10)


@graph
def tour_15(points: list[Point]) -> list[Point]:
    """Visit 15 points."""
    return visit(points, TOUR_15)


@graph
def tour_20(points: list[Point]) -> list[Point]:
    """Visit 20 points."""
    return visit(points, TOUR_20)


@graph
def tour_50(points: list[Point]) -> list[Point]:
    """Visit 50 points."""
    return visit(points, TOUR_50)
