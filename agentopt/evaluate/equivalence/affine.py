"""Affine expressions over named variables, in exact rational arithmetic."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

__all__ = ["Affine", "Number", "Point", "plain", "rational", "shown"]

Point = Mapping[str, Fraction]
"""A value for each variable."""
_NUMBER = re.compile(r"[+-]?(?:\d{1,60}(?:\.\d{0,60})?|\.\d{1,60})(?:[eE][+-]?\d{1,3})?(?:/\d{1,60})?")


def rational(value: Any) -> Fraction:
    """A number as a fraction. A float or a decimal text means the decimal that is written: 0.7 is 7/10.

    Raises:
        ValueError: it is no finite number of a sane size.

    >>> rational(0.7), rational("1/3"), rational("1e-2"), rational("-0.0")
    (Fraction(7, 10), Fraction(1, 3), Fraction(1, 100), Fraction(0, 1))
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError(f"{value!r:.60} is not a number")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{value!r:.60} is not a finite number")
    top, _, bottom = text.partition("/")
    if bottom and not int(bottom):
        raise ValueError(f"{value!r:.60} divides by zero")
    return Fraction(top) / int(bottom or 1)


def plain(value: Fraction) -> int | float | str:
    """A fraction as JSON: an integer, a decimal where that is exact, else a text such as ``"1/3"``.

    >>> plain(Fraction(4)), plain(Fraction(7, 10)), plain(Fraction(1, 3))
    (4, 0.7, '1/3')
    """
    if value.denominator == 1:
        return int(value) if abs(value) < 2**53 else str(value)
    near = float(value)
    return near if math.isfinite(near) and Fraction(str(near)) == value else str(value)


Number = Annotated[
    Fraction,
    PlainValidator(rational, json_schema_input_type=float | int | str),
    PlainSerializer(plain, return_type=float | int | str, when_used="json"),
]
"""A rational number in a persisted type."""


def shown(value: Fraction) -> str:
    """A number for people: exact where that is short, else six digits.

    >>> shown(Fraction(7, 10)), shown(Fraction(1, 3)), shown(Fraction(1, 12345678901))
    ('0.7', '1/3', '8.10000e-11')
    """
    text = str(plain(value))
    return text if len(text) <= 10 else f"{float(value):.5e}" if abs(value) < Fraction(1, 1000) else f"{float(value):g}"


@dataclass(frozen=True, slots=True)
class Affine:
    """``constant`` plus the sum of coefficient times variable; zero coefficients are not kept.

    >>> x = Affine({"a": Fraction(2)}, Fraction(1))
    >>> str(x.plus(x, Fraction(-1, 2))), x.value({"a": Fraction(3)})
    ('a + 0.5', Fraction(7, 1))
    """

    terms: Mapping[str, Number] = field(default_factory=dict)
    constant: Number = Fraction(0)

    @classmethod
    def of(cls, terms: Mapping[str, Fraction], constant: Fraction = Fraction(0)) -> Affine:
        """The expression without the terms that are zero."""
        return cls({name: c for name, c in terms.items() if c}, constant)

    @classmethod
    def variable(cls, name: str) -> Affine:
        """One variable."""
        return cls({name: Fraction(1)})

    def plus(self, other: Affine, times: Fraction = Fraction(1)) -> Affine:
        """The sum with a multiple of another."""
        terms = dict(self.terms)
        for name, c in other.terms.items():
            terms[name] = terms.get(name, Fraction(0)) + times * c
        return Affine.of(terms, self.constant + times * other.constant)

    def times(self, factor: Fraction) -> Affine:
        """A multiple."""
        return Affine.of({name: factor * c for name, c in self.terms.items()}, factor * self.constant)

    def put(self, values: Mapping[str, Affine]) -> Affine:
        """Variables replaced by expressions; a variable without one stays."""
        total = Affine({}, self.constant)
        for name, c in self.terms.items():
            total = total.plus(values.get(name) or Affine.variable(name), c)
        return total

    def value(self, point: Point) -> Fraction:
        """The value at a point, which has every variable."""
        return self.constant + sum((c * point[name] for name, c in self.terms.items()), Fraction(0))

    def float_value(self, point: Mapping[str, float]) -> float:
        """The value at a point of floats."""
        return float(self.constant) + math.fsum(float(c) * point[name] for name, c in self.terms.items())

    @property
    def size(self) -> Fraction:
        """The largest coefficient, at least 1: the scale of tolerances."""
        return max([Fraction(1), *(abs(c) for c in self.terms.values())])

    def __str__(self) -> str:
        return _joined([(c, name) for name, c in self.terms.items()], self.constant)


def _joined(terms: Iterable[tuple[Fraction, str]], constant: Fraction) -> str:
    parts: list[str] = []
    for c, name in terms:
        size = "" if abs(c) == 1 else f"{shown(abs(c))} "
        parts.append(f"{'-' if c < 0 else '+'} {size}{name}")
    if constant or not parts:
        parts.append(f"{'-' if constant < 0 else '+'} {shown(abs(constant))}")
    text = " ".join(parts)
    return text[2:] if text.startswith("+ ") else f"-{text[2:]}"
