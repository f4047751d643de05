"""What no map can change: whether there are points and optima, and which values an objective takes.

Where maps send feasible points to feasible points in both directions and the costs are related by one positive factor
(as level 3 wants), the sets of values that the two costs take are the same up to that factor and a constant. So one
formulation with a constant objective and one without, a range without gaps and a set of steps, or steps in other
proportions, cannot be equivalent, whatever the maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.reduce import Core
from agentopt.evaluate.equivalence.region import Row, best
from agentopt.evaluate.equivalence.regions import Outcome, witness
from agentopt.evaluate.equivalence.verdict import Limits, Side

__all__ = ["Levels", "differ", "levels_of"]

_STEPS = 4
_FAR = Fraction(10**6)


@dataclass(frozen=True, slots=True)
class Levels:
    """The values that a core's cost takes, as far as they are known."""

    feasible: bool | None = None
    """Whether there is a point."""
    least: Fraction | None = None
    """The optimal cost; None where there is none, or it is not known (then ``bounded`` is None too)."""
    bounded: bool | None = None
    """Whether costs have a least value."""
    above: bool | None = None
    """Whether costs have a greatest value."""
    kind: Literal["one", "range", "steps", ""] = ""
    """One value, all between two ends, separate values; or not known."""
    steps: tuple[Fraction, ...] = ()
    """The first values, from the least; all of them when fewer than asked for."""
    complete: bool = False
    """Whether ``steps`` are all."""
    points: tuple[dict[str, Fraction], ...] = ()
    """A point for each step, or points with the least and another value."""


def levels_of(core: Core, limits: Limits) -> Levels:
    """Find out by a few solves."""
    down = core.cost.times(Fraction(-1))
    least = core.least(limits.seconds)
    if least.status == "empty":
        return Levels(feasible=False)
    if least.status == "unbounded":
        start = best(core.region, Affine(), seconds=limits.seconds)
        if start.point is None:
            return Levels()
        far = best(core.region, down, seconds=limits.seconds, cap=abs(core.cost.value(start.point)) + _FAR)
        return Levels(True, None, False, points=(far.point,) if far.point else ())
    if least.point is None or least.value is None:
        return Levels()
    low = -least.value
    most = best(core.region, core.cost, seconds=limits.seconds)
    if most.status == "unbounded":
        most = best(core.region, core.cost, seconds=limits.seconds, cap=abs(low) + _FAR)
        above = False
    elif most.value is not None:
        above = True
    else:
        return Levels(True, low, True, points=(least.point,))
    if most.point is None or most.value is None:
        return Levels(True, low, True, above, points=(least.point,))
    known = Levels(True, low, True, above, points=(least.point, most.point))
    if most.value - low <= limits.tolerance * max(core.cost.size, abs(low)):
        return _as(known, "one", (low,), True, (least.point,))
    if not core.region.integer:
        return _as(known, "range", (), False, known.points)
    if set(core.cost.terms) <= core.region.integer:
        return _climb(core, known, least.point, limits)
    return known


def _as(
    known: Levels,
    kind: Literal["one", "range", "steps"],
    steps: tuple[Fraction, ...],
    complete: bool,
    points: tuple[dict[str, Fraction], ...],
) -> Levels:
    return Levels(True, known.least, True, known.above, kind, steps, complete, points)


def _climb(core: Core, known: Levels, first: dict[str, Fraction], limits: Limits) -> Levels:
    """The first few values of a cost that only whole variables have a part in."""
    bottom = math.lcm(*(c.denominator for c in core.cost.terms.values()))
    unit = Fraction(math.gcd(*(int(c * bottom) for c in core.cost.terms.values())), bottom)
    steps, points = [core.cost.value(first)], [first]
    while len(steps) < _STEPS:
        floor = Row(Affine({}, steps[-1] + unit).plus(core.cost, Fraction(-1)))
        found = best(core.region.plus([floor]), core.cost.times(Fraction(-1)), seconds=limits.seconds)
        if found.status == "empty":
            return _as(known, "steps", tuple(steps), True, tuple(points))
        if found.point is None or found.value is None:
            return known
        steps.append(-found.value)
        points.append(found.point)
    return _as(known, "steps", tuple(steps), False, tuple(points))


def differ(a: Core, b: Core, la: Levels, lb: Levels) -> Outcome:
    """Whether two formulations differ in what no map can change; ``open`` says only that this does not tell.

    Args:
        a, b: reference and candidate.
        la, lb: their levels.
    """
    for own, other, lo, lt, side in _both(a, b, la, lb):
        if lo.feasible and lt.feasible is False:
            point = lo.points[0] if lo.points else None
            return _told(
                "empty", side, own, other, (point,) if point else (), "only one of the two has a feasible point"
            )
        if lo.bounded is False and lt.bounded and lo.points and lt.points:
            shown = witness("unbounded", side, own, None, lo.points[0], other=other, better=lt.points[0])
            return Outcome("broken", shown.text, exact=False, witness=shown)
    if not (la.bounded and lb.bounded):
        return Outcome("open")
    for own, other, lo, lt, side in _both(a, b, la, lb):
        if lt.kind == "one" and len(lo.points) > 1:
            return _told(
                "levels", side, own, other, lo.points, f"the {_other(side)}'s objective is the same at all points"
            )
        if lo.above is False and lt.above:
            return _told(
                "levels", side, own, other, lo.points[-1:] + lo.points[:1], "only one objective has a worst value"
            )
        if lo.kind == "steps" and lt.kind == "range" and len(lo.steps) > 1:
            return _told(
                "levels", side, own, other, lo.points, "one objective takes separate values, the other all between"
            )
        if lo.kind == lt.kind == "steps" and _shape(lo, lt):
            reason = f"the values of the objectives rise in other steps: {_steps(la)} and {_steps(lb)}"
            return _told("levels", side, own, other, lo.points, reason)
    return Outcome("open")


def _both(a: Core, b: Core, la: Levels, lb: Levels) -> tuple[tuple[Core, Core, Levels, Levels, Side], ...]:
    return (a, b, la, lb, "reference"), (b, a, lb, la, "candidate")


def _other(side: Side) -> Side:
    return "candidate" if side == "reference" else "reference"


def _shape(x: Levels, y: Levels) -> bool:
    """Whether the steps of two objectives are in other proportions."""
    if len(x.steps) < 2 or len(y.steps) < 2:
        return False
    n = min(len(x.steps), len(y.steps))
    if any(len(v.steps) == n and v.complete and not (w.complete and len(w.steps) == n) for v, w in ((x, y), (y, x))):
        return True
    ratios = [[(s - v.steps[0]) / (v.steps[1] - v.steps[0]) for s in v.steps[:n]] for v in (x, y)]
    return ratios[0] != ratios[1]


def _steps(v: Levels) -> str:
    return ", ".join(f"{float(s - v.steps[0]):g}" for s in v.steps) + (" (all)" if v.complete else ", ...")


def _told(
    kind: Literal["empty", "levels"],
    side: Side,
    own: Core,
    other: Core,
    points: tuple[dict[str, Fraction], ...],
    why: str,
) -> Outcome:
    shown = witness(kind, side, own, None, *points, other=other) if points else None
    return Outcome("broken", why, exact=False, witness=shown)
