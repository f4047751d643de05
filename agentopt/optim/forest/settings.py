"""What can be chosen about Scattered Forest Search: one field an option, checked once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from agentopt.errors import UnknownName, UsageError
from agentopt.optim.forest.agreement import WEIGHTINGS
from agentopt.optim.forest.policy import SELECTIONS
from agentopt.optim.options import check_flag, check_kinds, check_number, check_off

__all__ = ["ANSWERS", "THEMES", "Settings"]

ANSWERS = ("auto", "json", "text")
THEMES = ("auto", "style", "role", "wording", "nonsense", "none")
LEAVES = ("better", "full")

_WHOLE: Mapping[str, float] = {
    "seeds": 1, "directions": 1, "solutions": 1, "insights": 0, "notes": 0, "shown": 0, "retries": 0,
    "shown_chars": 10, "max_tokens": 1, "max_idea_tokens": 1, "max_prompt_tokens": 200,
}  # fmt: skip
"""Options that are whole numbers, and the least that each may be."""
_REAL: Mapping[str, float] = {
    "c": 0.0, "alpha": 0.0, "puct_base": 1e-9, "puct_c": 0.0, "temperature": 0.0, "seed_temperature": 0.0,
}  # fmt: skip


@dataclass(kw_only=True, eq=False)
class Settings:
    """The options of Scattered Forest Search; each default is the paper's unless its line says otherwise.

    Raises:
        UnknownName: a strategy that does not exist; says which one was probably meant.
        UsageError: an option out of range.
    """

    forest: bool = True
    """Foresting: several seeds, and a tree on each. False: the first seed only."""
    scatter: bool = True
    """Scattering: the model first writes different directions, each of which becomes a child. False: children are made
    from the feedback alone."""
    scout: bool = True
    """Scouting: what a child taught is kept as insights, which every later direction is written with."""
    seeds: int = 5
    """Seeds that are generated."""
    start: bool | None = None
    """Whether the value where the run began has a tree of its own; None: when it scores more than the lowest score.
    (The paper has no such value.)"""
    directions: int = 2
    """Directions of one scattering, which is how many children a node gets at a time."""
    solutions: int | None = None
    """Candidates to ask for in all, seeds included; None leaves the end to the run. The paper makes 10, or 40."""
    select: str = "uct"
    """``uct`` or ``puct``."""
    c: float = math.sqrt(2)
    """Weight of UCT's exploration."""
    puct_c: float = 2.0
    """Constant of PUCT's exploration."""
    puct_base: float = 10.0
    """PUCT's exploration grows with visits beyond this."""
    alpha: float = 1.0
    """How far a better child raises the value of its ancestors; 1 makes values a running maximum."""
    leave: str = "better"
    """When selection goes below a node without open directions: ``better``, when a child scores higher than it;
    ``full``, always (the paper's tree search without scattering)."""
    theme: str = "auto"
    """List of themes that seeds are written in: ``style`` (of code), ``role``, ``wording`` (of texts), ``nonsense`` (a
    control), ``none``. ``auto``: ``style`` for code, else ``wording``, and when these are used up, ``role``. None comes
    twice before all were used."""
    insights: int = 6
    """Lines of insight that are kept. (The paper has no limit.)"""
    notes: int = 0
    """Directions with what they changed that are shown beside the insights: no call is needed for them. (Ours.)"""
    weighting: str = "uniform"
    """How much an example counts in a node's score: ``uniform``, or ``agreement``: by the share of distinct candidates
    that have it right, so that a wrong test which nobody passes weighs little. (Ours.)"""
    shown: int = 5
    """Failed examples, and right ones, that a request shows."""
    shown_chars: int = 100
    """Longest output that is shown of one."""
    answer: str = "auto"
    """Form of a candidate: ``json`` by a schema, ``text`` (a code block, or between marks), ``auto``: text for a
    single code parameter, else JSON. The other form is read, too."""
    temperature: float = 0.2
    """Of directions, their implementation, and insights."""
    seed_temperature: float | None = None
    """Of seeds; None is ``temperature``."""
    max_tokens: int = 1024
    """Cap of a candidate. (The paper: 4096.)"""
    max_idea_tokens: int = 512
    """Cap of directions and of insights."""
    max_prompt_tokens: int = 4000
    """What is too long is shortened until it is estimated below this. (Ours.)"""
    retries: int = 2
    """How often an answer of no use is asked for anew, each time as a fresh and warmer sample. (The paper: up to 9.)"""
    kinds: Collection[str] = ("text", "code", "number", "choice", "json")
    """Kinds of parameter that are searched."""
    off: Collection[str] = ()
    """Invariants that are switched off."""

    def __post_init__(self) -> None:
        name = getattr(self, "name", "sfs")
        for option, known in (
            ("select", tuple(SELECTIONS)), ("leave", LEAVES), ("theme", THEMES), ("answer", ANSWERS),
            ("weighting", WEIGHTINGS),
        ):  # fmt: skip
            if not isinstance(value := getattr(self, option), str) or value not in known:
                raise UnknownName(f"{option} of {name}", str(value), [*known], f"there are {', '.join(known)}")
        for one in fields(Settings):
            if one.default is None and getattr(self, one.name) == "none":  # as a command line has it
                setattr(self, one.name, None)
        for option, low in {**_WHOLE, **_REAL}.items():
            if getattr(self, option) is not None or Settings.__dataclass_fields__[option].default is not None:
                check_number(name, option, getattr(self, option), low=low, whole=option in _WHOLE)
        for option in ("forest", "scatter", "scout", "start"):
            value = getattr(self, option)
            if option != "start" or value is not None:
                check_flag(name, option, value)
        if self.alpha > 1:
            raise UsageError(f"{name}: alpha={self.alpha}; it must be at most 1")
        check_kinds(name, self.kinds)
        check_off(name, self.off)
