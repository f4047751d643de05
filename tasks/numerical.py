"""Find the numbers that make a random calculation give its target, told only "larger" or "smaller".

After the numerical problems of the Trace paper (Cheng, Nie and Swaminathan 2024, https://arxiv.org/abs/2406.16218,
section 5): a random graph of arithmetic operations, and an optimizer that sees the direction of the error.
"""

from __future__ import annotations

import math
import operator
import random
from collections.abc import Callable
from typing import Any

from agentopt import Example, Feedback, UsageError, task
from agentopt.evaluate import SplitSpec

Step = list[Any]
"""An operation and its two operands: names (x, y, z, or v0, v1, ... of earlier steps) or whole numbers."""

PROBLEMS = 24
BOUND = 20
"""x, y and z are whole numbers from -20 to 20."""
LARGEST = 2000
"""No value of a calculation is further from 0 than this at the start and at the solution."""

PLAIN: dict[str, Callable[[float, float], float]] = {"add": operator.add, "sub": operator.sub, "mul": operator.mul}
HIDDEN: dict[str, Callable[[float, float], float]] = {
    "blend": lambda a, b: (3 * a + b) / 4,
    "stretch": lambda a, b: a * abs(a) / 4 + b,
}
"""Operations of which an optimizer sees the documentation alone; ``graphs/arithmetic.py`` has them as nodes."""


def compute(program: list[Step], values: dict[str, int]) -> list[float]:
    """The values of all steps.

    >>> compute([["add", "x", 2], ["mul", "v0", "y"]], {"x": 1, "y": 4})
    [3, 12]
    """
    known: dict[str, float] = dict(values)
    for i, (name, left, right) in enumerate(program):
        a, b = (known[o] if isinstance(o, str) else o for o in (left, right))
        known[f"v{i}"] = {**PLAIN, **HIDDEN}[name](a, b)
    return [known[f"v{i}"] for i in range(len(program))]


def draw_program(draw: random.Random, names: list[str], steps: int, hidden: bool) -> list[Step]:
    """A random calculation in which every name has a say in the last value."""
    program: list[Step] = []
    loose: list[str] = list(names)
    operations = [*PLAIN, *HIDDEN] if hidden else list(PLAIN)
    while len(loose) > 1 or len(program) < steps:
        left = loose.pop(draw.randrange(len(loose)))
        enough = steps - len(program) <= len(loose)
        if loose and (enough or draw.random() < 0.5):
            right: str | int = loose.pop(draw.randrange(len(loose)))
        else:
            right = draw.choice([n for n in names if n != left]) if draw.random() < 0.3 else draw.randint(2, 9)
        program.append([draw.choice(operations), left, right])
        loose.append(f"v{len(program) - 1}")
    return program


def draw_problem(problem: int, hidden: bool) -> dict[str, Any]:
    """Program, start, solution and target of one problem: a function of its number."""
    draw = random.Random(f"numerical/{problem}/{hidden}")
    names = ["x", "y", "z"][: 2 + problem % 2]
    while True:
        program = draw_program(draw, names, draw.randint(len(names), len(names) + 3), hidden)
        start, solution = ({n: draw.randint(-BOUND, BOUND) for n in names} for _ in range(2))
        here, there = compute(program, start), compute(program, solution)
        moves = all(compute(program, {**solution, n: solution[n] + 1})[-1] != there[-1] for n in names)
        far = abs(here[-1] - there[-1]) >= 10
        if moves and far and max(map(abs, here + there)) <= LARGEST:
            return {"program": program, "start": start, "solution": solution, "target": there[-1]}


def closeness(example: Example, output: object) -> Feedback:
    """1 at the target, falling with the logarithm of the distance to 0 at a distance of 2000; says the direction."""
    if isinstance(output, bool) or not isinstance(output, int | float) or not math.isfinite(output):
        return Feedback(score=0.0, text=f"The output should be a number; it is {output!r:.80}.")
    assert isinstance(example.target, int | float)
    error = output - example.target
    if abs(error) < 1e-6:
        return Feedback(score=1.0, text="The output is right.")
    score = max(0.0, 1 - math.log1p(abs(error)) / math.log1p(LARGEST))
    return Feedback(score=score, text=f"The output should be {'smaller' if error > 0 else 'larger'}.")


@task(version=1, split=SplitSpec(search=1, validation=0, test=0))
def numerical(problem: int = 0, hidden: bool = False) -> object:
    """Choose whole numbers such that the program's output is right.

    One problem is one example: there is nothing to generalise to, so there is no test split.

    Args:
        problem: which one, from 0.
        hidden: with operations that are documented but cannot be looked into.
    """
    if not 0 <= problem < PROBLEMS:
        raise UsageError(f"task numerical: problem={problem}; there are {PROBLEMS}, counted from 0")
    drawn = draw_problem(problem, hidden)
    meta = {"start": drawn["start"], "solution": drawn["solution"]}
    return [Example(input={"program": drawn["program"]}, target=drawn["target"], meta=meta)], closeness
