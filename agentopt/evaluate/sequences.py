"""Scorers of answers that are sequences: closing brackets, and words in order."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.denials import denied_after, denied_before
from agentopt.evaluate.reading import MOST, plain, without_thoughts
from agentopt.evaluate.scorers import right, short, type_of, wrong
from agentopt.evaluate.task import Example

__all__ = ["brackets", "word_list"]

_BRACKETS = "()[]{}<>"
_FOREIGN = str.maketrans("⟨⟩〈〉（）［］｛｝＜＞", "<><>()[]{}<>")
_RUN = re.compile(r"[()\[\]{}<>][()\[\]{}<>\s,]*")
_REMARK = re.compile(r"\(\s?\w[^()\[\]{}<>]*\)$")
_TAG = re.compile(r"</?(?:answer|think|b|i|code|pre|p|br)\s*/?>", re.IGNORECASE)
_MARK = re.compile(r"\banswer\b[^\n:()\[\]{}<>]*?(?:\bis\b\s*:?|:|=)[ \t]*(?P<rest>[^\n]*)", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\s*\{(?P<rest>[^\n]*)\}")


@dataclass(frozen=True)
class brackets:
    """The brackets that the reply gives are the target's, in its order and no others; spaces and commas do not count.

    The brackets of the last mark count ("Answer: ...", ``\\\\boxed{...}``), else the last run of brackets that ends a
    line. A longer sequence that contains the target is wrong, and so are brackets that the reply denies.

    >>> e = Example(input="Complete: ( [ {", target="} ] )")
    >>> [brackets()(e, t).score for t in ("}])", "Answer: } ] )", "( [ { } ] )", "} )")]
    [1.0, 1.0, 0.0, 0.0]
    """

    def __call__(self, example: Example, output: Any) -> Feedback:
        wanted = _only_brackets(example.target)
        if not wanted or set(str(example.target)) - set(_BRACKETS) - {" "}:
            raise UsageError(f"brackets: the target of example {example.id} is {short(example.target)}, not brackets")
        if not isinstance(output, str):
            return wrong(f"the output is {type_of(output)} ({short(output, 60)}), not a text of brackets")
        try:
            given = self.read(output)
        except Unreadable as error:
            return wrong(f"{error}; end with one line such as 'Answer: ] )' (expected {example.target})")
        if given == wanted:
            return right()
        said = f"the answer read is {' '.join(given)}, expected {' '.join(wanted)}"
        if given.endswith(wanted):
            return wrong(f"{said}: give only the brackets that are missing")
        if given.startswith(wanted) or wanted.startswith(given):
            return wrong(f"{said}: {abs(len(given) - len(wanted))} too {'many' if len(given) > len(wanted) else 'few'}")
        return wrong(said)

    def read(self, reply: str) -> str:
        """The brackets of the answer, without spaces.

        Raises:
            Unreadable: there are none, or several runs of them.
        """
        text = without_thoughts(reply)[-MOST:]
        tagged = re.findall(r"<answer>([\s\S]*?)</answer>", text)
        text = tagged[-1] if tagged else _TAG.sub("\n", text)
        text = _latex(plain(text).translate(_FOREIGN))
        marks = [*_MARK.finditer(text), *_BOXED.finditer(text)]
        if marks:
            last = max(marks, key=lambda m: m.start())
            content = last["rest"].strip()
            if not _only_brackets(content):
                lines = [line for line in text[last.end() :].splitlines() if line.strip(" \t$\\")]
                content = lines[0] if lines and not content else content
            return self._final_run(content, led=text[max(0, last.start() - 200) : last.start("rest")])
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines and _only_brackets(lines[-1]):
            return self._final_run(lines[-1])
        bare = [_only_brackets(line) for line in lines if _only_brackets(line) and not re.search(r"\w", line)]
        if len(set(bare)) == 1:
            return bare[0]
        raise Unreadable(f"{short(lines[-1] if lines else '', 60)} gives no brackets")

    def _final_run(self, content: str, led: str = "") -> str:
        """The brackets with which a text ends, before a remark "(three brackets)"; ``led`` is what leads to it."""
        content = _REMARK.sub("", content.strip().rstrip(".\"'“”!;$ ").strip())
        if re.search(r"\bor\b", content, re.IGNORECASE):
            raise Unreadable(f"{short(content, 60)} offers alternatives")
        runs = list(_RUN.finditer(content))
        if not runs:
            raise Unreadable(f"{short(content, 60)} gives no brackets")
        last = runs[-1]
        after = content[last.start() + len(last.group().rstrip(", \t")) :]
        if denied_before(led + content[: last.start()]) or denied_after(after):
            raise Unreadable(f"{short(content, 60)} denies its brackets")
        if content[last.end() :].strip() and len(runs) > 1:
            raise Unreadable(f"{short(content, 60)} does not end with its brackets")
        return _only_brackets(last.group())


def _only_brackets(value: Any) -> str:
    return "".join(c for c in str(value) if c in _BRACKETS)


def _latex(text: str) -> str:
    text = re.sub(r"\\boxed\s*\{((?:\\text\{)?)([^\n]*?)\}?\}\s*(?:\$|\\\]|\.|$)", _unboxed, text, flags=re.MULTILINE)
    text = text.replace("\\{", "{").replace("\\}", "}").replace("\\langle", "<").replace("\\rangle", ">")
    return re.sub(r"\\(?:left|right|text|quad|,|;| )", " ", text)


def _unboxed(match: re.Match[str]) -> str:
    inside = match.group()[match.group().index("{") + 1 : match.group().rindex("}")]
    inside = re.sub(r"^\\text\{(.*)\}$", r"\1", inside)
    return f"\nAnswer: {inside}\n"


_LIST_MARK = re.compile(
    r"(?:\banswer\b[^\n:]*?(?:\bis\b|:|=)|\b(?:sorted|alphabetical(?:ly)?|order(?:ed)?|list|words|result|sequence)\b"
    r"[^\n:]{0,60}:|\\boxed\s*\{|<answer>)[ \t]*",
    re.IGNORECASE,
)
_ITEM = re.compile(r"^\s*(?:[-*•+]|\(?\d+\s*[.):-])\s+")


@dataclass(frozen=True)
class word_list:
    """The words that the reply lists are the target's, in its order, with none more and none less.

    Words may be parted by spaces, commas, arrows or lines, and be numbered; upper and lower case do not matter. The
    list after the last "Answer:" counts, else the last list of the reply. A longer list that contains the target is
    wrong.

    >>> e = Example(input="Sort: pear fig", target="fig pear")
    >>> [word_list()(e, t).score for t in ("fig pear", "Answer: Fig, pear", "1. fig\\n2. pear", "fig pear plum")]
    [1.0, 1.0, 1.0, 0.0]
    """

    def __call__(self, example: Example, output: Any) -> Feedback:
        if not isinstance(example.target, str) or not example.target.split():
            raise UsageError(f"word_list: the target of example {example.id} is {short(example.target)}, not words")
        wanted = example.target.casefold().split()
        if isinstance(output, list) and all(isinstance(w, str) for w in output):
            given = [w.casefold() for w in output]
        elif not isinstance(output, str):
            return wrong(f"the output is {type_of(output)} ({short(output, 60)}), not a list of words")
        else:
            try:
                given = self.read(output, wanted)
            except Unreadable as error:
                return wrong(f"{error}; end with one line 'Answer:' and the words (expected {example.target})")
        if given == wanted:
            return right()
        return wrong(f"{_difference(given, wanted)} (expected {example.target})")

    def read(self, reply: str, wanted: list[str]) -> list[str]:
        """The list of a reply.

        Args:
            reply: a free text.
            wanted: the words that are to be listed; they tell a list from running text.

        Raises:
            Unreadable: there is no list.
        """
        text = plain(without_thoughts(reply)[-MOST:])
        known = set(wanted)
        marks = [
            m for m in _LIST_MARK.finditer(text) if re.match(r"\banswer|<answer|\\boxed", m.group(), re.IGNORECASE)
        ]
        if marks:
            block = _block(text[marks[-1].end() :])
            found = _words(block, known)
            if found:
                return found
        lists = []
        for block in re.split(r"\n[ \t]*\n", text):
            for piece in _pieces(block):
                words = _words(piece, known)
                if sum(w in known for w in words) * 2 > len(words) and len(words) * 2 >= len(wanted):
                    lists.append(words)
        if not lists:
            raise Unreadable("there is no list of the words")
        return lists[-1]


def _block(text: str) -> str:
    """What follows a mark: the rest of its line; without one, the lines of the list that follows."""
    first, _, rest = text.partition("\n")
    if first.strip(" \t{}[]\\$"):
        return first
    lines: list[str] = []
    for line in rest.splitlines():
        if not line.strip(" \t`$"):
            if lines:
                break
            continue
        if lines and _ITEM.match(lines[0]) and not _ITEM.match(line):
            break
        lines.append(line)
    return "\n".join(lines)


def _pieces(block: str) -> list[str]:
    """Parts of a paragraph that may be a list: each line after its colon, and lines of one word each together."""
    lines = [line for line in block.splitlines() if line.strip()]
    pieces: list[str] = []
    column: list[str] = []
    for line in lines:
        content = _ITEM.sub("", line)
        if len(content.split()) == 1 and not content.rstrip().endswith(":"):
            column.append(line)
            continue
        if column:
            pieces.append("\n".join(column))
            column = []
        pieces.append(re.split(r":\s", line)[-1] if ": " in line else line)
    if column:
        pieces.append("\n".join(column))
    return pieces


def _words(block: str, known: set[str]) -> list[str]:
    lines = [_ITEM.sub("", line) for line in block.splitlines() if line.strip()]
    text = " ".join(lines).replace("</answer>", " ")
    if "\\text{" in text:
        text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"(?<!\S)\(?\d+[.)](?=\s)|->|→|=>|<|>|[,;|\[\]{}\"“”‘\\$]", " ", text)
    words = [w.strip("'’.!:()`*_").casefold() if w.casefold() not in known else w.casefold() for w in text.split()]
    words = [w for w in words if w]
    if "and" not in known and len(words) > 1 and words[-2] == "and":
        del words[-2]
    return words


def _difference(given: list[str], wanted: list[str]) -> str:
    missing, more = Counter(wanted) - Counter(given), Counter(given) - Counter(wanted)
    if missing or more:
        told = [f"{what}: {', '.join(list(ws)[:8])}" for what, ws in (("missing", missing), ("too many", more)) if ws]
        return "the words read are not those asked for; " + "; ".join(told)
    at = next(i for i, (a, b) in enumerate(zip(given, wanted, strict=False)) if a != b)
    return f"the words are in another order: word {at + 1} read is {given[at]!r} and not {wanted[at]!r}"
