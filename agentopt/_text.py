"""Values in a few characters, for people."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["NO_DATA", "average", "footnotes", "number", "short"]

NO_DATA = "no data"
"""What a table says where nothing was counted."""


def number(value: float | None, digits: int = 3) -> str:
    """A score for people; a dash where there is none.

    >>> number(0.5), number(None)
    ('0.500', '-')
    """
    return "-" if value is None else f"{value:.{digits}f}"


def average(mean: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    """A mean and its interval for the cells of a table.

    >>> average(0.5, 0.25, 0.75), average(0.5, None, None), average(None, None, None)
    (('0.500', '[0.250, 0.750]'), ('0.500', '-'), ('no data', ''))
    """
    if mean is None:
        return NO_DATA, ""
    return number(mean), "-" if low is None or high is None else f"[{number(low)}, {number(high)}]"


def footnotes(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """A mark for each text, equal ones with the same number, and the notes to put below the table.

    >>> footnotes(["by hand", "by machine", "by hand"])
    (['[1]', '[2]', '[1]'], ['[1] by hand', '[2] by machine'])
    """
    told = list(texts)
    numbers = {text: i for i, text in enumerate(dict.fromkeys(told), 1)}
    return [f"[{numbers[text]}]" for text in told], [f"[{i}] {text}" for text, i in numbers.items()]


def short(text: object, width: int = 72) -> str:
    """One line of at most ``width`` characters.

    >>> short("a\\nlong   text", 7)
    'a long…'
    """
    line = " ".join(str(text).split())
    return line if len(line) <= width else line[: width - 1].rstrip() + "…"
