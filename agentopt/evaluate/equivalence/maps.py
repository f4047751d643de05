"""Maps between the variables of two formulations: each variable of one from the variables of the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from pydantic import Field

from agentopt.core.values import Frozen
from agentopt.errors import UsageError
from agentopt.evaluate.equivalence.affine import Affine, Number, Point, rational, shown

__all__ = ["Part", "Parts", "VariableMap", "part_name"]


def part_name(name: str) -> str:
    """What a target variable is called within a map's own expressions; a source variable may have the same name."""
    return f"{name} (part)"


class Part(Frozen):
    """One of the variables that a value is divided among."""

    name: str
    """The variable."""
    ratio: Number
    """How much one unit of it is worth; not 0."""
    lower: Number | None = None
    """Its least value; None is no bound."""
    upper: Number | None = None
    """Its greatest value; None is no bound."""
    integer: bool = False
    """Whether it is a whole number."""

    @property
    def start(self) -> Fraction:
        """The value nearest to 0."""
        low = self.lower if self.lower is not None else Fraction(0)
        return max(low, Fraction(0)) if self.upper is None else min(max(low, Fraction(0)), self.upper)

    def room(self, up: bool) -> Fraction | None:
        """How far the part's worth can go up (or down) from its start; None is without end."""
        rising = up == (self.ratio > 0)
        bound = self.upper if rising else self.lower
        if bound is None:
            return None
        size = abs(bound - self.start)
        return (Fraction(math.floor(size)) if self.integer else size) * abs(self.ratio)


class Parts(Frozen):
    """A value divided among variables: digits of a number, two parts of a sum, a positive and a negative part.

    It stands for the relation ``of == sum of ratio * part`` with each part within its bounds.

    >>> digits = Parts(of=Affine.variable("x"), parts=(
    ...     Part(name="x0", ratio=Fraction(1), lower=Fraction(0), upper=Fraction(9), integer=True),
    ...     Part(name="x1", ratio=Fraction(10), lower=Fraction(0), upper=Fraction(9), integer=True)))
    >>> digits.covers(), {k: int(v) for k, v in digits.divide(Fraction(47)).items()}
    ((Fraction(1, 1), Fraction(0, 1), Fraction(99, 1)), {'x0': 7, 'x1': 4})
    """

    of: Affine
    """What is divided, in the source's variables."""
    parts: tuple[Part, ...] = Field(min_length=1)
    """Among what."""

    def covers(self) -> tuple[Fraction | None, Fraction | None, Fraction | None] | None:
        """Which values can be divided: the multiples of a unit (None: all numbers) between two ends (None: no end).

        Whole parts reach every multiple of the smallest ratio when each larger ratio is a multiple of it and at most
        one unit more than all smaller parts together can add. None where that is not so, or whole and other parts
        are mixed: nothing is claimed then.
        """
        start = sum((p.ratio * p.start for p in self.parts), Fraction(0))
        if any(p.integer for p in self.parts) and not all(p.integer for p in self.parts):
            return None
        if not self.parts[0].integer:
            return None, _end(start, self.parts, up=False), _end(start, self.parts, up=True)
        ordered = sorted(self.parts, key=lambda p: abs(p.ratio))
        unit = abs(ordered[0].ratio)
        if any((p.ratio / unit).denominator > 1 or p.start.denominator > 1 for p in ordered):
            return None
        for up in (True, False):
            reach: Fraction | None = Fraction(0)
            for part in ordered:
                room = part.room(up)
                if reach is not None and room != 0 and abs(part.ratio) > reach + unit:
                    return None
                reach = None if reach is None or room is None else reach + room
        return unit, _end(start, self.parts, up=False), _end(start, self.parts, up=True)

    def divide(self, value: Fraction) -> dict[str, Fraction]:
        """Parts whose worth is ``value``, the largest ratio first; what cannot be placed stays out."""
        rest = value - sum((p.ratio * p.start for p in self.parts), Fraction(0))
        up = rest > 0
        placed: dict[str, Fraction] = {}
        for part in sorted(self.parts, key=lambda p: -abs(p.ratio)):
            room = part.room(up)
            take = abs(rest) if room is None else min(room, abs(rest))
            steps = take / abs(part.ratio)
            steps = Fraction(math.floor(steps)) if part.integer else steps
            moved = steps if up == (part.ratio > 0) else -steps
            placed[part.name] = part.start + moved
            rest -= moved * part.ratio
        return {part.name: placed[part.name] for part in self.parts}


def _end(start: Fraction, parts: tuple[Part, ...], *, up: bool) -> Fraction | None:
    rooms = [p.room(up) for p in parts]
    total = sum((r for r in rooms if r is not None), Fraction(0))
    return None if None in rooms else start + total if up else start - total


class VariableMap(Frozen):
    """Each variable of a target from the variables of a source: affine, or a part of something that is affine.

    >>> m = VariableMap.linear({"x": {"x0": 1, "x1": 10}})
    >>> m.apply({"x0": Fraction(7), "x1": Fraction(4)})
    {'x': Fraction(47, 1)}
    """

    terms: dict[str, Affine] = Field(default_factory=dict)
    """Target to expression of source variables; a target that ``parts`` has is named by ``part_name`` in it."""
    parts: tuple[Parts, ...] = ()
    """Targets that are parts of a value."""

    @classmethod
    def linear(cls, terms: Mapping[str, Mapping[str, int | float | Fraction]]) -> VariableMap:
        """Targets as sums of coefficient times source variable."""
        return cls(terms={t: Affine.of({n: rational(c) for n, c in e.items()}) for t, e in terms.items()})

    @property
    def targets(self) -> tuple[str, ...]:
        """The variables that it gives."""
        return (*self.terms, *(p.name for group in self.parts for p in group.parts))

    @property
    def sources(self) -> set[str]:
        """The variables that it reads."""
        named = {n for e in self.terms.values() for n in e.terms} | {n for g in self.parts for n in g.of.terms}
        return named - {part_name(p.name) for group in self.parts for p in group.parts}

    def apply(self, point: Point) -> dict[str, Fraction]:
        """The image of a point, exactly."""
        image: dict[str, Fraction] = {}
        for group in self.parts:
            image |= group.divide(group.of.value(point))
        known = {**point, **{part_name(name): x for name, x in image.items()}}
        return image | {target: e.value(known) for target, e in self.terms.items()}

    def put_in(self, e: Affine) -> Affine:
        """An expression of targets as one of sources; parts (``part_name``) stay that are not there as their whole."""
        own = {p.name: Affine.variable(part_name(p.name)) for group in self.parts for p in group.parts}
        e = e.put({**self.terms, **own})
        for group in self.parts:
            first = group.parts[0]
            factor = e.terms.get(part_name(first.name), Fraction(0)) / first.ratio
            if factor and all(e.terms.get(part_name(p.name)) == factor * p.ratio for p in group.parts):
                divided = Affine({part_name(p.name): p.ratio for p in group.parts})
                e = e.plus(divided, -factor).plus(group.of, factor)
        return e

    def after(self, first: VariableMap) -> VariableMap:
        """This map on what another gives.

        Raises:
            UsageError: a divided value would be divided again in a way that is not affine.
        """
        parts = tuple(g.model_copy(update={"of": first.put_in(g.of)}) for g in self.parts)
        terms = {t: first.put_in(e) for t, e in self.terms.items()}
        own = {part_name(p.name) for g in first.parts for p in g.parts}
        used = {n for e in [*terms.values(), *(g.of for g in parts)] for n in e.terms} & own
        if any(n in own for g in parts for n in g.of.terms):
            raise UsageError("these two maps cannot be joined: digits would be taken of single digits")
        return VariableMap(terms=terms, parts=parts + (first.parts if used else ()))

    def __str__(self) -> str:
        lines = [f"{target} = {e}" for target, e in self.terms.items()]
        for group in self.parts:
            whole = " + ".join(f"{shown(p.ratio)} {p.name}" for p in group.parts)
            lines.append(f"{whole} = {group.of}")
        return "\n".join(lines)
