r"""A reader of real expressions in LaTeX: from text to a tree, and from a tree to numbers. Nothing is executed.

Real arithmetic with names: fractions, roots, powers, absolute values, elementary functions, ``\max`` and ``\min``,
products without a sign. What is not among these is refused, not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Expression", "NotRead", "compiled", "names_in", "number_of", "read_latex"]

Array = NDArray[np.float64]
LONGEST, DEEPEST = 4000, 40
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "arcsin": np.arcsin, "arccos": np.arccos, "arctan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "exp": np.exp, "ln": np.log, "log": np.log, "sqrt": np.sqrt,
    "abs": np.abs, "cot": lambda x: 1 / np.tan(x), "sec": lambda x: 1 / np.cos(x), "csc": lambda x: 1 / np.sin(x),
}  # fmt: skip
_GREEK = frozenset(
    re.findall(
        r"\w+", "alpha beta gamma delta epsilon varepsilon theta lambda mu nu xi rho sigma tau phi varphi psi omega"
    )
)
_LAYOUT = re.compile(
    r"\\(?:displaystyle|textstyle|limits|mathstrut|quad|qquad|left\.|right\.|left|right|[bB]igg?[lr]?|[!;:, ])"
    r"(?![A-Za-z])|~|\$"
)
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<command>\\[A-Za-z]+|\\[{}|])|(?P<letter>[A-Za-z])|(?P<sign>[-+*/^_(){}\[\]|!,=])"
    r"|(?P<space>\s+)"
)
_PRINT = {"−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "π": r"\pi ", "√": r"\sqrt ", "÷": "/", "⋅": r"\cdot "}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_PRODUCT = (r"\cdot", r"\times", "*", r"\ast")


class NotRead(ValueError):
    """Why a text is not read as an expression."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A tree: ``kind`` is num, var, add, mul, div, pow, neg, fn, max or min; ``value`` a number or a name."""

    kind: str
    value: Any = None
    parts: tuple[Expression, ...] = ()


def read_latex(text: str, *, variables: frozenset[str] = frozenset()) -> Expression:
    r"""The expression that a text in LaTeX states.

    Args:
        text: LaTeX, or plain text such as ``a²/b``.
        variables: names that are variables although they could be constants (``e``).

    >>> round(number_of(read_latex(r"\frac{72+32\sqrt{2}}{7}")), 3)
    16.751

    Raises:
        NotRead: it has something that is not read here, or is too long or nested too deeply.
    """
    if len(text) > LONGEST:
        raise NotRead(f"{len(text)} characters are too many for an expression")
    reader = _Reader(_tokens(text), variables)
    found = reader.sum()
    if reader.next() is not None:
        raise NotRead(f"{reader.next()!r} was not expected there")
    return found


def names_in(expression: Expression) -> frozenset[str]:
    """The variables of an expression."""
    if expression.kind == "var":
        return frozenset({expression.value})
    return frozenset().union(*(names_in(part) for part in expression.parts))


def compiled(expression: Expression) -> Callable[[Mapping[str, Any]], Array]:
    """The expression as a function of its variables' values, numbers or arrays. Undefined is NaN or infinite."""
    parts = [compiled(part) for part in expression.parts]
    match expression.kind:
        case "num":
            constant = np.asarray(float(expression.value))
            return lambda at: constant
        case "var":
            name = expression.value
            return lambda at: at[name]
        case "add":
            return lambda at: sum((part(at) for part in parts[1:]), start=parts[0](at))
        case "neg":
            return lambda at: -parts[0](at)
        case "mul":
            return lambda at: parts[0](at) * parts[1](at)
        case "div":
            return lambda at: np.float64(1.0) * parts[0](at) / parts[1](at)
        case "pow":
            return lambda at: _power(parts[0](at), parts[1](at), expression.parts[1])
        case "fn":
            function = _FUNCTIONS[expression.value]
            return lambda at: function(parts[0](at))
        case "max":
            return lambda at: np.maximum.reduce(np.broadcast_arrays(*(part(at) for part in parts)))
        case _:
            return lambda at: np.minimum.reduce(np.broadcast_arrays(*(part(at) for part in parts)))


def number_of(expression: Expression) -> float:
    """The value of an expression without variables, as a float; NaN or infinite where it has none.

    Raises:
        NotRead: it has variables.
    """
    if names := names_in(expression):
        raise NotRead(f"it has the variables {', '.join(sorted(names))}")
    with np.errstate(all="ignore"):
        return float(compiled(expression)({}))


def _power(base: Any, exponent: Any, tree: Expression) -> Array:
    """A real power; an odd root of a negative number is negative, as everybody writes it."""
    if tree.kind == "div" and tree.parts[0].kind == tree.parts[1].kind == "num" and tree.parts[1].value % 2 == 1:
        even = tree.parts[0].value % 2 == 0
        size = np.power(np.abs(np.float64(1.0) * base), exponent)
        return np.asarray(size if even else np.sign(base) * size)
    return np.asarray(np.power(np.float64(1.0) * base, exponent))


def _tokens(text: str) -> list[str]:
    for sign, latex in _PRINT.items():
        text = text.replace(sign, latex)
    text = re.sub(r"[⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^{" + m[0].translate(_RAISED) + "}", text)
    text = re.sub(r"\\(?:mathrm|operatorname|text)\s*\{\s*(sin|cos|tan|ln|log|exp|e|max|min)\s*\}", r"\\\1 ", text)
    text = (
        _LAYOUT.sub(" ", text.replace("\\\\", " "))
        .replace("dfrac", "frac")
        .replace("tfrac", "frac")
        .replace("cfrac", "frac")
    )
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise NotRead(f"{text[at]!r} is not read here")
        at = match.end()
        if match.lastgroup != "space":
            found.append(match[0])
    return found


class _Reader:
    """Recursive descent over tokens."""

    def __init__(self, tokens: list[str], variables: frozenset[str]) -> None:
        self._tokens, self._at, self._depth, self._variables = tokens, 0, 0, variables
        self._bars = 0

    def next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, wanted: str | None = None) -> str:
        token = self.next()
        if token is None or (wanted is not None and token != wanted):
            raise NotRead(f"{wanted or 'something'} is missing" + (f" before {token!r}" if token else " at the end"))
        self._at += 1
        return token

    def sum(self) -> Expression:
        """Terms with signs between them."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise NotRead(f"it nests deeper than {DEEPEST}")
        terms = [self._signed()]
        while self.next() in ("+", "-"):
            terms.append(self._signed())
        self._depth -= 1
        return terms[0] if len(terms) == 1 else Expression("add", parts=tuple(terms))

    def _signed(self) -> Expression:
        negative = False
        while self.next() in ("+", "-"):
            negative ^= self._take() == "-"
        term = self._product()
        return Expression("neg", parts=(term,)) if negative else term

    def _product(self, *, argument: bool = False) -> Expression:
        """Factors; ``argument``: of a function without brackets, up to the next function."""
        found = self._factor()
        while (token := self.next()) is not None:
            if token in _PRODUCT and not argument:
                self._take()
                found = Expression("mul", parts=(found, self._sign_or_factor()))
            elif token in ("/", r"\div") and not argument:
                self._take()
                found = Expression("div", parts=(found, self._sign_or_factor()))
            elif self._begins(token) and not (argument and (token in "([" or token[1:] in _FUNCTIONS)):
                found = Expression("mul", parts=(found, self._factor()))
            else:
                break
        return found

    def _sign_or_factor(self) -> Expression:
        if self.next() == "-":
            self._take()
            return Expression("neg", parts=(self._factor(),))
        return self._factor()

    def _begins(self, token: str) -> bool:
        if token == "|":
            return self._bars == 0
        return token[0].isalnum() or token in "({[." or (token[0] == "\\" and token not in (r"\}", r"\div", *_PRODUCT))

    def _factor(self) -> Expression:
        base = self._base()
        while self.next() == "^":
            self._take()
            base = Expression("pow", parts=(base, self._argument()))
        return base

    def _argument(self) -> Expression:
        """What follows ``^``, ``\\frac`` or ``\\sqrt``: a group, or one digit, letter or command."""
        token = self.next()
        if token == "{":
            return self._group("{", "}")
        if token is not None and token[0].isdigit() and len(token) > 1:
            self._tokens[self._at : self._at + 1] = [token[0], token[1:].lstrip(".") or "0"]
        if token == "-":
            self._take()
            return Expression("neg", parts=(self._argument(),))
        return self._base()

    def _group(self, opens: str, closes: str) -> Expression:
        self._take(opens)
        bars, self._bars = self._bars, 0
        found = self.sum()
        self._bars = bars
        self._take(closes)
        return found

    def _base(self) -> Expression:
        token = self._take()
        if token[0].isdigit() or token[0] == ".":
            return Expression("num", float(token))
        if token.isalpha():
            return self._name(token)
        if token in ("(", "[", "{", r"\{"):
            self._at -= 1
            return self._group(token, {"(": ")", "[": "]", "{": "}", r"\{": r"\}"}[token])
        if token in ("|", r"\lvert", r"\vert"):
            self._bars += 1
            inner = self.sum()
            self._bars -= 1
            if self._take() not in ("|", r"\rvert", r"\vert"):
                raise NotRead("an absolute value is not closed")
            return Expression("fn", "abs", (inner,))
        if token.startswith("\\"):
            return self._command(token[1:])
        raise NotRead(f"{token!r} was not expected there")

    def _name(self, name: str) -> Expression:
        if self.next() == "_":
            self._take()
            index = self._index()
            return Expression("var", f"{name}_{index}")
        if name == "e" and name not in self._variables:
            return Expression("num", float(np.e))
        return Expression("var", name)

    def _index(self) -> str:
        if self.next() != "{":
            return self._take()
        self._take()
        pieces = []
        while self.next() != "}":
            pieces.append(self._take())
        self._take("}")
        return "".join(pieces)

    def _command(self, name: str) -> Expression:
        if name == "frac":
            above = self._argument()
            return Expression("div", parts=(above, self._argument()))
        if name == "sqrt":
            if self.next() == "[":
                degree = self._group("[", "]")
                root = Expression("div", parts=(Expression("num", 1.0), degree))
                return Expression("pow", parts=(self._argument(), root))
            return Expression("fn", "sqrt", (self._argument(),))
        if name == "pi":
            return Expression("num", float(np.pi))
        if name == "e":
            return Expression("num", float(np.e))
        if name in _GREEK:
            return self._name(name)
        if name in ("max", "min"):
            return self._extreme(name)
        if name in _FUNCTIONS:
            return self._function(name)
        raise NotRead(f"\\{name} is not read here")

    def _extreme(self, name: str) -> Expression:
        closes = {"(": ")", r"\{": r"\}", "{": "}"}.get(self._take(), "")
        if not closes:
            raise NotRead(f"\\{name} needs brackets")
        if closes == "}" and self.next() == r"\{":
            self._take()
            closes = r"\}"
        parts = [self.sum()]
        while self.next() == ",":
            self._take()
            parts.append(self.sum())
        self._take(closes)
        return Expression(name, parts=tuple(parts))

    def _function(self, name: str) -> Expression:
        power = base = None
        if self.next() == "_" and name == "log":
            self._take()
            base = self._argument()
        if self.next() == "^":
            self._take()
            power = self._argument()
        inner = self._group("(", ")") if self.next() == "(" else self._product(argument=True)
        found = Expression("fn", name, (inner,))
        if base is not None:
            found = Expression("div", parts=(found, Expression("fn", "ln", (base,))))
        return found if power is None else Expression("pow", parts=(found, power))
