"""Maps without a model: which variable of one formulation is which of the other?

All ways to pair the variables of two cores are tried, most alike first. Feasible points that were seen refute most of
them at once (a point that is feasible before and not after, or values that lie on no line); what is left is checked as
level 3 is, and each refutation brings a point that refutes more (counterexample-guided, as in Solar-Lezama 2008).
"""

from __future__ import annotations

import importlib
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.clock import go_on
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.reduce import Core
from agentopt.evaluate.equivalence.region import Row, best
from agentopt.evaluate.equivalence.regions import Outcome, extends
from agentopt.evaluate.equivalence.verdict import Limits

__all__ = ["Search", "find_renaming"]

_SEEDS = 2
_NEAR = 1e-5


@dataclass(frozen=True, slots=True)
class Search:
    """What a search came to."""

    outcome: Outcome
    """Of the pairing that holds, or of the most alike one."""
    down: VariableMap | None
    """That pairing: the first core's variables from the second's."""
    complete: bool
    """Whether every pairing was refuted, so that none holds."""


def find_renaming(a: Core, b: Core, limits: Limits, *, hopeless: Callable[[], bool] | None = None) -> Search:
    """Pair the variables of two cores.

    Args:
        a, b: the cores of reference and candidate.
        limits: how many pairings are tried at most, tolerance and time.
        hopeless: asked once the most alike pairing was refuted, whether to look no further.
    """
    if len(a.names) != len(b.names):
        return Search(Outcome("open", f"{len(a.names)} and {len(b.names)} variables cannot be paired"), None, False)
    every = math.factorial(len(a.names)) <= limits.renamings
    pairs = list(itertools.permutations(range(len(b.names)))) if every else _likely(a, b)
    alike = _Alike(a, b)
    ranked = sorted(pairs, key=lambda p: -alike.of(p))
    first, down_first = _check(a, b, ranked[0], limits)
    if first.status == "holds":
        return Search(first, down_first, False)
    if hopeless is not None and hopeless():
        return Search(first, down_first, False)
    opened = (first, down_first) if first.status == "open" else None
    left = ranked[1:]
    pool = _Pool(a, b, limits) if left else None
    while pool is not None and left:
        go_on(limits.seconds)
        pool.add(first)
        left = [p for p in left if not pool.refutes(p)]
        if left:
            outcome, down = _check(a, b, left.pop(0), limits)
            if outcome.status == "holds":
                return Search(outcome, down, False)
            if outcome.status == "open":
                opened = opened or (outcome, down)
            pool.add(outcome)
    if opened is not None:
        return Search(*opened, False)
    return Search(first, down_first, every)


def _check(a: Core, b: Core, pairing: Sequence[int], limits: Limits) -> tuple[Outcome, VariableMap]:
    down = VariableMap(terms={x: Affine.variable(b.names[j]) for x, j in zip(a.names, pairing, strict=True)})
    return extends(b, a, down, limits), down


class _Alike:
    """How many rows, bounds and types are the same under a pairing; then whether names are."""

    def __init__(self, a: Core, b: Core) -> None:
        self._ids: dict[Fraction, int] = {}
        self._a, self._b = self._rows(a), self._rows(b)
        self._rows_a = {(equal, frozenset(terms), rhs) for equal, terms, rhs in self._a}
        self._sides_a = {r[:2] for r in self._rows_a}
        self._types = [[(x in a.region.integer) == (y in b.region.integer) for y in b.names] for x in a.names]
        self._names = [[x == y for y in b.names] for x in a.names]

    def _rows(self, core: Core) -> list[tuple[bool, list[tuple[int, int]], int]]:
        """Rows as numbers: variables by place, coefficients as shares of the row, interned."""
        at = {n: i for i, n in enumerate(core.names)}
        found = []
        for row in [*core.region.rows, Row(core.cost.plus(Affine({}, core.cost.constant), Fraction(-1)), True, "cost")]:
            size = sum((abs(c) for c in row.gap.terms.values()), Fraction(0)) or Fraction(1)
            if row.equal and row.name != "cost" and row.gap.terms and next(iter(row.gap.terms.values())) < 0:
                size = -size
            terms = [(at[n], self._id(c / size)) for n, c in row.gap.terms.items()]
            found.append((row.equal, terms, self._id(row.gap.constant / size)))
        return found

    def _id(self, value: Fraction) -> int:
        return self._ids.setdefault(value, len(self._ids))

    def of(self, pairing: Sequence[int]) -> float:
        """The measure; larger is more alike."""
        to_a = {j: i for i, j in enumerate(pairing)}
        rows_b = {(equal, frozenset((to_a[j], c) for j, c in terms), rhs) for equal, terms, rhs in self._b}
        whole, sides = len(self._rows_a & rows_b), len(self._sides_a & {r[:2] for r in rows_b})
        types = sum(self._types[i][j] for i, j in enumerate(pairing))
        return 4 * whole + 2 * sides + types + 0.5 * sum(self._names[i][j] for i, j in enumerate(pairing))


def _likely(a: Core, b: Core) -> list[tuple[int, ...]]:
    """Pairings of many variables: by name where all names agree, and by how alike the columns are."""
    np = importlib.import_module("numpy")
    optimize = importlib.import_module("scipy.optimize")
    found: list[tuple[int, ...]] = []
    if set(a.names) == set(b.names):
        found.append(tuple(b.names.index(x) for x in a.names))
    columns_a, columns_b = _columns(a), _columns(b)
    costs = np.array([[_apart(columns_a[x], columns_b[y]) for y in b.names] for x in a.names])
    _, chosen = optimize.linear_sum_assignment(costs)
    found.append(tuple(int(j) for j in chosen))
    return list(dict.fromkeys(found))


def _columns(core: Core) -> dict[str, tuple[float, list[float]]]:
    """Of each variable: its share of the objective, and its shares of the rows, sorted."""
    total = float(sum((abs(c) for c in core.cost.terms.values()), Fraction(0)) or 1)
    shares: dict[str, list[float]] = {n: [] for n in core.names}
    for row in core.region.rows:
        size = float(sum((abs(c) for c in row.gap.terms.values()), Fraction(0)) or 1)
        for n, c in row.gap.terms.items():
            shares[n].append(float(c) / size)
    return {n: (float(core.cost.terms.get(n, 0)) / total, sorted(s)) for n, s in shares.items()}


def _apart(x: tuple[float, list[float]], y: tuple[float, list[float]]) -> float:
    width = max(len(x[1]), len(y[1]))
    one, two = ([*v[1], *[0.0] * (width - len(v[1]))] for v in (x, y))
    return 2 * abs(x[0] - y[0]) + math.fsum(abs(p - q) for p, q in zip(sorted(one), sorted(two), strict=True))


class _Pool:
    """Feasible points of both cores, and which pairings they refute."""

    def __init__(self, a: Core, b: Core, limits: Limits) -> None:
        self._np = importlib.import_module("numpy")
        self._sides = (_Side(self._np, a, limits), _Side(self._np, b, limits))

    def add(self, outcome: Outcome) -> None:
        """Remember the points that refuted a pairing."""
        if outcome.witness is not None:
            self._sides[outcome.witness.side == "candidate"].extend(outcome.points)

    def refutes(self, pairing: Sequence[int]) -> bool:
        """Whether a point seen shows that the pairing does not hold."""
        a, b = self._sides
        back = self._np.argsort(pairing)
        return bool(_refuted(self._np, b, a, list(pairing)) or _refuted(self._np, a, b, back))


class _Side:
    """A core as arrays, and points of it."""

    def __init__(self, np: Any, core: Core, limits: Limits) -> None:
        self.np, self.names = np, core.names
        index = {n: i for i, n in enumerate(core.names)}
        self.table, self.rest = np.zeros((len(core.region.rows), len(index))), np.zeros(len(core.region.rows))
        self.equal = np.array([row.equal for row in core.region.rows], dtype=bool)
        for r, row in enumerate(core.region.rows):
            size = float(max(row.gap.size, abs(row.gap.constant)))
            for n, c in row.gap.terms.items():
                self.table[r, index[n]] = float(c) / size
            self.rest[r] = float(row.gap.constant) / size
        self.cost = np.array([float(core.cost.terms.get(n, 0)) for n in core.names])
        self.integer = np.array([n in core.region.integer for n in core.names], dtype=bool)
        self.points = np.zeros((0, len(index)))
        draw = random.Random("points")
        goals = [core.cost, core.cost.times(Fraction(-1))]
        goals += [Affine({n: Fraction(draw.randint(-9, 9)) or Fraction(1) for n in core.names}) for _ in range(_SEEDS)]
        found = [best(core.region, g, seconds=limits.seconds, cap=1000 * g.size) for g in goals]
        self.extend([f.point for f in found if f.point is not None])

    def extend(self, points: Sequence[dict[str, Fraction]]) -> None:
        """Add points."""
        if points:
            rows = [[float(p[n]) for n in self.names] for p in points]
            self.points = self.np.vstack([self.points, rows])


def _refuted(np: Any, own: _Side, other: _Side, order: Any) -> bool:
    if not len(own.points):
        return False
    image = own.points[:, order]
    gap = image @ other.table.T + other.rest
    scale = 1 + np.abs(image).max(axis=1, keepdims=True) * 1e-6
    if (np.where(other.equal, np.abs(gap), gap) > _NEAR * scale).any():
        return True
    part = image[:, other.integer]
    if (np.abs(part - np.round(part)) > 1e-4).any():
        return True
    x, y = own.points @ own.cost, image @ other.cost
    low, high = int(x.argmin()), int(x.argmax())
    size = 1 + max(np.abs(x).max(), np.abs(y).max())
    if x[high] - x[low] <= _NEAR * size:
        return bool(y.max() - y.min() > 10 * _NEAR * size)
    factor = (y[high] - y[low]) / (x[high] - x[low])
    return bool(factor <= 0 or (np.abs(y - y[low] - factor * (x - x[low])) > 10 * _NEAR * size).any())
