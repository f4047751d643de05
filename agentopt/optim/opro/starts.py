"""Where OPRO begins: given values, or random ones."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue

from agentopt.optim.base import ParameterSpec
from agentopt.optim.operators import shuffled, uniform
from agentopt.optim.opro.settings import Settings

__all__ = ["STARTS", "given", "random_start"]

STARTS = 5
"""Random starting points where no text is tuned (section 3 of the paper)."""


def given(settings: Settings, specs: Sequence[ParameterSpec]) -> list[dict[str, JsonValue]]:
    """The starting values of the options, by parameter."""
    found: list[dict[str, JsonValue]] = []
    for value in settings.start_values:
        by_name = isinstance(value, Mapping) and set(value) <= {spec.name for spec in specs}
        found.append(dict(value) if by_name else {specs[0].name: value})
    return found


def random_start(settings: Settings, specs: Sequence[ParameterSpec], rng: random.Random) -> dict[str, JsonValue]:
    """Values drawn without looking at any result: numbers and choices uniformly, the items of a list shuffled.

    A list keeps its first item where it can; one of which no order is admitted after 100 tries stays as it is.
    """
    return {spec.name: _drawn(settings, spec, rng) for spec in specs}


def _drawn(settings: Settings, spec: ParameterSpec, rng: random.Random) -> JsonValue:
    if spec.kind == "number":
        low = spec.low if settings.start_low is None else settings.start_low
        high = spec.high if settings.start_high is None else settings.start_high
        return uniform(replace(spec, low=low, high=high), rng)
    if spec.kind == "json" and isinstance(spec.value, list):
        return shuffled(spec, rng)
    return uniform(spec, rng)
