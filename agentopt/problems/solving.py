"""Exact optima of our own formulations: HiGHS for linear ones, every point of the grid for whole-number ones.

Both also find out whether the optimum is the only one. They work on numbers that our own code made, in this process.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agentopt.errors import UsageError
from agentopt.problems.expressions import calculate, linear
from agentopt.problems.formulation import Formulation, Relation, Variable, split_relation

__all__ = ["GRID", "Optimum", "find_optimum"]

GRID = 4_000_000
"""Points that are tried at most, where every point is."""
Array = NDArray[np.float64]
_BETWEEN = 1e-6  # two optima are two when a random direction tells them apart by this much, relative to their size


@dataclass(frozen=True, slots=True)
class Optimum:
    """What came of solving. ``values`` are empty unless ``status`` is ``optimal``."""

    status: Literal["optimal", "infeasible", "unbounded", "unknown"]
    values: Mapping[str, Any] | None = None
    """The optimum by variable name; whole numbers as ``int``."""
    objective: float | None = None
    unique: bool = False
    """Whether it is the only optimum."""
    method: str = ""
    """``highs`` or ``grid``."""


def find_optimum(formulation: Formulation) -> Optimum:
    """The optimum of a linear formulation, or of one whose variables all take whole numbers between bounds.

    A solution of HiGHS counts only when, its whole numbers rounded, it breaks no constraint; exactly, where all are
    whole.

    Raises:
        UsageError: it is neither, or the grid has more than ``GRID`` points.

    >>> f = Formulation(
    ...     variables=(Variable(name="x", meaning="x", kind="integer", high=9),
    ...                Variable(name="y", meaning="y", kind="integer", high=9)),
    ...     sense="maximize", objective="x*y - 2*x", constraints=("x + y <= 11",))
    >>> find_optimum(f)
    Optimum(status='optimal', values={'x': 4, 'y': 7}, objective=20.0, unique=False, method='grid')
    """
    return _highs(formulation) if formulation.is_linear else _grid(formulation)


def _rows(formulation: Formulation) -> tuple[Array, Array, Array]:
    """Coefficients, lower and upper limits of the constraints."""
    names = [v.name for v in formulation.variables]
    matrix = np.zeros((len(formulation.constraints), len(names)))
    low, high = np.full(len(matrix), -np.inf), np.full(len(matrix), np.inf)
    for i, constraint in enumerate(formulation.constraints):
        left, relation, right = split_relation(constraint)
        a, b = linear(left), linear(right)
        assert a is not None and b is not None
        for j, name in enumerate(names):
            matrix[i, j] = float(a[0].get(name, 0) - b[0].get(name, 0))
        limit = float(b[1] - a[1])
        if relation != "<=":
            low[i] = limit
        if relation != ">=":
            high[i] = limit
    return matrix, low, high


def _bounds(variables: tuple[Variable, ...]) -> tuple[Array, Array]:
    low = [-np.inf if (b := v.bounds[0]) is None else b for v in variables]
    high = [np.inf if (b := v.bounds[1]) is None else b for v in variables]
    return np.array(low), np.array(high)


def _highs(formulation: Formulation) -> Optimum:
    from scipy.optimize import Bounds, LinearConstraint, milp

    variables = formulation.variables
    parts = linear(formulation.objective)
    assert parts is not None
    sign = -1.0 if formulation.sense == "maximize" else 1.0
    cost = sign * np.array([float(parts[0].get(v.name, 0)) for v in variables])
    matrix, low, high = _rows(formulation)
    whole = np.array([int(v.whole) for v in variables])
    bounds = Bounds(*_bounds(variables))

    def run(direction: Array, *more: Any) -> Any:
        limits = [LinearConstraint(matrix, low, high)] if len(matrix) else []
        return milp(direction, constraints=[*limits, *more], integrality=whole, bounds=bounds,
                    options={"mip_rel_gap": 0.0})  # fmt: skip

    found = run(cost)
    if found.status in (2, 3, 4):  # 4 is "unbounded or infeasible", and more: without an objective it is one of them
        somewhere = run(0 * cost).status == 0
        return Optimum("unbounded" if somewhere else "infeasible", method="highs")
    if found.status != 0:
        return Optimum("unknown", method="highs")
    values = _rounded(formulation, found.x)
    if formulation.violations(values, 0.0 if whole.all() else 1e-7):
        return Optimum("unknown", method="highs")
    best = float(formulation.value(values))
    optimal = LinearConstraint(cost, -np.inf, float(cost @ found.x) + 1e-9 * max(1.0, abs(best)))
    direction = np.random.default_rng(len(variables)).normal(size=len(variables))
    ends = [run(direction, optimal), run(-direction, optimal)]
    unique = all(end.status == 0 for end in ends)
    if unique:
        span = abs(direction @ (ends[0].x - ends[1].x))
        unique = bool(span <= _BETWEEN * max(1.0, float(np.abs(found.x).max())))
    return Optimum("optimal", values, best, unique, "highs")


def _rounded(formulation: Formulation, point: Array) -> dict[str, Any]:
    """Whole numbers as such; others to twelve digits, which takes the last bits of an elimination away."""
    return {
        v.name: round(x) if v.whole else float(f"{x:.12g}") + 0.0
        for v, x in zip(formulation.variables, point.tolist(), strict=True)
    }


def _grid(formulation: Formulation) -> Optimum:
    axes = []
    for variable in formulation.variables:
        low, high = variable.bounds
        if not variable.whole or low is None or high is None:
            raise UsageError(
                f"{variable.name} is not a whole number between bounds: only linear formulations may have others here"
            )
        axes.append(np.arange(math.ceil(low), math.floor(high) + 1, dtype=np.float64))
    if (points := math.prod(len(axis) for axis in axes)) > GRID:
        raise UsageError(f"{points:,} points are too many to try each (at most {GRID:,}): narrow the bounds")
    mesh = np.meshgrid(*axes, indexing="ij", sparse=True)
    at = {v.name: m for v, m in zip(formulation.variables, mesh, strict=True)}
    shape = tuple(len(axis) for axis in axes)
    with np.errstate(divide="ignore", invalid="ignore"):
        worth = np.broadcast_to(np.asarray(calculate(formulation.objective, at), dtype=np.float64), shape).copy()
        good = np.isfinite(worth)
        for constraint in formulation.constraints:
            left, relation, right = split_relation(constraint)
            good &= _holds(calculate(left, at), relation, calculate(right, at))
    if not good.any():
        return Optimum("infeasible", method="grid")
    worth[~good] = -np.inf if formulation.sense == "maximize" else np.inf
    best = worth.max() if formulation.sense == "maximize" else worth.min()
    near = np.argwhere(np.abs(worth - best) <= 1e-9 * max(1.0, abs(best)))
    values = {v.name: int(axis[i]) for v, axis, i in zip(formulation.variables, axes, near[0], strict=True)}
    if formulation.violations(values):  # a point that only fits to the last bits
        return Optimum("unknown", method="grid")
    return Optimum("optimal", values, float(formulation.value(_exact(values))), len(near) == 1, "grid")


def _exact(values: Mapping[str, Any]) -> dict[str, Fraction]:
    return {name: Fraction(value) for name, value in values.items()}


def _holds(left: Any, relation: Relation, right: Any) -> Any:
    gap = np.asarray(left - right, dtype=np.float64)
    room = 1e-9 * np.maximum(1.0, np.abs(right))
    if relation == "<=":
        return gap <= room
    return gap >= -room if relation == ">=" else np.abs(gap) <= room
