"""Which examples of the task a meta-prompt shows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agentopt.core.values import Outcome
from agentopt.optim.base import View
from agentopt.optim.opro.history import Entry

__all__ = ["POLICIES", "Pool", "pool"]


@dataclass(frozen=True, slots=True)
class Pool:
    """The examples to draw from: ids in a fixed order, and how often each failed, ever and by what is shown now."""

    ids: tuple[str, ...]
    ever: Counter[str]
    now: Counter[str]
    weighted: bool = True


def pool(view: View, shown: Sequence[Entry], weighted: bool = True) -> Pool:
    """The examples of the search split that were evaluated, with their failures.

    An outcome is a failure when its score is below 1 (or below the highest score seen, where scores go further). What
    failed by the world's fault is none.
    """
    everything = [outcome for scored in view.archive for outcome in scored.outcomes]
    full = max([1.0, *(o.score for o in everything if o.score is not None)])

    def failures(outcomes: Sequence[Outcome]) -> Counter[str]:
        return Counter(o.example for o in outcomes if o.status != "infra_error" and (o.score is None or o.score < full))

    now = failures([outcome for entry in shown for outcome in entry.outcomes])
    return Pool(tuple(sorted({o.example for o in everything})), failures(everything), now, weighted)


def at_random(pool: Pool, k: int, rng: random.Random) -> list[str]:
    """Any, each once."""
    return rng.sample(pool.ids, min(k, len(pool.ids)))


def constant(pool: Pool, k: int, rng: random.Random) -> list[str]:
    """The same in every step."""
    return at_random(pool, k, random.Random(0))


def accumulative(pool: Pool, k: int, rng: random.Random) -> list[str]:
    """Of those that ever failed, by how often (``weighted``) or alike; filled up with others."""
    failed = [id for id in pool.ids if pool.ever[id]]
    if not pool.weighted:
        return _filled(pool, rng.sample(failed, min(k, len(failed))), k, rng)
    # The largest of u^(1/w) are a weighted sample without replacement (Efraimidis and Spirakis 2006).
    drawn = sorted(failed, key=lambda id: rng.random() ** (1 / pool.ever[id]), reverse=True)
    return _filled(pool, drawn[:k], k, rng)


def current(pool: Pool, k: int, rng: random.Random) -> list[str]:
    """Those that the candidates of the history failed most often; ties are drawn, the rest filled up."""
    failed = [id for id in pool.ids if pool.now[id]]
    rng.shuffle(failed)
    return _filled(pool, sorted(failed, key=lambda id: -pool.now[id])[:k], k, rng)


def _filled(pool: Pool, ids: list[str], k: int, rng: random.Random) -> list[str]:
    rest = [id for id in pool.ids if id not in ids]
    return ids + rng.sample(rest, min(k - len(ids), len(rest)))


POLICIES: dict[str, Callable[[Pool, int, random.Random], list[str]]] = {
    "random": at_random,
    "constant": constant,
    "accumulative_most_frequent": accumulative,
    "current_most_frequent": current,
}
"""Ids of the examples to show, from the pool, their number and a source of randomness, by name."""
