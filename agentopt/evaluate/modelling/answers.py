"""The answer in what a program printed: a JSON object whose keys are the names that were asked for."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.modelling.claims import Claim, claimed, succeeded
from agentopt.evaluate.modelling.figures import read_figure

__all__ = ["Reading", "read_json"]

_LAST = 200_000  # characters of the output that are read, from its end
_MOST = 500  # opening braces that are tried
_FAR = 20_000  # characters of a dictionary as Python prints it
_WORK = 1_000_000  # characters that are read for objects which turn out to be none
_NUMPY = re.compile(r"\b(?:np|numpy)\.\w+\(([^()]*)\)")
_CONSTANT = re.compile(r"(?<![\w.'\"])-?(?:nan|inf)(?![\w'\"])", re.IGNORECASE)
_STATUS_KEYS = ("status", "error", "message", "solver_status", "termination")


@dataclass(frozen=True)
class Reading:
    """What was read of an output."""

    values: Mapping[str, float] = field(default_factory=dict)
    """By the names that were asked for."""
    problems: Mapping[str, str] = field(default_factory=dict)
    """Names whose value is there and cannot be read, and why."""
    missing: tuple[str, ...] = ()
    """Names of which nothing is said."""
    claim: Claim | None = None
    """What the output says of itself in place of an answer."""


class _Twice:
    """Stands for a key that an object has twice with different values."""


def read_json(output: str, names: Sequence[str]) -> Reading:
    """Read the last JSON object of an output that has one of the names as a key.

    Case, spaces and punctuation of keys do not count where that leaves no doubt; an object within the object is looked
    into. A Python dictionary as ``print`` shows it is read as well. An object that says of itself that there is no
    optimum (``{"status": "infeasible"}``) is a claim, and so is such a sentence where no object answers; not so one
    that has a figure for every name and speaks of an optimum or of success too.

    Args:
        output: what the program printed.
        names: what was asked for.

    >>> read_json('{"profit": "1,250.5", "a": NaN}', ["profit", "a", "b"])
    Reading(values={'profit': 1250.5}, problems={'a': 'NaN is not a number'}, missing=('b',), claim=None)
    """
    keys = _keys(names)
    said: Claim | None = None
    for found in reversed(_objects(output[-_LAST:])):
        leaves = _leaves(found)
        told = [v for k, v in leaves.items() if k.casefold() in _STATUS_KEYS and isinstance(v, str)]
        claim = claimed(told[0]) if told else None
        matched = _matched(leaves, names, keys)
        if matched:
            reading = _read(matched, names)
            if len(reading.values) == len(names) and any(map(succeeded, told)):
                claim = None
            return Reading(reading.values, reading.problems, reading.missing, said or claim)
        said = said or claim
    return Reading(missing=tuple(names), claim=said or claimed(output[-_LAST:]))


def _read(matched: Mapping[str, Any], names: Sequence[str]) -> Reading:
    values: dict[str, float] = {}
    problems: dict[str, str] = {}
    for name, value in matched.items():
        if isinstance(value, _Twice):
            problems[name] = "it is given twice with different values"
            continue
        try:
            values[name] = read_figure(value)
        except Unreadable as error:
            problems[name] = str(error)
    return Reading(values, problems, tuple(name for name in names if name not in matched))


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _keys(names: Iterable[str]) -> dict[str, str]:
    """Plain form to name, for the names that no other one shares it with."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(_plain(name), []).append(name)
    return {plain: same[0] for plain, same in found.items() if len(same) == 1}


def _matched(leaves: Mapping[str, Any], names: Sequence[str], keys: Mapping[str, str]) -> dict[str, Any]:
    matched = {name: leaves[name] for name in names if name in leaves}
    for key, value in leaves.items():
        name = keys.get(_plain(key))
        if name is not None and name not in matched:
            matched[name] = value
    return matched


def _leaves(found: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
    """All keys of an object and of those within it; the outer one wins."""
    leaves: dict[str, Any] = {str(k): v for k, v in found.items() if not isinstance(v, dict)}
    for key, inner in found.items():
        if isinstance(inner, dict) and depth < 3:
            for name, value in _leaves(inner, depth + 1).items():
                leaves.setdefault(name, value)
            leaves.setdefault(str(key), inner)
    return leaves


def _objects(text: str) -> list[dict[Any, Any]]:
    """The objects of a text, in order; none within another."""
    found: list[dict[Any, Any]] = []
    starts = [match.start() for match in re.finditer(r"\{", text)][-_MOST:]
    free = work = 0
    for start in starts:
        if start < free:
            continue
        made, end = _json_at(text, start)
        if made is None:
            work += end - start
            made, end = _literal_at(text, start)
        if made is not None:
            found.append(made)
            free = end
        elif (work := work + end - start) > _WORK:
            break  # no program that answers prints so much of what only begins like an object
    return found


_DECODER = json.JSONDecoder(object_pairs_hook=lambda pairs: _pairs(pairs), strict=False)


def _pairs(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        same = key not in made or made[key] == value or (value != value and made[key] != made[key])
        made[key] = value if same else _Twice()
    return made


def _json_at(text: str, start: int) -> tuple[dict[Any, Any] | None, int]:
    """The object that begins at a place, if one does, and up to where was read."""
    try:
        made, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return None, max(error.pos, start)
    except (ValueError, RecursionError):
        return None, min(len(text), start + _FAR)
    return (made, end) if isinstance(made, dict) else (None, start)


def _literal_at(text: str, start: int) -> tuple[dict[Any, Any] | None, int]:
    """The same of a dictionary as Python prints it."""
    end, closed = _closing(text, start)
    if not closed:
        return None, end
    source = _CONSTANT.sub(lambda m: repr(m.group()), _NUMPY.sub(r"\1", text[start:end]))
    try:
        made = ast.literal_eval(source)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None, end
    return (made, end) if isinstance(made, dict) else (None, end)


def _closing(text: str, start: int) -> tuple[int, bool]:
    """Where the brace that opens at ``start`` has closed, quoted braces not counted, or up to where it has not."""
    depth, quote, at = 0, "", start
    while at < min(len(text), start + _FAR):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if not depth:
                return at + 1, True
        at += 1
    return at, False
