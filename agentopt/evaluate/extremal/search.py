"""The extremum of a real function under constraints, by search: many starts, each improved by SLSQP.

A point that is found and satisfies the constraints proves its value to be reached. That nothing better was found proves
nothing.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agentopt.evaluate.extremal.latex import Expression, compiled
from agentopt.evaluate.extremal.problems import Goal

__all__ = ["Constraint", "Found", "Program", "find_extremum"]

Array = NDArray[np.float64]
FAR, INSIDE = 300.0, 1e-7
"""How far from 0 a variable without a bound is sought, and how far inside of an open bound."""
_EQUAL, _UNDEFINED = 1e-10, 1e9  # a share of what is compared; a value in place of none
_SAMPLES = 4000


@dataclass(frozen=True, slots=True)
class Constraint:
    """``left`` is equal to 0 (``eq``), at least 0 (``ge``) or above 0 (``gt``)."""

    kind: Literal["eq", "ge", "gt"]
    left: Expression


@dataclass(frozen=True)
class Program:
    """What is to be minimised or maximised.

    With ``constant``, ``objective`` is the difference h of an inequality h >= 0 that has this name, and what is sought
    is the largest (``min``) or smallest (``max``) value of it for which the inequality holds everywhere: the infimum or
    supremum over points of the value at which h is 0 there.
    """

    goal: Goal
    objective: Expression
    variables: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Closed bounds of variables; one that is open is moved inside by ``INSIDE``."""
    constant: str = ""
    open: frozenset[str] = frozenset()
    """Variables that have an open bound."""

    def reach(self, name: str) -> tuple[float, float]:
        """Between which values a variable is sought: its bounds, and where it has none, ``FAR`` beyond all bounds."""
        low, high = self.bounds.get(name, (-math.inf, math.inf))
        ends = [abs(end) for pair in self.bounds.values() for end in pair if math.isfinite(end)]
        far = FAR + 2 * max(ends, default=0.0)
        return (low if math.isfinite(low) else -far), (high if math.isfinite(high) else far)


@dataclass(frozen=True, slots=True)
class Found:
    """The best value that was found, where it is reached, and from how many starts it was reached again."""

    value: float
    point: Mapping[str, float]
    again: int
    starts: int


def find_extremum(program: Program, *, starts: int = 40, seed: int = 0, seconds: float = 20.0) -> Found | None:
    r"""The best feasible point of many local searches; None where no feasible point was found.

    Args:
        program: what is sought.
        starts: local searches.
        seed: of the starting points.
        seconds: of processor time, after which no further search is begun.

    >>> from agentopt.evaluate.extremal.statement import read_statement_of
    >>> found = find_extremum(read_statement_of("Find the minimum value of $x + \\frac{4}{x}$ for positive $x$."))
    >>> round(found.value, 6), round(found.point["x"], 3)
    (4.0, 2.0)
    """
    search = _Search(program)
    ends: list[tuple[float, Array]] = []
    begin = time.thread_time()
    for start in search.starts(starts, np.random.default_rng(seed)):
        if (end := search.improve(start)) is not None:
            ends.append(end)
        if time.thread_time() - begin > seconds:
            break
    if not ends:
        return None
    value, point = min(ends, key=lambda end: end[0])
    again = sum(abs(v - value) <= 1e-6 * max(1.0, abs(value)) for v, _ in ends)
    signed = value if program.goal == "min" else -value
    return Found(signed, {n: float(x) for n, x in zip(program.variables, point, strict=True)}, again, starts)


class _Search:
    """A program as functions of arrays, one row a variable."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._sign = 1.0 if program.goal == "min" else -1.0
        self._objective = compiled(program.objective)
        self._constraints = [(c.kind, compiled(c.left)) for c in program.constraints]
        self._terms = [
            [compiled(part) for part in (c.left.parts if c.left.kind == "add" else (c.left,))]
            for c in program.constraints
        ]
        self._bounds = [program.bounds.get(name, (-np.inf, np.inf)) for name in program.variables]
        reach = [program.reach(name) for name in program.variables]
        self._low, self._high = (np.array([pair[k] for pair in reach]) for k in (0, 1))

    def value(self, x: Array) -> Array:
        """What is minimised, for one point or one a column; undefined is a large number."""
        at = {name: x[i] for i, name in enumerate(self.program.variables)}
        with np.errstate(all="ignore"):
            found = self._critical(at) if self.program.constant else self._objective(at)
        found = self._sign * np.broadcast_to(np.asarray(found, dtype=float), np.shape(x[0]))
        return np.where(np.isfinite(found), np.clip(found, -_UNDEFINED, _UNDEFINED), _UNDEFINED)

    def _critical(self, at: Mapping[str, Array]) -> Array:
        """The constant at which the inequality is an equation there; NaN where that bounds it from the other side."""

        def h(constant: Any) -> Array:
            return np.asarray(self._objective({**at, self.program.constant: constant}), dtype=float)

        h1, h2, h3 = h(np.float64(1.0)), h(np.float64(2.0)), h(np.float64(3.0))
        slope = h2 - h1
        linear = np.abs(h3 - h2 - slope) <= 1e-9 * (np.abs(h1) + np.abs(h2) + np.abs(h3))
        if np.all(linear | ~np.isfinite(h1 + h2 + h3)):
            right_way = (slope < 0) if self.program.goal == "min" else (slope > 0)
            return np.where(right_way, 1.0 - h1 / slope, np.nan)
        return self._bisected(h, np.shape(h1))

    def _bisected(self, h: Callable[[Any], Array], shape: tuple[int, ...]) -> Array:
        """The same where the constant does not enter linearly: a positive one, by bisection on its logarithm."""
        low, high = np.full(shape, np.log(1e-6)), np.full(shape, np.log(1e6))
        h_low, h_high = h(np.exp(low)), h(np.exp(high))
        wanted = (h_low > 0) & (h_high < 0) if self.program.goal == "min" else (h_low < 0) & (h_high > 0)
        for _ in range(60):
            middle = (low + high) / 2
            same = np.sign(h(np.exp(middle))) == np.sign(h_low)
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        return np.where(wanted, np.exp((low + high) / 2), np.nan)

    def gradient(self, function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Central differences, all points at once; one-sided at a bound."""

        def slope(x: Array) -> Array:
            step = 1e-6 * np.maximum(1e-2, np.abs(x))
            up, down = np.minimum(x + step, self._high), np.maximum(x - step, self._low)
            grid = np.repeat(x[:, None], 2 * len(x), axis=1)
            for i in range(len(x)):
                grid[i, 2 * i], grid[i, 2 * i + 1] = up[i], down[i]
            values = function(grid)
            width = np.where(up > down, up - down, 1.0)
            return np.asarray(np.clip(np.nan_to_num((values[0::2] - values[1::2]) / width), -1e9, 1e9))

        return slope

    def left(self, index: int) -> Callable[[Array], Array]:
        """The left side of a constraint; an open one is asked for with room to spare."""
        kind, function = self._constraints[index]

        def at(x: Array) -> Array:
            with np.errstate(all="ignore"):
                found = function({name: x[i] for i, name in enumerate(self.program.variables)})
            found = np.broadcast_to(np.asarray(found, dtype=float), np.shape(x[0]))
            return np.nan_to_num(found, nan=-1e6, posinf=1e6, neginf=-1e6) - (INSIDE if kind == "gt" else 0.0)

        return at

    def starts(self, count: int, rng: np.random.Generator) -> Sequence[Array]:
        """Random points, brought onto the equations: the best of many first; some with equal variables."""
        n = len(self.program.variables)
        points = self._inside(rng, n, _SAMPLES)
        points[:, :count] = self._clipped(np.repeat(np.exp(rng.normal(0, 1.2, count))[None, :], n, axis=0))
        if any(kind == "eq" for kind, _ in self._constraints):
            points = np.stack([self.onto(points[:, i]) for i in range(4 * count)], axis=1)
        scores = self.value(points)
        for index in range(len(self._constraints)):
            scores = scores + 1e6 * np.minimum(1.0, self.violation(index, points))
        order = np.argsort(scores)
        best, rest = order[: count // 2], order[count // 2 :]
        others = rng.choice(rest, size=count - len(best), replace=False)
        return [points[:, i] for i in (*best, *others)]

    def violation(self, index: int, x: Array) -> Array:
        """By how much a constraint does not hold, as a share of the terms that it compares."""
        kind, _ = self._constraints[index]
        left = self.left(index)(x)
        at = {name: x[i] for i, name in enumerate(self.program.variables)}
        with np.errstate(all="ignore"):
            terms = [np.abs(term(at)) for term in self._terms[index]]
        size = np.nan_to_num(np.broadcast_to(sum(terms[1:], start=terms[0]), np.shape(x[0])), nan=1.0, posinf=1.0)
        found = (np.abs(left) if kind == "eq" else np.maximum(0.0, -left)) / np.maximum(size, 1e-300)
        return np.asarray(found)

    def onto(self, x: Array) -> Array:
        """A point moved onto the equations by a few steps of Newton's method, within its bounds."""
        equations = [i for i, (kind, _) in enumerate(self._constraints) if kind == "eq"]
        for _ in range(8):
            left = np.array([float(self.left(i)(x)) for i in equations])
            if not equations or max(float(self.violation(i, x)) for i in equations) < 1e-13:
                break
            slopes = np.array([self.gradient(self.left(i))(x) for i in equations])
            x = np.clip(x - np.linalg.pinv(slopes) @ left, self._low, self._high)
        return x

    def _inside(self, rng: np.random.Generator, n: int, count: int) -> Array:
        points = np.empty((n, count))
        for i, (low, high) in enumerate(self._bounds):
            if np.isfinite(low) and np.isfinite(high):
                drawn = rng.beta(0.6, 0.6, count) * (high - low) + low
            elif np.isfinite(low):
                drawn = low + np.exp(rng.normal(0, 1.5, count))
            elif np.isfinite(high):
                drawn = high - np.exp(rng.normal(0, 1.5, count))
            else:
                drawn = rng.normal(0, 1, count) * np.exp(rng.normal(0, 1.2, count))
            points[i] = drawn
        return self._clipped(points)

    def _clipped(self, points: Array) -> Array:
        return np.clip(points, self._low[:, None], self._high[:, None])

    def improve(self, start: Array) -> tuple[float, Array] | None:
        """Where a local search ends, when that is feasible and defined."""
        minimize: Any = importlib.import_module("scipy.optimize").minimize

        def objective(x: Array) -> float:
            return float(self.value(x))

        told = []
        for index, (kind, _) in enumerate(self._constraints):
            left = self.left(index)
            told.append({"type": "eq" if kind == "eq" else "ineq", "fun": left, "jac": self.gradient(left)})
        best: tuple[float, Array] | None = None
        x = start
        for _ in range(2):  # a second time from where the first ended: its scaling was that of the start
            ended = minimize(
                objective, x, jac=self.gradient(self.value), bounds=list(zip(self._low, self._high, strict=True)),
                constraints=told, method="SLSQP", options={"maxiter": 200, "ftol": 1e-12},
            )  # fmt: skip
            x = self.onto(np.clip(np.where(np.isfinite(ended.x), ended.x, start), self._low, self._high))
            value = objective(x)
            if value < _UNDEFINED and self.feasible(x) and (best is None or value < best[0]):
                best = value, x
        return best

    def feasible(self, x: Array) -> bool:
        """Whether a point satisfies every constraint, within a hair."""
        return all(float(self.violation(index, x)) <= _EQUAL for index in range(len(self._constraints)))
