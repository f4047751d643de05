"""The answer in lines such as ``The number of tables: 12.0``, whose labels need not be the names that are asked for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.modelling.answers import Reading, read_json
from agentopt.evaluate.modelling.claims import claimed
from agentopt.evaluate.modelling.figures import read_figure
from agentopt.evaluate.modelling.official import below_dashes

__all__ = ["LabelledLines", "likeness"]

_ENOUGH = 0.4  # likeness from which a label may stand for a name
_TIE = 1e-9
_MOST = 400  # lines that are looked at, from the end
_LONGEST = 300  # characters of a line that is looked at
_RAW = re.compile(r"[^\W_]+")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_COMMON = (
    "the of a an to be is are in for on at and should that which each per we you can will it "
    "number quantity amount value optimal total units unit"
)
_FILLERS = frozenset(_COMMON.split())
_OBJECTIVE = re.compile(
    r"\b(?:objective|profit|cost|revenue|max(?:im\w+)?|min(?:im\w+)?|total|optimal value|return|income|expense)\b", re.I
)
_TAIL_NUMBER = re.compile(r"^(?P<label>.*?[^\W\d].*?)\s+(?:is|are|was|be|of|at)?\s*(?P<value>[-+$]?\d\S*(?:\s+\S+)?)$")


@dataclass(frozen=True)
class LabelledLines:
    """Read lines of label and number below the last dashes, each name from the line whose label is most like it.

    Likeness is a share of common words, with numbers and letters counting more than ``the number of``; names and lines
    are paired one to one so that it is greatest in all. A name of which two lines with different numbers are
    equally like is not read. A JSON object goes first where there is one.

    Args:
        objective: the name of the objective: it may also be the one line left that speaks of profit, cost, ...

    >>> read = LabelledLines(objective="The maximum profit")
    >>> output = "-----------\\nTables to make:  12.0\\nMaximum Profit:  1,250.0"
    >>> read(output, ["Number of tables", "The maximum profit"])
    Reading(values={'Number of tables': 12.0, 'The maximum profit': 1250.0}, problems={}, missing=(), claim=None)
    """

    objective: str = ""

    def __call__(self, output: str, names: Sequence[str]) -> Reading:
        """See the class."""
        text = below_dashes(output)
        told = read_json(text, names)
        if told.values or told.problems:
            return told
        lines = _lines(text)
        pairs, problems = _paired(names, list(lines))
        pairs |= self._left(names, lines, pairs, problems)
        values: dict[str, float] = {}
        for name, label in pairs.items():
            try:
                values[name] = read_figure(lines[label])
            except Unreadable as error:
                problems[name] = str(error)
        missing = tuple(name for name in names if name not in values and name not in problems)
        return Reading(values, problems, missing, None if values or problems else claimed(text))

    def _left(
        self, names: Sequence[str], lines: dict[str, str], pairs: dict[str, str], problems: dict[str, str]
    ) -> dict[str, str]:
        """The objective, where one line is left that speaks of one."""
        name = self.objective
        if name not in names or name in pairs or name in problems:
            return {}
        free = [label for label in lines if label not in pairs.values() and _OBJECTIVE.search(label)]
        return {name: free[0]} if len(free) == 1 else {}


def _lines(text: str) -> dict[str, str]:
    """Label to value; of a label that is printed again the last value counts."""
    found: dict[str, str] = {}
    for line in text.splitlines()[-_MOST:]:
        label, separator, value = _split(line)
        if separator and label and value:
            found.pop(label, None)
            found[label] = value
    return found


def _split(line: str) -> tuple[str, str, str]:
    if len(line) > _LONGEST:
        return "", "", ""
    plain = line.strip().strip("*|- ")
    at = max(plain.rfind(":"), plain.rfind("="))
    if at > 0 and re.search(r"\d|nan|inf", plain[at:], re.IGNORECASE):
        return plain[:at].strip(" \"'*"), plain[at], plain[at + 1 :].strip()
    tail = _TAIL_NUMBER.match(plain.rstrip("."))
    return (tail["label"], " ", tail["value"]) if tail else ("", "", "")


def _words(text: str) -> dict[str, float]:
    """What a label holds and what each counts: words, parts of words such as ``GoodsX``, pairs in their order."""
    found: dict[str, float] = {}
    before = ""
    for raw in _RAW.findall(text):
        plain = _singular(raw)
        filler = plain in _FILLERS
        found[plain] = 0.2 if filler else 2.0 if plain.isdigit() or len(plain) == 1 else 1.0
        parts = _WORD.findall(raw)
        for part in parts if len(parts) > 1 else ():
            found.setdefault(_singular(part), 0.5)
        if not filler:
            found[f"{before} {plain}"] = 0.3
            before = plain
    return found


def _singular(word: str) -> str:
    word = word.casefold()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def likeness(name: str, label: str) -> float:
    """How like two labels are, from 0 to 1: the words in common as a share of all, and of the shorter one's.

    >>> likeness("The number of small boxes", "Small boxes") > 0.8, likeness("City 1", "City 2") < 0.5
    (True, True)
    """
    if name.casefold() == label.casefold():
        return 1.0
    a, b = _words(name), _words(label)
    if not a or not b:
        return 0.0
    both = math.fsum(min(weight, b[word]) for word, weight in a.items() if word in b)
    one, other = math.fsum(a.values()), math.fsum(b.values())
    return round(0.5 * both / (one + other - both) + 0.5 * both / min(one, other), 9)


def _paired(names: Sequence[str], labels: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Names to labels, one to one, and why some names have none."""
    if not names or not labels:
        return {}, {}
    from scipy.optimize import linear_sum_assignment

    table = [[likeness(name, label) for label in labels] for name in names]
    rows, columns = linear_sum_assignment([[-cell for cell in row] for row in table])
    pairs: dict[str, str] = {}
    problems: dict[str, str] = {}
    taken = {int(c) for r, c in zip(rows, columns, strict=True) if table[r][c] >= 1.0}
    for row, column in zip(map(int, rows), map(int, columns), strict=True):
        best = table[row][column]
        if best < _ENOUGH:
            continue
        rivals = [c for c, cell in enumerate(table[row]) if c != column and c not in taken and cell > best - _TIE]
        if best < 1.0 and rivals and not _told_apart(table, row, column, rivals):
            problems[names[row]] = f"{labels[column]!r} and {labels[rivals[0]]!r} are equally like it"
        else:
            pairs[names[row]] = labels[column]
    return pairs, problems


def _told_apart(table: list[list[float]], row: int, column: int, rivals: Sequence[int]) -> bool:
    """Whether each rival line is claimed more strongly by another name, so that this one keeps its own."""
    others = [line for r, line in enumerate(table) if r != row]
    return all(
        any(line[rival] > line[column] + _TIE and line[rival] > table[row][rival] - _TIE for line in others)
        for rival in rivals
    )
