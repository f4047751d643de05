"""Values in a few characters, for people."""

from __future__ import annotations

__all__ = ["number", "short"]


def number(value: float | None, digits: int = 3) -> str:
    """A score for people; a dash where there is none.

    >>> number(0.5), number(None)
    ('0.500', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def short(text: object, width: int = 72) -> str:
    """One line of at most ``width`` characters.

    >>> short("a\\nlong   text", 7)
    'a long…'
    """
    line = " ".join(str(text).split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
