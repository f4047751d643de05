"""Nonlinear problems in real numbers whose solution is known in closed form: shapes, a place, a portfolio."""

from __future__ import annotations

import itertools
import random

import numpy as np

from agentopt.problems.expressions import total
from agentopt.problems.formulation import Variable
from agentopt.problems.scenarios.words import CITIES
from agentopt.problems.story import Level, Step, Story, Table, each, listing, money, told

__all__ = ["box", "fence", "meeting_point", "portfolio"]


def fence(draw: random.Random, level: Level) -> Story:
    """A rectangle beside a wall, with partitions: the largest area that a budget buys.

    With cost ``a`` along the wall and ``b`` across it, ``k`` times, half of the budget goes into each.
    """
    parts = level.count(draw, 1, 6)
    along, across = draw.randint(2, 9), draw.randint(2, 9)
    sides = parts + 1
    unit = 2 * along * across * sides
    budget = unit * draw.randint(2, 6)  # an area of at most 20,000, which solvers bring to 1e-4
    place = draw.choice(
        ("A farmer fences a field along a straight river", "A school fences a yard along a straight wall")
    )
    inner = "" if parts == 1 else f" and divides it into {parts} equal parts by fences at right angles to it"
    ask = "Which dimensions give the largest total area?"
    prices = (
        f"The fence that runs parallel to it costs {money(along)} a meter, and every fence at right angles to it costs "
        f"{money(across)} a meter."
    )
    return Story(
        f"{place}, which needs no fence,{inner}. The field is a rectangle." if parts > 1 else
        f"{place}, which needs no fence. The field is a rectangle.",
        (Variable(name="length", meaning="The length along the river or wall in meters"),
         Variable(name="width", meaning="The width at right angles to it in meters")),
        "maximize", "length*width", "The total area in square meters",
        Step(f"{prices} {ask}", ("Maximize length*width",), f"The table has what a meter of fence costs. {ask}"),
        (Step(f"There is {money(budget)} for {sides + 1} stretches of fence: one parallel to it, and {sides} at right "
              f"angles.",
              (f"{along}*length + {sides * across}*width <= {budget}",)),),
        Table("Fence", ("Direction", "Cost ($ a meter)", "Stretches"),
              (("Parallel", str(along), "1"), ("At right angles", str(across), str(sides)))),
        {"length": budget / (2 * along), "width": budget / (2 * across * sides)},
    )  # fmt: skip


def box(draw: random.Random, level: Level) -> Story:
    """A box with a square base and a given volume at the lowest cost.

    With cost ``c`` for base and lid together and ``s`` for the sides, the side of the base is the cube root of
    ``2 * s * volume / c``, chosen to be whole.
    """
    lid = level.items[0] > 2 or draw.random() < 0.4
    while True:
        side, floor, top, wall = draw.randint(2, 12), draw.randint(2, 12), draw.randint(1, 9), draw.randint(1, 6)
        ends = floor + top if lid else floor
        if (ends * side) % (2 * wall) == 0:
            break
    height = ends * side // (2 * wall)
    volume, most = side * side * height, max(side, height) + draw.randint(3, 12)
    prices = (
        f"The base costs {money(floor)} a square decimeter and the four sides cost {money(wall)} a square decimeter."
    )
    if lid:
        prices += f" The lid, which is as large as the base, costs {money(top)} a square decimeter."
    objective = f"{floor}*side**2 + {f'{top}*side**2 + ' if lid else ''}{4 * wall}*side*height"
    rows = [("Base", told(floor)), ("Sides", told(wall)), *([("Lid", told(top))] if lid else [])]
    ask = "Which dimensions make the cheapest box?"
    return Story(
        f"A container with a square base {'and a lid' if lid else 'and an open top'} is to be built.",
        (Variable(name="side", meaning="The side of the base in decimeters", high=most),
         Variable(name="height", meaning="The height in decimeters", high=most)),
        "minimize", objective, "The cost",
        Step(f"{prices} {ask}", (f"Minimize {objective}",), f"The table has the cost of each part. {ask}"),
        (Step(f"It must hold {volume} cubic decimeters.", (f"side**2*height == {volume}",)),
         Step(f"It must fit through a door: no dimension may be more than {most} decimeters.", ())),
        Table("Parts", ("Part", "Cost ($ a square decimeter)"), tuple(rows)),
        {"side": float(side), "height": float(height)},
    )  # fmt: skip


def meeting_point(draw: random.Random, level: Level) -> Story:
    """The place with the least sum of weighted squared distances, on one side of a line.

    That is the weighted mean of the places or, where the line is in the way, its projection onto the line.
    """
    n = max(2, level.count(draw))
    towns = draw.sample(CITIES, n)
    xs, ys = draw.sample(range(40), n), draw.sample(range(40), n)
    weights = [draw.randint(1, 9) for _ in towns]
    mean = [sum(w * c for w, c in zip(weights, cs, strict=True)) / sum(weights) for cs in (xs, ys)]
    bound = round(sum(mean)) + draw.choice((-6, -4, -3, 3))
    over = max(0.0, (sum(mean) - bound) / 2)
    objective = " + ".join(
        f"{f'{w}*' if w > 1 else ''}((x - {a})**2 + (y - {b})**2)" for w, a, b in zip(weights, xs, ys, strict=True)
    )
    ask = (
        "Where should the depot be so that the sum, over all towns, of the trips times the squared distance is "
        "smallest?"
    )
    return Story(
        f"A depot is to be built for the towns {listing(towns)}. Places are given by kilometers east and north of a "
        "crossing.",
        (Variable(name="x", meaning="The kilometers east of the crossing", low=None),
         Variable(name="y", meaning="The kilometers north of the crossing", low=None)),
        "minimize", objective, "The sum of trips times squared distances",
        Step(f"{each(towns, '{} is {} kilometers east and {} north and needs {} trips a day', xs, ys, weights)} {ask}",
             (f"Minimize {objective}",), f"The table has the place of each town and its trips a day. {ask}"),
        (Step(f"North-east of a railway nothing can be built: the kilometers east and north of the depot may add up "
              f"to at "
              f"most {bound}.", (f"x + y <= {bound}",)),),
        Table("Towns", ("Town", "East (km)", "North (km)", "Trips a day"),
              tuple(tuple(map(told, row)) for row in zip(towns, xs, ys, weights, strict=True))),
        {"x": mean[0] - over, "y": mean[1] - over},
    )  # fmt: skip


def portfolio(draw: random.Random, level: Level) -> Story:
    """Shares of a portfolio with the least variance for a wanted return: convex and quadratic."""
    n = level.count(draw, 2, 4)
    funds = draw.sample(("domestic shares", "foreign shares", "bonds", "property", "commodities"), n)
    names = [f.replace(" ", "_") for f in funds]
    returns = draw.sample(range(2, 15), n)
    spread = [draw.randint(10, 40) for _ in funds]
    shared = {(i, j): draw.randint(0, 3) for i, j in itertools.combinations(range(n), 2)}
    wanted = round(draw.uniform(min(returns) + 0.5, max(returns) - 0.5), 1)
    matrix = np.diag(np.array(spread, dtype=float))
    for (i, j), value in shared.items():
        matrix[i, j] = matrix[j, i] = value
    objective = total([
        *((s, f"{v}**2") for s, v in zip(spread, names, strict=True)),
        *((2 * value, f"{names[i]}*{names[j]}") for (i, j), value in shared.items()),
    ])  # fmt: skip
    pairs = "; ".join(f"{funds[i]} and {funds[j]}: {value}" for (i, j), value in shared.items())
    ask = (
        "Which shares of the money, as fractions, make the variance of the portfolio smallest? It is the sum of each "
        "variance "
        "times its fraction squared, and of twice each covariance times the two fractions."
    )
    shares = least_variance(matrix, np.array(returns, dtype=float), wanted)
    return Story(
        f"An investor divides all of the money among {listing(funds)}.",
        tuple(Variable(name=v, meaning=f"The fraction in {f}") for v, f in zip(names, funds, strict=True)),
        "minimize", objective, "The variance",
        Step(f"{each(funds, 'the return of {} is {} percent and the variance {}', returns, spread)} "
             f"The covariances are: {pairs}. {ask}", (f"Minimize {objective}",),
             f"The table has returns and variances. The covariances are: {pairs}. {ask}"),
        (
            Step("The fractions add up to 1.", (f"{total((1, v) for v in names)} == 1",)),
            Step(f"The return of the portfolio, the mean by fractions, must be at least {told(wanted)} percent.",
                 (f"{total(zip(returns, names, strict=True))} >= {told(wanted)}",)),
        ),
        Table("Investments", ("Investment", "Return (%)", "Variance"),
              tuple(tuple(map(told, row)) for row in zip(funds, returns, spread, strict=True))),
        dict(zip(names, shares, strict=True)),
    )  # fmt: skip


def least_variance(matrix: np.ndarray, returns: np.ndarray, wanted: float) -> list[float]:
    """The fractions of least variance, from all sets of investments with and without the return as an equation.

    The problem is convex, so the best of the stationary points that are feasible is its optimum.

    >>> least_variance(np.diag([1.0, 1.0]), np.array([1.0, 3.0]), 2.5)
    [0.25, 0.75]
    """
    n, best, found = len(returns), np.inf, np.full(len(returns), np.nan)
    for size in range(1, n + 1):
        for some in map(list, itertools.combinations(range(n), size)):
            for rows in (np.ones((1, size)), np.vstack([np.ones(size), returns[some]])):
                k = len(rows)
                system = np.block([[2 * matrix[np.ix_(some, some)], rows.T], [rows, np.zeros((k, k))]])
                right = np.concatenate([np.zeros(size), [1.0, wanted][:k]])
                try:
                    part = np.linalg.solve(system, right)[:size]
                except np.linalg.LinAlgError:
                    continue
                point = np.zeros(n)
                point[some] = part
                sound = part.min() >= -1e-12 and returns @ point >= wanted - 1e-9
                if sound and (worth := point @ matrix @ point) < best - 1e-12:
                    best, found = worth, point
    return [float(f"{x:.12g}") + 0.0 for x in found]
