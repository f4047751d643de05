"""Word problems to be written as linear programs, judged by whether the problem is the same and not by its optimum."""

from __future__ import annotations

import random
from collections.abc import Callable

from agentopt import Example, task
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.equivalence import equivalent_to

Drawn = tuple[str, str]
"""A word problem and its formulation."""


def workshop(draw: random.Random) -> Drawn:
    one, other = draw.choice((("chairs", "tables"), ("lamps", "clocks"), ("bags", "belts"), ("kites", "drums")))
    a, b, hours, c, d, kilos = (draw.randint(*ends) for ends in ((2, 6), (2, 6), (40, 90), (1, 4), (1, 4), (30, 60)))
    p, q = draw.sample(range(5, 30), 2)
    words = (
        f"A workshop makes {one} and {other}. Each of the {one} takes {a} hours and {c} kilograms of material and "
        f"earns {p} euros; each of the {other} takes {b} hours and {d} kilograms and earns {q} euros. There are "
        f"{hours} hours and {kilos} kilograms. Only whole pieces can be sold. How many of each make the most money?"
    )
    return words, (
        f"max {p} {one} + {q} {other}\n{a} {one} + {b} {other} <= {hours}\n{c} {one} + {d} {other} <= {kilos}\n"
        f"{one}, {other} >= 0\nint {one}, {other}"
    )


def diet(draw: random.Random) -> Drawn:
    one, other = draw.choice((("oats", "beans"), ("rice", "lentils"), ("hay", "corn"), ("seeds", "fruit")))
    a, b, protein, c, d, iron = (draw.randint(*ends) for ends in ((3, 9), (3, 9), (40, 80), (1, 5), (1, 5), (15, 30)))
    p, q = draw.sample(range(2, 12), 2)
    most = draw.randint(20, 40)
    words = (
        f"A kilogram of {one} costs {p} euros and has {a} units of protein and {c} of iron; a kilogram of {other} "
        f"costs {q} euros and has {b} units of protein and {d} of iron. At least {protein} units of protein and "
        f"{iron} of iron are needed, and at most {most} kilograms can be stored in all. Any part of a kilogram can be "
        "bought. How much of each costs the least?"
    )
    return words, (
        f"min {p} {one} + {q} {other}\n{a} {one} + {b} {other} >= {protein}\n{c} {one} + {d} {other} >= {iron}\n"
        f"{one} + {other} <= {most}\n{one}, {other} >= 0"
    )


def transport(draw: random.Random) -> Drawn:
    one, other = draw.choice((("vans", "trucks"), ("boats", "ferries"), ("carts", "wagons"), ("bikes", "cars")))
    a, b, load = draw.randint(2, 6), draw.randint(8, 20), draw.randint(90, 160)
    p, q = draw.randint(10, 30), draw.randint(40, 90)
    most, times = draw.randint(3, 9), draw.randint(2, 4)
    words = (
        f"Goods of {load} tons are to be moved by {one}, which take {a} tons and cost {p} euros each, and {other}, "
        f"which take {b} tons and cost {q} euros each. There are at most {most} {other}, and the number of {one} must "
        f"be at least {times} times the number of {other}. How many of each, in whole numbers, cost the least?"
    )
    return words, (
        f"min {p} {one} + {q} {other}\n{a} {one} + {b} {other} >= {load}\n{other} <= {most}\n"
        f"{one} >= {times} {other}\n{one}, {other} >= 0\nint {one}, {other}"
    )


def savings(draw: random.Random) -> Drawn:
    one, other = draw.choice((("bonds", "shares"), ("loans", "funds"), ("gold", "land"), ("notes", "stocks")))
    total, low = draw.randint(20, 90) * 100, draw.randint(2, 9) * 100
    p, q = draw.sample(range(2, 12), 2)
    part = draw.choice((20, 25, 30, 40))
    words = (
        f"At most {total} euros are put into {one} and {other}. A euro in {one} brings {p} cents a year, a euro in "
        f"{other} {q} cents. At least {part} percent of all money that is put in must be in {one}, and at least {low} "
        f"euros in {other}. How much in each brings the most cents?"
    )
    return words, (
        f"max {p} {one} + {q} {other}\n{one} + {other} <= {total}\n{one} >= {part}/100 * ({one} + {other})\n"
        f"{other} >= {low}\n{one}, {other} >= 0"
    )


KINDS: dict[str, Callable[[random.Random], Drawn]] = {f.__name__: f for f in (workshop, diet, transport, savings)}


@task(version=1, split=SplitSpec(search=0.25, validation=0.25, test=0.5))
def formulations(n: int = 120, seed: int = 0, level: int = 3, ask: bool = False) -> object:
    """Write a word problem as a linear program with two variables: objective, constraints, signs, whole numbers.

    The score is 1 when the program is shown to be the same problem as the reference, whatever the names and the order,
    else 0 and a point that tells them apart. The target is the reference; four kinds are groups of the splits.

    ``level`` and ``ask`` are those of ``equivalent_to``: 1 compares optimal values, 2 optima under maps, 3 feasible
    sets and objectives; with ``ask`` the judge's model is asked for maps where none is found without it.
    """
    draw, kinds = random.Random(f"formulations/{seed}"), list(KINDS)
    examples: dict[str, Example] = {}
    while len(examples) < n:
        kind = kinds[len(examples) % len(kinds)]
        words, reference = KINDS[kind](draw)
        examples.setdefault(words, Example(input=words, target=reference, group=kind))
    return list(examples.values()), equivalent_to(level=level, ask=ask)
