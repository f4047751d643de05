"""From a solver's floats to exact points, and proofs of linear inequalities in rational arithmetic."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.clock import Step, go_on

if TYPE_CHECKING:
    from agentopt.evaluate.equivalence.region import Region, Row

__all__ = ["implied", "make_exact", "solve_rows"]

_NEAR = 1e-6
_DENOMINATOR = 10**6
_LIMIT = 1  # of linprog: ended by its time


def solve_rows(rows: Sequence[Affine], names: Sequence[str]) -> dict[str, Affine]:
    """Variables as expressions of the others, such that all rows are 0; rows that contradict earlier ones are left out.

    Gauss-Jordan elimination in fractions; the pivots are taken from ``names``, in their order.

    >>> from agentopt.evaluate.equivalence.affine import rational
    >>> solved = solve_rows([Affine({"x": rational(1), "y": rational(2)}, rational(-5))], ["x"])
    >>> str(solved["x"])
    '-2 y + 5'
    """
    wanted = list(names)
    solved: dict[str, Affine] = {}
    for row in rows:
        go_on(0.0)
        left = row.put(solved)
        pivot = next((name for name in wanted if name in left.terms and name not in solved), None)
        if pivot is None:
            continue
        rest = Affine({n: c for n, c in left.terms.items() if n != pivot}, left.constant)
        value = rest.times(Fraction(-1) / left.terms[pivot])
        solved = {name: e.put({pivot: value}) for name, e in solved.items()}
        solved[pivot] = value
    return solved


def make_exact(region: Region, x: Mapping[str, float]) -> dict[str, Fraction] | None:
    """An exact point of the region near a solver's, or None where none is found.

    Whole numbers are rounded. The rows that are met with equality give a linear system, which is solved in fractions;
    what they leave open is rounded to a fraction with a small denominator.
    """
    fixed = {name: Affine({}, Fraction(round(x[name]))) for name in region.integer}
    free = [name for name in region.names if name not in region.integer]
    near = [row for row in region.rows if abs(row.gap.float_value(x)) <= _NEAR * float(_scale(row.gap))]
    near.sort(key=lambda row: (not row.equal, len(row.gap.terms)))
    rounded = {name: Fraction(x[name]).limit_denominator(_DENOMINATOR) for name in free}
    coarse = {name: Fraction(x[name]).limit_denominator(100) for name in free}
    for rows in (near, [row for row in near if row.equal]):
        solved = solve_rows([row.gap.put(fixed) for row in rows], free)
        for rest in (coarse, rounded):
            loose = {name: Affine({}, rest[name]) for name in free if name not in solved}
            point = {name: e.constant for name, e in fixed.items()}
            point |= {name: solved[name].put(loose).constant if name in solved else rest[name] for name in free}
            if region.holds(point):
                return {name: point[name] for name in region.names}
    return None


def _scale(gap: Affine) -> Fraction:
    return max(gap.size, abs(gap.constant))


def implied(region: Region, gap: Affine) -> bool:
    """Whether ``gap <= 0`` on the region is *proved*: by a non-negative combination of its rows, checked in fractions.

    Whole numbers are not used, so False does not mean that it is not so. The multipliers are found by HiGHS on the
    linear relaxation and then solved for exactly on their support (weak duality of linear programming).
    """
    if not gap.terms and gap.constant <= 0:
        return True
    if any(_multiple(row, gap) for row in region.rows):
        return True
    chosen = _multipliers(region, gap)
    if chosen is None:
        return False
    exact = _exactly(region, gap, chosen)
    return exact is not None


def _multiple(row: Row, gap: Affine) -> bool:
    """Whether one row alone proves it."""
    if not gap.terms or row.gap.terms.keys() != gap.terms.keys():
        return False
    first = next(iter(gap.terms))
    factor = gap.terms[first] / row.gap.terms[first]
    if factor < 0 and not row.equal:
        return False
    return all(gap.terms[n] == factor * c for n, c in row.gap.terms.items()) and (
        gap.constant <= factor * row.gap.constant
    )


def _multipliers(region: Region, gap: Affine) -> list[int] | None:
    """The rows with a multiplier in the dual optimum of maximising ``gap``; None where there is none."""
    np = importlib.import_module("numpy")
    linprog = importlib.import_module("scipy.optimize").linprog
    index = {name: i for i, name in enumerate(region.names)}

    def table(rows: Sequence[Row]) -> tuple[object, object]:
        a, b = np.zeros((len(rows), len(index))), np.zeros(len(rows))
        for r, row in enumerate(rows):
            for name, c in row.gap.terms.items():
                a[r, index[name]] = float(c)
            b[r] = float(-row.gap.constant)
        return a, b

    upper = [i for i, row in enumerate(region.rows) if not row.equal]
    equal = [i for i, row in enumerate(region.rows) if row.equal]
    costs = np.zeros(len(index))
    for name, c in gap.terms.items():
        costs[index[name]] = -float(c)
    given: dict[str, object] = {}
    if upper:
        given["A_ub"], given["b_ub"] = table([region.rows[i] for i in upper])
    if equal:
        given["A_eq"], given["b_eq"] = table([region.rows[i] for i in equal])
    step = Step(math.inf)  # what is left to the check: it has no need of a limit of its own
    options = {"time_limit": step.allowed} if step.allowed < math.inf else {}
    found = linprog(costs, bounds=(None, None), method="highs", options=options, **given)
    if found.status == _LIMIT:
        step.ended()
    if found.status != 0:
        return None
    chosen = [i for i, m in zip(upper, found.ineqlin.marginals, strict=True) if abs(m) > 1e-9] if upper else []
    chosen += [i for i, m in zip(equal, found.eqlin.marginals, strict=True) if abs(m) > 1e-9] if equal else []
    return chosen


def _exactly(region: Region, gap: Affine, chosen: Sequence[int]) -> dict[int, Fraction] | None:
    """Multipliers of the chosen rows that prove ``gap <= 0``, exactly, or None."""
    rows = [region.rows[i] for i in chosen]
    names = sorted({n for row in rows for n in row.gap.terms} | set(gap.terms))
    unknowns = [f"u{i}" for i in range(len(rows))]
    system = [
        Affine.of(
            {u: row.gap.terms.get(n, Fraction(0)) for u, row in zip(unknowns, rows, strict=True)},
            -gap.terms.get(n, Fraction(0)),
        )
        for n in names
    ]
    solved = solve_rows(system, unknowns)
    zero = {u: Affine() for u in unknowns}
    u = [solved[name].put(zero).constant if name in solved else Fraction(0) for name in unknowns]
    total = Affine()
    for m, row in zip(u, rows, strict=True):
        if m < 0 and not row.equal:
            return None
        total = total.plus(row.gap, m)
    if {n: c for n, c in total.terms.items() if c} != dict(gap.terms) or gap.constant > total.constant:
        return None
    return dict(zip(chosen, u, strict=True))
