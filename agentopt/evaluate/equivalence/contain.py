"""Whether a map sends every point of a set into a formulation's feasible set: one small program for each constraint.

For a row ``a x <= b`` of the target, the largest value of ``a x - b`` over the images of the source's points is sought.
It is at most 0 exactly when no point is sent across the row. Where the linear relaxation suffices, that is proved in
fractions (``implied``); else the bound of HiGHS stands for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.exact import implied
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.region import Found, Region, Row, best, region_of, with_map
from agentopt.evaluate.equivalence.verdict import Limits

__all__ = ["Told", "at_most", "into", "whole"]

_FAR = Fraction(1000)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a question: it holds (proved exactly or not), is broken by a point, or stays open."""

    status: Literal["holds", "broken", "open"]
    exact: bool = True
    point: dict[str, Fraction] | None = None
    """An exact point at which it is broken."""
    reason: str = ""
    """What is broken, or why it stays open."""
    undivided: bool = False
    """Broken since a value cannot be divided into the parts of the map."""

    def joined(self, other: Told) -> Told:
        """Both hold."""
        return Told("holds", self.exact and other.exact)


_HOLDS = Told("holds")


def at_most(region: Region, gap: Affine, limits: Limits, *, what: str, scale: Fraction = Fraction(1)) -> Told:
    """Whether ``gap <= 0`` everywhere in the region, up to the tolerance times ``scale`` (and 1)."""
    if implied(region, gap):
        return _HOLDS
    room = limits.tolerance * max(Fraction(1), scale)
    found = best(region, gap, seconds=limits.seconds, cap=max(_FAR, _FAR * scale))
    if found.status == "empty":
        return Told("holds", exact=False)
    if found.value is not None and found.value > room:
        return Told("broken", point=found.point, reason=what)
    if found.value is not None and found.bound <= float(room) + 1e-7 * float(scale):
        return Told("holds", exact=False)
    return Told("open", reason=f"{what}: {_why(found)}")


def _why(found: Found) -> str:
    return {
        "limit": "the solver ran out of time",
        "unbounded": "the solver found no end",
        "inexact": "the solver's point could not be made exact",
    }.get(found.status, "the solver's bound is too loose")


def whole(region: Region, e: Affine, limits: Limits, *, what: str, unit: Fraction = Fraction(1)) -> Told:
    """Whether an expression is a multiple of ``unit`` everywhere in the region."""
    e = e.times(1 / unit)
    named = set(e.terms)
    if named <= region.integer and all(c.denominator == 1 for c in (*e.terms.values(), e.constant)):
        return _HOLDS
    if not named:
        return Told("broken", point=best(region, Affine(), seconds=limits.seconds).point, reason=what)
    off = Fraction(1, 1000)
    if named <= region.integer:  # then the fractional part is a multiple of one over the common denominator
        off = Fraction(1, 2 * math.lcm(*(c.denominator for c in (*e.terms.values(), e.constant))))
    steps = "the whole steps"
    part = e.plus(Affine.variable(steps), Fraction(-1))
    rows = [Row(Affine({}, off).plus(part, Fraction(-1))), Row(part.plus(Affine({}, off - 1)))]
    found = best(region.plus(rows, [steps], [steps]), Affine(), seconds=limits.seconds)
    if found.point is not None:
        return Told("broken", point={n: x for n, x in found.point.items() if n != steps}, reason=what)
    return Told("holds", exact=False) if found.status == "empty" else Told("open", reason=f"{what}: {_why(found)}")


def into(source: Region, target: Formulation, given: VariableMap, limits: Limits) -> Told:
    """Whether every point of ``source`` is mapped to a feasible point of ``target``.

    Args:
        source: the points.
        target: whose feasible set is meant.
        given: the target's variables from the source's.
        limits: tolerance and time.

    Where the map has parts, that is asked of every way to divide a value, after it was made sure that there is one.
    """
    told = _HOLDS
    for step in _questions(source, target, given, limits):
        if step.status != "holds":
            point = {n: step.point[n] for n in source.names} if step.point else None
            return Told(step.status, step.exact, point, step.reason, step.undivided)
        told = told.joined(step)
    return told


def _questions(source: Region, target: Formulation, given: VariableMap, limits: Limits) -> Iterator[Told]:
    for group in given.parts:
        covers = group.covers()
        if covers is None:
            yield Told("open", reason=f"it is not known which values of {group.of} can be divided into parts")
            return
        unit, low, high = covers
        what = f"a value of {group.of} that its parts cannot make up"
        if unit is not None:
            yield _undivided(whole(source, group.of, limits, what=what, unit=unit))
        if low is not None:
            yield _undivided(at_most(source, Affine({}, low).plus(group.of, Fraction(-1)), limits, what=what))
        if high is not None:
            yield _undivided(at_most(source, group.of.plus(Affine({}, high), Fraction(-1)), limits, what=what))
    region = with_map(source, given)
    for v in target.variables:
        if v.integer:
            e = given.put_in(Affine.variable(v.name))
            yield whole(region, e, limits, what=f"{v.name} is a whole number")
    for row in region_of(target).rows:
        gap = given.put_in(row.gap)
        scale = max(row.gap.size, abs(row.gap.constant))
        yield at_most(region, gap, limits, what=row.name, scale=scale)
        if row.equal:
            yield at_most(region, gap.times(Fraction(-1)), limits, what=row.name, scale=scale)


def _undivided(told: Told) -> Told:
    return Told(told.status, told.exact, told.point, told.reason, undivided=told.status == "broken")
