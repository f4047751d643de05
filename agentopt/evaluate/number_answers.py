"""The scorer of arithmetic problems: the number that a reply concludes with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.quantities import Quantity, concluded_number
from agentopt.evaluate.reading import read_statement
from agentopt.evaluate.scorers import right, short, type_of, wrong
from agentopt.evaluate.task import Example

__all__ = ["stated_number"]

_DOZENS = re.compile(r"\b(?:how many|number of|in) (?:\w+ )?dozens?\b", re.IGNORECASE)
"""A question whose answer counts dozens."""


@dataclass(frozen=True)
class stated_number:
    r"""The number with which a reply concludes is the target, exactly or within ``tol``.

    More forms are read than by ``numeric``: units against the digits, fractions, LaTeX, number words, numbers that
    only qualify ("18 dollars for 3 days"). The value counts, not its form: 18.00 is 18, 18.4 is not.
    A number that is denied, that bounds the answer ("at least 18") or is part of a calculation ("half of 18") is not
    read. "2 dozen" is 24, and 2 where the question asks for dozens.

    Args:
        tol: absolute tolerance, in the target's unit.

    >>> score = stated_number()
    >>> [score(Example(input="q", target=18), t).score for t in ("She makes **$18** a day.", "18.4", "-18", "eighteen")]
    [1.0, 0.0, 0.0, 1.0]
    """

    tol: float = 0.0

    def __post_init__(self) -> None:
        if not self.tol >= 0:
            raise UsageError(f"stated_number: tol={self.tol} must not be negative")

    def __call__(self, example: Example, output: Any) -> Feedback:
        target = example.target
        try:
            if isinstance(target, bool) or not isinstance(target, int | float | str):
                raise ValueError
            wanted = Fraction(Decimal(str(target).strip().replace(",", "")))
        except (ArithmeticError, ValueError):
            raise UsageError(
                f"stated_number: the target of example {example.id} is {short(target)}, not a number"
            ) from None
        try:
            read = self._read(output)
        except Unreadable as error:
            return wrong(f"{error}; end with one line such as 'Answer: 42' (expected {target})")
        given = read.value
        if read.dozens is not None and _DOZENS.search(str(example.input)):
            given = read.dozens
        if abs(given - wanted) <= Fraction(Decimal(str(self.tol))):
            return right()
        side = "too low" if given < wanted else "too high"
        sign = "; only the sign is wrong" if given == -wanted else ""
        return wrong(f"the answer read is {_shown(given)}, expected {target}: {side}{sign}")

    def _read(self, output: Any) -> Quantity:
        if isinstance(output, int | float) and not isinstance(output, bool):
            try:
                return Quantity(Fraction(Decimal(str(output))), 0, 0)
            except (ArithmeticError, ValueError):
                raise Unreadable(f"the answer is {output}, not a finite number") from None
        if not isinstance(output, str):
            raise Unreadable(f"the output is {type_of(output)} ({short(output, 60)}), not a number or a text")
        return concluded_number(read_statement(output))


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator) if abs(value) < 10**30 else f"{Decimal(value.numerator):.6g}"
    if abs(value.numerator) > 10**300 or value.denominator > 10**300:
        return f"{Decimal(value.numerator) / Decimal(value.denominator):.6g}"
    shown = f"{float(value):.10g}"
    return shown if Fraction(Decimal(shown)) == value else f"{value} (about {float(value):.6g})"
