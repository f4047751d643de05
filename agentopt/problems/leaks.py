"""Whether a question that a model wrote for a scenario keeps its facts and keeps its formal lines to itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from agentopt.evaluate.quantities import quantities
from agentopt.problems.steps import Demonstration

__all__ = ["leaks", "lost_numbers", "numbers", "question_problem"]

_NUMBER = re.compile(r"(?<![\w.])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|(?<![\w.])\.\d+")
_POWER = re.compile(r"(?:\*\*|\^)\s*\(?\s*[\d.]+\)?")
_INDEX = re.compile(r"\b[A-Za-z_]\w*")
_FORMAL_LINE = re.compile(r"^\s*(?://|#{1,3}\s|```)", re.MULTILINE)
_HEADER = re.compile(r"Generate Constraint-?\d|Define (?:Variables|Objective Function)|Constraint-\d+", re.IGNORECASE)
_DECLARED = re.compile(r'"(?:range|type)"\s*:')
_RELATION = re.compile(r"<=|>=|==|≤|≥|\\leq?\b|\\geq?\b")
_MARK = re.compile(r"[^\w<>=+*/^().-]")
_COMPOUND = re.compile(r"[a-z][A-Z]|_|\d")
_ALWAYS = (Decimal(0), Decimal(1))
"""Bounds and coefficients that words say without a number."""
_SCALES = {"thousand": 1000, "million": 10**6, "billion": 10**9, "k": 1000}
_PERCENT = re.compile(r"%|\bper ?cent", re.IGNORECASE)
_WORDS = {"half": Decimal("0.5"), "twice": Decimal(2), "double": Decimal(2), "triple": Decimal(3),
          "three times": Decimal(3), "a third": Decimal(1) / 3, "a quarter": Decimal("0.25"), "both": Decimal(2),
          "once": Decimal(1), "dozen": Decimal(12)}  # fmt: skip


def numbers(text: str) -> list[Decimal]:
    """The numbers in a text that are written in digits; digits within a name (``x1``) are none.

    >>> [str(n) for n in numbers("3.50*x1 + y_2 <= 1,200 and .5")]
    ['3.50', '1200', '0.5']
    """
    found = []
    for match in _NUMBER.finditer(text):
        try:
            found.append(Decimal(match[0].replace(",", "")))
        except InvalidOperation:  # digits of another script
            continue
    return found


def _said(text: str) -> set[Decimal]:
    """Every number that a text says: in digits and in words; where it speaks of percent, hundredths as well."""
    said = set(numbers(text))
    for match in re.finditer(rf"({_NUMBER.pattern})\s*({'|'.join(_SCALES)})\b", text, re.IGNORECASE):
        said.add(Decimal(match[1].replace(",", "")) * _SCALES[match[2].lower()])
    for number in quantities(re.sub(r"\S*\d\S*", " ", text)):  # without digits: the words
        said.add(Decimal(number.value.numerator) / Decimal(number.value.denominator))
    lower = text.lower()
    said |= {value for word, value in _WORDS.items() if word in lower}
    return said | {number / 100 for number in said} if _PERCENT.search(text) else said


def lost_numbers(scenario: Demonstration, question: str) -> list[str]:
    """Numbers of the formal lines that a question has lost.

    0, 1 and powers need not be said. A number that the scenario's own words do not say either was derived from those
    that they say (120 for a price of 200 less a cost of 80): then the question must say all the numbers of that step.

    >>> from agentopt.problems.steps import Part
    >>> def of(plain, *formal): return Demonstration(parts=(Part(plain=plain, formal=formal),))
    >>> lost_numbers(of("It brings $12, less 15 percent, at most 40.", "12*x + 0.15*y**2", "x <= 40"),
    ...              "Each brings $12, less 15%; at most forty.")
    []
    >>> lost_numbers(of("The price is 200 and the cost 80.", "120*x <= 40"), "The price is 200.")
    ['80']
    """
    told, said = _said(scenario.plain), _said(question)
    lost: dict[Decimal, None] = {}
    for part in scenario.parts:
        wanted = [n for line in part.formal for n in numbers(_POWER.sub("", line)) if n not in _ALWAYS]
        if any(n not in told for n in wanted):
            wanted += numbers(part.plain)
        lost |= dict.fromkeys(n for n in wanted if n in told and n not in said)
    return [f"{n.normalize():f}" for n in lost]


def leaks(scenario: Demonstration, question: str) -> list[str]:
    """What of the formal side stands in a question: its lines, its headers, or its symbols.

    A symbol is one only where the words of the scenario do not have it: ``chairs`` may stand in a question, ``x1`` and
    ``VanTrips`` may not, and ``x`` may not stand before a relation.
    """
    found = []
    if _FORMAL_LINE.search(question):
        found.append("a line of it begins as a formal line, a header or a fence")
    if match := _HEADER.search(question):
        found.append(f"it has the header {match[0]!r}")
    if _DECLARED.search(question):
        found.append("it declares variables")
    bare = _MARK.sub("", question)
    for line in scenario.formal[len(scenario.parts[0].formal) :]:
        core = _MARK.sub("", re.sub(r"^.*?(?:maximi[sz]e|minimi[sz]e)\s*:?", "", line, flags=re.IGNORECASE))
        if len(core) > 4 and re.search(r"[<>=*+/]", core) and core in bare:
            found.append(f"it has the formal line {line[:60]!r}")
    plain = set(_INDEX.findall(scenario.plain))
    there = set(_INDEX.findall(question))
    for symbol in scenario.symbols:
        if symbol in plain or symbol not in there:
            continue
        beside = re.search(rf"\b{re.escape(symbol)}\s*(?:{_RELATION.pattern}|[=*^])", question)
        if beside or (len(symbol) > 1 and _COMPOUND.search(symbol)):
            found.append(f"it has the symbol {symbol!r}")
    return found


def question_problem(scenario: Demonstration, question: str, *, table: bool) -> str:
    """Why a question cannot be used; empty for a good one.

    A question is asked (it is longer than a sentence fragment), leaks nothing formal, says every number that the formal
    lines need, and has a table exactly where one was wanted.
    """
    checks: Mapping[str, list[str]] = {
        "leak": leaks(scenario, question),
        "lost numbers": lost_numbers(scenario, question),
    }
    if len(question.split()) < 12:
        return "too short: it is no question"
    for what, wrong in checks.items():
        if wrong:
            return f"{what}: {', '.join(wrong[:5])}"
    has = len(re.findall(r"^\s*\|.*\|\s*$", question, re.MULTILINE)) >= 3
    if has != table:
        return "table: it has one" if has else "table: it has none"
    return ""
