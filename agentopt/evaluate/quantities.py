"""Numbers in running text: digits with signs, currencies, units and fractions, and number words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.reading import Statement

__all__ = ["Quantity", "concluded_number", "quantities"]

_CURRENCY = "$€£¥₹"
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_UNITS = {word: value for value, word in enumerate(_SMALL.split())}
_ROUND = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * value for value, word in enumerate(_ROUND.split(), 2)}
_HALVES = {"½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    rf"(?<![\w.,/:])(?P<sign>[-+]?)(?P<money>[{_CURRENCY}]?\s?)(?P<inner>[-+]?)(?P<digits>{_DIGITS})"
    r"(?P<exponent>(?:[eE][+-]?\d+|\s?(?:×|\*|x)\s?10\^\{?[+-]?\d+\}?)?)"
    r"(?P<fraction>(?:\s?/\s?\d+|\s\d+/\d+)?)(?P<rest>[^\s]*)"
)
_MONEY_BEFORE = re.compile(rf"[{_CURRENCY}]\s+(?=[-+]?\d)")
_GLUED = re.compile(rf"(?:[%°{_CURRENCY}²³]|[A-Za-z]{{1,12}}\.?(?:/[A-Za-z]+|[²³])?)?")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b", re.IGNORECASE)
_SCALE_AFTER = re.compile(rf"\s?(?P<scale>{'|'.join(_SCALES)}|dozen)\b", re.IGNORECASE)
_CLOSING = "\"'“”‘’)]}>*_~;:!?,."
_WORD_NUMBER = "|".join([*_UNITS, *_TENS])
_WORDS = re.compile(
    rf"\b(?P<minus>(?:minus|negative)\s+)?(?P<words>(?:{_WORD_NUMBER}|an?\s+(?:hundred|thousand|million|dozen))"
    rf"(?:(?:\s+|-|\s+and\s+)(?:{_WORD_NUMBER}|{'|'.join(_SCALES)}|dozen))*)\b",
    re.IGNORECASE,
)
_GOVERNED = re.compile(
    r"\b(?:for|in|per|after|before|by|with|from|at|of|over|within|on|since|because|every|each|than|out of|using"
    r"|among|during|when|if)\s+(?:[^\W\d]+\s+){0,2}$",
    re.IGNORECASE,
)
_TOTAL = re.compile(r"\b(?:total|sum|result|value|amount|average|answer|maximum|minimum|cost|price)\s+of\s+$", re.I)
_OPEN = re.compile(r"\b(?:between|or|more than|less than|fewer than|greater than|not)\s*$|\bfrom\s+$", re.IGNORECASE)
_DENIAL = re.compile(
    r"\b(?:cannot|can not|unknown|unsure|impossible|undefined|no idea|no answer|not (?:know|sure|possible|enough|given"
    r"|clear|determinable))\b|\b(?:is|are|was|does|do|did)\s+not\b|n['’]t\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Quantity:
    """A number and where it stands in the text."""

    value: Fraction
    start: int
    end: int


def tidy(text: str) -> str:
    """LaTeX, minus signs and odd spaces as plain text."""
    text = re.sub(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}", r"\1/\2", text)
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}", r" \1 ", text)
    text = text.replace("{,}", ",").replace("\\$", "$").replace("\\%", "%").replace("\\!", "")
    text = re.sub(r"\\(?:[,;: ]|quad|left|right)|\^\\?circ|\^\{\\?circ\}", " ", text)
    text = re.sub(r"\\(?:times|cdot)", "*", text)
    text = re.sub(r"\\(?:approx)", "≈", text)
    text = re.sub(r"(?<=\d)[\u202f\u00a0\u2009](?=\d{3}\b)", ",", text)
    text = text.replace("\u2212", "-").replace("\u2013", "-")
    text = re.sub(r"\\[()\[\]]|\$\$", " ", text)
    text = re.sub(r"\$(-?[\d.,]+\s*[^$\d]*?)\$", r" \1 ", text)  # $...$ of mathematics around one number
    text = re.sub(r"(\d)([½¼¾⅓⅔])", r"\1 \2", text)
    for sign, fraction in _HALVES.items():
        text = text.replace(sign, fraction)
    return _MONEY_BEFORE.sub(lambda m: m.group()[0], text)


def quantities(text: str) -> list[Quantity]:
    """The numbers written in digits, in order; without any, those in words.

    >>> [str(q.value) for q in quantities("-1,234.5 of 20kg and $3")]
    ['-2469/2', '20', '3']
    >>> [str(q.value) for q in quantities("twenty-one apples")]
    ['21']

    Raises:
        Unreadable: something with digits that is not a number (``1,23``, ``3-4``, ``2nd``, ``5:30``).
    """
    found = _in_digits(text)
    return found or _in_words(text)


def _in_digits(text: str) -> list[Quantity]:
    found: list[Quantity] = []
    at = 0
    while digit := re.compile(r"\d").search(text, at):
        start = max(text.rfind(c, 0, digit.start()) for c in " \t\n([{=≈*_\"'“‘") + 1
        match = _NUMBER.match(text, max(start, at)) or _NUMBER.match(text, digit.start())
        word = text[start:].split()[0] if text[start:].split() else ""
        if match is None or match.end() <= digit.start():
            raise Unreadable(f"{_short(word)} cannot be read as a number; write it like -1234.5 or -1,234.5")
        rest = match["rest"].rstrip(_CLOSING)
        scale = 1
        if rest.lower() == "k":
            scale = 1000
        elif rest and (not _GLUED.fullmatch(rest) or _ORDINAL.fullmatch(rest)):
            raise Unreadable(f"{_short(word)} cannot be read as a number; write it like -1234.5 or -1,234.5")
        if match["sign"] and match["inner"]:
            raise Unreadable(f"{_short(word)} has two signs")
        before = text[: match.start()]
        sign = match["sign"] or match["inner"]
        if re.search(r"(?:^|[\s(])[-+]\s+$", before) and not re.search(r"[\d)]\s*[-+]\s+$", before):
            raise Unreadable(f"the sign before {_short(word)} stands apart; write it against the digits")
        if re.search(r"\b(?:minus|negative)\s+$", before, re.IGNORECASE):
            sign = "-" if sign != "-" else ""
        end = match.end() - len(match["rest"]) + len(rest)
        after = _SCALE_AFTER.match(text, match.end() - len(match["rest"])) if not rest else None
        if after:
            scale, end = 12 if after["scale"].lower() == "dozen" else _SCALES[after["scale"].lower()], after.end()
        value = _value(match) * scale
        found.append(Quantity(-value if sign == "-" else value, match.start(), end))
        at = max(match.end(), end)
    return found


def _value(match: re.Match[str]) -> Fraction:
    value = Fraction(Decimal(match["digits"].replace(",", "")))
    exponent = re.search(r"[+-]?\d+\}?$", match["exponent"]) if match["exponent"] else None
    if exponent:
        power = int(exponent.group().rstrip("}"))
        if abs(power) > 400:
            raise Unreadable(f"10^{power} is no plausible number")
        value *= Fraction(10) ** power
    fraction = match["fraction"].strip()
    if fraction.startswith("/"):
        below = int(fraction[1:])
        if not below:
            raise Unreadable("a division by 0 is not a number")
        return value / below
    if fraction:
        above, below = (int(v) for v in fraction.split("/"))
        if not below:
            raise Unreadable("a division by 0 is not a number")
        return value + Fraction(above, below)
    return value


def _in_words(text: str) -> list[Quantity]:
    found = []
    for match in _WORDS.finditer(text):
        words = [w for w in re.split(r"[\s-]+", match["words"].lower()) if w not in ("and", "a", "an")]
        total = current = 0
        fresh = match["words"].lower().startswith(("a ", "an "))
        for word in words:
            if word in _UNITS or word in _TENS:
                current += _UNITS.get(word, 0) + _TENS.get(word, 0)
            elif word in ("hundred", "dozen"):
                current = (current or int(fresh)) * (12 if word == "dozen" else 100)
            else:
                total, current = total + (current or int(fresh)) * _SCALES[word], 0
        value = Fraction(total + current)
        found.append(Quantity(-value if match["minus"] else value, match.start(), match.end()))
    return found


def concluded_number(statement: Statement) -> Fraction:
    """The one number that a statement gives as its answer.

    Of ``a = b`` the part after the last ``=`` counts. Among several numbers, one in bold decides; else those in
    brackets and those that only qualify ("for 3 days", "of the 7") are left out.

    Raises:
        Unreadable: no number, several, or a denial.
    """
    text = tidy(statement.text)
    if _DENIAL.search(text):
        raise Unreadable(f"{_short(statement.text)} does not state an answer")
    tail = re.split(r"[=≈]", text)[-1] if re.search(r"[=≈][^=≈]*\d", text) else text
    bold = [b for b in statement.bold if re.search(r"\d", b) and b in statement.text]
    if len(bold) == 1 and len(_quietly(tidy(bold[0]))) == 1 and "=" not in bold[0]:
        return _quietly(tidy(bold[0]))[0].value
    reason = re.search(r"\d.*?(,?\s+(?:since|because)\b)", tail)
    found = quantities(tail[: reason.start(1)] if reason else tail)
    if len({q.value for q in found}) > 1:
        outside = re.sub(r"\([^()]*\)", lambda m: " " * len(m.group()), tail)
        found = quantities(outside) if re.search(r"\d", outside) else found
    if len({q.value for q in found}) > 1:
        found = [q for q in found if not _governed(tail[: q.start])]
    if not found:
        raise Unreadable(f"there is no number in {_short(statement.text)}")
    if len({q.value for q in found}) > 1:
        raise Unreadable(f"{_short(statement.text)} states {len(found)} numbers; exactly one is asked for")
    if any(_OPEN.search(tail[: q.start]) for q in found):
        raise Unreadable(f"{_short(statement.text)} does not state a number but a bound or an alternative")
    return found[0].value


def _governed(before: str) -> bool:
    before = re.sub(rf"[{_CURRENCY}]$", "", before)
    if _TOTAL.search(before) or _OPEN.search(before):
        return False
    return bool(_GOVERNED.search(before))


def _quietly(text: str) -> list[Quantity]:
    try:
        return quantities(text)
    except Unreadable:
        return []


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
