"""Formulations as people write them: an objective, then one constraint a line.

::

    min 10 cars + BusCost * buses      # names that are parameters stand for their numbers
    people: 4 cars + 20 buses >= 300
    0 <= buses <= 4
    cars >= 0
    int cars, buses

A line is ``min``/``max`` and the objective, ``int``/``bin`` and variables, or a comparison (``<=``, ``>=``, ``==``; a
chain of them is several) with an optional name before a colon. ``x, y >= 0`` says it of both. A comparison of one bare
variable with numbers is a bound. What is neither number nor parameter is a variable, continuous and free unless said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from pydantic import ValidationError

from agentopt.errors import UsageError
from agentopt.evaluate.equivalence.affine import Affine, rational
from agentopt.evaluate.equivalence.formulation import Constraint, Formulation, Objective, Sense, Variable
from agentopt.evaluate.equivalence.maps import VariableMap

__all__ = ["read_affine", "read_map", "read_text"]

_LONGEST, _DEEPEST = 20_000, 50
_NO_NUMBERS = frozenset({"nan", "inf", "infinity"})
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*(?:\[[^\[\]]*\]|\.\w+)*)|(?P<mark>[-+*/()]))"
)
_COMPARE = re.compile(r"(<=|>=|==|≤|≥|=<|=>|<|>|=)")
_GOAL = re.compile(r"(?i)(min|max)(?:imi[sz]e|imum)?\b\s*:?\s*(.*)")
_KIND = re.compile(r"(?i)(int|integer|integers|whole|bin|binary|continuous)\b\s*:?\s+(.*)")
_LABEL = re.compile(r"\s*([^\s:<>=+*/()][^:<>=]*?)\s*:(.*)")
_SENSES: dict[str, Sense] = {"<=": "<=", "≤": "<=", ">=": ">=", "≥": ">=", "==": "==", "=": "=="}


class _Wrong(Exception):
    """What is wrong with a line."""


@dataclass
class _Reader:
    """One expression: a recursive descent over sums, products and brackets."""

    text: str
    parameters: Mapping[str, Fraction]
    depth: int = 0

    def __post_init__(self) -> None:
        self.tokens = list(self._tokens())
        self.at = 0

    def _tokens(self) -> Iterator[tuple[str, str]]:
        at, text = 0, self.text.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise _Wrong(f"{text[at:].strip()[:20]!r} cannot be read")
            yield str(found.lastgroup), found[found.lastgroup or 0]
            at = found.end()

    def whole(self) -> Affine:
        """All of the text as one expression."""
        if not self.tokens:
            raise _Wrong("an expression is missing")
        e = self.sum()
        if self.at < len(self.tokens):
            raise _Wrong(f"{self.tokens[self.at][1]!r} is not expected there")
        return e

    def _peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("", "")

    def sum(self) -> Affine:
        """Terms with plus and minus between them."""
        total = self.product()
        while self._peek()[1] in ("+", "-"):
            sign = Fraction(1 if self.tokens[self.at][1] == "+" else -1)
            self.at += 1
            total = total.plus(self.product(), sign)
        return total

    def product(self) -> Affine:
        """Factors; the sign between them may be left out: ``4 cars``."""
        total = self.factor()
        while True:
            kind, text = self._peek()
            if text in ("*", "/"):
                self.at += 1
                total = _times(total, self.factor()) if text == "*" else _over(total, self.factor())
            elif kind == "name" or text == "(":
                total = _times(total, self.factor())
            else:
                return total

    def factor(self) -> Affine:
        """A number, a name, brackets, or one of them with a sign."""
        kind, text = self._peek()
        self.at += 1
        if kind == "number":
            return Affine({}, rational(text))
        if kind == "name":
            known = self.parameters.get(text)
            if known is None and text.lower() in _NO_NUMBERS:
                raise _Wrong(f"{text!r} is no number; leave a bound out where there is none")
            return Affine.variable(text) if known is None else Affine({}, known)
        if text in ("-", "+"):
            self._deeper()
            inner = self.factor()
            self.depth -= 1
            return inner.times(Fraction(-1)) if text == "-" else inner
        if text == "(":
            self._deeper()
            inner = self.sum()
            self.depth -= 1
            if self._peek()[1] != ")":
                raise _Wrong("a bracket is not closed")
            self.at += 1
            return inner
        raise _Wrong(f"{text!r} is not expected there" if text else "it ends too early")

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _Wrong("brackets are nested too deeply")


def _times(a: Affine, b: Affine) -> Affine:
    if a.terms and b.terms:
        raise _Wrong(f"({a}) times ({b}) is not linear")
    return b.times(a.constant) if b.terms else a.times(b.constant)


def _over(a: Affine, b: Affine) -> Affine:
    if b.terms:
        raise _Wrong(f"dividing by ({b}) is not linear")
    if not b.constant:
        raise _Wrong("it divides by zero")
    return a.times(1 / b.constant)


def _numbers(given: Mapping[str, Any] | None) -> dict[str, Fraction]:
    try:
        return {name: rational(value) for name, value in (given or {}).items()}
    except ValueError as error:
        raise UsageError(f"a parameter cannot be used: {error}") from None


def read_affine(text: str, parameters: Mapping[str, Any] | None = None) -> Affine:
    """A linear expression.

    Raises:
        UsageError: it cannot be read, or is not linear.

    >>> str(read_affine("2*(x + 3y) - Rate/4 x", {"Rate": 2}))
    '1.5 x + 6 y'
    """
    try:
        return _Reader(text[:_LONGEST], _numbers(parameters)).whole()
    except (_Wrong, ValueError) as problem:
        raise UsageError(f"{text[:80]!r}: {problem}") from None


def read_map(expressions: Mapping[str, str], parameters: Mapping[str, Any] | None = None) -> VariableMap:
    """A map from target variables to linear expressions of source variables.

    Raises:
        UsageError: an expression cannot be read.

    >>> print(read_map({"cars": "c0 + 10 c1"}))
    cars = c0 + 10 c1
    """
    return VariableMap(terms={target: read_affine(text, parameters) for target, text in expressions.items()})


def read_text(text: str, parameters: Mapping[str, Any] | None = None, *, name: str = "") -> Formulation:
    """A formulation from text, see the module.

    Args:
        text: the lines; ``#`` begins a comment.
        parameters: numbers of the names that are parameters.
        name: for people.

    Raises:
        UsageError: a line cannot be read or is not linear; the message has its number.

    >>> print(read_text("max 3 a + P b\\n room: a + b <= 4\\n 0 <= a <= 3\\n b >= 0\\n int a", {"P": 2}))
    max 3 a + 2 b
      room: a + b <= 4
      a in [0, 3], whole
      b in [0, inf]
    """
    if len(text) > _LONGEST:
        raise UsageError(f"a formulation of {len(text)} characters is too long; at most {_LONGEST} are read")
    draft = _Draft(_numbers(parameters))
    for number, line in enumerate(text.split("\n"), 1):
        if said := line.partition("#")[0].strip().rstrip(";"):
            try:
                draft.line(said)
            except (_Wrong, ValueError) as problem:
                raise UsageError(f"line {number}, {said[:80]!r}: {problem}") from None
    return draft.made(name)


class _Draft:
    def __init__(self, parameters: Mapping[str, Fraction]) -> None:
        self.parameters = parameters
        self.goal: tuple[Literal["min", "max"], Affine] | None = None
        self.rows: list[tuple[str, Affine, Sense]] = []
        self.whole: dict[str, str] = {}
        self.bounds: dict[str, dict[str, Fraction]] = {}

    def line(self, text: str) -> None:
        if re.fullmatch(r"(?i)(s\.?t\.?|subject to|such that|end)\s*:?", text):
            return
        compared = _COMPARE.search(text)
        if not compared and (goal := _GOAL.fullmatch(text)):
            if self.goal is not None:
                raise _Wrong("a second objective")
            self.goal = ("min" if goal[1].lower() == "min" else "max"), self._read(goal[2])
            return
        if not compared and (kind := _KIND.fullmatch(text)):
            for name in self._names(kind[2]):
                self.whole[name] = kind[1].lower()[0]
                self.bounds.setdefault(name, {})
            return
        if not compared:
            raise _Wrong("neither an objective (min, max), nor a type (int, bin), nor a comparison")
        label = _LABEL.fullmatch(text)
        self._compare(*((label[1], label[2]) if label else ("", text)))

    def _names(self, text: str) -> list[str]:
        names = [part for part in re.split(r"\s*,\s*|\s+", text.strip()) if part]
        for name in names:
            found = _TOKEN.fullmatch(name)
            if found is None or found["name"] is None or name in self.parameters:
                raise _Wrong(f"{name[:40]!r} is not the name of a variable")
        return names

    def _read(self, text: str) -> Affine:
        return _Reader(text, self.parameters).whole()

    def _compare(self, label: str, text: str) -> None:
        pieces = _COMPARE.split(text)
        sides, marks = pieces[::2], pieces[1::2]
        if wrong := [m for m in marks if m not in _SENSES]:
            raise _Wrong(f"{wrong[0]!r} is not one of <=, >=, ==")
        for i, mark in enumerate(marks):
            lefts, rights = _listed(sides[i]), _listed(sides[i + 1])
            if len(lefts) > 1 and len(rights) > 1:
                raise _Wrong("lists on both sides")
            for left in lefts:
                for right in rights:
                    self._row(label, self._read(left).plus(self._read(right), Fraction(-1)), _SENSES[mark])

    def _row(self, label: str, gap: Affine, sense: Sense) -> None:
        if not gap.terms and not label:
            holds = {"<=": gap.constant <= 0, ">=": gap.constant >= 0, "==": gap.constant == 0}[sense]
            if holds:
                return
        if len(gap.terms) == 1 and not label:
            ((name, c),) = gap.terms.items()
            at, ends = -gap.constant / c, self.bounds.setdefault(name, {})
            if sense == "==" or (sense == "<=") == (c > 0):
                ends["upper"] = min(at, ends.get("upper", at))
            if sense == "==" or (sense == ">=") == (c > 0):
                ends["lower"] = max(at, ends.get("lower", at))
            return
        self.rows.append((label, gap, sense))

    def made(self, name: str) -> Formulation:
        if self.goal is None:
            raise UsageError("the formulation has no objective; begin with a line such as 'min 2 x + 3 y'")
        try:
            return self._formulation(name, *self.goal)
        except ValidationError as error:
            raise UsageError(f"this is not a formulation: {error.errors()[0]['msg']}") from None

    def _formulation(self, name: str, goal: Literal["min", "max"], value: Affine) -> Formulation:
        named = dict.fromkeys([*value.terms, *(n for _, gap, _ in self.rows for n in gap.terms), *self.bounds])
        variables = []
        for n in named:
            ends: dict[str, Any] = dict(self.bounds.get(n, {}))
            kind = self.whole.get(n, "")
            if kind == "b":
                ends["lower"] = max(Fraction(0), ends.get("lower", Fraction(0)))
                ends["upper"] = min(Fraction(1), ends.get("upper", Fraction(1)))
            variables.append(Variable(name=n, integer=kind in ("i", "w", "b"), **ends))
        rows, seen = [], set()
        for label, gap, sense in self.rows:
            unique = label
            while unique and unique in seen:
                unique += "'"
            seen.add(unique)
            rows.append(Constraint(name=unique, terms=dict(gap.terms), sense=sense, rhs=-gap.constant))
        objective = Objective(sense=goal, terms=dict(value.terms), constant=value.constant)
        return Formulation(name=name, variables=tuple(variables), constraints=tuple(rows), objective=objective)


def _listed(text: str) -> list[str]:
    """``x, y`` as two expressions; commas within an index do not count."""
    return re.split(r",(?![^\[]*\])", text)
