"""Make a Python function faster: five functions, each judged beside an expert's program that nobody is shown."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from agentopt import Example, Task, task
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.speed import speed_score

Name = Literal["primes", "pairs", "window", "medians", "overlaps"]


class Problem(NamedTuple):
    """A function: its name, what it must do, an expert's program, and arguments of a size."""

    entry: str
    says: str
    expert: str
    arguments: Callable[[random.Random, int], list[Any]]
    size: int


def letters(rng: random.Random, n: int) -> str:
    """A text of few letters, in which windows without a repeat are short."""
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(n))


def spans(rng: random.Random, n: int) -> list[list[int]]:
    """Intervals, of which some overlap."""
    starts = [rng.randrange(20 * n) for _ in range(n)]
    return [[start, start + rng.randrange(1, 30)] for start in starts]


PROBLEMS: dict[str, Problem] = {
    "primes": Problem(
        "primes_below",
        "all prime numbers below n, in ascending order",
        """
def primes_below(n):
    if n < 3:
        return []
    sieve = bytearray([1]) * n
    sieve[0] = sieve[1] = 0
    for i in range(2, int(n ** 0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, n, i)))
    return [i for i, prime in enumerate(sieve) if prime]
""",
        lambda rng, size: [size + rng.randrange(size)],
        6000,
    ),
    "pairs": Problem(
        "count_pairs",
        "how many pairs of positions i < j have values that add up to total",
        """
def count_pairs(values, total):
    seen, found = {}, 0
    for value in values:
        found += seen.get(total - value, 0)
        seen[value] = seen.get(value, 0) + 1
    return found
""",
        lambda rng, size: [[rng.randrange(size) for _ in range(size)], size],
        700,
    ),
    "window": Problem(
        "longest_without_repeat",
        "the length of the longest piece of the text in which no character comes twice",
        """
def longest_without_repeat(text):
    last, start, best = {}, 0, 0
    for i, c in enumerate(text):
        if last.get(c, -1) >= start:
            start = last[c] + 1
        last[c] = i
        best = max(best, i - start + 1)
    return best
""",
        lambda rng, size: [letters(rng, size)],
        900,
    ),
    "medians": Problem(
        "moving_medians",
        "the median of each window of so many neighbouring values; width is odd",
        """
from bisect import bisect_left, insort


def moving_medians(values, width):
    window = sorted(values[:width])
    found = [window[width // 2]] if len(values) >= width else []
    for old, new in zip(values, values[width:]):
        del window[bisect_left(window, old)]
        insort(window, new)
        found.append(window[width // 2])
    return found
""",
        lambda rng, size: [[rng.randrange(10 * size) for _ in range(size)], 2 * (size // 8) + 1],
        500,
    ),
    "overlaps": Problem(
        "merge_spans",
        "the spans [start, end], merged where they overlap or touch, by ascending start",
        """
def merge_spans(spans):
    found = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1][1] = max(found[-1][1], end)
        else:
            found.append([start, end])
    return found
""",
        lambda rng, size: [spans(rng, size)],
        250,
    ),
}


@task(version=1)
def faster(name: Name = "primes", n: int = 24, pairs: int = 4) -> Task:
    """Make a function faster without changing what it returns. Works with the graphs ``faster_primes`` and so on.

    An example is a seed for inputs of a size; each run gets inputs of its own. A wrong output scores 0; else the score
    is 0.5 for the speed of an expert's program and a quarter more or less for every factor of ten, where a difference
    is shown.

    Args:
        name: primes, pairs, window, medians or overlaps.
        n: how many examples.
        pairs: runs of either program for an example, in turns.
    """
    problem = PROBLEMS[name]

    def cases(example: Example, number: int) -> list[list[Any]]:
        """Edge cases first, then inputs of the example's size."""
        given: Any = example.input
        rng = random.Random(f"{name}/{given['seed']}/{number}")
        small = [problem.arguments(rng, size) for size in (1, 2, 3, 5, 9)]
        return [*small, *(problem.arguments(rng, given["size"]) for _ in range(3))]

    examples = [
        Example(id=f"{name}-{seed}", input={"seed": seed, "size": problem.size + problem.size * seed // (2 * n)})
        for seed in range(n)
    ]
    return Task(
        f"faster_{name}",
        examples,
        speed_score(problem.expert.strip() + "\n", problem.entry, cases, pairs=pairs),
        objective=f"Make {problem.entry} faster. It returns {problem.says}; what it returns must stay the same.",
        split=SplitSpec(search=0.25, validation=0.25, test=0.5),
    )
