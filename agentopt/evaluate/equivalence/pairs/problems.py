"""Small linear and mixed-integer programs, drawn: the families that word problems are made of."""

from __future__ import annotations

import random
from collections.abc import Callable

from agentopt.evaluate.equivalence.draws import Range, Template

__all__ = ["FAMILIES", "draw_problem"]


class _Text:
    """Lines of a template, and its parameters, drawn as they are named."""

    def __init__(self, draw: random.Random) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.parameters: dict[str, int] = {}
        self.ranges: dict[str, Range] = {}

    def number(self, name: str, low: int, high: int) -> str:
        """A parameter between two ends."""
        self.parameters[name] = self.draw.randint(low, high)
        self.ranges[name] = Range.model_validate({"low": low, "high": high})
        return name

    def total(self, letter: str, names: list[str], low: int, high: int) -> str:
        """A sum with drawn coefficients."""
        return " + ".join(f"{self.number(f'{letter}{i}', low, high)} * {x}" for i, x in enumerate(names, 1))

    def made(self) -> Template:
        """The template."""
        return Template.model_validate(
            {"text": "\n".join(self.lines), "parameters": self.parameters, "ranges": self.ranges}
        )


def _names(draw: random.Random, low: int, high: int) -> list[str]:
    return [f"x{i}" for i in range(1, draw.randint(low, high) + 1)]


def packing(draw: random.Random) -> Template:
    """Products that share resources: profit is to be large. Bounded."""
    t, xs = _Text(draw), _names(draw, 2, 4)
    t.lines.append(f"max {t.total('Profit', xs, 3, 20)}")
    for j in range(draw.randint(2, 3)):
        t.lines.append(f"r{j}: {t.total(f'Use{j}_', xs, 1, 9)} <= {t.number(f'Room{j}', 25, 90)}")
    t.lines.append(f"{', '.join(xs)} >= 0")
    if draw.random() < 0.7:
        t.lines.append(f"int {', '.join(xs)}")
    return t.made()


def covering(draw: random.Random) -> Template:
    """Needs that are met at the least cost; without an end above, or with limits."""
    t, xs = _Text(draw), _names(draw, 2, 4)
    t.lines.append(f"min {t.total('Cost', xs, 2, 15)}")
    for j in range(draw.randint(2, 3)):
        t.lines.append(f"need{j}: {t.total(f'Gives{j}_', xs, 1, 8)} >= {t.number(f'Need{j}', 15, 60)}")
    if draw.random() < 0.6:
        t.lines += [f"0 <= {x} <= {t.number(f'Most{x}', 25, 60)}" for x in xs]
    t.lines.append(f"{', '.join(xs)} >= 0")
    if draw.random() < 0.6:
        t.lines.append(f"int {', '.join(xs)}")
    return t.made()


def blend(draw: random.Random) -> Template:
    """A mixture of a fixed amount with a quality: continuous, with an equality that all variables are in."""
    t, xs = _Text(draw), _names(draw, 3, 4)
    t.lines.append(f"min {t.total('Price', xs, 2, 12)}")
    t.lines.append(f"amount: {' + '.join(xs)} == {t.number('Amount', 40, 100)}")
    quality = " + ".join(f"{t.number(f'Share{i}', 10 * i, 10 * i + 15)} / 100 * {x}" for i, x in enumerate(xs, 1))
    t.lines.append(f"quality: {quality} >= {t.number('Least', 15, 22)} / 100 * Amount")
    t.lines.append(f"most: x1 <= {t.number('Part', 50, 80)} / 100 * Amount")
    t.lines.append(f"{', '.join(xs)} >= 0")
    return t.made()


def fleet(draw: random.Random) -> Template:
    """Two or three kinds of vehicle with a ratio between them and a budget."""
    t, xs = _Text(draw), _names(draw, 2, 3)
    t.lines.append(f"max {t.total('Carries', xs, 10, 50)}")
    t.lines.append(f"money: {t.total('Costs', xs, 3, 12)} <= {t.number('Budget', 60, 150)}")
    t.lines.append(f"ratio: {t.number('Share', 2, 4)} * {xs[0]} >= {xs[1]}")
    t.lines.append(f"people: {' + '.join(xs)} <= {t.number('Drivers', 10, 25)}")
    t.lines.append(f"{', '.join(xs)} >= 0")
    t.lines.append(f"int {', '.join(xs)}")
    return t.made()


def transport(draw: random.Random) -> Template:
    """Goods from two places to two others."""
    t, sinks = _Text(draw), 2
    xs = [f"x{i}{j}" for i in range(2) for j in range(sinks)]
    t.lines.append(f"min {t.total('Cost', xs, 1, 12)}")
    t.lines += [f"supply{i}: x{i}0 + x{i}1 <= {t.number(f'Has{i}', 25, 45)}" for i in range(2)]
    t.lines += [f"demand{j}: x0{j} + x1{j} >= {t.number(f'Wants{j}', 8, 22)}" for j in range(sinks)]
    t.lines.append(f"{', '.join(xs)} >= 0")
    if draw.random() < 0.5:
        t.lines.append(f"int {', '.join(xs)}")
    return t.made()


def choice(draw: random.Random) -> Template:
    """Projects that are done or not: a knapsack with a rule between two of them."""
    t, xs = _Text(draw), _names(draw, 3, 5)
    t.lines.append(f"max {t.total('Value', xs, 5, 40)}")
    t.lines.append(f"money: {t.total('Costs', xs, 4, 15)} <= {t.number('Budget', 18, 32)}")
    t.lines.append(f"rule: {xs[1]} <= {xs[0]}")
    t.lines.append(f"bin {', '.join(xs)}")
    return t.made()


def plants(draw: random.Random) -> Template:
    """Plants that are opened at a price, and what they make: mixed."""
    t = _Text(draw)
    t.lines.append(f"min {t.total('Fixed', ['y1', 'y2'], 20, 60)} + {t.total('Cost', ['q1', 'q2'], 1, 6)}")
    t.lines += [f"open{i}: q{i} <= {t.number(f'Size{i}', 30, 60)} * y{i}" for i in (1, 2)]
    t.lines.append(f"demand: q1 + q2 >= {t.number('Demand', 15, 55)}")
    t.lines.append("q1, q2 >= 0")
    t.lines.append("bin y1, y2")
    return t.made()


FAMILIES: dict[str, Callable[[random.Random], Template]] = {
    f.__name__: f for f in (packing, covering, blend, fleet, transport, choice, plants)
}
"""Family to what draws one of its problems."""


def draw_problem(seed: int, family: str | None = None) -> Template:
    """A problem, fixed by the seed; of a family, or of one that is drawn.

    >>> print(draw_problem(1, "choice").at().objective.sense)
    max
    """
    draw = random.Random(f"problem/{family}/{seed}")
    return FAMILIES[family or draw.choice(sorted(FAMILIES))](draw)
