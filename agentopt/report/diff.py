"""Differences between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agentopt.report.clean import as_text, clean

__all__ = ["changes", "words"]

_WORD = re.compile(r"(?:\w+|[^\w\s]|^)\s*")
_MOST_WORDS = 2_000
"""Texts of more words are compared line by line: the time of a comparison grows with the square of its length."""


def words(old: str, new: str) -> list[tuple[str, str]]:
    """Pieces of the two texts in order: ``same``, ``del`` (only in the old) and ``ins`` (only in the new).

    >>> words("Answer the question.", "Answer the hard question.")
    [('same', 'Answer the '), ('ins', 'hard '), ('same', 'question.')]
    """
    a, b = _WORD.findall(old), _WORD.findall(new)
    if max(len(a), len(b)) > _MOST_WORDS:
        a, b = old.splitlines(keepends=True), new.splitlines(keepends=True)
    pieces: list[tuple[str, str]] = []
    for kind, a0, a1, b0, b1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(a[a0:a1])))
        else:
            pieces += [("del", "".join(a[a0:a1])), ("ins", "".join(b[b0:b1]))]
    return [piece for piece in pieces if piece[1]]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The parameters that differ between two candidates' values, each with its name and pieces, free of secrets."""
    old, new = clean(old), clean(new)  # before they are cut to pieces: a piece of a secret is not known as one
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            a, b = old.get(name, ""), new.get(name, "")
            whole = [("del", as_text(a)), ("same", " → "), ("ins", as_text(b))]
            yield {"name": name, "pieces": words(a, b) if isinstance(a, str) and isinstance(b, str) else whole}
