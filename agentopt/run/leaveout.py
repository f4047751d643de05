"""An example is never solved with itself before the eyes: its own demonstrations are left out when it is evaluated.

Demonstrations come from labelled examples of the search split, and candidates are compared on that split. Shown its own
answer, a model scores what it copies; the score of every candidate with demonstrations would be too high by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from agentopt.core.values import canonical
from agentopt.evaluate import Example
from agentopt.optim.base import ParameterSpec

__all__ = ["left_out"]


def left_out(
    values: Mapping[str, JsonValue], specs: Mapping[str, ParameterSpec], example: Example
) -> dict[str, JsonValue]:
    """Values for the evaluation of an example: of each ``demos`` parameter, what was not made from that example.

    A demonstration is the example's own when it names its id, or when its input is the same but for case and spaces.

    >>> specs = {"d": ParameterSpec("d", "demos", [])}
    >>> pool = [{"input": "2 + 2", "output": 4}, {"input": "3 + 3", "output": 6}]
    >>> left_out({"d": pool}, specs, Example(input={"problem": "2 + 2"}, target=4))
    {'d': [{'input': '3 + 3', 'output': 6}]}
    """
    kept = dict(values)
    for name, value in values.items():
        spec = specs.get(name)
        if spec is not None and spec.kind == "demos" and isinstance(value, list):
            kept[name] = [demo for demo in value if not _own(demo, example)]
    return kept


def _own(demo: Any, example: Example) -> bool:
    if not isinstance(demo, Mapping):
        return False
    return demo.get("example") == example.id or _essence(demo.get("input")) == _essence(example.input)


def _essence(given: Any) -> str:
    """An input as it is compared: a single argument is the same with its name and without."""
    if isinstance(given, Mapping) and len(given) == 1:
        (given,) = given.values()
    return " ".join(canonical(given).casefold().split())
