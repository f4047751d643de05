"""The scorer of questions with two answers: yes or no, true or false, valid or invalid."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.denials import denied_after, denied_before
from agentopt.evaluate.reading import Statement, read_statement
from agentopt.evaluate.scorers import right, short, type_of, wrong
from agentopt.evaluate.task import Example

__all__ = ["verdict"]

_UNDECIDED = re.compile(
    r"\bwhether\b|\bunlikely\b|\bdoubtful\b|\bi doubt\b|\bunclear\b|\bunsure\b|\buncertain\b|\bunknown\b|\bdepends\b"
    r"|\bneither\b|\bnot (?:clear|sure|certain|known|possible to|enough)\b|\b(?:do|does|did) ?n[o'’]t know\b"
    r"|\bdo not know\b"
    r"|\b(?:cannot|can ?not|can['’]t|could not|unable to|impossible to) (?:\w+ )?"
    r"(?:say|tell|determine|decide|answer|know|conclude|infer|judge|assess|verify|confirm"
    r"|be (?:determined|decided|said|known|answered|evaluated|concluded|inferred|judged|assessed|verified|confirmed))",
    re.IGNORECASE,
)
_NOT_A_NO = (
    r"(?!\s+(?:doubt|idea|clue|answer|way|matter|problem|one|information|question|need|reason|conclusion|opinion"
    r"|comment|evidence|data|context|such|verdict|decision)\b)"
)
_A_NO = r"(?=\s*(?:$|[.,;:!?)\]}\"'”*/—–-]|(?:because|since|as|and|or|but|in|for|here|to|by|under|when|given)\b))"
_NOT_DIRECTLY = r"(?:\bnot|n['’]t|\bnever)\s+\(?\s*$"
_ANSWERED = re.compile(
    r"(?P<asked>[^.!?:\n]{1,200}?)(?:[?:]|\s[-–—]\s)[\s*_\"'“]*(?P<said>yes|no|true|false)(?=\s*(?:$|[.,;!)*_\"'”]|(?:because|since)\b))",
    re.IGNORECASE,
)
"""A question or label with its answer: "Is it valid? No", "Valid: False"."""
_IS_NOT = r"(?:\b(?:is|are|was) not|n['’]t)\s+$"
_CONCLUDES = r"(?:\bis|\bare|\bto|\bbe|\bas|=|≡|->|→|⇒|:|\banswer|\bsay|\bget|\breturns?|\bgives?)\s*[\"'“(]?$"


class _Word(NamedTuple):
    """A mention of a verdict."""

    value: bool | None
    """None where it may be denied."""
    start: int
    end: int
    part: bool
    """Whether it stands in an expression ("not True"), of which it is not the value."""
    plain: bool
    """Whether it is "yes" or "no", which say nothing about a thing."""


@dataclass(frozen=True)
class verdict:
    """The reply decides as the target does, between one word and its opposite.

    Labels are whole words: "invalid" is not "valid", "I do not know" and "nothing" are not "no". A reply that opens
    with its verdict ("Yes, nothing is wrong") means that verdict. "Not valid", "it cannot be valid" and "Is it valid?
    No" are the opposite of "valid"; where it is not clear what is denied, no verdict is read. A reply that names both,
    or does not decide, is wrong unless it clearly ends with one.

    Args:
        positive, negative: the two targets; upper and lower case do not matter.
        also_positive, also_negative: other words for them.

    >>> score = verdict("valid", "invalid")
    >>> [score(Example(input="q", target="valid"), t).score for t in ("valid", "invalid", "valid or invalid")]
    [1.0, 0.0, 0.0]
    """

    positive: str = "yes"
    negative: str = "no"
    also_positive: tuple[str, ...] = ()
    also_negative: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        words = [w.casefold() for w in (*self._positives, *self._negatives)]
        if len(set(words)) < len(words) or not all(w.strip() for w in words):
            raise UsageError(f"verdict: {words} are not different words")

    @property
    def _positives(self) -> tuple[str, ...]:
        return (self.positive, *self.also_positive)

    @property
    def _negatives(self) -> tuple[str, ...]:
        return (self.negative, *self.also_negative)

    def __call__(self, example: Example, output: Any) -> Feedback:
        target = example.target
        if isinstance(target, bool):
            wanted = target
        elif isinstance(target, str) and target.casefold() in (self.positive.casefold(), self.negative.casefold()):
            wanted = target.casefold() == self.positive.casefold()
        else:
            both = f"{self.positive!r} nor {self.negative!r}"
            raise UsageError(f"verdict: the target of example {example.id} is {short(target)}, neither {both}")
        expected = self.positive if wanted else self.negative
        if isinstance(output, bool):
            given = output
        elif not isinstance(output, str):
            return wrong(
                f"the output is {type_of(output)} ({short(output, 60)}), not {self.positive} or {self.negative}"
            )
        else:
            try:
                given = self.read(output)
            except Unreadable as error:
                ask = f"'Answer: {self.positive}' or 'Answer: {self.negative}'"
                return wrong(f"{error}; end with one line {ask} (expected {expected})")
        if given is wanted:
            return right()
        return wrong(f"the answer read is {self.positive if given else self.negative}, expected {expected}")

    def read(self, reply: str) -> bool:
        """Whether a reply says the positive word.

        Raises:
            Unreadable: neither, both, or undecided.
        """
        statement = read_statement(reply)
        if not statement.marked:
            self._refuse_listing(statement.reply)
        for text in dict.fromkeys((statement.text, statement.line)):
            answered = self._answered(text)
            if answered is not None:
                return answered
            leading = self._leading(text)
            if leading is not None:
                return leading
        found = self._all(statement.text)
        if re.search(r"(?:\bis|=)\s*$", statement.text):
            raise Unreadable(f"{short(statement.text, 60)} ends before its value")
        if found and re.search(r"\?\W*$", statement.text):
            raise Unreadable(f"{short(statement.text, 60)} is a question")
        if _UNDECIDED.search(statement.text):
            raise Unreadable(f"{short(statement.text, 60)} does not decide")
        if found and all(word.part for word in found):
            raise Unreadable(f"{short(statement.text, 60)} is an expression and not its value")
        values = {word.value for word in found}
        if values == {None}:
            raise Unreadable(f"{short(statement.text, 60)} may deny what it names")
        if len(values) == 1:
            return values == {True}
        if found:
            return self._ends_with(statement, found)
        opening = None if statement.marked else self._opening(statement.reply)
        if opening is None:
            raise Unreadable(f"{short(statement.text, 60)} says neither {self.positive} nor {self.negative}")
        return opening

    def _word(self, words: tuple[str, ...], *, leading: bool = True) -> str:
        longest = sorted(words, key=len, reverse=True)
        after_no = _NOT_A_NO if leading else _A_NO
        return "|".join(re.escape(w) + (after_no if w.casefold() == "no" else "") for w in longest)

    def _answered(self, text: str) -> bool | None:
        """The verdict that the answer to a question or label gives: of "Is it valid? No" the opposite of valid."""
        answers = list(_ANSWERED.finditer(text))
        asked = self._all(answers[-1]["asked"]) if answers else []
        if len(asked) != 1 or asked[0].value is None or asked[0].part or asked[0].plain:
            return None
        return asked[0].value is (answers[-1]["said"].casefold() in ("yes", "true"))

    def _leading(self, text: str) -> bool | None:
        """The verdict with which a text opens and which it does not offer as one of two."""
        text = text.strip(" \t\"'“”‘’([*_.-").removeprefix("#").strip()
        for value, words in ((False, self._negatives), (True, self._positives)):
            match = re.match(rf"(?:{self._word(words)})(?![\w'’-]|\s*(?:/|or\b|and\b|nor\b|\?))", text, re.IGNORECASE)
            if match is None:
                continue
            rest = text[match.end() :]
            simple = match.group().casefold() in ("yes", "no")
            if simple or (re.match(r"\s*(?:$|[.,;:!)\"'”’*-])", rest) and not denied_after(rest)):
                other = self._word(self._positives if not value else self._negatives)
                if re.search(rf"(?:\bor|\bbut|\bthough|/)\s+(?:also\s+)?(?:{other})\b", rest, re.IGNORECASE):
                    raise Unreadable(f"{short(text, 60)} names both")
                return value
        return None

    def _all(self, text: str) -> list[_Word]:
        """Every mention of a verdict; "is not valid" is a mention of its opposite."""
        found: list[_Word] = []
        negatives, positives = (self._word(w, leading=False) for w in (self._negatives, self._positives))
        pattern = rf"(?<![\w-])(?<!\w\))(?<!\bin )(?:(?P<n>{negatives})|(?P<p>{positives}))(?![\w-])"
        for match in re.finditer(pattern, text, re.IGNORECASE):
            kind = match.group().casefold()
            since = found[-1].end if found else 0
            negated = self._negated(text[since : match.start()], kind, text[match.end() :])
            plain, boolean = kind in ("yes", "no"), kind in ("true", "false")
            if plain and negated is not False:
                raise Unreadable(f"{short(text, 60)} does not decide")
            directly = boolean and re.search(_NOT_DIRECTLY, text[: match.start()], re.IGNORECASE) is not None
            part = directly and not re.search(_IS_NOT, text[: match.start()], re.IGNORECASE)
            own = match["p"] is not None
            value = own if part else None if negated is None else own is not negated
            found.append(_Word(value, match.start(), match.end(), part, plain))
        return found

    @staticmethod
    def _negated(before: str, kind: str, after: str) -> bool | None:
        """Whether a mention is denied; None where that is not clear."""
        denied = denied_before(before)
        if kind not in ("yes", "no", "true", "false") and denied_after(after):
            return True if denied is False else None
        return denied

    def _ends_with(self, statement: Statement, found: list[_Word]) -> bool:
        """The verdict that a statement with both words clearly concludes with."""
        bold = [v for b in statement.bold if b in statement.text for v, *_ in self._all(b)]
        if len(bold) == 1 and bold[0] is not None:
            return bold[0]
        value, start, end, *_ = found[-1]
        text = statement.text
        ends = re.fullmatch(r"[\s.!\"'”’)*_]*", text[end:])
        if value is not None and ends and re.search(_CONCLUDES, text[:start], re.IGNORECASE):
            return value
        raise Unreadable(f"{short(text, 60)} names both {self.positive} and {self.negative}")

    def _refuse_listing(self, reply: str) -> None:
        """Refuse a reply that ends with both words as a list, as the question gives them."""
        last = [line.strip(" \t-*•.").casefold() for line in reply.splitlines() if line.strip()][-2:]
        if set(last) == {self.positive.casefold(), self.negative.casefold()}:
            raise Unreadable("the reply lists both answers and chooses none")

    def _opening(self, reply: str) -> bool | None:
        """The verdict that stands alone at the start of a reply whose end says none."""
        lines = [line for line in reply.splitlines() if line.strip()]
        leads = [v for line in lines if (v := self._leading(line)) is not None]
        return leads[0] if leads and len(set(leads)) == 1 and self._leading(lines[0]) is not None else None
