"""A problem of optimization as data: variables, objective and constraints, readable by people and programs."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from agentopt.core.values import Frozen
from agentopt.errors import UsageError
from agentopt.problems.expressions import calculate, linear, names, parse

__all__ = ["Formulation", "Relation", "Variable", "split_relation"]

Relation = Literal["<=", ">=", "=="]
_RELATION = re.compile(r"(<=|>=|==)")


class Variable(Frozen):
    """What is to be decided."""

    name: str
    """A Python name; expressions use it."""
    meaning: str
    """What it is, in words: ``the number of chairs``. The key of its value among the answers."""
    kind: Literal["continuous", "integer", "binary"] = "continuous"
    """Which values it may have; those of ``binary`` are 0 and 1."""
    low: float | None = 0.0
    """Its least value; None has none."""
    high: float | None = None
    """Its greatest value; None has none."""

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ValueError(f"{name!r} is not a name that a program can use")
        return name

    @property
    def whole(self) -> bool:
        """Whether it takes whole numbers only."""
        return self.kind != "continuous"

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Least and greatest value."""
        return (0.0, 1.0) if self.kind == "binary" else (self.low, self.high)


def split_relation(text: str) -> tuple[str, Relation, str]:
    """The two sides of a constraint, and what stands between them.

    >>> split_relation("3*x + y <= 40")
    ('3*x + y', '<=', '40')

    Raises:
        UsageError: it is no such thing.
    """
    parts = _RELATION.split(text)
    if len(parts) != 3:
        raise UsageError(f"{text[:60]!r} is not a constraint: write EXPRESSION <= EXPRESSION, with <=, >= or ==")
    left, relation, right = (part.strip() for part in parts)
    parse(left), parse(right)
    return left, relation, right  # type: ignore[return-value]


class Formulation(Frozen):
    """Variables, objective and constraints. Expressions are arithmetic as text, see ``problems.expressions``.

    >>> f = Formulation(
    ...     variables=(Variable(name="x", meaning="the number of chairs", kind="integer"),),
    ...     sense="maximize", objective="12*x", objective_meaning="the total profit", constraints=("3*x <= 40",),
    ... )
    >>> f.violations({"x": 13}), f.violations({"x": 14}), f.value({"x": 13})
    ([], ['3*x <= 40'], Fraction(156, 1))

    Raises:
        ValidationError: two variables of one name or meaning, or an expression over what is no variable.
    """

    variables: tuple[Variable, ...]
    """What is to be decided."""
    sense: Literal["maximize", "minimize"]
    """Whether more or less of the objective is better."""
    objective: str
    """What is to be made large or small."""
    objective_meaning: str = "the objective"
    """What that is, in words. The key of its value among the answers."""
    constraints: tuple[str, ...] = ()
    """What must hold, each as ``expression <= expression`` (or ``>=``, ``==``)."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        known = [v.name for v in self.variables]
        keys = [*(v.meaning for v in self.variables), self.objective_meaning]
        for said, what in ((known, "name"), (keys, "meaning")):
            if len(set(said)) != len(said):
                raise ValueError(f"two variables have one {what}: {', '.join(said)}")
        try:
            for text in (self.objective, *(side for c in self.constraints for side in split_relation(c)[::2])):
                if unknown := set(names(text)) - set(known):
                    raise ValueError(f"{text[:60]!r} uses {', '.join(sorted(unknown))}, which is no variable")
        except UsageError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def is_linear(self) -> bool:
        """Whether objective and constraints are linear, so that a linear or mixed-integer solver takes them."""
        return all(linear(text) is not None for text in self._expressions())

    def _expressions(self) -> Iterator[str]:
        yield self.objective
        for constraint in self.constraints:
            yield from split_relation(constraint)[::2]

    def value(self, values: Mapping[str, Any]) -> Any:
        """The objective at some values, by variable name; exact for whole numbers and fractions."""
        return calculate(self.objective, values)

    def violations(self, values: Mapping[str, Any], tolerance: float = 0.0) -> list[str]:
        """The constraints and bounds that some values break by more than ``tolerance``, relative to their size."""
        found = []
        for constraint in self.constraints:
            left, relation, right = split_relation(constraint)
            a, b = calculate(left, values), calculate(right, values)
            room = tolerance * max(1, abs(a), abs(b))
            gap = {"<=": a - b, ">=": b - a, "==": abs(a - b)}[relation]
            if gap > room:
                found.append(constraint)
        for variable in self.variables:
            value, (low, high) = values[variable.name], variable.bounds
            room = tolerance * max(1, abs(value))
            if low is not None and value < low - room:
                found.append(f"{variable.name} >= {low:g}")
            if high is not None and value > high + room:
                found.append(f"{variable.name} <= {high:g}")
            if variable.whole and abs(value - round(value)) > tolerance:
                found.append(f"{variable.name} is whole")
        return found

    def answers(self, values: Mapping[str, Any]) -> dict[str, float]:
        """The values by meaning, the objective last: what is asked for."""
        exact = {n: Fraction(v) if isinstance(v, int | Fraction) else float(v) for n, v in values.items()}
        told = {v.meaning: float(exact[v.name]) for v in self.variables}
        return {**told, self.objective_meaning: float(self.value(exact))}
