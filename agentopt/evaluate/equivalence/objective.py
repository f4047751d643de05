"""Whether two objectives order points alike: one is a positive multiple of the other plus a constant."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.contain import at_most
from agentopt.evaluate.equivalence.region import Region, best
from agentopt.evaluate.equivalence.verdict import Limits

__all__ = ["Relation", "relate"]

_FAR = Fraction(1000)


@dataclass(frozen=True, slots=True)
class Relation:
    """What came of it: ``image == factor * own + constant`` with a positive factor on the whole region, or not."""

    status: Literal["holds", "broken", "open"]
    factor: Fraction | None = None
    """None where both are constant: any factor does."""
    exact: bool = True
    kind: Literal["order", "factor", ""] = ""
    """Of a break: which kind of witness the points are."""
    points: tuple[dict[str, Fraction], ...] = ()
    reason: str = ""


def relate(region: Region, own: Affine, image: Affine, limits: Limits) -> Relation:
    """Compare two costs, what is to be made small, over a region.

    Args:
        region: the points.
        own: the cost of the formulation whose points they are.
        image: the other formulation's cost of their images, as an expression of the same variables.
        limits: tolerance and time.

    The factor is read off two points at which ``own`` differs; that it holds everywhere is two small programs, as in
    ``agentopt.evaluate.equivalence.contain``.
    """
    if own.terms and own.terms.keys() == image.terms.keys():
        name = next(iter(own.terms))
        factor = image.terms[name] / own.terms[name]
        if factor > 0 and own.times(factor).terms == image.terms:
            return Relation("holds", factor)
    ends = _ends(region, own, limits)
    if ends is None:
        return Relation("open", reason="the solver found no two points to compare objectives at")
    low, high = ends
    if own.value(high) - own.value(low) <= limits.tolerance * own.size:
        return _constant(region, own, image, limits)
    factor = (image.value(high) - image.value(low)) / (own.value(high) - own.value(low))
    if factor <= 0:
        return Relation("broken", kind="order", points=(low, high), reason="the objectives order points differently")
    rest = image.plus(own, -factor)
    rest = rest.plus(Affine({}, rest.value(low)), Fraction(-1))
    scale = max(image.size, abs(image.value(low)), abs(image.value(high)))
    exact = True
    for gap in (rest, rest.times(Fraction(-1))):
        told = at_most(region, gap, limits, what="the objectives are not related by a factor", scale=scale)
        if told.status == "broken" and told.point is not None:
            points = (low, high, told.point)
            return Relation("broken", kind="factor", points=points, reason=told.reason)
        if told.status == "open":
            return Relation("open", reason=told.reason)
        exact = exact and told.exact
    return Relation("holds", factor, exact)


def _constant(region: Region, own: Affine, image: Affine, limits: Limits) -> Relation:
    """``own`` is the same at all points: then the image's cost has to be, too."""
    ends = _ends(region, image, limits)
    if ends is None:
        return Relation("open", reason="the solver found no two points to compare objectives at")
    low, high = ends
    if image.value(high) - image.value(low) <= limits.tolerance * image.size:
        return Relation("holds", None, exact=False)
    reason = "one objective is the same at all points, the other is not"
    return Relation("broken", kind="order", points=(low, high), reason=reason)


def _ends(region: Region, e: Affine, limits: Limits) -> tuple[dict[str, Fraction], dict[str, Fraction]] | None:
    """Points with a low and a high value of an expression; the ends, where these are not far away."""
    start = best(region, Affine(), seconds=limits.seconds)
    if start.point is None:
        return None
    at = e.value(start.point)
    far = max(_FAR * e.size, abs(at))
    low = best(region, e.times(Fraction(-1)), seconds=limits.seconds, cap=far - at)
    high = best(region, e, seconds=limits.seconds, cap=far + at)
    if low.point is None or high.point is None:
        return None
    return low.point, high.point
