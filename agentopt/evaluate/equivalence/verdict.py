"""What a check says: a verdict, what it holds for, the maps, and a witness that anybody can check again."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import Field

from agentopt.core.values import Frozen
from agentopt.evaluate.equivalence.affine import Number, shown
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.maps import VariableMap

__all__ = ["Equivalence", "Kind", "Limits", "Scope", "Side", "Verdict", "Witness"]

Verdict = Literal["equivalent", "not equivalent", "undecided"]
Side = Literal["reference", "candidate"]
Scope = Literal["", "these maps", "renamings", "any maps"]
Kind = Literal["outside", "unrepresented", "worse", "order", "factor", "value", "empty", "unbounded", "levels"]


class Limits(Frozen):
    """How exact, and how long."""

    tolerance: Number = Fraction(1, 10**6)
    """By how much a constraint or a value may be missed, times the largest of its numbers (and 1)."""
    seconds: float = Field(10.0, gt=0)
    """For each solve, by the clock; one that got less than half of it in processor time was starved."""
    total: float = Field(30.0, gt=0)
    """Of processor time for one check, all solves together; by the clock twice as much. Then it is undecided."""
    points: int = Field(2000, ge=0)
    """Whole points that are looked at one by one at most, where nothing else decides."""
    renamings: int = Field(5040, ge=1)
    """Renamings that are tried at most."""

    def after(self, earlier: Equivalence) -> Limits:
        """The limits of a further check that shares ``total`` with an earlier one."""
        return self.model_copy(update={"total": max(1e-3, self.total - earlier.processor)})


class Witness(Frozen):
    """Points that show a difference.

    ``kind`` and ``side`` (whose feasible ``points`` they are) say what they show:

    - ``outside``: the point is feasible, its image under the map is not (``breaks`` says what it breaks);
    - ``unrepresented``: the point is feasible, and no feasible point of the other formulation is mapped to it;
    - ``worse``: the point is optimal, its image is feasible and worse than ``better``;
    - ``order``: the first point is better than the second, or as good; of their images that is not so;
    - ``factor``: three points whose values, before and after the map, do not lie on a line: no factor relates them;
    - ``value``: the optima differ in value; ``points`` is the optimum of ``side``, ``better`` that of the other;
    - ``empty``: a feasible point, where the other formulation has none;
    - ``unbounded``: a point better than any that the other formulation has, which has an optimum (``better``);
    - ``levels``: feasible points with values such as the other's objective cannot take, whatever the map.
    """

    kind: Kind
    """What is shown."""
    side: Side
    """Whose points these are."""
    points: tuple[dict[str, Number], ...]
    """Exact, for every variable."""
    images: tuple[dict[str, Number], ...] = ()
    """What the map makes of them."""
    better: dict[str, Number] | None = None
    """A point of the other formulation."""
    breaks: str = ""
    """What the image breaks, in words."""

    @property
    def other(self) -> Side:
        """The other side."""
        return "candidate" if self.side == "reference" else "reference"

    @property
    def text(self) -> str:
        """The witness in a sentence."""
        at = f"the {self.side}'s point {_point(self.points[0])}"
        image = f"({_point(self.images[0])} in the {self.other})" if self.images else ""
        match self.kind:
            case "outside":
                return f"{at} is feasible, but {image} breaks {self.breaks}"
            case "unrepresented":
                return f"{at} is feasible, but no feasible point of the {self.other} stands for it"
            case "worse":
                return f"{at} is optimal, but {image} is worse than {_point(self.better or {})}"
            case "order":
                pair = f"{_point(self.points[0])} and {_point(self.points[1])}"
                return f"the {self.side}'s objective does not order {pair} as the {self.other}'s does"
            case "factor":
                three = "; ".join(_point(p) for p in self.points)
                return f"no factor relates the objectives: see the values at the {self.side}'s points {three}"
            case "value":
                return f"the optimum of the {self.side}, {_point(self.points[0])}, has another value than the other's"
            case "empty":
                return f"{at} is feasible, and the {self.other} has no feasible point"
            case "unbounded":
                return f"the {self.side} has no optimum, see {_point(self.points[0])}, and the {self.other} has one"
            case _:
                three = "; ".join(_point(p) for p in self.points)
                return f"the {self.side} has points ({three}) with values that the other's objective cannot mirror"


def _point(point: dict[str, Fraction]) -> str:
    return ", ".join(f"{name}={shown(x)}" for name, x in point.items())


class Equivalence(Frozen):
    """The result of a check."""

    verdict: Verdict
    """``undecided`` where nothing is proved; ``reason`` says why."""
    level: Literal[1, 2, 3]
    """1: execution, 2: optima under maps, 3: feasible sets and objective."""
    reason: str
    """Why, in words."""
    scope: Scope = ""
    """What a "not equivalent" holds for: the maps that are given here, all renamings of variables, or any maps."""
    proof: Literal["exact", "solver", ""] = ""
    """``exact``: every claim is proved in rational arithmetic; ``solver``: some rest on a bound of HiGHS."""
    to_reference: VariableMap | None = None
    """The reference's variables from the candidate's."""
    to_candidate: VariableMap | None = None
    """The candidate's variables from the reference's."""
    factor: Number | None = None
    """The reference's objective is this times the candidate's, plus a constant (both as costs)."""
    witness: Witness | None = None
    """What shows a difference; ``recheck`` checks it."""
    draws: int = 1
    """On how many draws of the parameters."""
    draw: dict[str, Number] | None = None
    """The parameters of the draw that decided."""
    reference: Formulation | None = None
    """The reference, as drawn, where there is a witness."""
    candidate: Formulation | None = None
    """The candidate, as drawn, where there is a witness."""
    seconds: float = 0.0
    """Wall clock."""
    processor: float = 0.0
    """Seconds of processor time, which count against ``Limits.total``."""
    starved: bool = False
    """Undecided since the machine was busy, so that the time ended by the clock alone: another try may decide."""
