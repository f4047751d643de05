"""How a candidate stands in a request, and how it is read back: JSON by a schema, or plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from agentopt._code import broken, find_code
from agentopt.errors import ConstraintError
from agentopt.optim.base import ParameterSpec
from agentopt.optim.frame import split
from agentopt.optim.meta import parse_object, show
from agentopt.optim.opro.forms import form_of, read

__all__ = ["MARKS", "as_text", "code_of", "form", "is_json", "read_answer"]

MARKS = ("<NEW>", "</NEW>")
"""What stands around a text in an answer that is plain text."""


def form(specs: Sequence[ParameterSpec]) -> str:
    """``code`` for a single code parameter, else a form of OPRO's: text, numbers, list, mixed."""
    return "code" if len(specs) == 1 and specs[0].kind == "code" else form_of(specs)


def is_json(answer: str, specs: Sequence[ParameterSpec]) -> bool:
    """Whether JSON is asked for: small models write programs better outside of JSON, everything else inside."""
    return answer == "json" or (answer == "auto" and form(specs) != "code")


def as_text(specs: Sequence[ParameterSpec], values: Mapping[str, JsonValue]) -> str:
    """The values as a request shows them: a single text or program as it is, else a line or a block each."""
    if len(specs) == 1 and isinstance(value := values[specs[0].name], str):
        return split(value).body if specs[0].kind == "text" else value.strip("\n")
    return "\n".join(_one(spec, values[spec.name]) for spec in specs)


def _one(spec: ParameterSpec, value: JsonValue) -> str:
    if isinstance(value, str) and spec.kind in ("text", "code"):
        body = split(value).body if spec.kind == "text" else value.strip("\n")
        return f"{spec.name}:\n{body}\n"
    return f"{spec.name} = {show(value)}"


def read_answer(text: str, specs: Sequence[ParameterSpec], answer: str = "auto") -> dict[str, JsonValue]:
    """The values in an answer, by name; the asked form is tried first, then the other.

    Args:
        text: the answer.
        specs: the parameters asked about.
        answer: ``json`` takes JSON only.

    Raises:
        ConstraintError: there are none, with the reason.
    """
    if not text.strip():
        raise ConstraintError("the answer is empty")
    data = parse_object(text) if is_json(answer, specs) or "```" not in text else None
    inner = data.get("suggestion", data) if data is not None else None
    if isinstance(inner, dict) and any(spec.name in inner for spec in specs):
        return {spec.name: _plain(spec, inner[spec.name]) for spec in specs if spec.name in inner}
    if answer == "json":
        raise ConstraintError("the answer has no JSON object with " + ", ".join(spec.name for spec in specs))
    if form(specs) == "code":
        return {specs[0].name: code_of(text)}
    if data is not None and form(specs) != "text":
        raise ConstraintError(f"the answer names none of {', '.join(spec.name for spec in specs)}")
    try:
        return dict(read(form(specs), specs, text, MARKS))
    except ConstraintError:
        if is_json(answer, specs):
            raise ConstraintError("the answer has no complete JSON object") from None
        raise


def _plain(spec: ParameterSpec, value: JsonValue) -> JsonValue:
    return code_of(value) if spec.kind == "code" and isinstance(value, str) else value


def code_of(text: str) -> str:
    """The program in an answer.

    Raises:
        ConstraintError: there is none, or it does not parse; says which line.

    >>> code_of("Sure:\\n```python\\ndef f(x):\\n    return x\\n```\\nDone.")
    'def f(x):\\n    return x\\n'
    >>> code_of("def f(x) return x")
    Traceback (most recent call last):
    agentopt.errors.ConstraintError: the program does not parse: line 1 (def f(x) return x): expected ':'
    """
    code = find_code(text)
    if code is None:
        raise ConstraintError("the answer has no program: no code block, and no line that begins a function")
    if reason := broken(code):
        raise ConstraintError(f"the program does not parse: {reason}")
    return code
