r"""A final answer as one LaTeX expression: units, words, thousands separators and print signs are read, or refused.

Math-Verify compares expressions; what a person writes around one is taken off here, by explicit rules that never
change a value. What states no value, or several, is refused with the reason.
"""

from __future__ import annotations

import re
from fractions import Fraction

from agentopt.evaluate.answers import Unreadable

__all__ = ["plain_math"]

_PRINT = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "π": r"\pi ", "∞": r"\infty ",
    "≈": r"\approx ", "≃": r"\approx ", "≥": r"\ge ", "≤": r"\le ", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}",
    "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "**": "", "`": "", r"\$": "", "€": "", "£": "",
}  # fmt: skip
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_LAYOUT = re.compile(
    r"\\(?:displaystyle|textstyle|left|right|bigl?|bigr|Bigl?|Bigr|mathstrut|qquad|quad|limits|[!;:]|,(?!\d{3}))(?![A-Za-z])"
)
_STYLE = re.compile(r"\\(?:mathbf|boldsymbol|bm|mathit|mathsf|textbf|textit|underline|boxed)\s*\{([^{}]*)\}")
_WORDS = re.compile(r"\\(?:text|mathrm|mbox|textrm|operatorname)\s*\{([^{}]*)\}(?:\s*\^\s*(?:\{-?\d\}|\d))?")
_FUNCTIONS = frozenset(
    re.findall(
        r"\w+",
        "sqrt cbrt sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan log ln exp pi frac dfrac tfrac cfrac"
        " cdot times infty circ root binom choose div over pm",
    )
)
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_UNDEFINED = re.compile(
    r"\b(?:nan|none|undefined|unknown|unbounded|not|doesn['’]t exist|no (?:min\w*|max\w*|solution|answer))\b",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"[,;(]?\s*(?<![A-Za-z\\])(?:when|at|if|for|where|attained|achieved)(?![A-Za-z])[\s\S]*$", re.IGNORECASE
)
_UNIT = re.compile(
    r"(?<=[\d})])\s*(?:(?:sq(?:uare)?|cubic)\.?\s+)?"
    r"(?:units?|cm|mm|km|m|kg|g|s|dollars?|degrees?|inch(?:es)?|feet|ft|met(?:er|re)s?|points?|squares?)"
    r"(?:\s*\^\s*\{?-?\d\}?)?\s*$"
)
_TOLD = re.compile(
    r"(?<![A-Za-z\\])(?:or|and|when|at|if|where|attained|achieved|per\s?cent|not|"
    + "|".join(_SCALES)
    + r")(?![A-Za-z])"
)
_RELATION = re.compile(r"\\(?:geqslant|leqslant|geq|leq|ge|le)(?![A-Za-z])|=")
_STRICT = re.compile(r"[<>]|\\(?:gt|lt|neq?|in)(?![A-Za-z])")
_DEGREES = re.compile(r"\\(sin|cos|tan|cot)\s*(?:\(\s*)?(\d+)\s*\^\s*(?:\\circ|\{\s*\\circ\s*\})(?:\s*\))?")
_POINT = re.compile(r"[A-Za-z](?:_\{?\w+\}?)?(?:\s*=\s*[A-Za-z](?:_\{?\w+\}?)?)+")
_ABOUT = re.compile(r"\\(?:approx|simeq|sim|doteq)(?![A-Za-z])")


def plain_math(answer: str) -> str:
    r"""One LaTeX expression from a final answer.

    >>> [plain_math(a) for a in (r"1{,}000\text{ cm}^2", "1.5e-3", "x = 2√2", r"2\sqrt{2} \approx 2.83", "5 units")]
    ['1000', '1.5 \\times 10^{-3}', '2\\sqrt{2}', '2\\sqrt{2}', '5']

    Raises:
        Unreadable: it states no value, or several, or a strict bound, which is no value.
    """
    text = _printed(answer)
    if (said := _UNDEFINED.search(text)) is not None:
        raise Unreadable(f"{_short(answer)} states no number (it says {said.group()!r})")
    text = _numbers(_value(_unworded(text), answer)).strip().rstrip(".").strip()
    text = re.sub(r"\s+", " ", _UNIT.sub("", text)).strip()
    if not text or not re.search(r"\d|\\pi|\\infty|(?<![A-Za-z\\])e(?![A-Za-z])", text):
        raise Unreadable(f"{_short(answer)} states no number")
    if not _only_known(text):
        raise Unreadable(f"{_short(answer)} is not one number: it has words in it")
    if re.search(r"[^\x20-\x7e]", text):
        raise Unreadable(f"{_short(answer)} has characters that are no mathematics here")
    return text


def _printed(answer: str) -> str:
    """With LaTeX's spelling for signs of print, and without layout."""
    text = answer
    for sign, latex in _PRINT.items():
        text = text.replace(sign, latex)
    text = re.sub(r"\^?[⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^{" + m[0].lstrip("^").translate(_RAISED) + "}", text)
    text = re.sub(r"[√]\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    text = re.sub(r"[√]\s*(\d+(?:\.\d+)?|[a-z])", r"\\sqrt{\1}", text)
    text = re.sub(r"\\[()\[\]]|\$", " ", text)
    text = re.sub(r"(?<=\d)\\,(?=\d{3}(?!\d))", ",", text)
    text = text.replace("{,}", ",").replace(r"\ ", " ").replace("~", " ")
    for _ in range(4):
        text = _STYLE.sub(r"\1", text)
    return _LAYOUT.sub("", text).strip()


def _unworded(text: str) -> str:
    """Words that scale a number as their power of ten; a condition and text around the value are taken off."""
    text = _WORDS.sub(lambda m: f" {m[1]} " if m[1].strip() in {*_FUNCTIONS, "e"} or _TOLD.search(m[1]) else " ", text)
    text = re.sub(r"(?<=[\d\s])per\s?cent\b", r"\\%", text)
    for word, power in _SCALES.items():
        text = re.sub(rf"(?<=[\d\s]){word}\b", rf"\\times 10^{{{power}}}", text)
    return _WHEN.sub("", text).strip().rstrip("(").strip()


def _value(text: str, answer: str) -> str:
    """The value of a statement: the exact side of an approximation, the last side of an equation, or of a bound."""
    if _STRICT.search(text):
        raise Unreadable(f"{_short(answer)} is a strict bound or a condition, not a value")
    sides = [side.strip() for side in _ABOUT.split(text) if side.strip()]
    text = sides[0] if sides else ""
    marks = [mark for mark in _RELATION.finditer(text) if _outside(text, mark.start())]
    relations, last = [mark[0] for mark in marks], marks[-1].end() if marks else 0
    if sum(relation != "=" for relation in relations) > 1:
        raise Unreadable(f"{_short(answer)} gives an interval, not one value")
    several = len(relations) > 1 and any(_outside(text, comma.start()) for comma in re.finditer(",", text))
    if several or re.search(r"(?<![A-Za-z\\])(?:or|and)(?![A-Za-z])|;", text):
        raise Unreadable(f"{_short(answer)} states several values")
    if len(marks) > 1 and _POINT.fullmatch(text[: marks[-1].start()].strip()):
        raise Unreadable(f"{_short(answer)} is a point, not a value")
    return text[last:].strip()


def _outside(text: str, at: int) -> bool:
    """Whether a place is in no bracket."""
    before = text[:at]
    return all(before.count(opens) == before.count(closes) for opens, closes in ("()", "{}"))


def _numbers(text: str) -> str:
    """Numbers as LaTeX has them: without thousands separators, exponents written out."""
    text = re.sub(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda m: m[0].replace(",", ""), text)
    text = re.sub(r"(?<![\d.,\w^}])\d{1,3}(?: \d{3})+(?![\d,])", lambda m: m[0].replace(" ", ""), text)
    text = re.sub(r"(\d(?:\.\d*)?)[eE]([+-]?\d+)(?![\d.])", lambda m: f"{m[1]} \\times 10^{{{int(m[2])}}}", text)
    text = re.sub(r"\^\s*\{\s*(-?\d*\.\d+)\s*\}", _exact_power, text)
    text = _DEGREES.sub(r"\\\1(\\frac{\2\\pi}{180})", text)
    if re.search(r"\d\s*,\s*-?\s*[\d\\]", text) and not re.search(r"\\(?:log|binom)", text):
        raise Unreadable(f"{_short(text)} states several values")
    return text


def _exact_power(exponent: re.Match[str]) -> str:
    """A decimal exponent as the fraction that it is: a root of an inexact degree equals none."""
    value = Fraction(exponent[1])
    sign = "-" if value < 0 else ""
    return f"^{{{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}}}"


def _only_known(text: str) -> bool:
    """Whether every run of two letters or more is LaTeX or the name of a function."""
    bare = re.sub(r"\\[A-Za-z]+", " ", text)
    return all(word in _FUNCTIONS for word in re.findall(r"[A-Za-z]{2,}", bare))


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
