"""Text as it grows: whole characters only, and nothing that may turn out to be the start of a stop text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

__all__ = ["Pieces", "cut", "split_words"]

BETWEEN_WORDS = re.compile(r"(?<=[a-zA-Z0-9.,])(?= [a-zA-Z])|(?<=[a-zA-Z0-9.,])(?=\n[a-zA-Z<])")


def cut(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """The text before the first stop text, and whether there was one.

    >>> cut("one two three", ["three", "two"])
    ('one ', True)
    """
    ends = [at for s in stop if s and (at := text.find(s)) >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def split_words(text: str, size: int) -> Iterator[str]:
    """Cut a text between words, where no tokenizer joins, into pieces of ``size`` characters or little less.

    A stretch without such a place is given whole.

    >>> list(split_words("one two three four", 9))
    ['one two', ' three', ' four']
    """
    start = last = 0
    for match in BETWEEN_WORDS.finditer(text):
        if match.start() - start > size and last > start:
            yield text[start:last]
            start = last
        last = match.start()
    if len(text) - start > size and last > start:
        yield text[start:last]
        start = last
    yield text[start:]


class Pieces:
    """Turns growing token lists into pieces of text that can be shown at once.

    Args:
        decode: tokens to text.
        stop: texts that end the answer and are not shown.

    >>> p = Pieces(lambda ids: "".join(map(chr, ids)), ["END"])
    >>> p.add([72, 105, 69]), p.add([78]), p.add([33])
    ('Hi', '', 'EN!')
    """

    def __init__(self, decode: Callable[[list[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode, self._stop = decode, [s for s in stop if s]
        self._ids: list[int] = []
        self._settled = 0
        self._before = ""
        self._text = ""
        self._shown = 0

    def add(self, ids: Sequence[int]) -> str:
        """Take new tokens; the text that they make certain."""
        self._ids += ids
        window = self._decode(self._ids[self._settled :])
        if not window.endswith("\ufffd"):
            self._text += window[len(self._before) :]
            self._settled = max(self._settled, len(self._ids) - 8)
            self._before = self._decode(self._ids[self._settled :])
        return self._show(self._certain())

    def finish(self, text: str) -> str:
        """What is left to show when the whole answer is ``text``."""
        left, self._shown = text[self._shown :], max(self._shown, len(text))
        return left

    def _certain(self) -> int:
        text, found = cut(self._text, self._stop)
        if found:
            return len(text)
        longest = 0
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:size]):
                    longest = size
                    break
        return len(text) - longest

    def _show(self, end: int) -> str:
        piece = self._text[self._shown : end]
        self._shown = max(self._shown, end)
        return piece
