"""Themes of seeds: a word on style for each, so that seeds begin far apart."""

from __future__ import annotations

import random
from collections.abc import Sequence

from agentopt.optim.base import ParameterSpec
from agentopt.optim.meta import section

__all__ = ["draw", "list_of", "order_of"]


def list_of(text: str, theme: str, specs: Sequence[ParameterSpec]) -> list[list[str]]:
    """The lists of themes in the order in which they are used up, from the prompt file ``meta/forest_themes``.

    Args:
        text: the file; a part is a list, a line of it a theme.
        theme: an option of ``Settings.theme``.
        specs: what is searched; ``auto`` takes styles of code where there is any, else manners of wording, then roles.
    """
    names = [theme] if theme != "none" else []
    if theme == "auto":
        names = ["style" if any(spec.kind == "code" for spec in specs) else "wording", "role"]
    return [
        [line.removeprefix("-").strip() for line in section(text, name).splitlines() if line.strip()] for name in names
    ]


def order_of(lists: Sequence[Sequence[str]], rng: random.Random) -> list[int]:
    """Places of the themes in all lists together: each list shuffled, one after the other.

    >>> sorted(order_of([["a", "b"], ["c"]], random.Random(0))[:2])
    [0, 1]
    """
    order: list[int] = []
    for number, listed in enumerate(lists):
        source = rng if number == 0 else random.Random(repr(order))  # how many lists there are changes nothing else
        order += [len(order) + place for place in source.sample(range(len(listed)), len(listed))]
    return order


def draw(order: Sequence[int], number: int) -> int:
    """The theme of the ``number``-th seed: without replacement until all were used, then in the same order again.

    >>> [draw([2, 0, 1], n) for n in range(4)]
    [2, 0, 1, 2]
    """
    return order[number % len(order)]
