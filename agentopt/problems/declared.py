"""What a demonstration declares of its variables, held against the values that a program found."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from agentopt.problems.steps import Demonstration

__all__ = ["breaches"]

_BOUND = re.compile(r"(<=|>=|≤|≥|<|>)\s*(-?\d[\d,]*(?:\.\d+)?)")
_BOUND_BEFORE = re.compile(r"(-?\d[\d,]*(?:\.\d+)?)\s*(<=|≤|<)\s*[A-Za-z_]")
_NEAR = 1e-4  # how far a solver's value may be from a whole number or beyond a bound, relative to its size


def breaches(scenario: Demonstration, values: Mapping[str, float]) -> list[str]:
    """Variables whose value is not of the type or in the range that the demonstration declares.

    Args:
        scenario: its first step declares ``{"meaning": "symbol", "range": "...", "type": "..."}``.
        values: by meaning.

    >>> from agentopt.problems.steps import Part
    >>> line = '{"The number of chairs": "c", "range": "0 <= c <= 9", "type": "integer"}'
    >>> one = Demonstration(parts=(Part(plain="Chairs.", formal=(line,)),))
    >>> breaches(one, {"The number of chairs": 2.5}), breaches(one, {"The number of chairs": 9.0})
    (['The number of chairs is 2.5, which is not whole'], [])
    """
    found = []
    for line in scenario.parts[0].formal:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if not isinstance(said, dict):
            continue
        meaning = next((key for key in said if key in values), None)
        if meaning is None:
            continue
        value, room = values[meaning], _NEAR * max(1.0, abs(values[meaning]))
        kind = str(said.get("type", "")).lower()
        if kind in ("integer", "binary", "int", "boolean") and abs(value - round(value)) > room:
            found.append(f"{meaning} is {value:g}, which is not whole")
        if kind in ("binary", "boolean") and not -room <= value <= 1 + room:
            found.append(f"{meaning} is {value:g}, which is neither 0 nor 1")
        found += _outside(meaning, value, room, str(said.get("range", "")))
    return found


def _outside(meaning: str, value: float, room: float, told: str) -> list[str]:
    bounds = [(sign, float(number.replace(",", ""))) for sign, number in _BOUND.findall(told)]
    bounds += [(">=", float(number.replace(",", ""))) for number, _ in _BOUND_BEFORE.findall(told)]
    return [
        f"{meaning} is {value:g}, outside its range {told}"
        for sign, bound in bounds[:4]
        if (value < bound - room if sign in (">=", "≥", ">") else value > bound + room)
    ][:1]
