"""A calculation as an agent, without any model: three numbers may change, and every operation is traced."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from agentopt import Parameter, graph, node

X, Y, Z = (Parameter(0, name=name, kind="number", low=-20, high=20) for name in ("x", "y", "z"))


@node
def blend(a: float, b: float) -> float:
    """A number between a and b, nearer to a."""
    return (3 * a + b) / 4


@node
def stretch(a: float, b: float) -> float:
    """Grows with a, the faster the further a is from 0, and has the sign of a; then b is added."""
    return a * abs(a) / 4 + b


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "blend": blend,
    "stretch": stretch,
}


@graph
def arithmetic(program: list[list[Any]]) -> float:
    """Do the steps of a program: each is an operation and two operands (x, y, z, a step's name v0, ..., or a number).

    >>> arithmetic([["add", "x", 2], ["mul", "v0", 3]]).value
    6
    """
    known: dict[str, Any] = {"x": X, "y": Y, "z": Z}
    steps: list[list[Any]] = getattr(program, "value", program)
    for i, (operation, left, right) in enumerate(steps):
        a, b = (known[operand] if isinstance(operand, str) else operand for operand in (left, right))
        known[f"v{i}"] = OPERATIONS[operation](a, b)
    result: float = known[f"v{len(steps) - 1}"]
    return result
