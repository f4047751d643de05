"""Are the labels of extremal problems right? Each is compared with what a search finds, and doubted with a witness.

A feasible point that is better than the label shows that the label is wrong, as far as the statement was read rightly.
A search that does not reach the label shows nothing, and is told as that.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.extremal.latex import NotRead, number_of, read_latex
from agentopt.evaluate.extremal.notation import plain_math
from agentopt.evaluate.extremal.search import Found, Program, find_extremum
from agentopt.evaluate.extremal.statement import read_statement_of

__all__ = ["Audit", "audit", "counted_statuses", "in_the_open", "judged"]

Status = Literal["agrees", "refuted", "doubtful", "not reached", "nothing found", "not read"]
WITHIN, BETTER = 2e-3, 1e-4
"""Shares of the label (of 1 where it is smaller): found values that agree, and a difference that refutes."""
_EDGE = 1e-3


@dataclass(frozen=True, slots=True)
class Audit:
    """What a search says of a label."""

    status: Status
    """``agrees``; ``refuted``: a point in the open is better than the label; ``doubtful``: so is one, but it lies at
    the edge of what numbers can tell (next to an open bound, or far out); ``not reached``: the best point is worse than
    the label; ``nothing found``; ``not read``: the statement or the label is beyond the reader."""
    label: float | None = None
    found: float | None = None
    witness: Mapping[str, float] = field(default_factory=dict)
    """The best point."""
    why: str = ""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"status": self.status, "label": self.label, "found": self.found, "witness": dict(self.witness),
                "why": self.why}  # fmt: skip


def audit(statement: str, label: str, *, starts: int = 40, seed: int = 0, seconds: float = 20.0) -> Audit:
    r"""Compare a label with what a search finds.

    Args:
        statement: the problem as text with LaTeX.
        label: its answer, a closed form.
        starts, seed, seconds: of the search, see ``find_extremum``.

    >>> said = audit("Let $x, y > 0$ with $x + y = 2$. Find the maximum value of $xy$.", "2")
    >>> said.status, round(said.found, 6)
    ('not reached', 1.0)
    >>> audit("Let $x, y > 0$ with $x + y = 2$. Find the maximum value of $xy$.", r"\frac{1}{2}").status
    'refuted'
    """
    try:
        program = read_statement_of(statement)
        wanted = number_of(read_latex(plain_math(label)))
    except (NotRead, Unreadable) as error:
        return Audit("not read", why=str(error))
    if not math.isfinite(wanted):
        return Audit("not read", why=f"the label {label!r:.60} is {wanted}")
    found = find_extremum(program, starts=starts, seed=seed, seconds=seconds)
    if found is None:
        return Audit("nothing found", wanted, why="no feasible point was found")
    status = judged(program, found, wanted)
    return Audit(status, wanted, found.value, found.point)


def counted_statuses(audits: Iterable[Audit]) -> dict[str, int]:
    """How many have which status, the commonest first."""
    return dict(Counter(one.status for one in audits).most_common())


def judged(program: Program, found: Found, wanted: float) -> Status:
    """What a found value says of a label."""
    size = max(1.0, abs(wanted))
    better = (wanted - found.value) if program.goal == "min" else (found.value - wanted)
    if better > BETTER * size:
        return "refuted" if in_the_open(program, found.point) else "doubtful"
    return "agrees" if abs(better) <= WITHIN * size else "not reached"


def in_the_open(program: Program, point: Mapping[str, float]) -> bool:
    """Whether a point keeps away from open bounds and from where a search ends for want of room."""
    for name, value in point.items():
        bounds = program.bounds.get(name, (-math.inf, math.inf))
        if name in program.open and any(abs(value - end) < _EDGE for end in bounds):
            return False
        if any(
            math.isinf(end) and abs(value) > abs(far) / 2 for end, far in zip(bounds, program.reach(name), strict=True)
        ):
            return False
    return True
