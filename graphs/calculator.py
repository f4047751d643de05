"""Arithmetic on text, for the graphs that let a model write a calculation and a program do it."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
SIGNS = {"\\times": "*", "\\cdot": "*", "\\div": "/", "×": "*", "·": "*", "÷": "/", "−": "-", "\u2013": "-"}
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")


class NotArithmetic(ValueError):
    """A text that is no expression of numbers, + - * / and parentheses."""


def compute(expression: str) -> float:
    """The value of an arithmetic expression.

    Raises:
        ValueError: it divides by zero.
        NotArithmetic: it is none.

    >>> compute("-(3 - 5) / 2"), compute("1,000 × 3")
    (1.0, 3000.0)
    """
    try:
        return float(value(ast.parse(plain(expression), mode="eval").body))
    except ZeroDivisionError:
        raise ValueError(f"{expression!r} divides by zero") from None
    except (SyntaxError, KeyError, ValueError, RecursionError, MemoryError, OverflowError):
        raise NotArithmetic(
            f"{expression[:80]!r} is no arithmetic expression of numbers, + - * / and parentheses"
        ) from None


def plain(expression: str) -> str:
    """An expression without signs of print and commas between thousands."""
    for sign, usual in SIGNS.items():
        expression = expression.replace(sign, usual)
    return THOUSANDS.sub("", expression).strip()


def value(tree: ast.expr) -> float:
    """The value of a parsed expression; a ``KeyError`` for anything but numbers and the four operations."""
    match tree:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return number
        case ast.BinOp(left=left, op=op, right=right):
            return OPERATORS[type(op)](value(left), value(right))
        case ast.UnaryOp(op=op, operand=operand):
            return OPERATORS[type(op)](value(operand))
    raise KeyError(type(tree).__name__)
