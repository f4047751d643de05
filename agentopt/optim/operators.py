"""Moves that need no feedback: jitter, uniform draws, and a text rewritten by a model that sees no scores."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping

from pydantic import JsonValue

from agentopt.errors import ConstraintError
from agentopt.llm.types import Message
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.frame import marks, split
from agentopt.optim.meta import fill, section
from agentopt.optim.suggest import Sampling, Suggestion, suggest

__all__ = ["jitter", "movable", "permutable", "rewrite", "shuffled", "tunable", "uniform"]

_TRIES = 100
"""So many orders of a list are tried, until its parameter admits one."""


def tunable(view: View, kinds: Collection[str]) -> list[ParameterSpec]:
    """The parameters of the given kinds, in the search's order."""
    return [spec for spec in view.parameters.values() if spec.kind in kinds]


def permutable(spec: ParameterSpec) -> bool:
    """Whether the parameter is a JSON list of numbers or words, such as a tour: one whose items may change places.

    >>> permutable(ParameterSpec(name="tour", kind="json", value=[0, 1, 2]))
    True
    >>> permutable(ParameterSpec(name="schema", kind="json", value=[{"a": 1}, {"b": 2}]))
    False
    """
    value = spec.value
    if spec.kind != "json" or not isinstance(value, list):
        return False
    return len(value) > 1 and all(isinstance(item, int | float | str) for item in value)


def shuffled(spec: ParameterSpec, rng: random.Random) -> JsonValue:
    """The items of a list in another order; its first item stays first where that is admitted.

    A list of which no order is admitted after 100 tries stays as it is.
    """
    value = spec.value
    if not isinstance(value, list):
        return value
    for attempt in range(_TRIES):
        keep = 1 if attempt < _TRIES // 2 else 0
        found = _admitted(spec, value[:keep] + rng.sample(value[keep:], len(value) - keep))
        if found is not None:
            return found
    return value


def _reversed(spec: ParameterSpec, value: list[JsonValue], rng: random.Random) -> JsonValue:
    """The list with a stretch turned round, as 2-opt does with a tour; as it is where none such is admitted."""
    for _ in range(_TRIES):
        start, end = sorted(rng.sample(range(len(value) + 1), 2))
        if end - start > 1:
            found = _admitted(spec, value[:start] + value[start:end][::-1] + value[end:])
            if found is not None:
                return found
    return value


def _admitted(spec: ParameterSpec, value: JsonValue) -> JsonValue:
    """The value as the parameter takes it; None where it does not."""
    try:
        checked: JsonValue = spec.check(value) if spec.check is not None else value
    except ConstraintError:
        return None
    return checked


def uniform(spec: ParameterSpec, rng: random.Random) -> JsonValue:
    """A value drawn without looking at any result.

    Numbers: uniform within the bounds; without two bounds, normal around the starting value with a spread of 0.1 to 10
    times its size (at least 1). Choices: uniform. Demos: a random non-empty subset of the pool (without one, of those
    that it began with) in random order. A JSON list of numbers or words: its items in another order. Others: unchanged.
    """
    if spec.kind == "number":
        start = float(spec.value) if isinstance(spec.value, int | float) else 0.0
        if _finite(spec.low) and _finite(spec.high):
            drawn = rng.uniform(float(spec.low or 0), float(spec.high or 0))
        else:
            drawn = rng.gauss(start, max(1.0, abs(start)) * 10 ** rng.uniform(-1, 1))
        return _within(spec, drawn)
    if spec.kind == "choice":
        return rng.choice(list(spec.choices)) if spec.choices else spec.value
    if spec.kind == "demos" and (pool := _pool(spec)):
        return rng.sample(pool, rng.randint(1, len(pool)))
    return shuffled(spec, rng) if permutable(spec) else spec.value


def movable(spec: ParameterSpec, value: JsonValue) -> bool:
    """Whether ``jitter`` has anywhere to go from the value; a text is reworded, and always has.

    >>> movable(ParameterSpec(name="way", kind="choice", value="a", choices=("a",)), "a")
    False
    """
    if spec.kind == "choice":
        return any(choice != value for choice in spec.choices)
    if spec.kind == "demos" and isinstance(value, list):
        return len(value) > 1 or any(demo not in value for demo in _pool(spec))
    return True


def jitter(spec: ParameterSpec, value: JsonValue, rng: random.Random, scale: float = 0.1) -> JsonValue:
    """A value near the given one: a normal step for a number, another choice, two demos swapped, one dropped, or one
    of the pool put in, a stretch of a JSON list of numbers or words turned round.

    Args:
        spec: the parameter.
        value: where it stands.
        rng: source of randomness.
        scale: standard deviation of a number's step, as a share of its range (of its size, at least 1, without one).
    """
    if spec.kind == "number" and isinstance(value, int | float):
        bounded = _finite(spec.low) and _finite(spec.high)
        width = float(spec.high or 0) - float(spec.low or 0) if bounded else max(1.0, abs(value))
        step = rng.gauss(0, scale * width)
        if spec.integer and abs(step) < 1:
            step = math.copysign(1, step)
        return _within(spec, value + step)
    if spec.kind == "choice":
        others = [choice for choice in spec.choices if choice != value]
        return rng.choice(others) if others else value
    if spec.kind == "demos" and isinstance(value, list):
        items, new = list(value), [demo for demo in _pool(spec) if demo not in value]
        if new and (not items or rng.random() < 0.5):
            items.insert(rng.randint(0, len(items)), rng.choice(new))
            return items
        if len(items) < 2:
            return value
        i = rng.randrange(len(items) - 1)
        if rng.random() < 0.5:
            items[i], items[i + 1] = items[i + 1], items[i]
        else:
            del items[i]
        return items
    if permutable(spec) and isinstance(value, list) and len(value) > 1:
        return _reversed(spec, value, rng)
    return value


def _pool(spec: ParameterSpec) -> list[JsonValue]:
    """What demonstrations may be drawn from: the parameter's pool, else those that it began with."""
    return list(spec.choices) or (list(spec.value) if isinstance(spec.value, list) else [])


async def rewrite(
    view: View,
    spec: ParameterSpec,
    value: JsonValue,
    prompt: str,
    sampling: Sampling,
    *,
    extra: Mapping[str, str] | None = None,
    off: Collection[str] = (),
) -> Suggestion:
    """A text written anew by the optimizer's model from the text itself; it sees no score, feedback or trace.

    Args:
        view: the run.
        spec: the text parameter.
        value: the text to start from.
        prompt: name of the prompt file, with parts ``system`` and ``user``.
        sampling: address, seed, temperature and cap.
        extra: more placeholders of the prompt file.
        off: invariants that are switched off.
    """
    text, template = split(str(value)).body, view.prompt(prompt)
    values = {
        "objective": view.objective,
        "description": spec.description,
        "constraint": spec.constraint,
        "text": text,
        "placeholders": " ".join(sorted(marks(text))),
        **(extra or {}),
    }
    messages = [
        Message(role="system", content=fill(section(template, "system"), values)),
        Message(role="user", content=fill(section(template, "user"), values)),
    ]
    return await suggest(view, messages, [spec], {spec.name: value}, sampling, reasoning=False, off=off)


def _within(spec: ParameterSpec, value: float) -> JsonValue:
    low = spec.low if _finite(spec.low) else None
    high = spec.high if _finite(spec.high) else None
    if low is not None:
        value = max(value, low)
    if high is not None:
        value = min(value, high)
    if not spec.integer:
        return float(f"{value:.6g}") if low is None or high is None else min(max(float(f"{value:.6g}"), low), high)
    number = round(value)
    if low is not None and number < low:
        number = math.ceil(low)
    return math.floor(high) if high is not None and number > high else number


def _finite(bound: float | None) -> bool:
    return bound is not None and math.isfinite(bound)
