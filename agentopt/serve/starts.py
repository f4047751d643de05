"""Prompts that begin alike: one of them is read first, and the others find its start in the prefix cache.

An engine looks into its prefix cache when a request joins the batch. Requests that come together, the examples of one
prompt or the samples of one request, would each read the whole common start, since nobody has read it yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy
from numpy.typing import NDArray

__all__ = ["WORTH", "Starts", "common"]

WORTH = 64
"""Tokens that waiting must save: two blocks of the cache."""
KEPT = 256

Tokens = NDArray[numpy.int64]


def common(a: Tokens, b: Tokens) -> int:
    """Number of tokens with which both begin.

    >>> common(numpy.array([1, 2, 3]), numpy.array([1, 2, 4, 5]))
    2
    """
    size = min(a.size, b.size)
    differs = numpy.nonzero(a[:size] != b[:size])[0]
    return int(differs[0]) if differs.size else size


class Starts:
    """Remembers which prompts were read lately.

    >>> starts, prompt = Starts(), numpy.arange(100)
    >>> starts.waits(prompt, reading=[prompt])
    True
    >>> starts.read(prompt)
    >>> starts.waits(prompt, reading=[prompt])
    False
    """

    def __init__(self) -> None:
        self._read: deque[Tokens] = deque(maxlen=KEPT)

    def read(self, prompt: Tokens) -> None:
        """A prompt has been read: its start is in the cache."""
        self._read.append(prompt)

    def waits(self, prompt: Tokens, reading: Iterable[Tokens]) -> bool:
        """Whether a prompt saves at least ``WORTH`` tokens when one of those that are being read is read first."""
        shared = max((common(prompt, other) for other in reading), default=0)
        if shared < WORTH:
            return False
        return all(shared - common(prompt, other) >= WORTH for other in self._read)
