"""What to make, and when: product mix, machines that must be rented, plans over months, rolls to cut."""

from __future__ import annotations

import random

from agentopt.problems.expressions import total
from agentopt.problems.formulation import Variable
from agentopt.problems.scenarios.words import theme
from agentopt.problems.story import Level, Step, Story, Table, each, listing, money, slug, told

__all__ = ["cutting", "fixed_charge", "planning", "production"]


def production(draw: random.Random, level: Level) -> Story:
    """A product mix: whole numbers of products, profits, and resources that they share."""
    about, n = theme(draw), level.count(draw)
    items = draw.sample(about.items, n)
    ones, many = [one for one, _ in items], [several for _, several in items]
    names = [slug(several) for several in many]
    profits = [level.number(draw, 8, 60) for _ in items]
    planned = [draw.randint(6, 25) for _ in items]
    limits, columns = [], []
    for what, unit in draw.sample(about.resources, min(len(about.resources), max(2, draw.randint(*level.limits)))):
        uses = [level.number(draw, 1, 9) for _ in items]
        there = round(sum(u * p for u, p in zip(uses, planned, strict=True)) * draw.uniform(0.7, 1.1))
        limits.append(
            Step(
                f"{each(ones, f'each {{}} needs {{}} {unit} of {what}', uses)} There are {there} {unit} of {what}.",
                (f"{total(zip(uses, names, strict=True))} <= {there}",),
                f"There are {there} {unit} of {what}.",
            )
        )
        columns.append((f"{what} ({unit})", uses))
    first, cap = draw.randrange(n), draw.randint(4, 20)
    wording = draw.choice(("At most {} {} can be sold.", "The market takes no more than {} {}."))
    limits.append(Step(wording.format(cap, many[first]), (f"{names[first]} <= {cap}",)))
    ask = draw.choice(
        ("How many of each should it make for the largest total profit?",
         "It wants to know how many of each to make so that the total profit is as large as possible.")
    )  # fmt: skip
    return Story(
        f"{about.maker} makes {listing(many)}. It makes whole pieces only.",
        tuple(Variable(name=v, meaning=f"The number of {m}", kind="integer") for v, m in zip(names, many, strict=True)),
        "maximize", total(zip(profits, names, strict=True)), "The total profit",
        Step(
            f"{each(ones, 'each {} brings a profit of ${}', profits)} {ask}",
            (f"Maximize {total(zip(profits, names, strict=True))}",),
            f"Profits, and what each piece needs, are in the table. {ask}",
        ),
        tuple(limits),
        Table(
            "Profit and needs of each piece", ("Product", "Profit ($)", *(c for c, _ in columns)),
            tuple((m, told(p), *(told(c[i]) for _, c in columns))
                  for i, (m, p) in enumerate(zip(ones, profits, strict=True))),
        ),
    )  # fmt: skip


def fixed_charge(draw: random.Random, level: Level) -> Story:
    """Products that each need a machine, which is rented or not."""
    about, n = theme(draw), level.count(draw)
    items = draw.sample(about.items, n)
    many = [several for _, several in items]
    names = [slug(several) for several in many]
    rented = [f"rent_{name}" for name in names]
    profits = [draw.randint(6, 30) for _ in items]
    rents = [draw.randint(4, 12) * 10 for _ in items]
    most = [draw.randint(8, 30) for _ in items]
    hours = [level.number(draw, 1, 5) for _ in items]
    there = round(sum(h * m for h, m in zip(hours, most, strict=True)) * draw.uniform(0.45, 0.75))
    objective = total([*zip(profits, names, strict=True), *((-r, v) for r, v in zip(rents, rented, strict=True))])
    ask = "Which machines should it rent, and how many of each product should it make, for the largest weekly profit?"
    sentence = "machines for {} cost ${} a week to rent, and each piece then brings ${}"
    return Story(
        f"{about.maker} can make {listing(many)}. Each product needs a machine of its own, which is rented by the "
        f"week.",
        (
            *(Variable(name=v, meaning=f"The number of {m}", kind="integer") for v, m in zip(names, many, strict=True)),
            *(Variable(name=v, meaning=f"Whether the machine for {m} is rented", kind="binary")
              for v, m in zip(rented, many, strict=True)),
        ),
        "maximize", objective, "The weekly profit",
        Step(f"{each(many, sentence, rents, profits)} {ask}", (f"Maximize {objective}",),
             f"The table has the weekly rent of each machine and what each piece brings. {ask}"),
        (
            Step(
                f"{each(many, 'with its machine, at most {1} {0} can be made in a week', most)}",
                tuple(f"{v} <= {m}*{r}" for v, m, r in zip(names, most, rented, strict=True)),
                "The table also has how many of each can be made in a week with its machine.",
            ),
            Step(
                f"{each(many, '{} take {} hours of work apiece', hours)} There are {there} hours of work in a week.",
                (f"{total(zip(hours, names, strict=True))} <= {there}",),
                f"The hours of work of each piece are in the table, and there are {there} hours of work in a week.",
            ),
        ),
        Table("Machines and products",
              ("Product", "Rent a week ($)", "Brings ($ a piece)", "Most a week", "Hours a piece"),
              tuple(tuple(map(told, row)) for row in zip(many, rents, profits, most, hours, strict=True))),
    )  # fmt: skip


def planning(draw: random.Random, level: Level) -> Story:
    """Months with demands, costs that change, and a store between them."""
    months = ("January", "February", "March", "April", "May", "June")
    n = level.count(draw, 3)
    thing = draw.choice(("pumps", "bicycles", "heaters", "tents", "engines"))
    demands = [draw.randint(20, 90) for _ in range(n)]
    costs = draw.sample(range(11, 45), n)
    cap = max(max(demands[: i + 1]) for i in range(n)) + draw.randint(-8, 12)
    cap = max(cap, *(-(-sum(demands[: i + 1]) // (i + 1)) for i in range(n)))
    keep = draw.choice((1.5, 2, 2.5, 3, 4))
    names = months[:n]
    made, left = [f"made_{m}" for m in names], [f"stored_{m}" for m in names[:-1]]
    objective = total([*zip(costs, made, strict=True), *((keep, v) for v in left)])
    balance = []
    for i, demand in enumerate(demands):
        before, after = left[i - 1] if i else "", left[i] if i < n - 1 else ""
        balance.append(f"{before + ' + ' if before else ''}{made[i]} == {demand}{' + ' + after if after else ''}")
    ask = f"How many {thing} should be made each month so that the total cost is smallest?"
    return Story(
        f"A factory plans its production of {thing} from {names[0]} to {names[-1]}. Nothing is in store at the "
        f"beginning.",
        (
            *(Variable(name=v, meaning=f"The number of {thing} made in {m}", kind="integer")
              for v, m in zip(made, names, strict=True)),
            *(Variable(name=v, meaning=f"The number of {thing} stored at the end of {m}", kind="integer")
              for v, m in zip(left, names, strict=False)),
        ),
        "minimize", objective, "The total cost",
        Step(
            f"{each(names, 'in {} one costs ${} to make', costs)} Each one that is stored from a month to the next "
            f"costs {money(keep)}. {ask}",
            (f"Minimize {objective}",),
            f"The table has what one costs to make in each month. Each one that is stored from a month to the next "
            f"costs {money(keep)}. {ask}",
        ),
        (
            Step(f"The demand must be met each month: "
                 f"{listing([f'{d} in {m}' for m, d in zip(names, demands, strict=True)])}. "
                 "Nothing is left at the end.",
                 tuple(balance), "The demand of each month, in the table, must be met. Nothing is left at the end."),
            Step(f"At most {cap} can be made in a month.", tuple(f"{v} <= {cap}" for v in made)),
        ),
        Table("Cost and demand", ("Month", "Cost of making one ($)", "Demand"),
              tuple(tuple(map(told, row)) for row in zip(names, costs, demands, strict=True))),
    )  # fmt: skip


def cutting(draw: random.Random, level: Level) -> Story:
    """Rolls that are cut by patterns; the fewest rolls, waste aside."""
    thing, unit = draw.choice((("rolls of paper", "centimeters"), ("steel bars", "decimeters"), ("planks", "inches")))
    width = draw.choice((60, 75, 90, 100, 120))
    pieces = sorted(draw.sample(range(width // 6, width // 2 + 4), min(3, level.count(draw))))
    demands = [draw.randint(12, 60) for _ in pieces]
    patterns = _patterns(width, pieces)
    draw.shuffle(patterns)
    needed = [next(p for p in patterns if p[i]) for i in range(len(pieces))]
    chosen = list(dict.fromkeys([*needed, *patterns]))[: max(3, min(6, level.count(draw) + 2))]
    prices = [draw.randint(20, 60) for _ in chosen]
    names = [f"pattern_{i}" for i in range(1, len(chosen) + 1)]
    made = [listing([f"{k} of {p}" for k, p in zip(pattern, pieces, strict=True) if k]) for pattern in chosen]
    ask = f"How many {thing} should be cut by each pattern so that the total cost is smallest?"
    return Story(
        f"A mill cuts {thing} of {width} {unit} into shorter pieces. It has {len(chosen)} cutting patterns.",
        tuple(Variable(name=v, meaning=f"The number of {thing} cut by pattern {i}", kind="integer")
              for i, v in enumerate(names, 1)),
        "minimize", total(zip(prices, names, strict=True)), "The total cost",
        Step(
            f"{each(range(1, len(names) + 1), 'pattern {} costs ${} a cut', prices)} {ask}",
            (f"Minimize {total(zip(prices, names, strict=True))}",),
            f"The table has the cost of a cut by each pattern. {ask}",
        ),
        (
            Step(
                f"{each(range(1, len(names) + 1), f'a cut by pattern {{}} gives {{}} {unit}', made)} At least "
                f"{listing([f'{d} pieces of {p} {unit}' for d, p in zip(demands, pieces, strict=True)])} are needed.",
                tuple(f"{total((pattern[i], v) for pattern, v in zip(chosen, names, strict=True))} >= {demand}"
                      for i, demand in enumerate(demands)),
                f"The table has the pieces that a cut gives. At least "
                f"{listing([f'{d} pieces of {p} {unit}' for d, p in zip(demands, pieces, strict=True)])} are needed.",
            ),
        ),
        Table("Cutting patterns", ("Pattern", "Cost of a cut ($)", *(f"Pieces of {p} {unit}" for p in pieces)),
              tuple((str(i), str(c), *map(str, p)) for i, (c, p) in enumerate(zip(prices, chosen, strict=True), 1))),
    )  # fmt: skip


def _patterns(width: int, pieces: list[int]) -> list[tuple[int, ...]]:
    """Numbers of pieces that fit a roll with too little left for another."""
    found: list[tuple[int, ...]] = [()]
    for piece in pieces:
        found = [
            (*pattern, k)
            for pattern in found
            for k in range((width - sum(c * p for c, p in zip(pattern, pieces, strict=False))) // piece + 1)
        ]
    return [p for p in found if width - sum(c * q for c, q in zip(p, pieces, strict=True)) < min(pieces)]
