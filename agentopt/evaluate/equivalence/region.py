"""A set of points given by linear rows and whole numbers, and how HiGHS optimises over it.

Data goes to the solver as floats and comes back as points that are made exact (see ``exact.make_exact``).
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from agentopt.evaluate.equivalence.affine import Affine, Point
from agentopt.evaluate.equivalence.clock import Step
from agentopt.evaluate.equivalence.exact import implied, make_exact
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.maps import VariableMap, part_name

__all__ = ["Found", "Region", "Row", "best", "proved_empty", "region_of", "with_map"]


@dataclass(frozen=True, slots=True)
class Row:
    """``gap <= 0``, or ``gap == 0``."""

    gap: Affine
    equal: bool = False
    name: str = ""

    def holds(self, point: Point) -> bool:
        """Whether the point is in it, exactly."""
        value = self.gap.value(point)
        return value == 0 if self.equal else value <= 0


@dataclass(frozen=True)
class Region:
    """Points with whole numbers where wanted, within all rows."""

    names: tuple[str, ...]
    integer: frozenset[str]
    rows: tuple[Row, ...]

    def holds(self, point: Point) -> bool:
        """Whether the point is in it, exactly."""
        return all(point[n].denominator == 1 for n in self.integer) and all(row.holds(point) for row in self.rows)

    def plus(self, rows: Iterable[Row], names: Iterable[str] = (), integer: Iterable[str] = ()) -> Region:
        """The region with more rows and variables."""
        return Region((*self.names, *names), self.integer | set(integer), (*self.rows, *rows))

    @property
    def relaxed(self) -> Region:
        """Without the whole numbers."""
        return Region(self.names, frozenset(), self.rows)


def region_of(f: Formulation) -> Region:
    """The feasible set of a formulation: bounds are rows like any other."""
    rows = [Row(c.gap, c.sense == "==", str(c)) for c in f.constraints]
    for v in f.variables:
        x = Affine.variable(v.name)
        if v.lower is not None:
            rows.append(Row(Affine({}, v.lower).plus(x, Fraction(-1)), name=f"{v.name} >= {v.lower}"))
        if v.upper is not None:
            rows.append(Row(x.plus(Affine({}, v.upper), Fraction(-1)), name=f"{v.name} <= {v.upper}"))
    return Region(tuple(v.name for v in f.variables), frozenset(v.name for v in f.variables if v.integer), tuple(rows))


def with_map(region: Region, given: VariableMap) -> Region:
    """The region with the parts of a map as further variables, and the rows that bind them."""
    for group in given.parts:
        divided = Affine.of({part_name(p.name): p.ratio for p in group.parts})
        rows = [Row(divided.plus(group.of, Fraction(-1)), equal=True)]
        for p in group.parts:
            x = Affine.variable(part_name(p.name))
            if p.lower is not None:
                rows.append(Row(Affine({}, p.lower).plus(x, Fraction(-1))))
            if p.upper is not None:
                rows.append(Row(x.plus(Affine({}, p.upper), Fraction(-1))))
        names = [part_name(p.name) for p in group.parts]
        region = region.plus(rows, names, [part_name(p.name) for p in group.parts if p.integer])
    return region


@dataclass(frozen=True, slots=True)
class Found:
    """What an optimisation found.

    ``status``: ``optimal``; ``empty``, no point at all; ``capped``, a point as good as the cap was met and there may be
    better ones; ``unbounded``; ``limit``, the time ended; ``inexact``, a point was found but none that is exact.
    """

    status: Literal["optimal", "empty", "capped", "unbounded", "limit", "inexact"]
    point: dict[str, Fraction] | None = None
    """An exact point of the region."""
    value: Fraction | None = None
    """Of the expression there."""
    bound: float = math.inf
    """No point is better than this, says the solver."""


def best(region: Region, e: Affine, *, seconds: float = 10.0, cap: Fraction | None = None) -> Found:
    """A point of the region where the expression is largest.

    Args:
        region: where.
        e: what is to be large.
        seconds: for the solver, at most what is left to the check.
        cap: values above it are as good as it, so that the search ends also where there is no end.

    Raises:
        OutOfTime: nothing is left to the check.
        Starved: the solver's time ended, and the machine had not given it.
    """
    step, goal = Step(seconds), e
    if cap is not None:
        region = region.plus([Row(e.plus(Affine({}, cap), Fraction(-1)))])
    status, x, bound = _highs(region, goal, step.allowed)
    if status == "limit":
        step.ended()
    if status != "optimal" or x is None:
        return Found(status, bound=bound)
    point = make_exact(region, x)
    if point is None:
        return Found("inexact", bound=bound)
    value = e.value(point)
    reached = cap is not None and value >= cap - Fraction(1, 10**6) * max(Fraction(1), abs(cap))
    return Found("capped" if reached else "optimal", point, value, bound)


def _highs(region: Region, e: Affine, seconds: float) -> tuple[Any, dict[str, float] | None, float]:
    """Status, point and bound of maximising over the region, by HiGHS through SciPy."""
    np = importlib.import_module("numpy")
    optimize = importlib.import_module("scipy.optimize")
    index = {name: i for i, name in enumerate(region.names)}
    n = len(index)
    low, high = np.full(n, -np.inf), np.full(n, np.inf)
    rows: list[Row] = []
    for row in region.rows:
        if not row.gap.terms:
            value = float(row.gap.constant)
            if (abs(value) if row.equal else value) > 1e-9:
                return "empty", None, -math.inf
        elif len(row.gap.terms) == 1:
            ((name, c),) = row.gap.terms.items()
            at, i = float(-row.gap.constant / c), index[name]
            if row.equal or c > 0:
                high[i] = min(high[i], at)
            if row.equal or c < 0:
                low[i] = max(low[i], at)
        else:
            rows.append(row)
    whole = np.array([name in region.integer for name in region.names])
    low[whole], high[whole] = np.ceil(low[whole] - 1e-7), np.floor(high[whole] + 1e-7)
    if (low > high + 1e-9).any():
        return "empty", None, -math.inf
    high = np.maximum(low, high)
    kwargs: dict[str, Any] = {}
    if rows:
        table, sides = np.zeros((len(rows), n)), np.zeros(len(rows))
        for r, row in enumerate(rows):
            size = float(row.gap.size)
            for name, c in row.gap.terms.items():
                table[r, index[name]] = float(c) / size
            sides[r] = float(-row.gap.constant) / size
        floor = np.array([sides[r] if row.equal else -np.inf for r, row in enumerate(rows)])
        kwargs["constraints"] = optimize.LinearConstraint(table, floor, sides)
    costs = np.zeros(n)
    scale = float(e.size)
    for name, c in e.terms.items():
        costs[index[name]] = -float(c) / scale
    options = {"time_limit": seconds, "mip_rel_gap": 0.0}
    found = optimize.milp(
        costs, integrality=whole.astype(int), bounds=optimize.Bounds(low, high), options=options, **kwargs
    )
    if found.status == 4 or (found.status == 3 and costs.any()):  # unbounded, or empty: ask which
        again = optimize.milp(
            np.zeros(n), integrality=whole.astype(int), bounds=optimize.Bounds(low, high), options=options, **kwargs
        )
        return {0: "unbounded", 2: "empty"}.get(again.status, "limit"), None, math.inf
    if found.status == 0 and found.x is not None:
        dual = found.mip_dual_bound if found.mip_dual_bound is not None else found.fun
        bound = -min(float(dual), float(found.fun)) * scale + float(e.constant)
        return "optimal", dict(zip(region.names, map(float, found.x), strict=True)), bound
    return ("empty" if found.status == 2 else "limit"), None, math.inf


def proved_empty(region: Region) -> bool:
    """Whether the linear relaxation is *proved* to have no point: every point misses some row by a fixed amount.

    >>> x = Affine.variable("x")
    >>> proved_empty(Region(("x",), frozenset(), (Row(x), Row(Affine({}, Fraction(1)).plus(x, Fraction(-1))))))
    True
    """
    miss = "the largest miss"
    t = Affine.variable(miss)
    rows = [Row(row.gap.plus(t, Fraction(-1))) for row in region.rows]
    rows += [Row(row.gap.times(Fraction(-1)).plus(t, Fraction(-1))) for row in region.rows if row.equal]
    widened = Region((*region.names, miss), frozenset(), (*rows, Row(t.times(Fraction(-1)))))
    least = best(widened, t.times(Fraction(-1)))
    if least.point is None or least.point[miss] <= 0:
        return False
    return implied(widened, Affine({}, least.point[miss]).plus(t, Fraction(-1)))
