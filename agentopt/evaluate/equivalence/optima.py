"""Level 2: does a map send optimal points to optimal points? Quasi-Karp equivalence, in the words of EquivaMap.

Zhai et al., "EquivaMap", ICML 2025, arXiv 2502.14760: formulations are equivalent when there is an efficiently
computable map from every optimal solution of one to an optimal solution of the other. Published checks look at *one*
optimum; here the whole set of optima is asked, by one small program for each constraint of the target.

What that proves is weak where only one instance is looked at: whatever the two problems are, some linear map sends the
one optimum to the other. It says something of a map that was made without looking at the optima, and holds on several
draws of the parameters.
"""

from __future__ import annotations

from fractions import Fraction

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.contain import at_most, into
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.reduce import Core
from agentopt.evaluate.equivalence.region import Row, with_map
from agentopt.evaluate.equivalence.regions import Outcome, witness
from agentopt.evaluate.equivalence.verdict import Limits, Side

__all__ = ["optima_to_optima"]


def optima_to_optima(own: Core, other: Core, given: VariableMap, limits: Limits, *, side: Side) -> Outcome:
    """Whether every optimal point of ``own`` is mapped to an optimal point of ``other``.

    Args:
        own: whose optima are mapped; it has one.
        other: where they have to be optimal; it has an optimum.
        given: the other core's variables from this one's.
        limits: tolerance and time.
        side: which side ``own`` is.
    """
    least, least_other = own.least(limits.seconds), other.least(limits.seconds)
    for name, found in (("its own", least), ("the other's", least_other)):
        if found.point is None or found.value is None:
            return Outcome("open", f"{name} optimum is not known: {found.status}")
    assert least.value is not None and least_other.value is not None
    cost, goal = -least.value, -least_other.value
    optima = own.region.plus([Row(own.cost.plus(Affine({}, cost), Fraction(-1)))])
    told = into(optima, other.core, given, limits)
    if told.status == "open":
        return Outcome("open", told.reason)
    if told.status == "broken":
        if told.point is None:
            return Outcome("open", f"{told.reason}: no exact point shows it")
        shown = witness("outside", side, own, given, told.point, other=other, breaks=told.reason)
        if told.undivided:
            shown = shown.model_copy(update={"kind": "unrepresented", "images": ()})
        return Outcome("broken", shown.text, witness=shown, points=(told.point,))
    gap = given.put_in(other.cost).plus(Affine({}, goal), Fraction(-1))
    better = at_most(with_map(optima, given), gap, limits, what="the value of the image", scale=abs(goal))
    if better.status == "open":
        return Outcome("open", better.reason)
    if better.status == "broken" and better.point is not None:
        point = {n: better.point[n] for n in own.names}
        shown = witness("worse", side, own, given, point, other=other, better=least_other.point)
        return Outcome("broken", shown.text, witness=shown, points=(point,))
    return Outcome("holds", exact=False)
