"""How alike texts are: cosine of TF-IDF vectors, and a greedy filter over them. With numpy alone."""

from __future__ import annotations

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


def cosines(texts: Sequence[str]) -> NDArray[np.float64]:
    """The cosine of each text with each, by TF-IDF over these texts: counts times ``ln((1 + n) / (1 + df)) + 1``.

    A text without any word is like none, itself included.

    >>> cosines(["red fox", "red fox", "blue sky"]).round(2).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    counted = [Counter(words(text)) for text in texts]
    frequency = Counter(word for counts in counted for word in counts)
    column = {word: i for i, word in enumerate(sorted(frequency))}
    table = np.zeros((len(texts), len(column)))
    for row, counts in enumerate(counted):
        for word, count in counts.items():
            table[row, column[word]] = count * (np.log((1 + len(texts)) / (1 + frequency[word])) + 1)
    norms = np.linalg.norm(table, axis=1, keepdims=True)
    table = np.divide(table, norms, out=np.zeros_like(table), where=norms > 0)
    alike: NDArray[np.float64] = np.clip(table @ table.T, 0.0, 1.0)
    return alike


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
    alike = cosines([*kept, *texts])
    places, told = list(range(len(kept))), []
    for place in range(len(kept), len(kept) + len(texts)):
        near = [float(alike[place, other]) for other in places]
        most = max(near, default=0.0)
        told.append((most <= threshold, most, places[near.index(most)] if near else -1))
        if most <= threshold:
            places.append(place)
    return told
