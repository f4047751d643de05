r"""What a free reply states as its answer, for the scorers of the field's tasks: one explicit rule.

1. A closed ``<think>`` block is no part of the reply; what follows the start of another question (``Q:``,
   ``Question:``, ``Problem:``) after an answer is none either.
2. The *last* mark decides: ``\boxed{...}``, ``<answer>...</answer>``, ``#### ...``, "answer: ...", "the answer is ...",
   "the correct option is ...", "... is the correct answer". "I do not think that the answer is ..." is none.
3. Without a mark, or when the reply takes its answer back after the last one ("wait", "actually", ...), the last line
   that is not empty counts.

``agentopt.evaluate.answers`` has the stricter rule of the general scorers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.denials import denied_before

__all__ = ["Statement", "plain", "read_statement", "without_thoughts"]

_NEXT = re.compile(r"^\W*(?:next )?(?:q|question|problem|human|user)\s*\d*\W*:", re.IGNORECASE | re.MULTILINE)
_KIND = r"(?:answer|(?:correct|right|best|final|chosen)\s+(?:option|choice|statement|sentence|result|value|order))"
_IS = r"(?:is|are|would\s+be|should\s+be|must\s+be|will\s+be)"
_NO_OTHER = "".join(rf"(?<!\b{word} )" for word in ("first", "second", "third", "next", "other", "wrong", "incorrect"))
_MARKS = tuple(
    re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    for pattern in (
        r"\\(?:boxed|fbox)\s*(?P<boxed>\{)",
        r"<answer>(?P<tag>[\s\S]*?)</answer>",
        r"^[ \t]*####[ \t]*(?P<hash>[-+−$€£¥(\\.\d][^\n]*|\S+[ \t]*)$",
        rf"^(?P<before>[^\n]{{0,119}}?\S)[ \t]+{_IS}[ \t]+(?:therefore[ \t]+)?(?:the|my|our)[ \t]+"
        r"(?:(?!wrong\b|incorrect\b)\w+[ \t]+)?"
        rf"{_KIND}\b",
        rf"(?<![\w/]){_NO_OTHER}{_KIND}\b(?:[ \t]+(?:to|for|of|here)\b[^\n.:=]{{0,80}}?)?[ \t]*"
        rf"(?:{_IS}\b(?:[ \t]+(?:therefore|thus|then|indeed|simply))*[ \t]*:?|:|=|(?<=\s)[-–—](?=\s))[ \t]*"
        r"(?=(?P<line>[^\n]*)$)",
    )
)
_RETRACTED = re.compile(
    r"\b(?:wait|actually|correction|scratch that|on second thought|hold on|oops|sorry|i was wrong|i made a mistake"
    r"|on (?:second thoughts|reflection)|my mistake|strike that|start(?:ing)? over"
    r"|(?:let me|let us|let['’]s|i(?:['’]ll| will| must| should| need to| have to)) (?:just )?"
    r"re-?(?:comput|calculat|do\b|consider|think|evaluat|work|count|try|examin|vis)\w*)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[.!?](?=\s+[^a-z\s]|\s*$)")
MOST, LONGEST = 20_000, 1_000
"""Characters of a reply that are read, from its end, and of a statement that can be an answer."""
_BOLD = re.compile(r"\*\*(?P<two>[^*\n]+?)\*\*|__(?P<under>[^_\n]+?)__")
_POINTING = re.compile(r"(?:and\s+)?(?:that|this|which|it|so)$", re.IGNORECASE)
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_FRAME = re.compile(r"^[\s$`*_#>~\\\[\]-]*$")


@dataclass(frozen=True)
class Statement:
    """The part of a reply that states its answer."""

    text: str
    """Up to the end of its sentence, without bold marks."""
    line: str
    """The whole line (or the whole content of a mark), without bold marks."""
    bold: tuple[str, ...]
    """What is set in bold in the line."""
    marked: bool
    """Whether a mark introduced it."""
    reply: str
    """All of the reply that counts, without bold marks."""


def plain(text: str) -> str:
    """Without bold and code marks and LaTeX's ``\\text{}``.

    >>> plain("**Answer:** `7`")
    'Answer: 7'
    """
    text = _BOLD.sub(lambda m: m["two"] or m["under"], text).replace("**", "").replace("`", "")
    return _TEXT.sub(r"\1", text)


def without_thoughts(reply: str) -> str:
    """What follows the last ``</think>``.

    Raises:
        Unreadable: the reply ends within its thoughts.
    """
    ends = list(re.finditer(r"</think(?:ing)?>", reply, re.IGNORECASE))
    text = reply[ends[-1].end() :] if ends else reply
    if re.match(r"\s*<think(?:ing)?>", text, re.IGNORECASE):
        raise Unreadable("the reply ends within its thoughts: no answer is stated")
    return text


def read_statement(reply: str) -> Statement:
    """What ``reply`` states as its answer.

    >>> read_statement("2 + 2 is 4, so the answer is **4**. Good luck!").text
    '4.'

    Raises:
        Unreadable: nothing is stated.
    """
    text = without_thoughts(reply)[-MOST:]
    # Bold around a mark hides it ("**Answer**: 7"), bold around a value is a hint that must survive.
    text = _unbolded_marks(text)
    text = _one_question(text)
    marks = sorted(_marks(text), key=lambda m: -m.start())[:50]
    last = next((m for m in marks if _content(text, m).strip(" .*_#:") and not _denied(text, m)), None)
    if last is not None:
        tail = text[_end(text, last) :]
        taken_back = _RETRACTED.search(tail)
        if not taken_back:
            return _made(_content(text, last), text, True, whole=_kind(last) in ("boxed", "tag"))
        text_left = tail[taken_back.end() :]
        return _made(_last_line(text_left), text, False)
    return _made(_last_line(text), text, False)


def _made(content: str, reply: str, marked: bool, whole: bool = False) -> Statement:
    line = plain(content).strip()
    line = line[: 2 * LONGEST] if marked else line[-2 * LONGEST :]
    ends = [] if whole else [m.end() for m in _SENTENCE_END.finditer(line)]
    end = next((e for e in ends if line[e - 1] != "?"), 0)
    sentence = line[:end] if end else line
    if not marked and end:  # of an unmarked line the last sentence counts; "B. Red" is one
        starts = [0, *(e for e in ends if not re.search(r"(?:^|\s)\w[.!?]$", line[:e]) and line[e:].strip())]
        sentence = line[starts[-1] :].strip()
    if not sentence.strip(" .*_#"):
        raise Unreadable("no answer is stated")
    if len(sentence) > LONGEST:
        raise Unreadable(f"{sentence[:40]!r}... goes on for {len(sentence)} characters and states no answer")
    bold = tuple((m["two"] or m["under"]).strip() for m in _BOLD.finditer(content))
    return Statement(sentence, line[:LONGEST], bold, marked, plain(reply))


def _unbolded_marks(text: str) -> str:
    """Take the bold off words such as "Answer:", and keep it on everything else."""
    text = re.sub(r"\*\*\s*((?:the\s+|my\s+)?(?:\w+\s+){0,2}answer\s*(?:is)?\s*:?)\s*\*\*", r"\1 ", text, flags=re.I)
    return re.sub(
        r"\*\*((?:the\s+|my\s+)?(?:\w+\s+){0,2}answer\s*(?:is\b|:)\s*:?\s*)([^*\n]+)\*\*", r"\1**\2**", text, flags=re.I
    )


def _one_question(text: str) -> str:
    """Without what follows the start of another question after the first mark."""
    first = min((m.end() for m in _marks(text)), default=len(text))
    following = _NEXT.search(text, first)
    return text[: following.start()] if following else text


def _marks(text: str) -> list[re.Match[str]]:
    return [match for pattern in _MARKS for match in pattern.finditer(text)]


def _denied(text: str, mark: re.Match[str]) -> bool:
    return _kind(mark) == "line" and denied_before(text[max(0, mark.start() - 200) : mark.start()]) is True


def _kind(mark: re.Match[str]) -> str:
    return next(iter(mark.groupdict()))


def _content(text: str, mark: re.Match[str]) -> str:
    kind = _kind(mark)
    if kind == "boxed":
        return text[mark.end() : _end(text, mark) - 1]
    content = mark.group(kind).strip()
    if kind == "before":
        pieces = [p for p in re.split(r"(?<=[.!?,;:])\s+", content) if not _POINTING.match(p)]
        return pieces[-1] if pieces else content
    if kind == "line" and _FRAME.match(content):
        return _next_line(text[mark.end() :])
    return content


def _end(text: str, mark: re.Match[str]) -> int:
    """Where a mark and what it holds end."""
    kind = _kind(mark)
    if kind == "line":
        sentence = _SENTENCE_END.search(mark["line"])
        return mark.end() + (sentence.end() if sentence else len(mark["line"]))
    if kind != "boxed":
        return mark.end()
    depth = 1
    for at in range(mark.end(), len(text)):
        if text[at] in "{}" and text[at - 1] != "\\":
            depth += 1 if text[at] == "{" else -1
            if depth == 0:
                return at + 1
    line_end = text.find("\n", mark.end())
    return (len(text) if line_end < 0 else line_end) + 1


def _next_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if not _FRAME.match(line)), "")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if not _FRAME.match(line)]
    return lines[-1] if lines else ""
