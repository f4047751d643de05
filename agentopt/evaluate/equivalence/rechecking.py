"""A witness is checked again, from nothing but the formulations and the maps, in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.region import Row, proved_empty, region_of, with_map
from agentopt.evaluate.equivalence.verdict import Equivalence, Witness

__all__ = ["recheck"]


def recheck(result: Equivalence) -> bool | None:
    """Whether a result's witness shows what it says, exactly; None where there is no witness.

    Everything that is said of given points is checked in fractions: that they are feasible, what their images are and
    break, and how values compare. What is said of *all* points of the other formulation (that none stands for a point,
    that there is none at all) is checked as far as its linear relaxation proves it; optimality of a point, and the
    values that an objective can take, are the solver's word and not checked here.
    """
    w = result.witness
    if w is None:
        return None
    if result.reference is None or result.candidate is None:
        return False
    own, other = result.reference, result.candidate
    given = result.to_candidate
    if w.side == "candidate":
        own, other, given = other, own, result.to_reference
    if not all(own.admits(p) for p in w.points) or not w.points:
        return False
    if w.images and (given is None or any(given.apply(p) != i for p, i in zip(w.points, w.images, strict=True))):
        return False
    if w.better is not None and not other.admits(w.better):
        return False
    return _shows(w, own, other, result)


def _shows(w: Witness, own: Formulation, other: Formulation, result: Equivalence) -> bool:
    a, b = own.objective.cost, other.objective.cost
    if w.kind == "outside":
        return bool(w.images) and bool(other.broken(w.images[0]))
    if w.kind == "unrepresented":
        back = result.to_candidate if w.side == "candidate" else result.to_reference
        if back is None:
            return False
        region = with_map(region_of(other), back).relaxed
        rows = [Row(e.plus(Affine({}, w.points[0][n]), Fraction(-1)), True) for n, e in back.terms.items()]
        return proved_empty(region.plus(rows))
    if w.kind == "worse":
        return w.better is not None and other.admits(w.images[0]) and b.value(w.images[0]) > b.value(w.better)
    if w.kind == "order":
        before, after = (e.value(p[0]) - e.value(p[1]) for e, p in ((a, w.points), (b, w.images)))
        return (before <= 0 <= after and before != after) or (before == 0) != (after == 0)
    if w.kind == "factor":
        x, y = ([e.value(p) for p in points] for e, points in ((a, w.points), (b, w.images)))
        return (x[1] - x[0]) * (y[2] - y[0]) != (x[2] - x[0]) * (y[1] - y[0])
    if w.kind in ("value", "unbounded"):
        stated, against = own.objective.value, other.objective.value
        return w.better is not None and stated.value(w.points[0]) != against.value(w.better)
    if w.kind == "empty":
        return proved_empty(region_of(other))
    return len({a.value(p) for p in w.points}) > 1
