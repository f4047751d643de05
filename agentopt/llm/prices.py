"""What tokens cost. An unknown price is None, never 0."""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from agentopt.core.values import Frozen
from agentopt.llm.types import Usage

__all__ = ["Price", "given_price", "per_token", "price_of"]


class Price(Frozen):
    """The price of a model, in USD a token.

    >>> Price(input=1e-6, output=4e-6, cached=1e-7).usd(Usage(input_tokens=1000, output_tokens=100, cached_tokens=500))
    0.00095
    """

    input: float
    """USD a token read."""
    output: float
    """USD a token written, hidden reasoning included."""
    cached: float | None = None
    """USD a token read from the provider's prefix cache; None charges it like any other."""

    longer: dict[int, Price] = Field(default_factory=dict)
    """Other prices for calls that read more than so many tokens."""

    def usd(self, usage: Usage) -> float:
        """Price of a usage in USD."""
        reached = [tokens for tokens in self.longer if usage.input_tokens > tokens]
        if reached:
            return self.longer[max(reached)].usd(usage)
        cached = min(usage.cached_tokens, usage.input_tokens)
        fresh = usage.input_tokens - cached
        rate = self.input if self.cached is None else self.cached
        return round(fresh * self.input + cached * rate + usage.output_tokens * self.output, 12)


def price_of(model: str, prices: Mapping[str, Price] | None = None) -> Price | None:
    """The price of a model string, or None where it is not known.

    Args:
        model: as in ``resolve``.
        prices: prices by model string, which go before litellm's table.

    A ``local/`` model costs nothing. A server behind a URL may bill for what it does, so its price is unknown until it
    is given.

    >>> price_of("local/qwen2.5-coder-0.5b")
    Price(input=0.0, output=0.0, cached=None, longer={})
    >>> price_of("http://127.0.0.1:8000/v1#m") is None
    True
    """
    given = given_price(model, prices)
    if given is not None:
        return given
    if model.startswith("local/"):
        return Price(input=0.0, output=0.0)
    if model.startswith(("http://", "https://")):
        return None
    entry = _table().get(model) or (_table().get(_short(model)) if model.startswith("openai/") else None)
    return _price(entry) if isinstance(entry, dict) else None


def given_price(model: str, prices: Mapping[str, Price] | None) -> Price | None:
    """The price that ``prices`` gives a model, by its model string or by the name in it; None where it gives none."""
    return next((prices[name] for name in (model, _short(model)) if name and name in prices), None) if prices else None


def _short(model: str) -> str:
    return model.partition("#" if model.startswith(("http://", "https://")) else "/")[2]


def per_token(model: str, prices: Mapping[str, Price] | None = None) -> tuple[float, float] | None:
    """The most that a token read and a token written may cost in USD, for reservations; None where it is not known."""
    price = price_of(model, prices)
    if price is None:
        return None
    tiers = [price, *price.longer.values()]
    return max(max(p.input, p.cached or 0.0) for p in tiers), max(p.output for p in tiers)


def _price(entry: Mapping[str, Any]) -> Price | None:
    """The price in an entry of litellm's table, with the tiers for long inputs."""
    tiers = {
        int(match[1]) * 1000: price
        for key in entry
        if (match := re.fullmatch(r"input_cost_per_token_above_(\d+)k_tokens", key))
        and (price := _tier(entry, f"_above_{match[1]}k_tokens"))
    }
    price = _tier(entry, "")
    return price.model_copy(update={"longer": tiers}) if price is not None else None


def _tier(entry: Mapping[str, Any], suffix: str) -> Price | None:
    kinds = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")
    read, written, cached = (entry.get(kind + suffix, entry.get(kind)) for kind in kinds)
    if not isinstance(read, int | float) or not isinstance(written, int | float):
        return None
    return Price(input=read, output=written, cached=cached if isinstance(cached, int | float) else None)


@functools.cache
def _table() -> dict[str, Any]:
    """litellm's table, read from its package without importing it (which takes seconds)."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).with_name("model_prices_and_context_window_backup.json")
    try:
        table = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}
