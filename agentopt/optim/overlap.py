"""Wording that two texts share, in words or, for scripts without spaces, in characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from agentopt.optim.frame import PLACEHOLDER

__all__ = ["Gram", "Wording", "grams", "shown", "strings"]

Gram = tuple[str, ...]
"""Consecutive words, or characters of a script without spaces."""

_IDEOGRAPHS = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_SYLLABLES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
_LETTER = rf"[^\W{_IDEOGRAPHS}{_SYLLABLES}]"
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}{_SYLLABLES}]|{_LETTER}+(?:'{_LETTER}+)?")
_WORD = 4  # a word weighs as much as two of the one and as four of the other
_WEIGHTS = ((re.compile(rf"[{_IDEOGRAPHS}]"), 2), (re.compile(rf"[{_SYLLABLES}]"), 1))


def strings(value: object) -> Iterator[str]:
    """The texts and numbers in a value of JSON types."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


@lru_cache(maxsize=512)
def grams(text: str, n: int) -> frozenset[Gram]:
    """Every run of ``n`` words of a text; two Chinese or Japanese characters, or four Thai ones, count as a word.

    Case, spaces, punctuation and placeholders do not matter.

    >>> sorted(grams("Rise, and shine!", 2)), sorted(grams("\u4f60\u597d\u5417", 1))
    ([('and', 'shine'), ('rise', 'and')], [('\u4f60', '\u597d'), ('\u597d', '\u5417')])
    """
    return frozenset(_runs(text, n))


def _runs(text: str, n: int) -> Iterator[Gram]:
    tokens = [token.casefold() for token in _TOKEN.findall(PLACEHOLDER.sub(" ", text))]
    weights = [_weight(token) for token in tokens]
    end = weight = 0
    for start in range(len(tokens)):
        while weight < n * _WORD and end < len(tokens):
            weight += weights[end]
            end += 1
        if weight < n * _WORD:
            break
        yield tuple(tokens[start:end])
        weight -= weights[start]


def _weight(token: str) -> int:
    return next((weight for script, weight in _WEIGHTS if script.match(token)), _WORD)


def shown(gram: Gram) -> str:
    """The words of a run as a text.

    >>> shown(("go", "to", "\u5317", "\u4eac"))
    'go to \u5317\u4eac'
    """
    spaced = [f" {token} " if _weight(token) == _WORD else token for token in gram]
    return " ".join("".join(spaced).split())


class Wording:
    """How many of some texts each run of words is in: an index, made once for the same texts.

    >>> seen = Wording.of(("one two three", "two three four"), 2)
    >>> [seen.count(gram) for gram in (("two", "three"), ("one", "two"), ("three", "two"))]
    [2, 1, 0]
    """

    def __init__(self, texts: Sequence[str], n: int) -> None:
        import numpy as np  # here: to index is an optimizer's work, and most commands have none

        hashes = [np.fromiter({hash(gram) for gram in _runs(text, n)}, np.int64) for text in texts]
        self._hashes, self._counts = np.unique(np.concatenate([np.empty(0, np.int64), *hashes]), return_counts=True)

    @staticmethod
    @lru_cache(maxsize=4)
    def of(texts: tuple[str, ...], n: int) -> Wording:
        """The index of texts, made anew only for others."""
        return Wording(texts, n)

    def count(self, gram: Any) -> int:
        """In how many of the texts a run of words is."""
        at = int(self._hashes.searchsorted(hash(gram)))
        return int(self._counts[at]) if at < len(self._hashes) and self._hashes[at] == hash(gram) else 0
