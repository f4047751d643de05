"""An agent for prices in words: the model writes the calculation, a program does it.

What may change: the words of the request (``cashier``), and how many worked examples come before it (``shots``).
"""

from __future__ import annotations

import re

from agentopt import allm, graph, node, prompt
from agentopt.workspace import read_worked, shots, worked_turns

from .calculator import NotArithmetic, compute, plain

REQUEST = prompt("agents/cashier")
WORKED = read_worked("agents/cashier_worked")
SHOTS = shots(WORKED)
worked = worked_turns(WORKED)

NOISE = re.compile(r"```\w*|\\[()\[\]]|[`€$]|\beuros?\b", re.IGNORECASE)
LABEL = re.compile(r"^\s*(?:answer|expression|price|total)\s*[:=]", re.IGNORECASE)


@node
def calculate(reply: str) -> float:
    """Compute the arithmetic expression in the reply's last line; of 'a + b = c' the side with the operation."""
    try:
        return compute(tidy(reply))
    except NotArithmetic:
        raise ValueError(
            f"{reply.strip()[:80]!r} does not end with an arithmetic expression of numbers, + - * / and parentheses"
        ) from None


def tidy(reply: str) -> str:
    """The last line of a reply without labels, code fences, currency and LaTeX signs."""
    lines = [line.strip() for line in NOISE.sub("", plain(reply)).splitlines() if line.strip()]
    line = LABEL.sub("", lines[-1]) if lines else ""
    left, *right = line.split("=")
    return (left if not right or re.search(r"\d\s*[-+*/]", left) else right[-1]).strip()


@graph
async def cashier(problem: str) -> float:
    """Ask for the calculation, and compute it."""
    reply = await allm(REQUEST, problem=problem, messages=worked(REQUEST, SHOTS), max_tokens=48)
    return calculate(reply)
