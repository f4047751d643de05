"""How near is right: the tolerances under which published numbers were made, by name."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation

from agentopt.core.values import Frozen
from agentopt.errors import UnknownName

__all__ = ["TOLERANCES", "Tolerance", "tolerance"]


class Tolerance(Frozen):
    """A figure is right when it is near its label in one of the ways that are given.

    >>> tolerance("rel 1e-4").right(1000.05, 1000.0), tolerance("rel 1e-6").right(1000.05, 1000.0)
    (True, False)
    """

    name: str
    """What results call it."""
    absolute: float = 0.0
    """At most so far from the label."""
    relative: float = 0.0
    """At most this share of the label away; of a label 0 at most this far."""
    whole: bool = False
    """Both are rounded to whole numbers first."""
    printed: bool = False
    """Right also when it equals the label once it is rounded to as many decimals as the label is printed with."""

    def right(self, value: float, label: float, printed: str = "") -> bool:
        """Whether a figure is right.

        Args:
            value: the figure.
            label: what it should be.
            printed: the label as it was published; by default as Python prints it.
        """
        if not (math.isfinite(value) and math.isfinite(label)):
            return False
        if self.printed and round(value, _decimals(printed or repr(label))) == label:
            return True
        if self.whole:
            value, label = float(round(value)), float(round(label))
        far = abs(value - label)
        slack = 1e-12 * max(1.0, abs(label))  # binary fractions: 0.1 + 1e-4 is no further than 1e-4 from 0.1
        return far <= self.absolute + slack or far <= self.relative * (abs(label) or 1.0) + slack


def _decimals(printed: str) -> int:
    try:
        exponent = Decimal(printed.strip()).as_tuple().exponent
    except InvalidOperation:
        return 0
    return max(0, -exponent) if isinstance(exponent, int) else 0


_KNOWN = (
    Tolerance(name="abs 1e-4", absolute=1e-4),  # ReSocratic, on every figure
    Tolerance(name="rel 1e-4", relative=1e-4),
    Tolerance(name="rel 1e-6", relative=1e-6),  # SIRL and OptMATH, on the objective
    Tolerance(name="variable", absolute=1e-4, relative=1e-3),
    Tolerance(name="mamo", relative=1e-4, printed=True),
    Tolerance(name="two decimals", absolute=0.01),  # LLMOPT's labels are rounded to two
    Tolerance(name="orlm", whole=True, relative=0.05),
)
TOLERANCES = {known.name: known for known in _KNOWN}
"""By name: ``abs 1e-4`` (OptiBench's own), ``rel 1e-4``, ``rel 1e-6`` (SIRL, OptMATH), ``variable`` (absolute 1e-4 or
relative 1e-3), ``mamo`` (relative 1e-4, or the label's printed decimals), ``two decimals`` (LLMOPT's labels), ``orlm``
(whole numbers, 5 %)."""


def tolerance(name: str) -> Tolerance:
    """A tolerance by name.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in TOLERANCES:
        raise UnknownName("tolerance", name, TOLERANCES, hint=f"there are {', '.join(TOLERANCES)}")
    return TOLERANCES[name]
