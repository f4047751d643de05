"""One figure of an answer, in whatever form a program printed it, as a finite number."""

from __future__ import annotations

import math
import re
from typing import Any

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.quantities import quantities, tidy

__all__ = ["INFINITE", "read_figure"]

INFINITE = 1e20
"""From here on solvers mean infinity: SCIP prints 1e+20 for it, HiGHS and others more."""
_NOT_FINITE = re.compile(r"^\W*(?:nan|[+-]?inf(?:inity)?|∞|none|null|n/?a)\W*$", re.IGNORECASE)
_WRAPPED = re.compile(r"^(?:np|numpy)\.\w+\((.*)\)$", re.DOTALL)
_POWER = re.compile(r"(?<=[A-Za-z])(?:\^|\*\*)[23]\b|(?<=[A-Za-z])[²³]")
_LONGEST = 200


def read_figure(value: Any) -> float:
    """A number, a truth value (1 or 0), a list of one of these, or a text that holds exactly one number.

    Texts may have units, currencies, commas between thousands, fractions and scientific notation.

    >>> [read_figure(v) for v in (3, "1,234.50 USD", "3/4", "1e-05", True, [2.0])]
    [3.0, 1234.5, 0.75, 1e-05, 1.0, 2.0]

    Raises:
        Unreadable: anything else, NaN, and what a solver calls infinite (``INFINITE``).
    """
    while isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    if value is None:
        raise Unreadable("there is no value (null)")
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return _finite(value)
    if isinstance(value, str):
        return _of_text(value)
    raise Unreadable(f"a {_KINDS.get(type(value), type(value).__name__)} is not one number")


_KINDS: dict[type, str] = {dict: "JSON object", list: "list"}


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isnan(number):
        raise Unreadable("NaN is not a number")
    if abs(number) >= INFINITE:
        raise Unreadable(f"{number:g} is infinite")
    return number


def _of_text(text: str) -> float:
    text = text.strip()
    while wrapped := _WRAPPED.match(text):
        text = wrapped[1].strip()
    if not text:
        raise Unreadable("there is no value (an empty text)")
    if _NOT_FINITE.match(text):
        raise Unreadable(f"{text!r} is not a finite number")
    if len(text) > _LONGEST:
        raise Unreadable(f"a text of {len(text)} characters is not one number")
    try:
        return _finite(float(text))  # the whole of what Python itself writes
    except Unreadable:
        raise
    except ValueError:
        found = quantities(tidy(_POWER.sub("", text)))
    if len(found) != 1:
        raise Unreadable(f"{text[:60]!r} holds {len(found) or 'no'} numbers; exactly one is asked for")
    return _finite(float(found[0].value))
