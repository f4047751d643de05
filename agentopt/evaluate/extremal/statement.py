r"""From the statement of an extremal problem to what a search can work on: objective, constraints, domains.

Everything that bears on the answer must be read, or the statement counts as not read: a constraint that is skipped
would make a right label look wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agentopt.evaluate.extremal.latex import Expression, NotRead, names_in, number_of, read_latex
from agentopt.evaluate.extremal.problems import CONSTANT, goal_of
from agentopt.evaluate.extremal.search import INSIDE, Constraint, Program

__all__ = ["read_relations", "read_statement_of"]

MOST = 20
"""Variables of a problem."""
_MATH = re.compile(r"\$\$(.+?)\$\$|\$(.+?)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_ASKED = re.compile(
    r"(?:minimum|minimal|smallest|least|lowest|maximum|maximal|largest|greatest|highest)\s+(?:possible\s+)?"
    r"(?:real\s+)?values?(?:\s+of)?|(?:minimi[sz]e|maximi[sz]e)|\b(?:minimum|maximum)\s+of",
    re.IGNORECASE,
)
_UNREAD = re.compile(
    r"\b(?:integers?|naturals?|complex|sequences?|progressions?|polynomials?|roots?|primes?|quadratics?|functions?|vectors?"
    r"|matri\w+|angles?|polygons?|circles?|digits?|sets?|distinct|each|permutations?|probabilit\w+|rationals?|odd|even)\b"
    r"|\\(?:ldots|cdots|dots|sum|prod|int|forall|mathbb\s*\{?[ZNQC]\b)|…",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"\b(satisfying|such that|with|where|subject to|given that)\s+([^$]+?)(?=,\s*(?:find|determine)|\.|$)",
    re.IGNORECASE,
)
_RELATION = re.compile(r"\\(?:geqslant|leqslant|geq|leq|ge|le|neq|ne|in|gt|lt)(?![A-Za-z])|[=<>≤≥∈≠]")
_SPELT = {"geqslant": "ge", "geq": "ge", "≥": "ge", "leqslant": "le", "leq": "le", "≤": "le", ">": "gt", "<": "lt",
          "=": "eq", "∈": "in", "≠": "ne", "neq": "ne"}  # fmt: skip

_ONE_NAME = re.compile(r"(?:[A-Za-z]|\\(?:alpha|beta|gamma|theta|lambda|mu|phi|varphi))(?:_(?:\{\w+\}|\w))?$")
_REALS = re.compile(r"\\?(?:mathbb|mathbf)?\s*\{?\s*[Rℝ]\s*\}?(?P<sign>[\^_{}+0\s>]*)$|\\?R(?P<plain>\+?)$")
_INTERVAL = re.compile(r"(?P<opens>[\[(])(?P<low>.+?),(?P<high>.+)(?P<closes>[\])])$", re.DOTALL)


@dataclass
class _Reading:
    """What has been read so far."""

    constraints: list[Constraint] = field(default_factory=list)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)

    open: set[str] = field(default_factory=set)

    def bound(self, name: str, low: float = -math.inf, high: float = math.inf, *, is_open: bool = False) -> None:
        """Narrow the bounds of a variable; an open one is moved inside."""
        self.names[name] = None
        if is_open:
            self.open.add(name)
            low, high = low + INSIDE, high - INSIDE
        before = self.bounds.get(name, (-math.inf, math.inf))
        self.bounds[name] = (max(low, before[0]), min(high, before[1]))

    def expression(self, text: str) -> Expression:
        found = read_latex(_bare(text), variables=frozenset(self.names))
        self.names.update(dict.fromkeys(sorted(names_in(found))))
        return found


def read_statement_of(statement: str) -> Program:
    r"""The program that a statement asks to solve.

    >>> program = read_statement_of(r"Let $a, b > 0$ with $a + b = 2$. Find the maximum value of $ab$.")
    >>> program.goal, program.variables, len(program.constraints)
    ('max', ('a', 'b'), 1)

    Raises:
        NotRead: a part of it is not understood; the message says which.
    """
    text = _with_marks(statement)
    if (unread := _UNREAD.search(text)) is not None:
        raise NotRead(f"{unread.group()!r} is beyond this reader")
    goal = goal_of(text)
    if goal is None:
        raise NotRead("it does not say whether a minimum or a maximum is sought")
    segments = [(m.start(), m.end(), next(g for g in m.groups() if g is not None)) for m in _MATH.finditer(text)]
    asked, constant = _asked(text, segments)
    if not constant and re.search(r"\bfor (?:all|every|any|each)\b(?! (?:positive |non-?negative )?real)", text):
        raise NotRead("'for all' in a condition is beyond this reader")
    reading = _Reading()
    for _, _, content in segments:
        _names_of(content, reading)
    name = constant.lstrip("\\").replace(" ", "")
    reading.names.pop(name, None)
    for index, (start, _, content) in enumerate(segments):
        if index != asked and _RELATION.search(content) and not (constant and _only(content, constant)):
            _relations(content, reading, f"at character {start}")
    if constant:
        objective = _difference(segments[asked][2], name, reading)
    else:
        objective = reading.expression(_objective(segments[asked][2]))
    reading.names.pop(name, None)
    _domains(_MATH.sub(" ", CONSTANT.sub(" ", text)), reading)
    used = names_in(objective).union(*(names_in(c.left) for c in reading.constraints)) - {name}
    if not 1 <= len(used) <= MOST:
        raise NotRead(f"it has {len(used)} variables; 1 to {MOST} are read")
    variables = tuple(n for n in reading.names if n in used)
    bounds = {n: reading.bounds[n] for n in variables if n in reading.bounds}
    return Program(goal, objective, variables, tuple(reading.constraints), bounds, name, frozenset(reading.open))


def read_relations(
    texts: Sequence[str],
) -> tuple[list[Constraint], dict[str, tuple[float, float]], frozenset[str]]:
    r"""Constraints, bounds, and names with an open bound, of relations such as ``x + y = 1`` or ``a, b > 0``.

    Raises:
        NotRead: one of them is not understood.
    """
    reading = _Reading()
    for text in texts:
        _names_of(text, reading)
        _relations(text, reading, repr(text[:60]))
    return reading.constraints, reading.bounds, frozenset(reading.open)


def _with_marks(statement: str) -> str:
    """A statement in plain text with dollar signs around its mathematics."""
    if _MATH.search(statement):
        return statement
    text = re.sub(r"((?:\b[a-z]\b\s*,\s*)*\b[a-z]\b)\s*∈\s*(\[[^\]]*\]|\([^)]*\)|ℝ\S*)", r"$\1 ∈ \2$", statement)
    text = _CONDITION.sub(r"\1 $\2$", text, count=1)
    asked = _ASKED.search(text)
    if asked is None:
        return text
    rest = text[asked.end() :].strip().rstrip(".?! ")
    return text[: asked.end()] + f" ${rest}$" if rest and "$" not in rest else text


def _asked(text: str, segments: Sequence[tuple[int, int, str]]) -> tuple[int, str]:
    """Which segment has what is sought, and the name of the constant where the best one is asked for."""
    best = CONSTANT.search(text)
    if best is not None:
        name = best["name"]
        holds = [
            i for i, (_, _, content) in enumerate(segments)
            if _RELATION.search(content) and re.search(rf"(?<![A-Za-z\\]){re.escape(name)}(?![A-Za-z])", content)
        ]  # fmt: skip
        if len(holds) != 1:
            raise NotRead(f"{len(holds)} relations have the constant {name}")
        return holds[0], name
    asked = list(_ASKED.finditer(text))
    if not asked:
        raise NotRead("it does not say of what")
    after = [i for i, (start, _, _) in enumerate(segments) if start >= asked[-1].end() - 1]
    if not after:
        raise NotRead("no expression follows what is asked for")
    return after[0], ""


def _only(content: str, constant: str) -> bool:
    return _bare(content).strip() == constant


def _objective(content: str) -> str:
    """The right side of "A = ...", else all of it."""
    marks = list(_RELATION.finditer(content))
    if not marks:
        return content
    if len(marks) == 1 and marks[0][0] == "=" and _ONE_NAME.match(_bare(content[: marks[0].start()]).strip()):
        return content[marks[0].end() :]
    raise NotRead("what is sought is a relation")


def _difference(content: str, constant: str, reading: _Reading) -> Expression:
    """The inequality as h >= 0."""
    marks = list(_RELATION.finditer(content))
    kind = _kind(marks[0][0]) if len(marks) == 1 else ""
    if kind not in ("ge", "le", "gt", "lt"):
        raise NotRead("the inequality of the constant is not one relation")
    left, right = (reading.expression(s) for s in (content[: marks[0].start()], content[marks[0].end() :]))
    more, less = (left, right) if kind in ("ge", "gt") else (right, left)
    found = Expression("add", parts=(more, Expression("neg", parts=(less,))))
    if constant not in names_in(found):
        raise NotRead(f"the constant {constant} is not in the inequality")
    return found


def _relations(content: str, reading: _Reading, where: str) -> None:
    waiting: list[str] = []
    before_was_relation = ends_in_name = False
    for piece in _pieces(content):
        marks = list(_RELATION.finditer(piece))
        if not marks:
            if not _ONE_NAME.match(_bare(piece).strip()):
                raise NotRead(f"{piece.strip()[:60]!r} {where} is no relation")
            waiting.append(_bare(piece).strip())
            continue
        if waiting and before_was_relation:
            raise NotRead(f"it is not clear to what {', '.join(waiting)} {where} belong")
        ends = [0, *(m.end() for m in marks)]
        starts = [*(m.start() for m in marks), len(piece)]
        sides = [piece[a:b] for a, b in zip(ends, starts, strict=True)]
        if ends_in_name and _ONE_NAME.match(_bare(sides[0]).strip()):
            raise NotRead(f"it is not clear to what {_bare(sides[0]).strip()} {where} belongs")
        ends_in_name = bool(_ONE_NAME.match(_bare(sides[-1]).strip()))
        for left, mark, right in zip(sides, marks, sides[1:], strict=False):
            for name in waiting if left is sides[0] else ():
                if not _ONE_NAME.match(_bare(left).strip()):
                    raise NotRead(f"it is not clear to what {name} {where} belongs")
                _relation(name, _kind(mark[0]), right, reading)
            _relation(left, _kind(mark[0]), right, reading)
        waiting, before_was_relation = [], True
    if waiting and before_was_relation:
        raise NotRead(f"it is not clear to what {', '.join(waiting)} {where} belong")


def _relation(left: str, kind: str, right: str, reading: _Reading) -> None:
    if kind == "ne":
        return
    if kind == "in":
        _member(_name(left), _bare(right).strip(), reading)
        return
    a, b = reading.expression(left), reading.expression(right)
    if kind in ("le", "lt"):
        a, b, kind = b, a, "ge" if kind == "le" else "gt"
    if kind != "eq" and a.kind == "var" and not names_in(b):
        reading.bound(a.value, low=number_of(b), is_open=kind == "gt")
    elif kind != "eq" and b.kind == "var" and not names_in(a):
        reading.bound(b.value, high=number_of(a), is_open=kind == "gt")
    else:
        difference = Expression("add", parts=(a, Expression("neg", parts=(b,))))
        reading.constraints.append(Constraint("eq" if kind == "eq" else "ge" if kind == "ge" else "gt", difference))


def _member(name: str, place: str, reading: _Reading) -> None:
    if (reals := _REALS.search(place)) is not None and reals.start() == 0:
        sign = (reals["sign"] or reals["plain"] or "").replace(" ", "")
        if "+" in sign or ">" in sign:
            reading.bound(name, low=0.0, is_open="0" not in sign)
        return
    interval = _INTERVAL.match(place)
    if interval is None:
        raise NotRead(f"{place[:60]!r} is no interval")
    ends = []
    for side in ("low", "high"):
        text = interval[side].strip()
        endless = re.fullmatch(r"[+-]?\s*(?:\\infty|∞)", text)
        ends.append((-math.inf if side == "low" else math.inf) if endless else number_of(reading.expression(text)))
    reading.bound(name, low=ends[0], is_open=interval["opens"] == "(")
    reading.bound(name, high=ends[1], is_open=interval["closes"] == ")")


def _domains(words: str, reading: _Reading) -> None:
    """What the words around the mathematics say of all variables."""
    words = re.sub(r"\s+", " ", words)
    if re.search(r"\b(?:side|sides|side lengths?)\b[^.]*\btriangle\b|\btriangle\b[^.]*\bsides?\b", words):
        _triangle(reading)
    elif "triangle" in words:
        raise NotRead("'triangle' is beyond this reader")
    elif re.search(r"\bnon-?\s?negative\b", words, re.IGNORECASE):
        _all_from_zero(reading, is_open=False)
    elif re.search(r"\bpositive\b", words, re.IGNORECASE):
        _all_from_zero(reading, is_open=True)
    elif re.search(r"\bnegative\b", words, re.IGNORECASE):
        raise NotRead("'negative' is beyond this reader")


def _all_from_zero(reading: _Reading, *, is_open: bool) -> None:
    for name in list(reading.names):
        if math.isinf(reading.bounds.get(name, (-math.inf, 0.0))[0]):
            reading.bound(name, low=0.0, is_open=is_open)


def _triangle(reading: _Reading) -> None:
    names = list(reading.names)
    if len(names) != 3:
        raise NotRead("a triangle of other names than three")
    _all_from_zero(reading, is_open=True)
    for i in range(3):
        a, b, c = (Expression("var", names[(i + k) % 3]) for k in range(3))
        reading.constraints.append(Constraint("gt", Expression("add", parts=(a, b, Expression("neg", parts=(c,))))))


def _names_of(content: str, reading: _Reading) -> None:
    """Declare the names of a list such as ``a, b, c``, so that ``e`` among them is a variable."""
    for piece in _pieces(content):
        first = _bare(_RELATION.split(piece)[0]).strip()
        if _ONE_NAME.match(first):
            reading.names[_name(first)] = None


def _name(text: str) -> str:
    found = read_latex(_bare(text), variables=frozenset({_bare(text).strip()}))
    if found.kind != "var":
        raise NotRead(f"{text.strip()[:60]!r} is no name")
    return str(found.value)


def _pieces(content: str) -> list[str]:
    """The parts of a list of relations, apart by commas outside of brackets, or by "and"."""
    text = re.sub(r"\\(?:text|mathrm)\s*\{\s*(?:and|,|or all|for all)?\s*\}", ",", content)
    pieces, depth, last = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if character in ",;" and depth == 0:
            pieces.append(text[last:at])
            last = at + 1
    pieces.append(text[last:])
    return [piece for piece in pieces if _bare(piece).strip()]


def _kind(mark: str) -> str:
    bare = mark.lstrip("\\")
    return _SPELT.get(bare, bare)


def _bare(text: str) -> str:
    """Without layout and a full stop at the end."""
    text = re.sub(r"\\(?:displaystyle|quad|qquad|left\.|right\.|[!;:, ])(?![A-Za-z])", " ", text)
    return text.strip().rstrip(".,;?").strip()
