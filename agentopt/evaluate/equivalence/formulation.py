"""A linear or mixed-integer linear program as data: typed, neutral of any solver, exact."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from agentopt.core.values import Frozen
from agentopt.errors import UsageError
from agentopt.evaluate.equivalence.affine import Affine, Number, Point, shown

__all__ = ["Constraint", "Formulation", "Objective", "Sense", "Variable", "read_formulation"]

Sense = Literal["<=", ">=", "=="]


_LARGEST = Fraction(10) ** 30


def _no_zeros(terms: Any) -> Any:
    return {name: _sized(c) for name, c in terms.items() if c}


def _sized(value: Any) -> Any:
    """The number, if a solver can hold it."""
    if value is not None and (abs(value) > _LARGEST or value.denominator > _LARGEST):
        raise ValueError(f"a number of {len(str(value))} characters is too large or too fine")
    return value


class Variable(Frozen):
    """A decision variable. Without bounds it is free, below zero too."""

    name: str = Field(min_length=1)
    """Its name, any text: ``cars`` or ``x[0]``."""
    integer: bool = False
    """Whether only whole numbers are admitted."""
    lower: Number | None = None
    """The least value; None is no bound."""
    upper: Number | None = None
    """The greatest value; None is no bound."""
    description: str = ""
    """What it stands for, in words."""

    _ends = field_validator("lower", "upper")(_sized)


class Constraint(Frozen):
    """``terms`` (variable to coefficient), a sense, and a right-hand side."""

    name: str = ""
    """By default ``c1``, ``c2``, ..., by its place."""
    terms: dict[str, Number]
    """Variable to coefficient."""
    sense: Sense
    """How the sum compares."""
    rhs: Number
    """With what."""
    description: str = ""
    """What it demands, in words."""

    _terms = field_validator("terms")(_no_zeros)
    _rhs = field_validator("rhs")(_sized)

    @property
    def gap(self) -> Affine:
        """What must be at most 0 (``==``: equal to 0)."""
        gap = Affine(self.terms, -self.rhs)
        return gap.times(Fraction(-1)) if self.sense == ">=" else gap

    def __str__(self) -> str:
        return f"{self.name}: {Affine(self.terms)} {self.sense} {shown(self.rhs)}"


class Objective(Frozen):
    """What is to be made small or large."""

    sense: Literal["min", "max"]
    """The direction."""
    terms: dict[str, Number] = Field(default_factory=dict)
    """Variable to coefficient."""
    constant: Number = Fraction(0)
    """Added to the sum."""
    description: str = ""
    """What it is, in words."""

    _terms = field_validator("terms")(_no_zeros)
    _constant = field_validator("constant")(_sized)

    @property
    def value(self) -> Affine:
        """The objective."""
        return Affine(self.terms, self.constant)

    @property
    def cost(self) -> Affine:
        """What is to be made small: the objective, negated where it is to be made large."""
        return self.value if self.sense == "min" else self.value.times(Fraction(-1))


class Formulation(Frozen):
    """A linear program, or a mixed-integer one. Numbers are rational: ``0.7`` means 7/10.

    JSON goes in by ``read_formulation`` and out by ``model_dump_json``.

    >>> f = read_formulation({
    ...     "variables": [{"name": "x", "integer": True, "lower": 0}],
    ...     "constraints": [{"terms": {"x": 2}, "sense": "<=", "rhs": 7}],
    ...     "objective": {"sense": "max", "terms": {"x": 1}},
    ... })
    >>> f.broken({"x": Fraction(4)})
    ['c1: 2 x <= 7 (8 > 7)']
    >>> Formulation.model_validate_json(f.model_dump_json()) == f
    True
    """

    name: str = ""
    """A name for people."""
    variables: tuple[Variable, ...] = Field(min_length=1)
    """In any order."""
    constraints: tuple[Constraint, ...] = ()
    """In any order."""
    objective: Objective
    """What is optimised."""

    @field_validator("constraints")
    @classmethod
    def _named(cls, constraints: tuple[Constraint, ...]) -> tuple[Constraint, ...]:
        return tuple(c if c.name else c.model_copy(update={"name": f"c{i}"}) for i, c in enumerate(constraints, 1))

    @model_validator(mode="after")
    def _closed(self) -> Formulation:
        names = [v.name for v in self.variables]
        if len(set(names)) < len(names):
            raise ValueError(f"two variables have the name {max(names, key=names.count)!r}")
        rows = [c.name for c in self.constraints]
        if len(set(rows)) < len(rows):
            raise ValueError(f"two constraints have the name {max(rows, key=rows.count)!r}")
        for where, terms in [*((c.name, c.terms) for c in self.constraints), ("the objective", self.objective.terms)]:
            if unknown := set(terms) - set(names):
                raise ValueError(f"{where} has the variable {sorted(unknown)[0]!r}, which is not declared")
        return self

    @cached_property
    def by_name(self) -> dict[str, Variable]:
        """Variables by name."""
        return {v.name: v for v in self.variables}

    def broken(self, point: Point, tolerance: Fraction = Fraction(0)) -> list[str]:
        """What the point breaks, exactly, in words: whole numbers, bounds, constraints.

        Args:
            point: a value for every variable.
            tolerance: by how much a constraint may be missed, times the largest of its numbers (and 1).
        """
        told: list[str] = []
        for v in self.variables:
            x = point[v.name]
            room = tolerance * max(Fraction(1), abs(x))
            if v.integer and abs(x - round(x)) > tolerance:
                told.append(f"{v.name} is a whole number ({shown(x)})")
            if v.lower is not None and x < v.lower - room:
                told.append(f"{v.name} >= {shown(v.lower)} ({shown(x)} < {shown(v.lower)})")
            if v.upper is not None and x > v.upper + room:
                told.append(f"{v.name} <= {shown(v.upper)} ({shown(x)} > {shown(v.upper)})")
        for c in self.constraints:
            gap = c.gap
            missed = gap.value(point)
            if (abs(missed) if c.sense == "==" else missed) > tolerance * max(gap.size, abs(c.rhs)):
                left = Affine(c.terms).value(point)
                told.append(f"{c} ({shown(left)} {'<' if left < c.rhs else '>'} {shown(c.rhs)})")
        return told

    def admits(self, point: Point) -> bool:
        """Whether the point is feasible, exactly."""
        return not self.broken(point)

    def __str__(self) -> str:
        lines = [f"{self.objective.sense} {self.objective.value}", *(f"  {c}" for c in self.constraints)]
        for v in self.variables:
            low = "-inf" if v.lower is None else shown(v.lower)
            high = "inf" if v.upper is None else shown(v.upper)
            lines.append(f"  {v.name} in [{low}, {high}]{', whole' if v.integer else ''}")
        return "\n".join(lines)


def read_formulation(data: Mapping[str, Any] | str) -> Formulation:
    """A formulation from JSON (an object or its text) in the fields of ``Formulation``.

    Raises:
        UsageError: a field is missing or wrong; the message says which.
    """
    try:
        if isinstance(data, str):
            return Formulation.model_validate_json(data)
        return Formulation.model_validate(dict(data))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'formulation'}: {e['msg']}" for e in error.errors()[:3])
        raise UsageError(f"this is not a formulation: {told}") from None
