"""How values of parameters stand in a meta-prompt, and how an answer in plain text is read back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from agentopt.errors import ConstraintError
from agentopt.optim.base import ParameterSpec
from agentopt.optim.frame import split
from agentopt.optim.meta import parse_object, show

__all__ = ["FORMS", "form_of", "read", "shown"]

FORMS = ("text", "numbers", "list", "mixed")
"""One text; numbers and choices; one list of numbers or words, such as a tour; anything else together."""

Values = Mapping[str, JsonValue]


def form_of(specs: Sequence[ParameterSpec]) -> str:
    """Which form the values of these parameters take.

    >>> form_of([ParameterSpec("w", "number", 1), ParameterSpec("b", "number", 2)])
    'numbers'
    """
    if all(spec.kind in ("number", "choice") for spec in specs):
        return "numbers"
    if len(specs) == 1 and specs[0].kind == "text":
        return "text"
    if len(specs) == 1 and specs[0].kind == "json" and _plain_list(specs[0].value):
        return "list"
    return "mixed"


def _plain_list(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, int | float | str) for item in value)


def shown(form: str, specs: Sequence[ParameterSpec], values: Values) -> str:
    """The values of one candidate, as the meta-prompt shows them.

    >>> shown("numbers", [ParameterSpec("w", "number", 1), ParameterSpec("b", "number", 2)], {"w": 3, "b": 4.5})
    'w=3, b=4.5'
    """
    if form == "text":
        return split(str(values[specs[0].name])).body
    if form == "numbers":
        return ", ".join(f"{spec.name}={_bare(values[spec.name])}" for spec in specs)
    if form == "list":
        value = values[specs[0].name]
        return ",".join(_bare(item) for item in (value if isinstance(value, list) else [value]))
    whole = {s.name: split(str(values[s.name])).body if s.kind == "text" else values[s.name] for s in specs}
    return json.dumps(whole, ensure_ascii=False)


def _bare(value: JsonValue) -> str:
    return value if isinstance(value, str) else show(value)


def read(form: str, specs: Sequence[ParameterSpec], text: str, markers: tuple[str, str]) -> dict[str, JsonValue]:
    """The values in an answer that is plain text.

    Args:
        form: one of ``FORMS``.
        specs: the parameters asked about.
        text: the answer.
        markers: what stands around a text.

    Raises:
        ConstraintError: there are none, with the reason.

    >>> w, b = ParameterSpec("w", "number", 1), ParameterSpec("b", "number", 2)
    >>> read("numbers", [w, b], "So [w, b] = [w=3, 4]", ("[", "]"))
    {'w': '3', 'b': '4'}
    """
    return _READERS[form](specs, text, markers)


def _text(specs: Sequence[ParameterSpec], text: str, markers: tuple[str, str]) -> dict[str, JsonValue]:
    opened, closed = markers
    found = _bracketed(text) if markers == ("[", "]") else _tagged(text, opened, closed)
    if found is None:
        raise ConstraintError(f"the answer has no text between {opened} and {closed}")
    return {specs[0].name: found}


def _bracketed(text: str) -> str | None:
    """What is inside the first brackets, brackets within included."""
    start = text.find("[")
    depth = 0
    for at in range(max(start, 0), len(text)):
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        if start >= 0 and depth == 0:
            return text[start + 1 : at].strip()
    return None


def _tagged(text: str, opened: str, closed: str) -> str | None:
    """What is between the tags; where one of them is missing, from the begin or to the end of the answer."""
    start, end = text.find(opened), text.find(closed)
    if start < 0 and end < 0:
        return None
    start = 0 if start < 0 else start + len(opened)
    end = text.find(closed, start)
    return text[start : end if end >= 0 else None].strip()


def _numbers(specs: Sequence[ParameterSpec], text: str, markers: tuple[str, str]) -> dict[str, JsonValue]:
    for group in reversed(re.findall(r"[\[(]([^\[\]()]*)[\])]", text)):
        pieces = [piece.strip() for piece in group.split(",")]
        if len(pieces) != len(specs):
            continue
        values = [re.sub(rf"^{re.escape(s.name)}\s*[=:]\s*", "", p) for s, p in zip(specs, pieces, strict=True)]
        if all(_fits(spec, value) for spec, value in zip(specs, values, strict=True)):
            return {spec.name: value for spec, value in zip(specs, values, strict=True)}
    raise ConstraintError(f"the answer has no brackets with values of {', '.join(spec.name for spec in specs)}")


def _fits(spec: ParameterSpec, value: str) -> bool:
    return re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", value) is not None or spec.kind == "choice"


def _list(specs: Sequence[ParameterSpec], text: str, markers: tuple[str, str]) -> dict[str, JsonValue]:
    found = _tagged(text, "<trace>", "</trace>") if "<trace>" in text else None
    if found is None:
        groups = re.findall(r"\[([^\[\]]*)\]", text)
        if not groups:
            raise ConstraintError("the answer has no list between <trace> and </trace>")
        found = groups[-1]
    value = specs[0].value
    numeric = isinstance(value, list) and all(isinstance(item, int) for item in value)
    items = [piece.strip() for piece in found.split(",") if piece.strip()]
    if numeric:  # as the paper's code does: what is no whole number is left out, and then the list does not fit
        return {specs[0].name: [int(item) for item in items if re.fullmatch(r"-?\d+", item)]}
    return {specs[0].name: list(items)}


def _mixed(specs: Sequence[ParameterSpec], text: str, markers: tuple[str, str]) -> dict[str, JsonValue]:
    data = parse_object(text)
    if data is None:
        raise ConstraintError("the answer has no complete JSON object")
    return data


_READERS: dict[str, Callable[[Sequence[ParameterSpec], str, tuple[str, str]], dict[str, JsonValue]]] = {
    "text": _text,
    "numbers": _numbers,
    "list": _list,
    "mixed": _mixed,
}
