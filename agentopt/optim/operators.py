"""Moves that need no feedback: jitter, uniform draws, and a text rewritten by a model that sees no scores."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping

from pydantic import JsonValue

from agentopt.llm.types import Message
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.frame import marks, split
from agentopt.optim.meta import fill, section
from agentopt.optim.suggest import Sampling, Suggestion, suggest

__all__ = ["jitter", "movable", "rewrite", "tunable", "uniform"]


def tunable(view: View, kinds: Collection[str]) -> list[ParameterSpec]:
    """The parameters of the given kinds, in the search's order."""
    return [spec for spec in view.parameters.values() if spec.kind in kinds]


def uniform(spec: ParameterSpec, rng: random.Random) -> JsonValue:
    """A value drawn without looking at any result.

    Numbers: uniform within the bounds; without two bounds, normal around the starting value with a spread of 0.1 to 10
    times its size (at least 1). Choices: uniform. Demos: a random non-empty subset of the pool (without one, of those
    that it began with) in random order. Others: unchanged.
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
    return spec.value


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
    of the pool put in.

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
