"""The outputs that a trace foretells at other values of a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.core import Graph, Node, Parameter, Trace, graph, node
from agentopt.optim.optoprime.program import read_program
from agentopt.optim.optoprime.whatif import neighbours, what_if
from agentopt.testing.optimizers import spec_of


@node
def squared(x: float) -> float:
    return x * x


WEIGHT = Parameter(3, name="w", kind="number", low=-20, high=20)


@graph
def reading_its_own(x: Any) -> Any:
    return x * WEIGHT + WEIGHT.value * 10


def test_a_number_that_leaves_the_trace_of_a_graph_is_not_foretold() -> None:
    with Trace() as trace:
        reading_its_own(5)
    assert what_if(read_program(trace.graph, {"w": WEIGHT}), spec_of(WEIGHT)) == ""


@graph
def branching(w: Any, x: Any) -> Any:
    return x * w if w > 2 else w + 1


def foretold(make: Callable[[Any, Any], Any], now: float = 3, **bounds: Any) -> dict[float, float]:
    w = Parameter(now, name="w", kind="number", **{"low": -20, "high": 20, **bounds})
    text = what_if(read_program(Graph.of(make(w, Node(5, name="x"))), {"w": w}), spec_of(w))
    pairs = (part.removeprefix("w = ").split(" -> ") for part in text.split("; ") if part)
    return {float(value): float(output) for value, output in pairs}


@given(st.integers(-20, 20), st.integers(-9, 9), st.sampled_from(["+", "-", "*"]))
def test_it_foretells_what_the_program_gives(now: int, other: int, sign: str) -> None:
    def program(w: Any, x: Any) -> Any:
        made = {"+": lambda: w + x, "-": lambda: x - w, "*": lambda: w * x}[sign]()
        return -(made * w - other)

    found = foretold(program, now)
    assert found and now not in found
    assert found == {value: program(value, 5) for value in found}


def test_a_number_used_twice_is_changed_in_both_places() -> None:
    assert foretold(lambda w, x: w * w + w, now=4)[5] == 30


@pytest.mark.parametrize(
    "program",
    [
        lambda w, x: squared(w) + 1,
        lambda w, x: 2**w,
        lambda w, x: branching(w, x),
        lambda w, x: x + 1,
        lambda w, x: x / (w - 4),
    ],
    ids=["a function", "a power", "a branch", "no part in it", "a division by zero"],
)
def test_where_the_trace_cannot_tell_nothing_is_said(program: Callable[[Any, Any], Any]) -> None:
    assert foretold(program) == {}


def test_functions_beside_the_path_do_no_harm() -> None:
    assert foretold(lambda w, x: squared(x) + w)[4] == 29


def test_values_stay_within_their_bounds() -> None:
    spec = spec_of(Parameter(20, name="w", kind="number", low=-20, high=20))
    assert neighbours(spec, 20) == [0, 19]
    free = spec_of(Parameter(0.5, name="w", kind="number"))
    assert neighbours(free, 0.5) == [-4.5, 0.3, 0.7, 5.5]
