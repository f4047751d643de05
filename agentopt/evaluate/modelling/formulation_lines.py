"""The lines of a formulation: what each kind of entry looks like, and how loosely it may be written.

``formal text  # meaning``: what follows the first `` # `` is words for a reader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from agentopt.evaluate.reading import plain

__all__ = ["constraint", "datum", "named_fields", "objective", "one_line", "variable", "written"]

_RELATION = re.compile(
    r"[<>=≤≥∈]|\\(?:leqslant|geqslant|leq|geq|le|ge|lt|gt|eq|in|subseteq)(?![a-zA-Z])"
    r"|\bbetween\b|\bat (?:least|most)\b|\bnon-?negative\b",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[\d\[{]|\.\.")
_ASSIGN = re.compile(r"(?<![<>=!:\\])=(?!=)|:=")
_COLON = re.compile(r":(?!=)")
_KINDS = {
    "binary": r"binary|boolean|bool|bin|0[-/]1|0 or 1|(?:(?:∈|\\in) ?)?\\?\{0, ?1\\?\}",
    "integer": r"integers?|int|integral|whole(?: numbers?)?|\\mathbb\{?[ZN]\}?|[ℤℕ]",
    "continuous": r"continuous|real(?: numbers?)?|reals|float|\\mathbb\{?R\}?|ℝ",
}
_TYPE_WORD = r"(?:non-?negative |positive )?(?:{})(?: variables?| values?| decision variables?)?"
_PURE = {kind: re.compile(rf"\W*{_TYPE_WORD.format(words)}\W*", re.IGNORECASE) for kind, words in _KINDS.items()}
_SAID = {kind: re.compile(rf"(?<![A-Za-z])(?:{words})(?![A-Za-z])", re.IGNORECASE) for kind, words in _KINDS.items()}
_ASIDE = re.compile(r"(?P<words>[^<>=()\[\]{}]+)\((?P<told>[^()]*)\)\.?")
_LET = re.compile(r"(?:let\s+)?(?P<name>\S+)\s+(?:be|denotes?|represents?)\s+(?:the\s+)?(?P<rest>\S.*)", re.IGNORECASE)
_NON_NEGATIVE = re.compile(r"\bnon-?negative\b", re.IGNORECASE)
_SENSE = re.compile(
    r"\\?\b(?P<max>max(?:imi[sz]e|imi[sz]ation|imi[sz]ing|imum)?)(?![A-Za-z])"
    r"|\\?\b(?P<min>min(?:imi[sz]e|imi[sz]ation|imi[sz]ing|imum)?)(?![A-Za-z])",
    re.IGNORECASE,
)
_NAME = r"\\?[A-Za-z]\w*(?:_?\{[^{}]*\}|\[[^\[\]]*\]|\([^()]*\))*"
_NAMES = re.compile(rf"{_NAME}(?:\s*,\s*{_NAME})*")
_FIELDS = {
    "name": "name symbol id variable parameter set key",
    "members": "members elements values items set_elements",
    "value": "value values number amount data",
    "kind": "kind type domain var_type vartype category",
    "bounds": "bounds bound range limits",
    "sense": "sense direction goal type optimization",
    "expression": "expression formula function equation inequality constraint expr objective formulation math",
    "meaning": "meaning description comment definition explanation note desc name label",
}
"""What models call the fields; a name of what has no name is its meaning."""
_LIMITS = {">=": "lower_bound lower lb low min", "<=": "upper_bound upper ub up high max"}


def one_line(text: str) -> str:
    """A text on one line, without marks of lists, bold type and mathematics around it.

    >>> one_line("- **x**:  $x \\\\ge 0$;  integer ")
    'x: x \\\\ge 0; integer'
    """
    text = " ".join(plain(text).split())
    text = re.sub(r"^(?:[-*•]\s+|\(?\d{1,2}[.)]\s+|\(?[a-z]\)\s+)+", "", text)
    text = re.sub(r"\\[\[\]()]|\$+|\\quad\b|\\,|\\displaystyle\b", " ", text)
    return re.sub(r"(?<=[(\[{]) | (?=[)\]},;])", "", " ".join(text.split())).strip(" ;,")


def written(formal: str, meaning: str) -> str:
    """A line of its two parts."""
    return f"{formal}  # {meaning}" if formal and meaning else formal or meaning


def datum(line: str, value: str) -> dict[str, str]:
    """Name, ``value`` (the field is called so) and meaning of a set or a parameter.

    >>> datum("c_i: profit of product i = [3, 4]", "value")
    {'name': 'c_i', 'value': '[3, 4]', 'meaning': 'profit of product i'}
    """
    formal, meaning = _parts(line)
    told = ""
    if assigned := _ASSIGN.search(formal):
        name, stated = formal[: assigned.start()].strip(), formal[assigned.end() :].strip()
        name, told = _halves(name)
    else:
        name, rest = _halves(formal)
        stated, told = (rest, "") if _VALUE.search(rest) else ("", rest)
    return _named(name, {value: stated}, _joined(told, meaning))


def variable(line: str) -> dict[str, str]:
    """Name, kind, bounds and meaning of a decision variable. A kind that is not said is continuous.

    >>> variable("x_i: number of chairs (non-negative integer)")
    {'name': 'x_i', 'kind': 'integer', 'bounds': 'x_i >= 0', 'meaning': 'number of chairs'}
    """
    formal, meaning = _parts(line)
    name, rest = _halves(formal)
    told = ""
    if (aside := _ASIDE.fullmatch(rest)) and (_RELATION.search(aside["told"]) or _kind_in(aside["told"])):
        told, rest = aside["words"].strip(" ,-"), aside["told"]
    if not rest and (assigned := _ASSIGN.search(formal)) and not _RELATION.search(formal[: assigned.start()]):
        name, rest = formal[: assigned.start()].strip(), formal[assigned.end() :].strip()
    if (found := _NAMES.match(name)) and found.end() < len(name) and (not rest or _RELATION.search(name)):
        name, rest = found[0], ", ".join(filter(None, (name, rest)))
    pieces = _split(rest, frozenset(_split(name)))
    kinds = [next((kind for kind, form in _PURE.items() if form.fullmatch(piece)), "") for piece in pieces]
    kind = next(filter(None, kinds), "") or _kind_in(formal) or "continuous"
    left = [piece for piece, pure in zip(pieces, kinds, strict=True) if not pure]
    bounds = ", ".join(piece for piece in left if _RELATION.search(_NON_NEGATIVE.sub("", piece)))
    told = _joined(told, ", ".join(piece for piece in left if not _RELATION.search(_NON_NEGATIVE.sub("", piece))))
    if not bounds and kind != "binary" and _NON_NEGATIVE.search(formal):
        bounds = f"{name} >= 0"
    return _named(name, {"kind": kind, "bounds": bounds}, _joined(told, meaning))


def objective(line: str) -> dict[str, str]:
    """Sense, expression and meaning of an objective.

    >>> objective("The goal is to Maximize Z = 3x + 4y")
    {'sense': 'maximize', 'expression': 'Z = 3x + 4y', 'meaning': 'The goal is to'}
    """
    formal, meaning = _parts(line)
    found = _SENSE.search(formal)
    before, after = (formal[: found.start()], formal[found.end() :]) if found else ("", formal)
    if found and not after.strip(" :,-"):
        before, after = "", before
    found = found or _SENSE.search(meaning)
    sense = "" if found is None else "maximize" if found["max"] else "minimize"
    told = before.strip(" :,-")
    return {"sense": sense, "expression": after.lstrip(" :,-").strip(), "meaning": _joined(told, meaning)}


def constraint(line: str) -> dict[str, str]:
    """Expression and meaning of a constraint.

    >>> constraint("Labour: 3x + 2y <= 10")
    {'expression': '3x + 2y <= 10', 'meaning': 'Labour'}
    """
    formal, meaning = _parts(line)
    told = ""
    for colon in _COLON.finditer(formal):
        before, after = formal[: colon.start()], formal[colon.end() :]
        if not _RELATION.search(before) and _RELATION.search(after):
            told, stated = before.strip(), after.strip()
    return {"expression": stated if told else formal, "meaning": _joined(told, meaning)}


def named_fields(given: Mapping[Any, Any], fields: tuple[str, ...]) -> dict[str, str]:
    """The fields of an entry that came as an object, by the names that models give them; others go to the meaning."""
    left = {str(key).strip().lower().replace(" ", "_"): _shown(value) for key, value in given.items()}
    found = {field: left.pop(field) for field in fields if field in left}
    for field in fields:
        for name in _FIELDS[field].split():
            if field not in found and name in left:
                found[field] = left.pop(name)
    if "bounds" in fields:
        limits = {sign: next((left.pop(n) for n in names.split() if n in left), "") for sign, names in _LIMITS.items()}
        told = [f"{sign} {limit}" for sign, limit in limits.items() if limit]
        found["bounds"] = ", ".join(filter(None, [found.get("bounds", ""), *told]))
    more = "; ".join(f"{key}: {value}" for key, value in left.items() if value)
    return {**dict.fromkeys(fields, ""), **found, "meaning": _joined(found.get("meaning", ""), more)}


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parts(line: str) -> tuple[str, str]:
    """What stands before and after the mark of the meaning."""
    formal, _, meaning = f" {one_line(line)} ".partition(" # ")
    return formal.strip(), meaning.strip()


def _halves(text: str) -> tuple[str, str]:
    """Before and after the first colon; "let x be ..." has one in other words."""
    if colon := _COLON.search(text):
        return text[: colon.start()].strip(), text[colon.end() :].strip()
    let = _LET.fullmatch(text)
    return (let["name"], let["rest"]) if let else (text.strip(), "")


def _named(name: str, fields: dict[str, str], meaning: str) -> dict[str, str]:
    """An entry; one without a name is called by the rest of its line."""
    if not name:
        first = next((key for key in ("members", "value", "bounds") if fields.get(key)), "")
        name, meaning = (fields[first], meaning) if first else (meaning, "")
        fields = {**fields, first: ""} if first else fields
    return {"name": name, **fields, "meaning": meaning}


def _kind_in(text: str) -> str:
    return next((kind for kind, form in _SAID.items() if form.search(text)), "")


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _split(text: str, names: frozenset[str] = frozenset()) -> list[str]:
    """At commas and semicolons outside of brackets; not after one of the names: ``x, y >= 0`` is said of both."""
    pieces: list[str] = []
    depth = start = 0
    for at, mark in enumerate(text):
        depth += (mark in "([{") - (mark in ")]}")
        if mark in ",;" and depth <= 0 and text[start:at].rpartition(",")[2].strip() not in names:
            pieces.append(text[start:at].strip())
            start = at + 1
    return [piece for piece in [*pieces, text[start:].strip()] if piece]
