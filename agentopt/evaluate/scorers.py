"""Strict, typed scorers with feedback in words.

Each is a frozen dataclass, so it can be compared, printed and hashed; called with an example and an output it returns
a ``Feedback`` with score 1 or 0 (``json_fields``: the share of fields that are right). What counts as the answer in a
free text is fixed in ``agentopt.evaluate.answers``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.answers import Unreadable, numbers_in, one_number, refuse_denial, stated_answer
from agentopt.evaluate.task import Example

__all__ = ["boolean", "choice", "exact", "numeric"]

_HOW_NUMBER = "end with one line such as 'Answer: 42'"


def wrong(text: str) -> Feedback:
    """Score 0 and why."""
    return Feedback(score=0.0, text=text)


def right(text: str = "correct") -> Feedback:
    """Score 1."""
    return Feedback(score=1.0, text=text)


def short(value: Any, length: int = 120) -> str:
    """A repr of at most so many characters."""
    text = repr(value)
    return text if len(text) <= length else text[: length - 3] + "..."


@dataclass(frozen=True)
class exact:
    """The output equals the target: same type, same value.

    Texts are compared after removing white space at both ends; ``ignore_case`` also ignores case. 1 equals 1.0, but
    neither equals ``True`` nor ``"1"``.

    >>> exact()(Example(input="q", target="Paris"), " Paris\\n").score
    1.0
    """

    ignore_case: bool = False

    def __call__(self, example: Example, output: Any) -> Feedback:
        target = example.target
        if isinstance(target, str) and isinstance(output, str):
            given, wanted = (self._plain(v) for v in (output, target))
            if given == wanted:
                return right()
            if given.casefold() == wanted.casefold():
                return wrong(f"expected exactly {short(target)}, got {short(given)}: only upper and lower case differ")
            if wanted and wanted in given:
                return wrong(f"expected exactly {short(target)} and nothing else, got {short(given)}")
            return wrong(f"expected exactly {short(target)}, got {short(given)}")
        if type_of(output) != type_of(target):
            return wrong(f"expected {type_of(target)} {short(target)}, got {type_of(output)} {short(output)}")
        return right() if same(output, target) else wrong(f"expected {short(target)}, got {short(output)}")

    def _plain(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text).strip()
        return text.casefold() if self.ignore_case else text


def type_of(value: Any) -> str:
    """The JSON type of a value, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, dict) else f"a {type(value).__name__}"


def same(a: Any, b: Any, tol: float = 0.0) -> bool:
    """Equality of JSON values in which types count, numbers within ``tol``."""
    if type_of(a) != type_of(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(v, b[k], tol) for k, v in a.items())
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y, tol) for x, y in zip(a, b, strict=True))
    if tol and isinstance(a, int | float) and not isinstance(a, bool):
        return bool(abs(a - b) <= tol)
    return bool(a == b)


@dataclass(frozen=True)
class numeric:
    """The stated number is the target, within ``tol`` (absolute) or ``rel`` (a share of it), whichever is wider.

    Args:
        tol: absolute tolerance, in the target's unit.
        rel: relative tolerance: 0.01 is one percent of the target.
        final: which number of a text is the answer. ``"stated"``: the only number of the stated answer (see
            ``agentopt.evaluate.answers``); ``"last"``: the last number of the text; ``"only"``: the text is that number
            and nothing else.

    >>> numeric()(Example(input="6 * 7", target=42), "6 * 7 = 42\\nAnswer: 42").score
    1.0
    >>> numeric()(Example(input="6 * 7", target=42), "I do not know").score
    0.0
    """

    tol: float = 0.0
    rel: float = 0.0
    final: Literal["stated", "last", "only"] = "stated"

    def __post_init__(self) -> None:
        if not (self.tol >= 0 and self.rel >= 0):
            raise UsageError(f"numeric: tol={self.tol} and rel={self.rel} must not be negative")
        if self.final not in ("stated", "last", "only"):
            raise UsageError(f"numeric: final={self.final!r} is not 'stated', 'last' or 'only'")

    def __call__(self, example: Example, output: Any) -> Feedback:
        target = example.target
        if isinstance(target, bool) or not isinstance(target, int | float | str):
            raise UsageError(f"numeric: the target of example {example.id} is {short(target)}, not a number")
        try:
            wanted = Decimal(str(target).strip().replace(",", ""))
        except ArithmeticError:
            raise UsageError(f"numeric: the target of example {example.id} is {short(target)}, not a number") from None
        try:
            given = self._read(output)
        except Unreadable as error:
            return wrong(f"{error}; {_HOW_NUMBER} (expected {target})")
        if not given.is_finite():
            return wrong(f"the answer is {given}, not a finite number (expected {target})")
        allowed = max(Decimal(str(self.tol)), Decimal(str(self.rel)) * abs(wanted))
        if abs(given - wanted) <= allowed:
            return right()
        side = "too low" if given < wanted else "too high"
        sign = "; only the sign is wrong" if given == -wanted else ""
        return wrong(f"the answer read is {given}, expected {target}: {side}{sign}")

    def _read(self, output: Any) -> Decimal:
        if isinstance(output, int | float) and not isinstance(output, bool):
            return Decimal(str(output))
        if not isinstance(output, str):
            raise Unreadable(f"the output is {type_of(output)} ({short(output, 60)}), not a number or a text")
        if self.final == "only":
            if len(output.split()) != 1:
                raise Unreadable(f"the output is {short(output, 60)}; it must be one number and nothing else")
            return one_number(output)
        if self.final == "last":
            numbers = _lenient(output)
            if not numbers:
                raise Unreadable(f"there is no number in {short(output, 60)}")
            return numbers[-1]
        return one_number(stated_answer(output))


def _lenient(text: str) -> list[Decimal]:
    """The numbers of a text, passing over words that are not numbers."""
    found: list[Decimal] = []
    for word in re.split(r"[\s=≈]+", text):
        try:
            found += numbers_in(word)
        except Unreadable:
            continue
    return found


@dataclass(frozen=True, init=False)
class choice:
    """The stated answer names exactly one of ``labels``, and it is the target.

    Labels are found as whole words ("invalid" is not "valid"), longest first ("not valid" is not "valid" when both are
    labels). Case does not matter unless two labels differ only by case or a label is a single letter. Several labels,
    none, or a denial are wrong answers.

    >>> score = choice("valid", "invalid")
    >>> [score(Example(input="x", target="valid"), text).score for text in ("Valid.", "invalid", "valid or invalid")]
    [1.0, 0.0, 0.0]
    """

    labels: tuple[str, ...]

    def __init__(self, *labels: str | list[str] | tuple[str, ...]) -> None:
        flat = labels[0] if len(labels) == 1 and isinstance(labels[0], list | tuple) else labels
        if len(flat) < 2 or len(set(flat)) < len(flat) or not all(isinstance(x, str) and x.strip() for x in flat):
            raise UsageError(f"choice: {flat!r} are not at least two different labels")
        object.__setattr__(self, "labels", tuple(flat))

    def __call__(self, example: Example, output: Any) -> Feedback:
        target = example.target
        if target not in self.labels:
            raise UsageError(f"choice: the target of example {example.id} is {short(target)}, not one of {self.labels}")
        if not isinstance(output, str):
            return wrong(f"the output is {type_of(output)} ({short(output, 60)}); name one of {', '.join(self.labels)}")
        try:
            given = self.read(output)
        except Unreadable as error:
            return wrong(
                f"{error}; end with one line such as 'Answer: {self.labels[0]}' naming one of"
                f" {', '.join(self.labels)} (expected {target})"
            )
        return right() if given == target else wrong(f"the answer read is {given!r}, expected {target!r}")

    def read(self, text: str) -> str:
        """The label that ``text`` names.

        Raises:
            Unreadable: none or several, or a denial.
        """
        if text.strip() in self.labels:
            return text.strip()
        statement = stated_answer(text, denials=True)
        named, rest = self._named(statement)
        if len(named) != 1 or not _NEGATIVE.search(named[0]):  # "no, it is not" says no
            refuse_denial(rest)
        if not named:
            raise Unreadable(f"{short(statement, 60)} names none of the labels")
        if len(named) > 1:
            raise Unreadable(f"{short(statement, 60)} names {len(named)} labels ({', '.join(named)})")
        if named[0] in ("A", "I") and not re.search(rf"(?<![\w-]){named[0]}(?![\w-]|\s+\w)", statement):
            raise Unreadable(f"{named[0]!r} in {short(statement, 60)} may be a word and not the label")
        return named[0]

    def _named(self, statement: str) -> tuple[list[str], str]:
        """The labels in a statement, and the statement without them."""
        folded = len({x.casefold() for x in self.labels}) == len(self.labels)
        named: list[str] = []
        rest = statement
        for label in sorted(self.labels, key=len, reverse=True):
            flags = re.IGNORECASE if folded and len(label) > 1 else re.NOFLAG
            pattern = rf"(?<![\w-]){re.escape(label)}(?![\w-])"
            rest, count = re.subn(pattern, "…", rest, flags=flags)
            if count:
                named.append(label)
        return [label for label in self.labels if label in named], rest


_NEGATIVE = re.compile(r"\b(?:no|not|none|never|cannot|unknown|false)\b", re.IGNORECASE)
_TRUE, _FALSE = ("yes", "true"), ("no", "false")


@dataclass(frozen=True)
class boolean:
    """The stated answer is yes (true) or no (false), whichever the target, a bool, says.

    >>> boolean()(Example(input="Is 7 prime?", target=True), "Answer: yes").score
    1.0
    """

    def __call__(self, example: Example, output: Any) -> Feedback:
        target = example.target
        if not isinstance(target, bool):
            raise UsageError(f"boolean: the target of example {example.id} is {short(target)}, not true or false")
        expected = "yes" if target else "no"
        if not isinstance(output, bool):
            if not isinstance(output, str):
                return wrong(f"the output is {type_of(output)} ({short(output, 60)}), not yes or no")
            try:
                named = choice(*_TRUE, *_FALSE).read(output)
            except Unreadable as error:
                return wrong(f"{error}; end with 'Answer: yes' or 'Answer: no' (expected {expected})")
            output = named in _TRUE
        return right() if output is target else wrong(f"the answer is {'yes' if output else 'no'}, expected {expected}")
