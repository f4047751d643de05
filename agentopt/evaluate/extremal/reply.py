r"""Which part of a reply is its final answer, for problems whose answer is one closed form.

1. What stands before the last ``</think>`` is no part of the reply.
2. The *last* ``\boxed{...}`` is the answer, alone; two boxes are never joined.
3. Without a box, the line that states the answer (``agentopt.evaluate.reading``).

A box that is not closed is no answer: what was to follow is not known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.reading import read_statement, without_thoughts

__all__ = ["DEEPEST", "LONGEST", "FinalAnswer", "final_answer"]

LONGEST, DEEPEST = 400, 24
"""Characters and nested brackets of a final answer; no closed form that a person would give has more."""
_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]*(?:\{|(?P<token>\\[A-Za-z]+|\w))")
_ATTAINED = re.compile(
    r"[,;(]?\s*\b(?:when|whenever|where|at|attained|achieved|reached|if|with equality|and (?:it )?(?:is|equality)|for"
    r"|which|occurs|occurring|holds)\b[\s\S]*$",
    re.IGNORECASE,
)
_SAYS = re.compile(r"^[\s\S]*?(?:\b(?:is|are|be|becomes|equals?|equal to|to)\b(?!\s+(?:equal|attained|reached))|:)\s*")


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a reply gives as its answer, or why it gives none."""

    status: Literal["stated", "none", "unclosed", "oversized"]
    """``stated``; ``none``; ``unclosed``: the last box is not closed; ``oversized``: too long or too deeply nested."""
    text: str = ""
    """The answer as it was written, without its box."""
    boxed: bool = False
    """Whether it stood in a box."""
    why: str = ""
    """In words, where there is no answer."""


def final_answer(reply: str) -> FinalAnswer:
    r"""The final answer of a reply.

    >>> final_answer(r"First \boxed{3}, no: \boxed{\frac{9}{4}}.").text
    '\\frac{9}{4}'
    >>> final_answer("The minimum value is 2, attained at a = b = 1.").text
    '2'
    >>> final_answer(r"so it is \boxed{\frac{1}{").status
    'unclosed'
    """
    try:
        text = without_thoughts(reply)
    except Unreadable as error:
        return FinalAnswer("none", why=str(error))
    found = _last_box(text)
    if found is None:
        return _from_line(text)
    if found.status == "stated" and not found.text:
        return FinalAnswer("none", boxed=True, why="the last box is empty")
    return _bounded(found)


def _last_box(text: str) -> FinalAnswer | None:
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    last = boxes[-1]
    if last["token"] is not None:
        return FinalAnswer("stated", last["token"], boxed=True)
    depth = 1
    for at in range(last.end(), len(text)):
        if text[at] in "{}" and not _escaped(text, at):
            depth += 1 if text[at] == "{" else -1
            if depth == 0:
                return FinalAnswer("stated", text[last.end() : at].strip(), boxed=True)
    rest = text[last.end() :].strip()
    short = rest if len(rest) <= 60 else rest[:57] + "..."
    return FinalAnswer("unclosed", boxed=True, why=f"the last box is not closed: {short!r}")


def _from_line(text: str) -> FinalAnswer:
    try:
        statement = read_statement(text)
    except Unreadable as error:
        return FinalAnswer("none", why=str(error))
    said = _ATTAINED.sub("", statement.text).strip() or statement.text
    if not statement.marked or _SAYS.match(said):
        before = None
        while before != said and (match := _SAYS.match(said)):
            before, said = said, said[match.end() :]
    said = said.strip().rstrip(".!").strip()
    if not said or not re.search(r"\d|\\[a-zA-Z]|[π√∞½⅓¼⅔¾]|(?<![A-Za-z])e(?![A-Za-z])", said):
        return FinalAnswer("none", why="no answer is stated: neither a box nor a line that gives a value")
    return _bounded(FinalAnswer("stated", said))


def _bounded(found: FinalAnswer) -> FinalAnswer:
    if found.status != "stated":
        return found
    deepest = depth = 0
    for character in found.text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if len(found.text) > LONGEST:
        return FinalAnswer("oversized", boxed=found.boxed, why=f"the answer is {len(found.text)} characters long")
    if deepest > DEEPEST:
        return FinalAnswer("oversized", boxed=found.boxed, why=f"the answer nests {deepest} brackets")
    return found


def _escaped(text: str, at: int) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    before = at
    while before and text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1
