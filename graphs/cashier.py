"""An agent for prices in words: the model writes the calculation, a program does it.

What may change: the words of the request (``cashier``), and how many worked examples come before it (``shots``).
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

from agentopt import allm, graph, node, prompt
from agentopt.workspace import read_worked, shots, worked_turns

REQUEST = prompt("agents/cashier")
WORKED = read_worked("agents/cashier_worked")
SHOTS = shots(WORKED)
worked = worked_turns(WORKED)

OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
SIGNS = {"\\times": "*", "\\cdot": "*", "\\div": "/", "×": "*", "·": "*", "÷": "/", "−": "-", "\u2013": "-"}
NOISE = re.compile(r"```\w*|\\[()\[\]]|[`€$]|\beuros?\b", re.IGNORECASE)
LABEL = re.compile(r"^\s*(?:answer|expression|price|total)\s*[:=]", re.IGNORECASE)


@node
def calculate(reply: str) -> float:
    """Compute the arithmetic expression in the reply's last line; of 'a + b = c' the side with the operation."""
    expression = tidy(reply)
    try:
        return float(value(ast.parse(expression, mode="eval").body))
    except ZeroDivisionError:
        raise ValueError(f"{expression!r} divides by zero") from None
    except (SyntaxError, KeyError, RecursionError, OverflowError):
        raise ValueError(
            f"{reply.strip()[:80]!r} does not end with an arithmetic expression of numbers, + - * / and parentheses"
        ) from None


def tidy(reply: str) -> str:
    """The last line of a reply without labels, code fences, currency and LaTeX signs."""
    for sign, plain in SIGNS.items():
        reply = reply.replace(sign, plain)
    lines = [line.strip() for line in NOISE.sub("", reply).splitlines() if line.strip()]
    line = LABEL.sub("", lines[-1]) if lines else ""
    left, *right = line.split("=")
    return (left if not right or re.search(r"\d\s*[-+*/]", left) else right[-1]).strip()


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


@graph
async def cashier(problem: str) -> float:
    """Ask for the calculation, and compute it."""
    reply = await allm(REQUEST, problem=problem, messages=worked(REQUEST, SHOTS), max_tokens=48)
    return calculate(reply)
