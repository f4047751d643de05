"""How alike texts are: cosine of TF-IDF vectors, and a greedy filter over them. With numpy alone."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["THRESHOLD", "cosines", "keep_unlike", "words"]

THRESHOLD = 0.7
"""The similarity above which ReSocratic drops a scenario (section 3)."""
_WORD = re.compile(r"\b\w\w+\b")


def words(text: str) -> list[str]:
    """The words of a text, in lower case: two letters or digits and more.

    >>> words("Each chair brings $12, a lot.")
    ['each', 'chair', 'brings', '12', 'lot']
    """
    return _WORD.findall(text.lower())


def cosines(texts: Sequence[str], first: int = 0) -> NDArray[np.float64]:
    """The cosine of each text from ``first`` on with every text, by TF-IDF over all of them.

    A word weighs its count times ``ln((1 + n) / (1 + df)) + 1``. A text without any word is like none, itself included.

    >>> cosines(["red fox", "red fox", "blue sky"]).round(2).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    counted = [_counted(text) for text in texts]
    column: dict[str, int] = {}
    at = np.array([column.setdefault(word, len(column)) for counts in counted for word, _ in counts], dtype=np.int64)
    sizes = [len(counts) for counts in counted]
    row = np.repeat(np.arange(len(texts)), sizes)
    count = np.array([count for counts in counted for _, count in counts], dtype=np.float64)
    inverse = np.log((1 + len(texts)) / (1 + np.bincount(at, minlength=len(column)))) + 1
    weight = count * inverse[at]
    norms = np.sqrt(np.bincount(row, weight**2, minlength=len(texts)))
    weight = weight / norms[row]
    alike = np.zeros((len(texts) - first, len(texts)))
    for place in range(first, len(texts)):
        one = np.zeros(len(column))
        mine = row == place
        one[at[mine]] = weight[mine]
        alike[place - first] = np.bincount(row, weight * one[at], minlength=len(texts))
    return np.clip(alike, 0.0, 1.0)


@functools.lru_cache(maxsize=20_000)
def _counted(text: str) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(words(text)).items())


def keep_unlike(
    texts: Sequence[str], kept: Sequence[str] = (), threshold: float = THRESHOLD
) -> list[tuple[bool, float, int]]:
    """Go through texts in order and keep each that is unlike all that were kept before it.

    Args:
        texts: what is judged.
        kept: texts that are there already; weights are taken over them and ``texts`` together.
        threshold: a similarity above this drops a text.

    Returns:
        For each text: whether it is kept, its greatest similarity, and to which (its place in ``kept`` followed by
        ``texts``; -1 where there was none to compare with).

    >>> keep_unlike(["a red fox", "A red fox!", "one blue sky"])
    [(True, 0.0, -1), (False, 1.0, 0), (True, 0.0, 0)]
    """
    alike = cosines([*kept, *texts], len(kept))
    places, told = list(range(len(kept))), []
    for place in range(len(kept), len(kept) + len(texts)):
        near = [float(alike[place - len(kept), other]) for other in places]
        most = max(near, default=0.0)
        told.append((most <= threshold, most, places[near.index(most)] if near else -1))
        if most <= threshold:
            places.append(place)
    return told
