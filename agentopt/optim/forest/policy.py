"""Which child a search goes down to: UCT and PUCT (Light et al. 2024, section 3 and its ablation)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["SELECTIONS", "Arm", "puct", "softmax", "uct"]


@dataclass(frozen=True, slots=True)
class Arm:
    """A child as the policy sees it: the best score seen below it (0 to 1), its visits (at least 1), and its prior."""

    value: float
    visits: int
    prior: float = 0.0


def uct(arm: Arm, parent_visits: int, *, c: float = math.sqrt(2), **_: float) -> float:
    """Value plus ``c * sqrt(ln(visits of the parent) / visits)``.

    >>> round(uct(Arm(0.5, 2), 3), 3)
    1.548
    """
    return arm.value + c * math.sqrt(math.log(parent_visits) / arm.visits)


def puct(arm: Arm, parent_visits: int, *, puct_c: float = 2.0, puct_base: float = 10.0, **_: float) -> float:
    """Value plus prior times ``sqrt(ln(visits of the parent) / (1 + visits))``, times a weight that grows with visits.

    >>> puct(Arm(0.5, 2, prior=0.0), 3)
    0.5
    """
    beta = math.log((1 + parent_visits + puct_base) / puct_base) + puct_c
    return arm.value + beta * arm.prior * math.sqrt(math.log(parent_visits) / (1 + arm.visits))


SELECTIONS: dict[str, Callable[..., float]] = {"uct": uct, "puct": puct}
"""How a child is valued, by name."""


def softmax(values: Sequence[float]) -> list[float]:
    """Shares that add up to 1.

    >>> softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    if not values:
        return []
    top = max(values)
    raised = [math.exp(value - top) for value in values]
    return [value / math.fsum(raised) for value in raised]
