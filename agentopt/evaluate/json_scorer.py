"""Scoring of structured answers, field by field."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.scorers import same, type_of
from agentopt.evaluate.task import Example

__all__ = ["json_fields"]

_FENCE = re.compile(r"```(?:json)?[ \t]*\n([\s\S]*?)\n?[ \t]*```", re.IGNORECASE)


@dataclass(frozen=True)
class json_fields:
    """The share of the target's fields that the output has right; types count, so ``"5"`` is not ``5``.

    The output is a dict, or a text that is one JSON object, bare or in its last code fence. Each field is a part of
    the feedback.

    Args:
        fields: the fields to look at; by default all of the target's.
        tol: absolute tolerance for numbers.
        all_or_nothing: the score is 1 when every field is right, else 0.

    >>> said = json_fields()(Example(input="q", target={"a": 1, "b": "x"}), '{"a": 1, "b": "y"}')
    >>> said.score, said.text
    (0.5, "b: expected 'x', got 'y'")
    """

    fields: tuple[str, ...] = ()
    tol: float = 0.0
    all_or_nothing: bool = False

    def __call__(self, example: Example, output: Any) -> Feedback:
        target = example.target
        if not isinstance(target, dict) or not target:
            raise UsageError(
                f"json_fields: the target of example {example.id} is {target!r}, not an object with fields"
            )
        names = self.fields or tuple(target)
        unknown = [n for n in names if n not in target]
        if unknown:
            raise UsageError(f"json_fields: the target of example {example.id} has no field {unknown[0]!r}")
        try:
            given = _object(output)
        except Unreadable as error:
            form = json.dumps(dict.fromkeys(names, "..."))
            return Feedback(score=0.0, text=f"{error}; answer with one JSON object such as {form}")
        parts: dict[str, float] = {}
        said: list[str] = []
        for name in names:
            wanted = target[name]
            right = name in given and same(given[name], wanted, self.tol)
            parts[name] = float(right)
            if name not in given:
                said.append(f"{name}: missing (expected {wanted!r})")
            elif not right and type_of(given[name]) != type_of(wanted):
                said.append(
                    f"{name}: expected {type_of(wanted)} {wanted!r}, got {type_of(given[name])} {given[name]!r}"
                )
            elif not right:
                said.append(f"{name}: expected {wanted!r}, got {given[name]!r}")
        share = sum(parts.values()) / len(parts)
        score = float(share == 1.0) if self.all_or_nothing else share
        return Feedback(score=score, text="; ".join(said) or "correct", parts=parts)


def _object(output: Any) -> dict[str, Any]:
    if isinstance(output, dict):
        return output
    if not isinstance(output, str):
        raise Unreadable(f"the output is {type_of(output)}, not a JSON object")
    fences = _FENCE.findall(output)
    text = fences[-1] if fences else output.strip()
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the output is not one JSON object: {error}") from None
    if not isinstance(value, dict):
        raise Unreadable(f"the output is {type_of(value)}, not a JSON object")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a field is given twice")
    return made
