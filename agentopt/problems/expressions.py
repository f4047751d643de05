"""Arithmetic over named variables, as text: ``12*chairs + 15*tables``. Read and calculated, never executed.

The text is Python's own arithmetic (``+ - * / **``, numbers, names, parentheses), so that it goes into a program as it
is; whatever else Python knows is refused.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Any

from agentopt._code import parsed
from agentopt.errors import UsageError

__all__ = ["calculate", "linear", "names", "parse", "total"]

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_LENGTH = 5000  # of a text; a longer one nests deeper than a reader and Python's own stack can follow
_POWER = 6  # the highest power


@functools.lru_cache(maxsize=4096)
def parse(text: str) -> ast.expr:
    """The syntax tree of an expression.

    Raises:
        UsageError: it is not arithmetic over names and numbers.

    >>> parse("__import__('os')")
    Traceback (most recent call last):
    agentopt.errors.UsageError: "__import__('os')" is not arithmetic: Call; write + - * / ** over names and numbers
    """
    tree = parsed(text.strip()) if len(text) <= _LENGTH else None
    statement = tree.body[0] if tree is not None and len(tree.body) == 1 else None
    if not isinstance(statement, ast.Expr):
        raise UsageError(f"{text[:60]!r} is not an expression")
    _check(statement.value, text)
    return statement.value


def _check(tree: ast.expr, text: str) -> None:
    match tree:
        case ast.Name():
            return
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float()):
            return
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=inner):
            return _check(inner, text)
        case ast.BinOp(left=base, op=ast.Pow(), right=ast.Constant(value=int(power))) if 0 < power <= _POWER:
            return _check(base, text)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            _check(left, text)
            return _check(right, text)
    raise UsageError(f"{text[:60]!r} is not arithmetic: {type(tree).__name__}; write + - * / ** over names and numbers")


def names(text: str) -> tuple[str, ...]:
    """The variables of an expression, each once, in order.

    >>> names("3*x + y*x")
    ('x', 'y')
    """
    return tuple(dict.fromkeys(node.id for node in ast.walk(parse(text)) if isinstance(node, ast.Name)))


def calculate(text: str, values: Mapping[str, Any]) -> Any:
    """The value of an expression, in the arithmetic of what is given: floats, fractions (exact), arrays (elementwise).

    Raises:
        UsageError: a variable has no value.
        ZeroDivisionError: it divides by 0 (arrays give infinities).

    >>> calculate("(x + 0.1) / 3", {"x": Fraction(1, 5)})
    Fraction(1, 10)
    """
    exact = all(isinstance(value, Fraction | int) for value in values.values())

    def value(tree: ast.expr) -> Any:
        match tree:
            case ast.Constant(value=int() | float() as number):
                return Fraction(str(number)) if exact else float(number)
            case ast.Name(id=name):
                if name not in values:
                    raise UsageError(f"{name} in {text[:60]!r} has no value")
                return values[name]
            case ast.UnaryOp(op=op, operand=inner):
                return -value(inner) if isinstance(op, ast.USub) else value(inner)
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int(power))):
                return value(left) ** power
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATORS[type(op)](value(left), value(right))
        raise AssertionError(tree)

    return value(parse(text))


def linear(text: str) -> tuple[dict[str, Fraction], Fraction] | None:
    """Coefficients and constant of a linear expression; None for one that is not.

    >>> coefficients, constant = linear("2*(x + 3) - y/4")
    >>> {name: str(value) for name, value in coefficients.items()}, str(constant)
    ({'x': '2', 'y': '-1/4'}, '6')
    >>> linear("x*y") is None
    True
    """
    return _linear(parse(text))


_Linear = tuple[dict[str, Fraction], Fraction]


def _linear(tree: ast.expr) -> _Linear | None:
    match tree:
        case ast.Constant(value=int() | float() as number):
            return {}, Fraction(str(number))
        case ast.Name(id=name):
            return {name: Fraction(1)}, Fraction(0)
        case ast.UnaryOp(op=op, operand=inner):
            return _times(_linear(inner), Fraction(-1 if isinstance(op, ast.USub) else 1))
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _linear(left), _linear(right)
            if a is None or b is None:
                return None
            match op:
                case ast.Add():
                    return _plus(a, b)
                case ast.Sub():
                    return _plus(a, _times(b, Fraction(-1)) or b)
                case ast.Mult() if not a[0]:
                    return _times(b, a[1])
                case ast.Mult() if not b[0]:
                    return _times(a, b[1])
                case ast.Div() if not b[0] and b[1]:
                    return _times(a, 1 / b[1])
                case ast.Pow() if not a[0] or b[1] == 1:
                    return a if b[1] == 1 else ({}, a[1] ** int(b[1]))
    return None


def _times(part: _Linear | None, factor: Fraction) -> _Linear | None:
    return part and ({name: value * factor for name, value in part[0].items()}, part[1] * factor)


def _plus(a: _Linear, b: _Linear) -> _Linear:
    joined = {name: a[0].get(name, Fraction(0)) + b[0].get(name, Fraction(0)) for name in {**a[0], **b[0]}}
    return joined, a[1] + b[1]


def total(terms: Iterable[tuple[Any, str]]) -> str:
    """A sum as text, from coefficients and what they multiply.

    >>> total([(3, "x"), (1, "y"), (-0.5, "z*x"), (0, "w")])
    '3*x + y - 0.5*z*x'
    """
    told = ""
    for factor, name in terms:
        if not factor:
            continue
        size = abs(factor)
        term = name if size == 1 else f"{size:g}*{name}" if isinstance(size, float) else f"{size}*{name}"
        sign = "-" if factor < 0 else "+"
        told += f" {sign} {term}" if told else f"-{term}" if factor < 0 else term
    return told or "0"
