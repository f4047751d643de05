"""Formulations with parameters: one map has to hold on every draw of them, not on one instance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, model_validator

from agentopt.core.values import Frozen
from agentopt.errors import UsageError
from agentopt.evaluate.equivalence.affine import Number, rational, shown
from agentopt.evaluate.equivalence.check import equivalence
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.notation import read_text
from agentopt.evaluate.equivalence.verdict import Equivalence, Limits

__all__ = ["Draw", "Range", "Template", "equivalence_on_draws", "said_draw"]

Draw = Mapping[str, Any]
"""A number for each parameter."""


def said_draw(draw: Draw) -> str:
    """A draw in words.

    >>> said_draw({"Room": Fraction(9), "Price": "0.5"})
    'Room = 9, Price = 0.5'
    """
    return ", ".join(f"{name} = {shown(rational(value))}" for name, value in draw.items())


class Range(Frozen):
    """The values that a parameter may take: ``low``, ``low + step``, ..., up to ``high``."""

    low: Number
    """The least value."""
    high: Number
    """The greatest value."""
    step: Number = Fraction(1)
    """Between neighbours."""

    @model_validator(mode="after")
    def _sensible(self) -> Range:
        if self.step <= 0 or self.high < self.low:
            raise ValueError(f"a range from {self.low} to {self.high} in steps of {self.step} is empty")
        return self


class Template(Frozen):
    """A formulation with parameters: text (see ``read_text``) in which some names stand for numbers.

    >>> t = Template(text="min Cost * x\\n x >= Need\\n int x", parameters={"Cost": 2, "Need": 7},
    ...     ranges={"Need": Range(low=5, high=9)})
    >>> print(t.at({"Need": 6}))
    min 2 x
      x in [6, inf], whole
    >>> [str(d["Need"]) for d in t.draws(3, seed=1)]
    ['7', '6', '7']
    """

    text: str
    """The lines."""
    parameters: dict[str, Number] = Field(default_factory=dict)
    """The numbers of the given instance."""
    ranges: dict[str, Range] = Field(default_factory=dict)
    """Which other numbers the parameters may have; those without a range keep theirs."""

    @model_validator(mode="after")
    def _known(self) -> Template:
        if unknown := set(self.ranges) - set(self.parameters):
            raise ValueError(f"a range is given for {sorted(unknown)[0]!r}, which is no parameter")
        return self

    def at(self, draw: Draw | None = None) -> Formulation:
        """The formulation with the numbers of a draw; parameters that it lacks keep theirs."""
        return read_text(self.text, {**self.parameters, **(draw or {})})

    def draws(self, n: int, *, seed: int = 0) -> list[dict[str, Fraction]]:
        """The given instance, then ``n - 1`` random ones, fixed by the seed."""
        rng = random.Random(f"draws/{seed}")
        found = [dict(self.parameters)]
        for _ in range(n - 1):
            drawn = dict(self.parameters)
            for name, r in self.ranges.items():
                drawn[name] = r.low + r.step * rng.randint(0, int((r.high - r.low) / r.step))
            found.append(drawn)
        return found[:n]


def equivalence_on_draws(
    reference: Callable[[Draw], Formulation],
    candidate: Callable[[Draw], Formulation],
    draws: Sequence[Draw],
    *,
    level: Literal[1, 2, 3] = 3,
    to_reference: VariableMap | Callable[[Draw], VariableMap] | None = None,
    to_candidate: VariableMap | Callable[[Draw], VariableMap] | None = None,
    limits: Limits | None = None,
) -> Equivalence:
    """``equivalence`` on several draws of the parameters, under one map.

    Without maps, the map that was found on the first draw on which one was found is held fixed on all others. A draw on
    which neither formulation has a feasible point says nothing and is passed over.

    Args:
        reference, candidate: from a draw to the formulation; ``Template.at`` is such a function.
        draws: numbers for the parameters of both.
        level: as in ``equivalence``.
        limits: as in ``equivalence``; all draws share ``total``.
        to_reference, to_candidate: as in ``equivalence``, or such a map for each draw.

    Returns:
        "not equivalent" with the first draw that refutes; "equivalent" when all draws that say something hold, which is
        a proof for these draws and evidence for others; else "undecided" with the first reason. Nothing is asked after
        a draw on which the check was ``starved``.

    Raises:
        UsageError: there are no draws.

    >>> a = Template(text="max 2 x + y\\n x + y <= Room\\n x, y >= 0\\n int x, y", parameters={"Room": 7})
    >>> b = Template(text="max 2 p + q\\n p + q <= 7\\n p, q >= 0\\n int p, q")  # the number written into it
    >>> equivalence_on_draws(a.at, b.at, [{"Room": 7}]).verdict
    'equivalent'
    >>> said = equivalence_on_draws(a.at, b.at, [{"Room": 7}, {"Room": 9}])
    >>> said.verdict, said.draw
    ('not equivalent', {'Room': Fraction(9, 1)})
    """
    if not draws:
        raise UsageError("equivalence_on_draws: there are no draws of the parameters")
    began, used = time.perf_counter(), time.thread_time()
    said: list[Equivalence] = []
    down, up, limits = to_reference, to_candidate, limits or Limits()
    for draw in draws:
        result = equivalence(
            reference(draw), candidate(draw), level=level, limits=limits,
            to_reference=down(draw) if callable(down) else down, to_candidate=up(draw) if callable(up) else up,
        )  # fmt: skip
        limits = limits.after(result)
        if result.verdict == "undecided" and "neither has a feasible point" in result.reason:
            continue
        result = result.model_copy(update={"draw": dict(draw)})
        if down is None and up is None and result.verdict == "equivalent" and level > 1:
            down, up = result.to_reference, result.to_candidate
        said.append(result)
        if result.verdict == "not equivalent" or result.starved:
            break
    if not said:
        said = [result]
    worst = next((r for v in ("not equivalent", "undecided") for r in said if r.verdict == v), said[0])
    exact = all(r.proof == "exact" for r in said)
    spent = {"seconds": time.perf_counter() - began, "processor": time.thread_time() - used}
    update: dict[str, Any] = {"draws": len(said), **spent}
    if worst.verdict == "equivalent":
        update |= {"proof": "exact" if exact else "solver", "draw": None}
    told = f"{worst.reason} (on {len(said)} draws)" if worst.verdict == "equivalent" and len(said) > 1 else worst.reason
    return Equivalence.model_validate({**dict(worst), **update, "reason": told})
