"""Extremal problems from a file of whatever form: rows with a statement and an answer, and what is known of them."""

from __future__ import annotations

import csv
import hashlib
import importlib
import io
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from agentopt.errors import MissingDependency, UsageError
from agentopt.evaluate.extremal.latex import NotRead, number_of, read_latex

__all__ = ["ENDINGS", "Goal", "Problem", "commonest_answer", "digest_of", "goal_of", "read_problems"]

ENDINGS = (".jsonl", ".json", ".csv", ".parquet")
"""Of files that are read, in the order in which they are preferred."""
STATEMENTS, ANSWERS = ("problem", "question"), ("answer", "solution", "final_answer")
"""Names of fields, in the order in which they are looked for."""
Goal = Literal["min", "max"]
_LOWEST = r"minimi[sz]e|minimum|minimal|smallest|least|lowest|\bmin\b"
_HIGHEST = r"maximi[sz]e|maximum|maximal|largest|greatest|highest|\bbest\b|\bmax\b"
_WORD = re.compile(rf"(?P<low>{_LOWEST})|(?P<high>{_HIGHEST})", re.IGNORECASE)
CONSTANT = re.compile(
    rf"(?:(?P<low>{_LOWEST})|(?P<high>{_HIGHEST}))\s+"
    r"(?:(?:possible|positive|real|constant|number|value of(?: the)?)\s+)*"
    r"(?:\$|\\\()?\s*(?P<name>\\(?:lambda|alpha|mu)|[CKkMmTt])\s*(?:\$|\\\))?\s*"
    r"(?:such that|so that|for which|that satisf|with the property)",
    re.IGNORECASE,
)
"""The question for the best constant of an inequality, with the constant's name."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem as its file has it."""

    statement: str
    answer: str
    id: str
    goal: Goal | None
    """Whether the underlying expression is minimised or maximised; None where the text does not say."""
    more: Mapping[str, Any]
    """The other fields."""


def read_problems(path: Path, *, ending: str = "") -> tuple[Problem, ...]:
    """The problems of a file: JSON lines, a JSON list (also within an object), CSV, or Parquet.

    Args:
        path: the file.
        ending: what its form is, as ``.jsonl``; default that of its name.

    Raises:
        UsageError: it cannot be read, or a row has no statement or no answer; the message names the row and its fields.
        MissingDependency: it is Parquet, and pyarrow is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    rows = _rows(content, path, ending or path.suffix)
    if not rows:
        raise UsageError(f"{path} has no rows")
    return tuple(_problem(row, index, path) for index, row in enumerate(rows))


def goal_of(statement: str) -> Goal | None:
    """Whether a statement asks for a minimum or a maximum of its expression.

    The largest constant that stays below an expression is the expression's minimum, so "largest constant C such that"
    is ``min``.

    >>> goal_of("Find the minimum of x^2."), goal_of("Find the largest constant $C$ such that $x^2 + 1 >= C$.")
    ('min', 'min')
    """
    constant = CONSTANT.search(statement)
    if constant is not None:
        return "max" if constant["low"] else "min"
    word = _WORD.search(statement)
    return None if word is None else "min" if word["low"] else "max"


def commonest_answer(answers: Sequence[str]) -> tuple[str, int]:
    """The answer that comes most often, and how often; forms of one number are one answer.

    >>> commonest_answer(["1", r"\\frac{1}{2}", "0.5"])
    ('\\\\frac{1}{2}', 2)
    """
    keys = [_value_or_text(answer) for answer in answers]
    key, count = Counter(keys).most_common(1)[0]
    return answers[keys.index(key)], count


def digest_of(path: Path) -> str:
    """sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _value_or_text(answer: str) -> float | str:
    try:
        value = number_of(read_latex(answer))
    except NotRead:
        return answer.strip()
    return float(f"{value:.10g}") if math.isfinite(value) else answer.strip()


def _rows(content: bytes, path: Path, ending: str) -> list[Any]:
    if ending == ".parquet":
        return _parquet(content, path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is not UTF-8") from None
    if ending == ".csv":
        return list(csv.DictReader(io.StringIO(text, newline="")))
    if ending not in (".jsonl", ".json"):
        raise UsageError(f"{path} ends with none of {', '.join(ENDINGS)}")
    if ending == ".json":
        try:
            return _list(json.loads(text), path)
        except ValueError as error:
            if not text.lstrip().startswith("{"):
                raise UsageError(f"{path} is not JSON ({error}): it is cut or damaged") from None
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise UsageError(f"{path}, line {number}: not JSON ({error}): it is cut or damaged") from None
    return rows


def _list(content: Any, path: Path) -> list[Any]:
    """The list of rows, itself or the longest one within an object."""
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
        content = max(lists, key=len, default=[content])
    if not isinstance(content, list):
        raise UsageError(f"{path} holds {type(content).__name__}, not a list of rows")
    return content


def _parquet(content: bytes, path: Path) -> list[Any]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise MissingDependency(f"{path} is Parquet: pip install pyarrow, or save it as JSON lines") from None
    try:
        rows: list[Any] = parquet.read_table(io.BytesIO(content)).to_pylist()
    except Exception as error:  # whatever pyarrow says of a damaged file
        raise UsageError(f"{path} is no Parquet file that can be read: {error}") from None
    return rows


def _problem(row: Any, index: int, path: Path) -> Problem:
    if not isinstance(row, dict):
        raise UsageError(f"{path}, row {index} is {type(row).__name__}, not an object with fields")
    fields = {str(name).strip().lower(): value for name, value in row.items() if name is not None}
    statement, answer = (_field(fields, names, index, path) for names in (STATEMENTS, ANSWERS))
    more = {name: value for name, value in fields.items() if name not in (*STATEMENTS, *ANSWERS)}
    return Problem(statement, answer, str(fields.get("id") or index), goal_of(statement), more)


def _field(fields: Mapping[str, Any], names: tuple[str, ...], index: int, path: Path) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, int | float) and not math.isfinite(value):
            raise UsageError(f"{path}, row {index}: {name} is {value}, not a number")
        if isinstance(value, str | int | float) and str(value).strip():
            return str(value).strip()
    raise UsageError(
        f"{path}, row {index} has no {' or '.join(names)}; its fields are {', '.join(sorted(fields)) or 'none'}"
    )
