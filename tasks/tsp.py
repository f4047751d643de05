"""The travelling salesman on random points in the plane, with two classical heuristics and the exact optimum.

After Yang et al. 2024, "Large Language Models as Optimizers" (https://arxiv.org/abs/2309.03409), section 3.2.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

from agentopt import Example, Feedback, UsageError, task
from agentopt.evaluate import SplitSpec

Points = Sequence[Sequence[float]]

SIDE = 100
"""Coordinates are whole numbers from -100 to 100."""
MOST = 60
"""More points than this take the exact solver too long."""


def distance(a: Sequence[float], b: Sequence[float]) -> float:
    """Euclidean."""
    return math.hypot(a[0] - b[0], a[1] - b[1])


def length_of(points: Points, tour: Sequence[int]) -> float:
    """The way through all points in that order and back to the first.

    >>> length_of([(0, 0), (0, 3), (4, 3)], [0, 1, 2])
    12.0
    """
    return math.fsum(distance(points[a], points[b]) for a, b in zip(tour, [*tour[1:], tour[0]], strict=True))


def nearest_neighbour(points: Points) -> list[int]:
    """From 0, always on to the nearest point that was not visited."""
    tour = [0]
    left = set(range(1, len(points)))
    while left:
        here = points[tour[-1]]
        tour.append(min(left, key=lambda i: (distance(here, points[i]), i)))
        left.remove(tour[-1])
    return tour


def farthest_insertion(points: Points) -> list[int]:
    """The point farthest from the tour so far goes where it lengthens the tour least, until all are in."""
    n = len(points)
    tour = [0, max(range(n), key=lambda i: distance(points[0], points[i]))]
    while len(tour) < n:
        left = [i for i in range(n) if i not in tour]
        new = max(left, key=lambda i: min(distance(points[i], points[j]) for j in tour))

        def longer(at: int, new: int = new) -> float:
            a, b = points[tour[at]], points[tour[(at + 1) % len(tour)]]
            return distance(a, points[new]) + distance(points[new], b) - distance(a, b)

        tour.insert(min(range(len(tour)), key=longer) + 1, new)
    start = tour.index(0)
    return tour[start:] + tour[:start]


def held_karp(points: Points) -> list[int]:
    """The shortest tour by dynamic programming over subsets (Held and Karp 1962): n² 2ⁿ steps, so for n up to 12."""
    n = len(points)
    d = [[distance(a, b) for b in points] for a in points]
    best: dict[tuple[int, int], tuple[float, int]] = {(1 << j, j): (d[0][j], 0) for j in range(1, n)}
    for size in range(2, n):
        for subset in combinations(range(1, n), size):
            bits = sum(1 << j for j in subset)
            for j in subset:
                rest = bits & ~(1 << j)
                best[bits, j] = min((best[rest, k][0] + d[k][j], k) for k in subset if k != j)
    bits = sum(1 << j for j in range(1, n))
    last = min(range(1, n), key=lambda j: best[bits, j][0] + d[j][0])
    tour = []
    while bits:
        tour.append(last)
        bits, last = bits & ~(1 << last), best[bits, last][1]
    return [0, *reversed(tour)]


def cut_and_solve(points: Points) -> list[int]:
    """The shortest tour by integer programming: edges, and a cut for every subtour that a solution has.

    Dantzig, Fulkerson and Johnson 1954, with the cuts added as they are broken; HiGHS, through SciPy, solves.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import lil_matrix

    n = len(points)
    edges = list(combinations(range(n), 2))
    cost = np.array([distance(points[a], points[b]) for a, b in edges])
    degree = lil_matrix((n, len(edges)))
    for at, (a, b) in enumerate(edges):
        degree[a, at] = degree[b, at] = 1
    constraints = [LinearConstraint(degree.tocsr(), 2, 2)]
    while True:
        whole = np.ones(len(edges))
        found = milp(cost, constraints=constraints, integrality=whole, bounds=Bounds(0, 1), options={"mip_rel_gap": 0})
        if found.x is None:
            raise UsageError(f"tsp: the solver found no tour of {n} points: {found.message}")
        parts = _cycles(n, [edge for edge, used in zip(edges, found.x, strict=True) if used > 0.5])
        if len(parts) == 1:
            return parts[0]
        for part in parts:
            inside = set(part)
            row = np.array([[1.0 if a in inside and b in inside else 0.0 for a, b in edges]])
            constraints.append(LinearConstraint(row, -np.inf, len(part) - 1))


def _cycles(n: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The closed ways that edges make, each beginning at its smallest point."""
    near: dict[int, list[int]] = {i: [] for i in range(n)}
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    left, found = set(range(n)), []
    while left:
        way = [min(left)]
        left.remove(way[0])
        while onward := [i for i in near[way[-1]] if i in left]:
            way.append(min(onward))
            left.remove(way[-1])
        found.append(way)
    return found


def optimum(points: Points) -> list[int]:
    """The shortest tour, exactly."""
    n = len(points)
    return list(range(n)) if n <= 3 else held_karp(points) if n <= 11 else cut_and_solve(points)


def draw_points(n: int, seed: int) -> list[list[int]]:
    """Distinct points, uniform on the whole numbers of the square."""
    draw = random.Random(f"tsp/{n}/{seed}")
    points: list[list[int]] = []
    while len(points) < n:
        point = [draw.randint(-SIDE, SIDE), draw.randint(-SIDE, SIDE)]
        if point not in points:
            points.append(point)
    return points


@lru_cache(maxsize=64)
def solved(n: int, seed: int) -> dict[str, float]:
    """Lengths of the optimum and of the two heuristics."""
    points = draw_points(n, seed)
    solvers = {"optimum": optimum, "nearest_neighbour": nearest_neighbour, "farthest_insertion": farthest_insertion}
    return {name: length_of(points, solver(points)) for name, solver in solvers.items()}


def shortness(example: Example, output: Any) -> Feedback:
    """The optimum's length over the tour's, 0 for what is no tour; says the length."""
    given: Any = example.input
    points = given["points"]
    if not isinstance(output, list) or sorted(map(repr, output)) != sorted(map(repr, points)):
        return Feedback(score=0.0, text=f"The output should be the {len(points)} points in some order.")
    length = length_of(output, range(len(output)))
    best: Any = example.meta["optimum"]
    score = 1.0 if length <= best * (1 + 1e-9) else best / length
    return Feedback(score=score, text=f"The length is {length:.0f}.", parts={"length": length})


@task(version=1, split=SplitSpec(search=1, validation=0, test=0))
def tsp(n: int = 10, seed: int = 0) -> object:
    """Find the shortest round trip through all points.

    One instance is one example: there is nothing to generalise to, so there is no test split.

    Args:
        n: how many points; there are graphs for 10 (``tour``), 15, 20 and 50 (``tour_15``, ...).
        seed: which instance.
    """
    if not 3 <= n <= MOST:
        raise UsageError(f"task tsp: n={n}; from 3 to {MOST} points are solved exactly")
    return [Example(input={"points": draw_points(n, seed)}, meta=dict(solved(n, seed)))], shortness
