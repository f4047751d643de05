"""What the output would be at other values of a number, as far as the trace is plain arithmetic."""

from __future__ import annotations

from typing import Any

from agentopt.core.operators import BINARY, UNARY
from agentopt.optim.base import ParameterSpec
from agentopt.optim.meta import show
from agentopt.optim.optoprime.program import Line, Program

__all__ = ["neighbours", "what_if"]

_EXACT = {**{name: BINARY[name] for name in ("add", "sub", "mul", "truediv", "floordiv", "mod")}, "neg": UNARY["neg"]}
"""Operators that are cheap whatever their operands; a power of two large numbers would not be."""
_LARGEST = 1e300


def what_if(program: Program, spec: ParameterSpec) -> str:
    """The output at a few other values of one number, the rest as it is; "" where a trace alone cannot tell.

    The recorded operators are computed again, nothing else is run: with any other node (a model call, a function, a
    branch, in a graph also a read of the number's ``value``) between the number and the output there is nothing to say.
    Outside of a graph a plain value taken out of a node is a constant, as it is in the report's code.

    >>> from agentopt.core import Graph, Parameter
    >>> from agentopt.optim.optoprime.program import read_program
    >>> w = Parameter(2, name="w", kind="number", low=0, high=8)
    >>> what_if(read_program(Graph.of(w * 3 + 1), {"w": w}), ParameterSpec(**w.spec_dict()))
    'w = 1 -> 4; w = 3 -> 10; w = 5 -> 16'
    """
    now = next((line.value for line in program.parameters if line.name == spec.name), None)
    if spec.kind != "number" or now is None or not _number(now) or program.output is None:
        return ""
    steps = _between(program, spec.name)
    if not steps or steps[-1].name != program.output.name:
        return ""
    found = []
    for value in neighbours(spec, now):
        output = _output(program, steps, spec.name, value)
        if output is None:
            return ""
        found.append(f"{spec.name} = {show(value)} -> {show(output)}")
    return "; ".join(found)


def neighbours(spec: ParameterSpec, now: float) -> list[float]:
    """Values near and far on both sides, in order: halfway to each bound, and a step of 1 (or of 1 % of the range).

    >>> neighbours(ParameterSpec("w", "number", 0, low=-20, high=20, integer=True), 10)
    [-5, 9, 11, 15]
    """
    reach = max(10.0, abs(now))
    low = now - reach if spec.low is None else spec.low
    high = now + reach if spec.high is None else spec.high
    step = 1 if spec.integer else (high - low) / 100
    values = {(low + now) / 2, now - step, now + step, (now + high) / 2}
    whole = {float(round(value)) if spec.integer else value for value in values}
    kept = sorted(value for value in whole if low <= value <= high and value != now)
    return [int(value) if spec.integer else value for value in kept]


def _between(program: Program, name: str) -> list[Line]:
    """The lines that change with the number, in order; none when one of them is no plain arithmetic."""
    changed, steps = {name}, []
    for line in program.lines:
        if not changed.intersection((*(a.name for a in line.arguments), *line.after)):
            continue
        if line.op not in _EXACT or line.kind != "operator" or line.after or not _number(line.value):
            return []
        changed.add(line.name)
        steps.append(line)
    return steps


def _output(program: Program, steps: list[Line], name: str, value: float) -> float | None:
    known = {**program.values, name: value}
    for line in steps:
        given = [a.constant if a.name is None else known.get(a.name) for a in line.arguments]
        if not all(map(_number, given)):
            return None
        try:
            known[line.name] = _EXACT[line.op](*given)
        except (ArithmeticError, TypeError):
            return None
    output = known[steps[-1].name]
    return output if abs(output) <= _LARGEST else None  # a not-a-number neither


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
