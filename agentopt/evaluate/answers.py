r"""Which part of a text is the answer, and which number stands there: one explicit rule for all scorers.

The stated answer is

1. what the *last* mark in the text holds: ``\boxed{...}``, ``<answer>...</answer>``, ``#### ...``, ``answer: ...`` or
   ``answer is ...`` (up to the end of that sentence or line);
2. without a mark, the last line that is not empty.

A statement that denies or disclaims ("not", "cannot", "unknown", ...) states nothing. Of ``a = b`` the part after the
last ``=`` counts.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

__all__ = ["Unreadable", "numbers_in", "one_number", "refuse_denial", "stated_answer"]

_MARK = re.compile(
    r"\\(?:boxed|fbox)\s*\{(?P<boxed>(?:[^{}]|\{[^{}]*\})*)\}"
    r"|<answer>(?P<tag>[\s\S]*?)</answer>"
    r"|^[ \t]*####[ \t]*(?P<hash>[^\n]*)$"
    r"|\banswer[ \t]*(?::|=|\bis\b[ \t]*:?)[ \t]*(?P<line>[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?](?=\s)")
_DENIAL = re.compile(
    r"\b(?:not|cannot|unknown|unsure|impossible|undefined|no idea|no answer)\b|n['’]t\b", re.IGNORECASE
)
_NUMBER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?|[+-]?\.\d+(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"^(?P<sign>[+-]?)[$€£¥]?(?P<rest>[+-]?[\d.].*)$")


class Unreadable(ValueError):
    """Why a text does not state the answer that was asked for."""


def stated_answer(text: str, *, denials: bool = False) -> str:
    """The part of ``text`` that states the answer. ``denials`` lets statements such as "not 5" through.

    >>> stated_answer("First 2 + 2 is 4. The answer is 4.")
    '4.'

    Raises:
        Unreadable: nothing is stated, or what is stated is a denial.
    """
    plain = text.replace("**", "").replace("`", "")
    marks = list(_MARK.finditer(plain))
    if marks:
        kind = str(marks[-1].lastgroup)
        statement = marks[-1].group(kind).strip()
        if kind == "line":
            if not statement:
                following = [line.strip() for line in plain[marks[-1].end() :].splitlines() if line.strip()]
                statement = following[0] if following else ""
            end = _SENTENCE_END.search(statement)
            statement = statement[: end.end()] if end else statement
    else:
        lines = [line.strip() for line in plain.splitlines() if line.strip()]
        statement = lines[-1] if lines else ""
    if not statement.strip(" .*_#"):
        raise Unreadable("no answer is stated")
    if not denials:
        refuse_denial(statement)
    return statement


def refuse_denial(statement: str) -> None:
    """Raise ``Unreadable`` when a statement denies or disclaims."""
    denial = _DENIAL.search(statement)
    if denial:
        raise Unreadable(f"{_short(statement)} does not state an answer (it says {denial.group()!r})")


def numbers_in(text: str) -> list[Decimal]:
    """All numbers in ``text``, read strictly.

    A number is an optional sign against its digits, digits (with commas only between groups of three), an optional
    decimal point with digits, an optional exponent; a currency sign before and a percent sign after are allowed and
    do not change the value.

    >>> numbers_in("-1,234.50 and .5")
    [Decimal('-1234.50'), Decimal('0.5')]

    Raises:
        Unreadable: a word with digits that is not such a number (``1,23``, ``3-4``, ``1/2``, ``5kg``), or a sign that
            stands apart from its number.
    """
    text = text.replace("{,}", ",").replace("\\,", "").replace("\\$", "$").replace("\\%", "%")
    text = text.replace("\u2212", "-").replace("\u2013", "-")
    found: list[Decimal] = []
    previous = ""
    for word in text.split():
        if any(c.isdigit() for c in word):
            number = _read(word)
            if number is None:
                raise Unreadable(f"{_short(word)} cannot be read as a number; write it like -1234.5 or -1,234.5")
            if previous in ("-", "+"):
                raise Unreadable(
                    f"the sign in {_short(previous + ' ' + word)} stands apart; write it against the digits"
                )
            found.append(number)
        previous = word
    return found


def one_number(statement: str) -> Decimal:
    """The single number of a statement; of ``a = b`` the part after the last ``=`` or ``≈`` counts.

    >>> one_number("3 + 4 = 7 apples")
    Decimal('7')

    Raises:
        Unreadable: no number or several.
    """
    result = re.split(r"[=≈]", statement)[-1]
    numbers = numbers_in(result)
    if not numbers:
        raise Unreadable(f"there is no number in {_short(statement)}")
    if len(numbers) > 1:
        raise Unreadable(f"{_short(statement)} states {len(numbers)} numbers; exactly one is asked for")
    return numbers[0]


def _read(word: str) -> Decimal | None:
    word = word.strip("\"'“”‘’()[]{}<>*_~;:!?,")
    while word[-1:] in (".", "%", "$", "€", "£", "¥", ")", "]", "}", ",", "*", "_", "°"):
        word = word[:-1]
    match = _WORD.match(word.lstrip("$€£¥([{*_") if word[:1] not in "+-" else word)
    if not match or (match["sign"] and match["rest"][:1] in "+-"):
        return None
    number = match["sign"] + match["rest"]
    if not _NUMBER.fullmatch(number):
        return None
    try:
        return Decimal(number.replace(",", ""))
    except InvalidOperation:
        return None


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
