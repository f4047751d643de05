"""A small table and a question that some of its rows answer."""

from __future__ import annotations

import random

from agentopt import Example, Feedback, task
from agentopt.evaluate import SplitSpec

CITIES = ("Oslo", "Lima", "Cairo", "Rome", "Delhi", "Quito")
NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lea")
ROWS = 6


def draw_table(draw: random.Random) -> tuple[str, list[int]]:
    """A table of six rows about three cities, two rows each, and the numbers of the city that is asked for."""
    cities = draw.sample(CITIES, ROWS // 2)
    places = draw.sample(cities * 2, ROWS)
    numbers = draw.sample(range(2, 60), ROWS)
    rows = list(zip(draw.sample(NAMES, ROWS), places, numbers, strict=True))
    asked = draw.choice(cities)
    table = "\n".join(f"{name} | {city} | {number}" for name, city, number in rows)
    text = f"name | city | orders\n{table}\nQuestion: which numbers of orders come from {asked}?"
    return text, [number for _, city, number in rows if city == asked]


def overlap(example: Example, output: object) -> Feedback:
    """The right numbers that were named, as a share of all right or named; says what is missing or too many."""
    assert isinstance(example.target, list)
    wanted = [n for n in example.target if isinstance(n, int)]
    if not isinstance(output, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in output):
        return Feedback(score=0.0, text=f"the output is {output!r:.80}, not a list of whole numbers")
    named = set(output)
    said = [f"{n} is missing" for n in wanted if n not in named]
    said += [f"{n} does not count" for n in sorted(named - set(wanted))]
    score = len(named & set(wanted)) / len(named | set(wanted))
    return Feedback(score=score, text="; ".join(said) or "correct")


@task(version=1, split=SplitSpec(search=0.25, validation=0.25, test=0.5))
def ledger(n: int = 200, seed: int = 0) -> object:
    """Find the numbers in the rows of a table that a question asks for.

    The score is the size of the intersection over the size of the union of the named and the right numbers.
    """
    draw = random.Random(f"ledger/{seed}")
    examples: dict[str, Example] = {}
    while len(examples) < n:
        text, numbers = draw_table(draw)
        examples[text] = Example(input=text, target=list(numbers))
    return list(examples.values()), overlap
