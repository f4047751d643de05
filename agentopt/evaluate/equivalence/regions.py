"""Level 3: one formulation is an exact image of the other, and the objectives order points alike.

*Big extends small* under ``down`` (small's variables from big's) when

1. every feasible point of big is mapped to a feasible point of small,
2. every feasible point of small is the image of one of big (shown by a map ``up`` with ``down(up(x)) == x``),
3. small's cost of an image is a positive factor times big's cost of the point, plus a constant.

Then small's feasible set is exactly the image of big's, optima go to optima in both directions, and so do near-optima.
1 and 3 alone would prove little: between any two bounded linear programs there are maps that send everything to the
segment from a best to a worst point, feasible and in the right order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.contain import at_most, into
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.objective import relate
from agentopt.evaluate.equivalence.reduce import Core
from agentopt.evaluate.equivalence.region import Row, best, proved_empty, with_map
from agentopt.evaluate.equivalence.section import section_of
from agentopt.evaluate.equivalence.verdict import Kind, Limits, Side, Witness

__all__ = ["Outcome", "extends", "witness"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a comparison."""

    status: Literal["holds", "broken", "open"]
    reason: str = ""
    exact: bool = True
    witness: Witness | None = None
    factor: Fraction | None = None
    """Small's cost is this times big's, plus a constant; None where both are constant."""
    up: VariableMap | None = None
    """The map back that was used, between the cores."""
    points: tuple[dict[str, Fraction], ...] = ()
    """The witness's points, in the core of its side."""


def witness(
    kind: Kind,
    side: Side,
    own: Core,
    given: VariableMap | None,
    *points: dict[str, Fraction],
    other: Core | None = None,
    better: dict[str, Fraction] | None = None,
    breaks: str = "",
) -> Witness:
    """A witness with whole points, from points of the cores.

    Args:
        kind, side: as in ``Witness``.
        own: the core of the points.
        given: the other core's variables from this one's; None where no image belongs to it.
        points: in the core's variables.
        other: the other core.
        better: a point of the other core.
        breaks: what the image breaks; None looks it up.
    """  # fmt: skip
    lifted = tuple(own.lift.apply(p) for p in points)
    images: tuple[dict[str, Fraction], ...] = ()
    if given is not None and other is not None:
        whole = other.lift.after(given).after(own.down)
        images = tuple(whole.apply(p) for p in lifted)
        if kind == "outside":
            breaks = "; ".join(other.whole.broken(images[0])[:2]) or breaks
    lifted_better = other.lift.apply(better) if better is not None and other is not None else None
    return Witness(kind=kind, side=side, points=lifted, images=images, better=lifted_better, breaks=breaks)


def extends(
    big: Core,
    small: Core,
    down: VariableMap,
    limits: Limits,
    *,
    side: Side = "candidate",
    up: VariableMap | None = None,
) -> Outcome:
    """Whether ``big`` extends ``small`` under ``down``, see the module.

    Args:
        big, small: the cores.
        down: small's variables from big's; affine.
        limits: tolerance and time.
        side: whose core ``big`` is.
        up: big's variables from small's; None takes what ``section_of`` gives.

    Returns:
        ``broken`` says that it does not under this map, and shows where; ``open`` why it is not known.
    """
    other: Side = "reference" if side == "candidate" else "candidate"
    told = into(big.region, small.core, down, limits)
    if told.status == "open":
        return Outcome("open", told.reason)
    if told.status == "broken":
        if told.point is None:
            return Outcome("open", f"{told.reason}: no exact point shows it")
        shown = witness("outside", side, big, down, told.point, other=small, breaks=told.reason)
        if not small.whole.broken(shown.images[0]):  # parts that were cut to fit: the point has no true image
            shown = _nothing_stands(shown)
        section = up or section_of(down, small, big)
        return Outcome("broken", shown.text, witness=shown, points=(told.point,), up=section)
    exact = told.exact
    back = _back(big, small, down, up, limits, other)
    if back.status != "holds":
        return back
    exact = exact and back.exact
    relation = relate(big.region, big.cost, down.put_in(small.cost), limits)
    if relation.status == "open":
        return Outcome("open", relation.reason, up=back.up)
    if relation.status == "broken":
        kind: Kind = relation.kind or "order"
        shown = witness(kind, side, big, down, *relation.points, other=small)
        return Outcome("broken", shown.text, witness=shown, up=back.up, points=relation.points)
    return Outcome("holds", exact=exact and relation.exact, factor=relation.factor, up=back.up)


def _back(big: Core, small: Core, down: VariableMap, up: VariableMap | None, limits: Limits, side: Side) -> Outcome:
    """Whether every point of small is the image of one of big."""
    last = Outcome("open", "no map back could be made of the map that is given")
    for given in (up, section_of(down, small, big)):
        if given is None:
            continue
        same = _undoes(small, down, given, limits)
        if same.status != "holds":
            last = same
            continue
        told = into(small.region, big.core, given, limits)
        if told.status == "holds":
            return Outcome("holds", exact=told.exact and same.exact, up=given)
        if told.status == "broken" and told.point is not None:
            shown = _missing(big, small, down, given, told.point, limits, side)
            if shown is not None:
                return Outcome("broken", shown.text, witness=shown, up=given, points=(told.point,))
        last = Outcome("open", f"the map back does not hold: {told.reason}", up=given)
    return _one_by_one(big, small, down, limits, side) or last


def _undoes(small: Core, down: VariableMap, up: VariableMap, limits: Limits) -> Outcome:
    """``down(up(x)) == x`` on the small region."""
    exact = True
    for name in small.names:
        rest = up.put_in(down.terms[name]).plus(Affine.variable(name), Fraction(-1))
        if not rest.terms and not rest.constant:
            continue
        for gap in (rest, rest.times(Fraction(-1))):
            told = at_most(
                with_map(small.region, up), gap, limits, what=f"the two maps do not undo each other at {name}"
            )
            if told.status != "holds":
                return Outcome("open", told.reason)
            exact = exact and told.exact
    return Outcome("holds", exact=exact)


def _standing_for(big: Core, down: VariableMap, x: dict[str, Fraction]) -> list[Row]:
    return [Row(down.terms[n].plus(Affine({}, value), Fraction(-1)), True) for n, value in x.items()]


def _missing(
    big: Core, small: Core, down: VariableMap, up: VariableMap, x: dict[str, Fraction], limits: Limits, side: Side
) -> Witness | None:
    """The witness that nothing of big is mapped to ``x``; None where something is, or it is not known."""
    region = big.region.plus(_standing_for(big, down, x))
    if best(region, Affine(), seconds=limits.seconds).status != "empty":
        return None
    if proved_empty(region.relaxed):
        return witness("unrepresented", side, small, None, x)
    shown = witness("outside", side, small, up, x, other=big)
    return shown if big.whole.broken(shown.images[0]) else _nothing_stands(shown)


def _nothing_stands(shown: Witness) -> Witness:
    """The same point as one that nothing stands for: the solver's word."""
    return shown.model_copy(update={"kind": "unrepresented", "images": ()})


def _one_by_one(big: Core, small: Core, down: VariableMap, limits: Limits, side: Side) -> Outcome | None:
    """All whole points of a small region, each looked for in big; None where there are too many."""
    points = _points(small, limits)
    if points is None or not set(small.names) <= set(down.terms):
        return None
    for x in points:
        if not small.region.holds(x):
            continue
        region = big.region.plus(_standing_for(big, down, x))
        status = best(region, Affine(), seconds=limits.seconds).status
        if status == "empty":
            shown = witness("unrepresented", side, small, None, x)
            return Outcome("broken", shown.text, witness=shown, points=(x,))
        if status not in ("optimal", "capped"):
            return None
    return Outcome("holds", exact=False)


def _points(small: Core, limits: Limits) -> Iterator[dict[str, Fraction]] | None:
    ranges: list[range] = []
    for name in small.names:
        if name not in small.region.integer:
            return None
        ends = [best(small.region, Affine.variable(name).times(Fraction(s)), seconds=limits.seconds) for s in (-1, 1)]
        if ends[0].value is None or ends[1].value is None:
            return None
        ranges.append(range(round(-ends[0].value), round(ends[1].value) + 1))
    if math.prod(len(r) for r in ranges) > limits.points:
        return None
    return ({n: Fraction(i) for n, i in zip(small.names, whole, strict=True)} for whole in itertools.product(*ranges))
