"""The scorer of multiple choice: the option that a reply names, by its letter or by its text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.denials import denied_after, denied_before
from agentopt.evaluate.quantities import is_denied, quantities, tidy
from agentopt.evaluate.reading import Statement, read_statement
from agentopt.evaluate.scorers import right, short, type_of, wrong
from agentopt.evaluate.task import Example

__all__ = ["options_of", "stated_option"]

_OPTION = re.compile(r"^\s*\(([A-Z])\)[ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_UNFIT = re.compile(
    r"\s+(?:(?:is|are|was|were|would be|seems?)\s+(?:(?:clearly|also|simply|therefore)\s+)?not\b"
    r"|(?:is|are)n['’]t\b|fails\b|can ?not be\b|can['’]t be\b|do(?:es)?(?: not|n['’]t)\b)",
    re.IGNORECASE,
)
"""What is said of an option that is not the answer, beyond that it is wrong."""
_NONE = re.compile(
    r"\bnone of (?:the|these)\b|\bneither\b|\bno (?:option|choice|answer)\b|\bcannot (?:be|say|tell)\b", re.I
)


def options_of(text: str) -> dict[str, str]:
    """The options that a question lists, one a line as ``(A) ...``: letter to text.

    >>> options_of("Which?\\nOptions:\\n(A) red\\n(B) dark red")
    {'A': 'red', 'B': 'dark red'}
    """
    return dict(_OPTION.findall(text))


@dataclass(frozen=True)
class stated_option:
    """The reply names one option, by letter or by text, and it is the target.

    The options are those that ``meta["options"]`` of an example gives (letter to text), else those that its input lists
    as ``(A) ...`` lines. The target is a letter, with or without brackets, or the text of an option; any other text
    must be stated word for word. A letter beside the text of another option, two options, and options that are only
    denied are wrong; "not (A) but (B)" names (B), "I don't think it is (B)" names none. Options with
    the same text count as one.

    >>> e = Example(input="Which is red?\\n(A) the sky\\n(B) a cherry", target="(B)")
    >>> [stated_option()(e, t).score for t in ("(B)", "Answer: a cherry", "(A) or (B)", "(B) the sky")]
    [1.0, 1.0, 0.0, 0.0]
    """

    def __call__(self, example: Example, output: Any) -> Feedback:
        options, wanted = self._asked(example)
        shown = f"({wanted}) {options[wanted]}".strip() if wanted else str(example.target)
        if not isinstance(output, str):
            return wrong(f"the output is {type_of(output)} ({short(output, 60)}); name one option (expected {shown})")
        try:
            if wanted is None:
                return _as_text(output, str(example.target))
            given = self.read(output, options)
        except Unreadable as error:
            return wrong(f"{error}; end with one line such as 'Answer: (A)' (expected {shown})")
        if given == wanted or _folded(options[given]) == _folded(options[wanted]) != "":
            return right()
        return wrong(f"the answer read is ({given}) {options[given]}".rstrip() + f", expected {shown}")

    def _asked(self, example: Example) -> tuple[dict[str, str], str | None]:
        """The options, and the letter of the right one; None where the target is the text of none of them."""
        given = example.meta.get("options")
        if isinstance(given, Mapping):
            options = {str(k): str(v) for k, v in given.items()}
        else:
            options = options_of(example.input) if isinstance(example.input, str) else {}
        target = str(example.target).strip()
        if not options or not target:
            raise UsageError(
                f"stated_option: example {example.id} has the target {short(example.target)} and {len(options)}"
                " options; give lines such as '(A) ...' in the input, or meta['options']"
            )
        letter = target.strip("()")
        if re.fullmatch(r"[A-Z]", letter):
            options.setdefault(letter, "")  # a row that lacks an option
            return options, letter
        same = [k for k, v in options.items() if _folded(v) == _folded(target)]
        return options, same[0] if len(same) == 1 else None

    def read(self, reply: str, options: dict[str, str]) -> str:
        """The letter of the option that a reply names.

        Raises:
            Unreadable: none or several.
        """
        statement = read_statement(reply)
        _agreeing(statement.line, options)
        for text in dict.fromkeys((statement.text, statement.line)):
            named = self._named(text, statement, options)
            if named and (len(named) == 1 or len({_folded(options[x]) or x for x in named}) == 1):
                return min(named)
            if len(named) > 1:
                listed = ", ".join(f"({x})" for x in sorted(named))
                raise Unreadable(f"{short(text, 60)} names {len(named)} options ({listed})")
        if not _NONE.search(statement.text) and not statement.marked:
            everywhere = _letters(_without_denied(statement.reply, options), options, definite=True)
            if len(everywhere) == 1:
                return everywhere.pop()
        raise Unreadable(f"{short(statement.text, 60)} names none of the options")

    def _named(self, text: str, statement: Statement, options: dict[str, str]) -> set[str]:
        kept = _without_denied(text, options)
        named = self._in(kept, options)
        bold = [b for b in statement.bold if b in kept]
        one = self._in(bold[0], options) if len(bold) == 1 else set()
        if len(one) == 1:
            return one if not named or re.search(r"\b(?:is|are|be)\b|:", kept) or len(named) == 1 else named
        return named or (set() if _NONE.search(text) else _by_number(kept, options))

    def _in(self, text: str, options: dict[str, str]) -> set[str]:
        """All options named in a text, by letter or by text."""
        alone = text.strip(" \t.,:;!\"'“”()[]{}*_<>")
        folded = _folded(text)
        whole = [k for k, v in options.items() if (v and _folded(v) == folded) or _folded(f"({k}) {v}") == folded]
        if len(whole) == 1:
            return set(whole)
        if len(alone) == 1 and alone.upper() in options:
            return {alone.upper()}
        rest, by_text = _texts(text, options)
        letters = _letters(rest, options, definite=bool(by_text))
        if letters and not by_text:
            return letters
        if letters and by_text and letters != by_text:
            # "(B) a cherry, which is not the sky" is led by its letter; "(B) the sky" contradicts itself
            return letters | by_text
        return by_text


def _as_text(reply: str, target: str) -> Feedback:
    statement = read_statement(reply)
    if _folded(target) in (_folded(statement.text), _folded(statement.line)):
        return right()
    return wrong(f"the answer read is {short(statement.text, 60)}, expected {target}")


def _agreeing(line: str, options: dict[str, str]) -> None:
    """Refuse a letter that is followed by the text of another option ("A. the text of B")."""
    begun = re.match(r"\W*([A-Za-z])\s*[.):\]-]+\s*(\S.*)", line)
    if begun is None or begun[1].upper() not in options:
        return
    rest, letter = _folded(begun[2]), begun[1].upper()
    same = [k for k, v in options.items() if v and re.match(rf"{re.escape(_folded(v))}(?!\w)", rest)]
    if same and letter not in same:
        raise Unreadable(f"{short(line, 60)} gives the letter of one option and the text of another")


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").replace("“", '"').replace("”", '"')
    text = re.sub(r"\\(?:text|mathrm|mathbf|textbf)\s*\{([^{}]*)\}", r"\1", text)
    return " ".join(text.split()).strip(" .,:;!\"'*_")


def _texts(text: str, options: dict[str, str]) -> tuple[str, set[str]]:
    """Options whose text stands in ``text`` as whole words, longest first, and what is left of it."""
    rest, found = " ".join(unicodedata.normalize("NFKC", text).replace("’", "'").split()), set()
    for letter, option in sorted(options.items(), key=lambda kv: -len(kv[1])):
        words = " ".join(unicodedata.normalize("NFKC", option).replace("’", "'").split()).rstrip(".")
        if len(words) < 2 and not words.isdigit():
            continue
        pattern = rf"(?<![\w/$.,-]){re.escape(words)}(?![\w/-]|[.,]\d)"
        rest, count = re.subn(pattern, "…", rest, flags=re.IGNORECASE)
        if count:
            found.add(letter)
    return rest, found


def _letters(text: str, options: dict[str, str], *, definite: bool) -> set[str]:
    """Options named by letter. ``definite``: only as ``(B)``, ``B)``, ``option B``, not as a bare ``B``."""
    known = "".join(options)
    found = {m.upper() for m in re.findall(rf"\(\s*([{known}{known.lower()}])\s*\)", text)}
    found |= set(re.findall(rf"(?:^|[\s\"'])([{known}])(?:\)|[.:](?=\s|$))", text))
    found |= set(re.findall(rf":\s*([{known}])[.!\s]*$", text))
    found |= set(re.findall(rf"\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer|[Ll]etter|[Ss]tatement)s?:?\s+([{known}])\b", text))
    if not definite:
        bare = set(re.findall(rf"(?<![\w'’-])([{known}])(?![\w'’-])", text))
        words = {m for m in bare & {"A", "I"} if re.search(rf"(?<![\w'’-]){m}\s+[a-z]", text)}
        also = {m for m in words if re.search(rf"\b{m}\s+(?:and|or|is|are|because|since|as|but)\b", text)}
        found |= bare - (words - also)
    return found


def _without_denied(text: str, options: dict[str, str]) -> str:
    """The text without options that it rules out ("not (A)", "(A) is wrong")."""
    letters = "".join(options)
    letter = rf"(?:(?:option|choice)\s+)?(?:\(\s*[{letters}]\s*\)|(?-i:\b[{letters}]\b)(?!['’]))"
    texts = "|".join(re.escape(v) for v in sorted(filter(None, options.values()), key=len, reverse=True)) or "(?!)"
    one = rf"(?:{letter}(?:\s*(?:{texts})(?!\w))?|(?<!\w)(?:the\s+)?(?:{texts})(?!\w))"
    several = rf"{one}(?:(?:\s*,\s*{one}){{0,8}}\s*,?\s+(?:and|or|nor)\s+{one})?"
    kept, at = [], 0
    for match in re.finditer(several, text, re.IGNORECASE):
        before = text[max(at, match.start() - 200) : match.start()]
        after = text[match.end() : match.end() + 200]
        if denied_before(before) or denied_after(after) or _UNFIT.match(after):
            kept.append(text[at : match.start()])
            at = match.end()
    return " ".join([*kept, text[at:]])


_UNITLESS = {
    "dollar",
    "dollars",
    "rs",
    "usd",
    "euro",
    "euros",
    "rupees",
    "the",
    "a",
    "an",
    "is",
    "approximately",
    "about",
}


def _by_number(text: str, options: dict[str, str]) -> set[str]:
    """Options that are the number that is stated, whatever its form: ``$61`` is ``61.00 dollars``."""
    said = _number_and_words(text) if re.search(r"\d", text) else None
    if said is None:
        return set()
    found = set()
    for letter, option in options.items():
        meant = _number_and_words(option)
        if meant is not None and meant[0] == said[0] and (not said[1] or not meant[1] or said[1] & meant[1]):
            found.add(letter)
    return found


def _number_and_words(text: str) -> tuple[Any, set[str]] | None:
    text = re.split(r"[=≈]", tidy(text))[-1]
    try:
        found = quantities(text)
    except Unreadable:
        return None
    if len({q.value for q in found}) != 1 or any(is_denied(text, q) for q in found):
        return None
    words = set(re.findall(r"[^\W\d_]+|%", (text[: found[0].start] + text[found[-1].end :]).casefold()))
    return found[0].value, {w.rstrip("s") for w in words - _UNITLESS}
