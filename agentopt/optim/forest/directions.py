"""Directions of improvement: what a model wrote about how a candidate could become better."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agentopt.optim.meta import parse_object

__all__ = ["distinct", "read_ideas", "same"]

_LONGEST = 600  # characters of a direction
_ALIKE = 0.8  # share of words from which two directions count as one
_MARK = re.compile(r"^[ \t>*#-]*(?:\**\s*(?:idea|direction|fix)\s*\d+\s*\**|\d+\s*[.)])\s*[:.)-]*\s*\**", re.I | re.M)


def read_ideas(text: str) -> list[str]:
    """The directions of an answer, in order: of a JSON object's ``ideas``, else of lines ``Idea 1: ...`` or ``1. ...``.

    >>> read_ideas('{"ideas": ["Use a set.", "Sort first."]}')
    ['Use a set.', 'Sort first.']
    >>> read_ideas("Reflection: slow.\\nIdea 1: Use a set\\nof the words.\\nIdea 2: Sort first.")
    ['Use a set of the words.', 'Sort first.']
    """
    data = parse_object(text)
    if data is not None:
        found = data.get("ideas", data.get("suggestion"))
        ideas = found if isinstance(found, list) else list(found.values()) if isinstance(found, dict) else []
        return [idea for raw in ideas if isinstance(raw, str) and (idea := _clean(raw))]
    pieces = _MARK.split(text)[1:]
    return [idea for piece in pieces if (idea := _clean(piece.split("\n\n")[0]))]


def _clean(text: str) -> str:
    return " ".join(_MARK.sub("", text, count=1).strip().strip("*").split())[:_LONGEST].strip()


def distinct(ideas: Iterable[str], known: Sequence[str] = ()) -> list[str]:
    """The directions that say something else than those before them and than the known ones, in order.

    >>> distinct(["Use a set.", "use a SET", "Sort first."], ["sort first"])
    ['Use a set.']
    """
    kept: list[str] = []
    for idea in ideas:
        if not any(same(idea, other) for other in (*known, *kept)):
            kept.append(idea)
    return kept


def same(one: str, other: str) -> bool:
    """Whether two directions have at least four fifths of their words in common.

    >>> same("Check the empty list first!", "check the empty list first"), same("Use a set.", "Use a heap.")
    (True, False)
    """
    a, b = set(_words(one)), set(_words(other))
    return a == b or len(a & b) >= _ALIKE * len(a | b) > 0


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+|[<>=!+*/%-]+", text.casefold())
