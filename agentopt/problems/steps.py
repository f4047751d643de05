"""Stepwise demonstrations: a problem as variables, objective and constraints, each in plain words, then formally.

::

    ## Define Variables:
    A workshop makes chairs.
    // {"The number of chairs": "chairs", "range": "chairs >= 0", "type": "integer"}

    ## Define Objective Function:
    Each chair brings a profit of $12. How many make the largest profit?
    // Maximize 12*chairs

    ## Generate Constraint-1:
    A chair takes 3 hours. There are 40 hours.
    // 3*chairs <= 40

The format, and reading it step by step, are those of ReSocratic (Yang et al., ICLR 2025, section 3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from agentopt.core.values import Frozen
from agentopt.problems.formulation import Variable
from agentopt.problems.story import Step, Story

__all__ = ["MOST_CONSTRAINTS", "Demonstration", "Part", "Read", "demonstrate", "read_demonstration"]

MOST_CONSTRAINTS = 5
_HEADER = re.compile(r"^#{1,3}\s*(.*?)\s*:?\s*$")
_FENCE = re.compile(r"^\s*(?:```|~~~|-{3,}\s*$|\*{3,}\s*$)")
"""Lines that frame a text and say nothing: fences of code, and rules."""
_SENSE = re.compile(r"\b(maximi[sz]e|minimi[sz]e|maximum|minimum|max|min)\b", re.IGNORECASE)
_RELATION = re.compile(r"<=|>=|==|=|<|>|≤|≥|≠|\b(?:in|integer|binary|mod|if|or)\b")
_PAIR = re.compile(r'"([^"]+)"\s*:\s*"([A-Za-z_]\w*)"')
_DEFINED = re.compile(r"(?<![\w<>=])([A-Za-z_]\w*)\s*=(?!=)")
_FIELDS = ("range", "type", "domain", "variables")
_ELISION = re.compile(r"^\W*(?:\.\.\.|…|etc\.?|and so on|todo|tbd)\W*$", re.IGNORECASE)


class Part(Frozen):
    """One step: words and formal lines (without their ``//``)."""

    plain: str
    formal: tuple[str, ...]


class Demonstration(Frozen):
    """Variables, objective, and constraints, in this order.

    >>> text = demonstration_text(["A.", "B.", "C."], [['{"The number of x": "x"}'], ["Maximize x"], ["x <= 3"]])
    >>> read = read_demonstration(text)
    >>> read.demonstration.symbols, read.demonstration.text == text
    ({'x': 'The number of x'}, True)
    """

    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """In its format."""
        return demonstration_text([p.plain for p in self.parts], [p.formal for p in self.parts])

    @property
    def plain(self) -> str:
        """The words alone."""
        return "\n".join(p.plain for p in self.parts)

    @property
    def formal(self) -> tuple[str, ...]:
        """The formal lines alone."""
        return tuple(line for p in self.parts for line in p.formal)

    @property
    def head(self) -> str:
        """Variables and objective: what two problems are compared by."""
        return demonstration_text([p.plain for p in self.parts[:2]], [p.formal for p in self.parts[:2]])

    @property
    def constraints(self) -> int:
        """How many constraints it has."""
        return max(0, len(self.parts) - 2)

    @property
    def symbols(self) -> dict[str, str]:
        """The variables: symbol to meaning."""
        return _symbols(self.parts[0].formal)

    def prefix(self, constraints: int) -> Demonstration:
        """The same problem with its first constraints only."""
        return Demonstration(parts=self.parts[: 2 + constraints])


class Read(Frozen):
    """What came of reading a text: the good steps from its beginning on, and what was wrong with the first bad one."""

    demonstration: Demonstration | None
    """None without at least one constraint."""
    steps: int
    """Good steps."""
    problem: str = ""
    """Why it ends there; empty where the whole text was good."""


def demonstration_text(plain: Sequence[str], formal: Sequence[Sequence[str]]) -> str:
    """Steps in their format."""
    headers = _headers(len(plain))
    steps = [
        "\n".join([f"## {header}:", words.strip(), *(f"// {line}" for line in lines)])
        for header, words, lines in zip(headers, plain, formal, strict=True)
    ]
    return "\n\n".join(steps)


def _headers(n: int) -> list[str]:
    return ["Define Variables", "Define Objective Function", *(f"Generate Constraint-{i}" for i in range(1, n - 1))][:n]


def read_demonstration(text: str, *, most: int = MOST_CONSTRAINTS, unfinished: bool = False) -> Read:
    """Read a demonstration that a model wrote, up to its first bad step; what follows that is cut off.

    A step is good when its header is the one that is due; words come first and formal lines after them, and there are
    some of both; the variables are named (``{"meaning": "symbol", ...}``), the objective says what is made large or
    small, and objective and constraints speak of the variables, or of what was defined by them before; and no
    constraint is there twice.

    Args:
        text: what a model wrote. Fences of code, rules, and what comes before the first header are passed over.
        most: constraints that are taken at most.
        unfinished: the text was cut off, so that its last step cannot be trusted.

    >>> read_demonstration("I cannot do that.")
    Read(demonstration=None, steps=0, problem='there is no "## Define Variables:"')
    """
    blocks = _blocks(text)
    if unfinished:
        blocks = blocks[:-1]
    parts: list[Part] = []
    problem = "" if blocks or not unfinished else "it was cut off in its first step"
    if not blocks and not problem:
        problem = 'there is no "## Define Variables:"'
    headers = _headers(2 + most)
    for header, lines in blocks[: len(headers)]:
        due = headers[len(parts)]
        part = _part(lines)
        problem = _wrong(header, due, part, lines, parts)
        if problem:
            break
        assert part is not None
        parts.append(part)
    else:
        if unfinished and not problem:
            problem = f"it was cut off after {len(parts)} steps"
    whole = len(parts) >= 3
    if not whole and not problem:
        problem = "it has no constraint"
    return Read(demonstration=Demonstration(parts=tuple(parts)) if whole else None, steps=len(parts), problem=problem)


def _blocks(text: str) -> list[tuple[str, list[str]]]:
    """Header and lines of each step, from the first header of a step on."""
    found: list[tuple[str, list[str]]] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if _FENCE.match(line):
            continue
        header = _HEADER.match(line) if line.startswith("#") else None
        if header is not None and (found or header[1].lower().startswith("define variables")):
            found.append((header[1], []))
        elif found:
            found[-1][1].append(line)
    return found


def _part(lines: Sequence[str]) -> Part | None:
    """The words and the formal lines of a step; None when they are not in this order, or one of them is missing."""
    lines = [line.strip() for line in lines if line.strip()]
    formal = [i for i, line in enumerate(lines) if line.startswith("//")]
    if not formal or not formal[0] or formal != list(range(formal[0], len(lines))):
        return None
    told = tuple(line.lstrip("/").strip() for line in lines[formal[0] :])
    return Part(plain="\n".join(lines[: formal[0]]), formal=tuple(filter(None, told)))


def _wrong(header: str, due: str, part: Part | None, lines: Sequence[str], before: Sequence[Part]) -> str:
    """What is wrong with a step; empty for a good one."""
    if header.lower().replace(" ", "") != due.lower().replace(" ", ""):
        return f'the header is "{header[:40]}" where "{due}" is due'
    if part is None or not part.formal:
        stripped = [line.strip() for line in lines if line.strip()]
        if not any(line.startswith("//") for line in stripped):
            return f"{due}: there is no formal line"
        if stripped[0].startswith("//"):
            return f"{due}: there are no words before the formal lines"
        return f"{due}: words follow the formal lines"
    if any(_ELISION.match(line) for line in (part.plain, *part.formal)):
        return f"{due}: something is left out"
    if not before:
        return "" if _symbols(part.formal) else f"{due}: no variable is named"
    symbols = [
        *_symbols(before[0].formal),
        *(d[1] for p in before[1:] for line in p.formal for d in _DEFINED.finditer(line)),
    ]
    formal = " ".join(part.formal)
    if len(before) == 1:
        if not _SENSE.search(formal):
            return f"{due}: the formal lines say neither maximize nor minimize"
    elif not _RELATION.search(formal):
        return f"{due}: no formal line is a relation"
    if not any(re.search(rf"(?<![A-Za-z_]){re.escape(s)}(?!\w)", formal) for s in symbols):
        return f"{due}: the formal lines speak of no variable"
    if any(set(part.formal) == set(other.formal) for other in before[2:]):
        return f"{due}: it repeats an earlier constraint"
    return ""


def _symbols(formal: Sequence[str]) -> dict[str, str]:
    """Symbols and meanings of the line of each variable."""
    found: dict[str, str] = {}
    for line in formal:
        for meaning, symbol in _PAIR.findall(line):
            if meaning.lower() not in _FIELDS and meaning not in found.values():
                found.setdefault(symbol, meaning)
    return found


def demonstrate(story: Story) -> Demonstration:
    """A story of ours as a demonstration."""
    first = Step(story.intro, tuple(map(_declared, story.variables)))
    limits = [step for step in story.limits if step.formal]
    bounds = [step.text for step in story.limits if not step.formal]  # said once, in the words about the variables
    steps = [Step(" ".join([first.text, *bounds]), first.formal), story.goal, *limits]
    return Demonstration(parts=tuple(Part(plain=step.text, formal=step.formal) for step in steps))


def _declared(variable: Variable) -> str:
    low, high = variable.bounds
    if variable.kind == "binary":
        said = f"{variable.name} = 0 or 1"
    elif low is None and high is None:
        said = f"{variable.name} is any number"
    elif high is None:
        said = f"{variable.name} >= {low:g}"
    else:
        said = f"{f'{low:g} <= ' if low is not None else ''}{variable.name} <= {high:g}"
    return json.dumps({variable.meaning: variable.name, "range": said, "type": variable.kind}, ensure_ascii=False)
