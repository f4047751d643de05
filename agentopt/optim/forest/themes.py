"""Themes of seeds: a word on style for each, so that seeds begin far apart."""

from __future__ import annotations

import random
from collections.abc import Sequence

from agentopt.optim.base import ParameterSpec
from agentopt.optim.meta import section

__all__ = ["draw", "list_of", "order_of"]


def list_of(text: str, theme: str, specs: Sequence[ParameterSpec]) -> list[str]:
    """The themes of a list, one a line of its part of the prompt file ``meta/forest_themes``.

    Args:
        text: the file.
        theme: an option of ``Settings.theme``.
        specs: what is searched; ``auto`` takes styles of code where there is any.
    """
    if theme == "none":
        return []
    if theme == "auto":
        theme = "style" if any(spec.kind == "code" for spec in specs) else "wording"
    return [line.removeprefix("-").strip() for line in section(text, theme).splitlines() if line.strip()]


def order_of(count: int, rng: random.Random) -> list[int]:
    """Places of the themes, shuffled."""
    return rng.sample(range(count), count)


def draw(order: Sequence[int], number: int) -> int:
    """The theme of the ``number``-th seed: without replacement until all were used, then in the same order again.

    >>> [draw([2, 0, 1], n) for n in range(4)]
    [2, 0, 1, 2]
    """
    return order[number % len(order)]
