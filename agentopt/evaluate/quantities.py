"""Numbers in running text: digits with signs, currencies, units and fractions, and number words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.denials import denied_after, denied_before
from agentopt.evaluate.reading import Statement

__all__ = ["Quantity", "concluded_number", "is_denied", "quantities"]

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
_GLUED = re.compile(rf"(?:[%°{_CURRENCY}]|(?![xyn]\b)[A-Za-z]{{1,12}}\.?(?:/[A-Za-z]+|[²³])?|/[A-Za-z]{{2,12}})?")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b", re.IGNORECASE)
_SCALE_AFTER = re.compile(rf"\s?(?P<scale>{'|'.join(_SCALES)}|dozen)\b", re.IGNORECASE)
_CLOSING = "\"'“”‘’)]}>*_~;:!?,."
_WORD_NUMBER = "|".join(sorted([*_UNITS, *_TENS], key=len, reverse=True))
_SCALE_WORDS = "|".join([*_SCALES, "dozen"])
_WORDS = re.compile(
    rf"\b(?P<minus>(?:minus|negative)\s+)?(?P<words>(?:{_WORD_NUMBER}|an?\s+(?:{_SCALE_WORDS}))"
    rf"(?:(?:\s+|-|(?<=hundred)\s+and\s+|(?<=thousand)\s+and\s+|(?<=million)\s+and\s+)(?:{_WORD_NUMBER}|{_SCALE_WORDS}))*)\b",
    re.IGNORECASE,
)
_GOVERNED = re.compile(
    r"\b(?:for|in|per|after|before|by|with|from|at|of|over|within|on|since|because|every|each|than|out of|using"
    r"|among|during|when|if)\s+(?:(?!(?:and|or|plus|but|to|is|are)\b)[^\W\d]+\s+){0,2}$",
    re.IGNORECASE,
)
_VERB = re.compile(
    r"(?:\b(?:is|are|was|were|equals|makes?|made|takes?|took|earns?|earned|costs?|pays?|paid|gets?|got|has|have|had|needs?"
    r"|needed|leaves?|spends?|spent|saves?|saved|receives?|received|totals?|so|gives?|gave)\b|[=:])\s+(?:(?:him|her|them|you"
    r"|about|only|exactly|just|a|total|of|there|are|is|approximately)\s+)*$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[,;]\s+|\band\s+|(?=\bso\b)", re.IGNORECASE)
_UNFINISHED = re.compile(r"\d\S*(?:\s+[^\W\d]+)?\s*[+*×÷]\s")
_TOTAL = re.compile(r"\b(?:total|sum|result|value|amount|average|answer|maximum|minimum|cost|price)\s+of\s+$", re.I)
_OPEN = re.compile(r"\b(?:between|or|more than|less than|fewer than|greater than|not)\s*$|\bfrom\s+$", re.IGNORECASE)
_DENIAL = re.compile(
    r"\b(?:cannot|can not|can['’]t|could not|unable to|impossible to)\s+(?:be\s+)?"
    r"(?:determin|sa[iy]|tell|answer|know|calculat|solv|decid|find|found)"
    r"|\b(?:unknown|unsure|undefined|no idea|no answer|do not know|don['’]t know)\b"
    r"|\bnot (?:know|sure|possible|enough|given|clear|determinable)\b",
    re.IGNORECASE,
)
_BOUND = re.compile(
    r"(?:\b(?:at (?:least|most)|(?<!round )(?<!rounds )(?<!rounded )up to|no (?:more|less|fewer) than|minimum of"
    r"|maximum of|exceeds?)|[<>≤≥≠]|[<>!]=|\\(?:le|ge|ne|leq|geq|neq|lt|gt))\s*$",
    re.IGNORECASE,
)
_BOUND_AFTER = re.compile(
    r"(?:\s+[^\W\d]+){0,2}?\s+(?:or|and)\s+(?:more|less|fewer|higher|lower|above|up|over)\b", re.IGNORECASE
)
_PART = re.compile(
    r"(?:\b(?:half|twice|thrice|double|triple|(?:square|cube) root|third|quarter|square)(?:\s+of)?(?:\s+the)?"
    r"|√|\\sqrt\{?)\s*$",
    re.IGNORECASE,
)
_PART_AFTER = re.compile(
    r"\s*[²³]|\s*\^|\s+(?:squared|cubed)\b|\s+and\s+(?:an?|one|two|three)\s+(?:half|third|quarter)s?\b", re.IGNORECASE
)
_LED = re.compile(r"\b(?:an?|the)\s+(?:[^\W\d]+\s+)?[^\W\d]+\s+of\s+$", re.IGNORECASE)
_COMPOUND = re.compile(r"(?<![\w.,-])\d[\d,.]*(?:-(?=[A-Za-z]{2})[A-Za-z-]+|(?:st|nd|rd|th)\b)", re.IGNORECASE)
"""A "2-liter" bottle and the "4th" day: no numbers."""
_SPACED = re.compile(r"(?<![\d.,] )(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d.,]*\d| \d)")
_RESULT = re.compile(
    r"(?<![!<>])=|≈|\brounds?\s+(?:up\s+|down\s+|off\s+)?to\b|\brounded\s+(?:up\s+|down\s+|off\s+)?to\b"
)


@dataclass(frozen=True)
class Quantity:
    """A number and where it stands in the text."""

    value: Fraction
    start: int
    end: int
    dozens: Fraction | None = None
    """The number before "dozen", which is the value where dozens were asked for."""


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
    text = _SPACED.sub(lambda m: m.group().replace(" ", ","), text)
    text = _COMPOUND.sub(lambda m: " " * len(m.group()), text)
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
        word = text[start : start + 60].split()[0]
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
        before = text[max(0, match.start() - 60) : match.start()]
        sign = match["sign"] or match["inner"]
        if re.search(r"(?:^|[\s(])[-+]\s+$", before) and not re.search(r"[\d)]\s*[-+]\s+$", before):
            raise Unreadable(f"the sign before {_short(word)} stands apart; write it against the digits")
        if re.search(r"\b(?:minus|negative)\s+$", before, re.IGNORECASE):
            sign = "-" if sign != "-" else ""
        end = match.end() - len(match["rest"]) + len(rest)
        after = _SCALE_AFTER.match(text, match.end() - len(match["rest"])) if not rest else None
        if after:
            scale, end = 12 if after["scale"].lower() == "dozen" else _SCALES[after["scale"].lower()], after.end()
        value = _value(match) * (-1 if sign == "-" else 1)
        found.append(Quantity(value * scale, match.start(), end, value if scale == 12 else None))
        at = max(match.end(), end)
    return found


def _value(match: re.Match[str]) -> Fraction:
    if len(match["digits"]) > 60 or len(match["exponent"]) > 16 or len(match["fraction"]) > 60:
        raise Unreadable(f"{_short(match.group())} is no plausible number")
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


def is_denied(text: str, quantity: Quantity) -> bool:
    """Whether the text says that it is not this number.

    >>> [is_denied(t, quantities(t)[0]) for t in ("It can't be 18", "18 is wrong.", "The number not sold is 18")]
    [True, True, False]
    """
    before = text[max(0, quantity.start - 200) : quantity.start]
    return denied_before(before) is True or denied_after(text[quantity.end : quantity.end + 200])


def concluded_number(statement: Statement) -> Quantity:
    """The one number that a statement gives as its answer.

    Of ``a = b`` the part after the last ``=`` counts. Among several numbers, one in bold decides; else those in
    brackets and those that only qualify ("for 3 days", "of the 7") are left out.

    Raises:
        Unreadable: no number, several, or a denial.
    """
    text = tidy(statement.text)
    if _DENIAL.search(text):
        raise Unreadable(f"{_short(statement.text)} does not state an answer")
    ends = [m.end() for m in _RESULT.finditer(text) if re.search(r"\d", text[m.end() :])]
    tail = text[ends[-1] :] if ends else text
    bold = [b for b in statement.bold if re.search(r"\d", b) and b in statement.text]
    if len(bold) == 1 and len(_quietly(tidy(bold[0]))) == 1 and "=" not in bold[0]:
        return _stated(text, max(text.find(tidy(bold[0])), 0), _quietly(tidy(bold[0])), statement.text)
    reason = re.search(r"\d.*?(,?\s+(?:since|because)\b)", tail)
    found = quantities(tail[: reason.start(1)] if reason else tail)
    if len({q.value for q in found}) > 1:
        outside = re.sub(r"\([^()]*\)", lambda m: " " * len(m.group()), tail)
        found = quantities(outside) if re.search(r"\d", outside) else found
    if len({q.value for q in found}) > 1:
        found = [q for q in found if not _governed(tail[: q.start])]
    if len({q.value for q in found}) > 1:
        found = _of_last_clause(tail, found, result=tail is not text)
    if not found:
        raise Unreadable(f"there is no number in {_short(statement.text)}")
    if len({q.value for q in found}) > 1:
        raise Unreadable(f"{_short(statement.text)} states {len(found)} numbers; exactly one is asked for")
    if _UNFINISHED.search(re.sub(r"\([^()]*\)", "", tail)) and not re.search(r"\d\s*[*×x]\s*10\^", tail):
        raise Unreadable(f"{_short(statement.text)} is a calculation without its result")
    return _stated(text, len(text) - len(tail), found, statement.text)


def _stated(text: str, offset: int, found: list[Quantity], told: str) -> Quantity:
    """The first of quantities that are equal and found from ``offset`` on, unless it is denied or part of more."""
    for q in (replace(q, start=q.start + offset, end=q.end + offset) for q in found):
        before = re.sub(rf"[{_CURRENCY}]$", "", text[max(0, q.start - 80) : q.start])
        after = text[q.end : q.end + 80]
        if is_denied(text, q):
            raise Unreadable(f"{_short(told)} denies its number")
        if _OPEN.search(before) or _BOUND.search(before) or _BOUND_AFTER.match(after):
            raise Unreadable(f"{_short(told)} does not state a number but a bound or an alternative")
        if _PART.search(before) or _PART_AFTER.match(after):
            raise Unreadable(f"{_short(told)} is a calculation without its result")
    return found[0]


def _of_last_clause(text: str, found: list[Quantity], *, result: bool) -> list[Quantity]:
    """The number of the clause that concludes ("it took 3 hours and cost 45 dollars"), where a verb leads to one.

    Of what follows an equals sign (``result``) it is else the first number ("= 5 hours to fill 25 cans").
    """
    if re.search(r"\bor\b|\bbetween\b|\bfrom\b|\beither\b", text, re.IGNORECASE):
        return found
    starts = [m.end() for m in _CLAUSE.finditer(text)]
    start = max((s for s in starts if any(q.start >= s for q in found)), default=0)
    led = [q for q in found if q.start >= start and _VERB.search(_before(text, q))]
    if len(led) == 1 and (start or not result):
        return led
    first, rest = found[0], text[found[0].end :]
    joined = re.match(r"\s*[^\W\d]*\s*(?:[-+*/×÷,]|and|to)\s*[$€£]?\d", rest)
    return [first] if result and not text[: first.start].strip(" $€£\\(~") and not joined else found


def _before(text: str, quantity: Quantity) -> str:
    return re.sub(rf"[{_CURRENCY}]$", "", text[max(0, quantity.start - 80) : quantity.start])


def _governed(before: str) -> bool:
    before = re.sub(rf"[{_CURRENCY}]$", "", before[-80:])
    if _TOTAL.search(before) or _LED.search(before) or _OPEN.search(before):
        return False
    return bool(_GOVERNED.search(before))


def _quietly(text: str) -> list[Quantity]:
    try:
        return quantities(text)
    except Unreadable:
        return []


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
