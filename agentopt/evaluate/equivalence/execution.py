"""Level 1: both are solved, and the optimal values compared.

Equal values prove nothing but that: unrelated problems can have them. Different values prove that one cannot stand for
the other where its value is read off; a rescaled objective is refused, too.
"""

from __future__ import annotations

from fractions import Fraction

from agentopt.evaluate.equivalence.affine import shown
from agentopt.evaluate.equivalence.levels import Levels, differ
from agentopt.evaluate.equivalence.reduce import Core
from agentopt.evaluate.equivalence.region import best
from agentopt.evaluate.equivalence.regions import Outcome, witness
from agentopt.evaluate.equivalence.verdict import Limits

__all__ = ["ends", "same_value"]


def ends(core: Core, limits: Limits) -> Levels:
    """Whether there is a point and an optimum, and the optimum."""
    found = core.least(limits.seconds)
    if found.status == "empty":
        return Levels(feasible=False)
    if found.status == "unbounded":
        far = best(core.region, core.cost.times(Fraction(-1)), seconds=limits.seconds, cap=Fraction(10**6))
        return Levels(True, None, False, points=(far.point,) if far.point else ())
    if found.point is None or found.value is None:
        return Levels()
    return Levels(True, -found.value, True, points=(found.point,))


def same_value(a: Core, b: Core, limits: Limits) -> Outcome:
    """Whether the optimal values, as they are stated, are the same within the tolerance times the larger (and 1)."""
    la, lb = ends(a, limits), ends(b, limits)
    if la.feasible is False and lb.feasible is False:
        return Outcome("open", "neither has a feasible point")
    apart = differ(a, b, la, lb)
    if apart.status == "broken":
        return apart
    if not (la.points and lb.points and la.bounded and lb.bounded):
        both = la.bounded is False and lb.bounded is False
        return Outcome("open", "neither has an optimum" if both else "an optimum is not known")
    x, y = (c.core.objective.value.value(v.points[0]) for c, v in ((a, la), (b, lb)))
    if abs(x - y) <= limits.tolerance * max(Fraction(1), abs(x), abs(y)):
        return Outcome("holds", exact=False)
    shown_ = witness("value", "candidate", b, None, lb.points[0], other=a, better=la.points[0])
    reason = f"the optimal value is {shown(x)} in the reference and {shown(y)} in the candidate"
    return Outcome("broken", reason, exact=False, witness=shown_)
