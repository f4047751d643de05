"""What an output says where an answer should be: that the model is infeasible, unbounded, or not solved."""

from __future__ import annotations

import re
from typing import Literal

__all__ = ["Claim", "claimed", "succeeded"]

Claim = Literal["infeasible", "unbounded", "not_optimal", "missing_solver"]

_NO = r"(?:\b(?:no|not|non|never|neither|nor|without|cannot)|n['’]t)\b"
_WORDS = r"(?:infeasib\w*|unbounded\w*)"
_DENIED = re.compile(
    rf"{_NO}[\s_-]+(?:(?:an?|any|the|be|been|is|are|was|were|of|longer|found|detected|prove[dn])\s+){{0,3}}"
    rf"{_WORDS}(?:\s+(?:or|nor|and)\s+{_WORDS})?",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.;,!?()\[\]|\n]+")
_SUCCESS = re.compile(r"(?<![\w-])k?optimal\b|\bsuccess(?:ful(?:ly)?)?\b", re.IGNORECASE)
_FAILURE = re.compile(rf"{_NO}|\b(?:false|failed|unable)\b", re.IGNORECASE)
_EITHER = re.compile(
    r"infeasible[ _-]*or[ _-]*unbounded|unbounded[ _-]*or[ _-]*infeasible|inforunbd|infeasibleOrUnbounded",
    re.IGNORECASE,
)
_UNBOUNDED = re.compile(r"\bunbounded\b|\bunboundedness\b", re.IGNORECASE)
_INFEASIBLE = re.compile(
    r"\binfeasib(?:le|ility)\b|\bno feasible (?:solution|point)\b|\bnot feasible\b|\bno solution exists\b",
    re.IGNORECASE,
)
_NOT_OPTIMAL = re.compile(
    r"(?:could|can|was|were|is)\s*(?:not|n['’]t)\s+(?:be\s+)?(?:solved|found|optimal)|cannot be solved"
    r"|\bnot (?:solved )?(?:to )?optimal(?:ity)?\b|\bno (?:optimal |feasible )?solution\b(?:\s+(?:was\s+)?found)?"
    r"|\bsub-?optimal\b|\b(?:time|iteration|node) limit\b|\bdid not converge\b"
    r"|\bfeasible solution was not found\b|\bno solution available\b"
    r"|\bnot[ _]solved\b|\bfailed to (?:solve|find|converge)\b|\boptimi[sz]ation (?:failed|was not successful)\b",
    re.IGNORECASE,
)
_NO_SOLVER = re.compile(
    r"No executable found for solver|Could not locate the '[^']*' executable|attempting to use an unavailable solver"
    r"|solver \S+ (?:is )?not (?:installed|available)|solver \(\S+\) does not exist|cannot execute \S+"
    r"|\bsolver is not available\b|No (?:Gurobi )?license (?:found|file)|license (?:expired|is invalid)",
    re.IGNORECASE,
)


def claimed(text: str) -> Claim | None:
    """The claim that a text makes; None when it makes none. A negated word makes none.

    >>> claimed("The problem could not be solved to optimality."), claimed("status: infeasible"), claimed("x = 3")
    ('not_optimal', 'infeasible', None)
    >>> claimed("There are no infeasible constraints.") is None
    True
    """
    text = _DENIED.sub(" ", text)
    if _NO_SOLVER.search(text):
        return "missing_solver"
    if _EITHER.search(text):
        return "not_optimal"
    if _INFEASIBLE.search(text):
        return "infeasible"
    if _UNBOUNDED.search(text):
        return "unbounded"
    return "not_optimal" if _NOT_OPTIMAL.search(text) else None


def succeeded(text: str) -> bool:
    """Whether a text says that an optimum was found, or of success, in a clause that does not deny it.

    >>> succeeded("Optimal. The first point was infeasible."), succeeded("Optimal solution not found: infeasible")
    (True, False)
    """
    return any(_SUCCESS.search(clause) and not _FAILURE.search(clause) for clause in _CLAUSE.split(text))
