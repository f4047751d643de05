"""Racing: new candidates meet the incumbent on a minibatch first; only those that hold get the rest of the examples.

Nothing here is a claim. A candidate that is behind on the minibatch is put aside, the better half goes on, and on the
way a candidate ends when it is shown to be behind (anytime-valid bound on paired differences) or when it could not
catch up even with full marks on everything that is left.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from agentopt.evaluate import Race

__all__ = ["Heat", "race"]

Means = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Heat:
    """How a candidate fared: the examples it has scores on, its paired difference to the incumbent, why it ended."""

    id: str
    n: int
    difference: float
    complete: bool
    ended: str = ""


async def race(
    ids: Sequence[str],
    incumbent: Means,
    minibatch: Sequence[str],
    examples: Sequence[str],
    evaluate: Callable[[Sequence[str], Sequence[str]], Awaitable[Mapping[str, Means]]],
    score_range: tuple[float, float],
) -> list[Heat]:
    """Evaluate candidates against the incumbent, spending examples where they decide.

    Args:
        ids: the candidates.
        incumbent: the incumbent's mean score by example, on all ``examples``.
        minibatch: the first examples.
        examples: all examples of the search split.
        evaluate: runs candidates (first argument) on examples (second), and gives each one's mean score by example.
        score_range: lowest and highest score.

    Returns:
        One heat for each candidate, in the order of ``ids``.
    """
    low, high = score_range
    scores: dict[str, dict[str, float]] = {id_: {} for id_ in ids}
    ended: dict[str, str] = {}
    races = {id_: Race((low, high), alpha=0.05 / max(1, len(ids))) for id_ in ids}

    async def spend(on: Sequence[str], batch: Sequence[str]) -> None:
        for id_, means in (await evaluate(on, batch)).items():
            for example, score in means.items():
                if example in incumbent and example not in scores[id_]:
                    scores[id_][example] = score
                    races[id_].update(score - incumbent[example])

    def difference(id_: str) -> float:
        got = scores[id_]
        return sum(s - incumbent[e] for e, s in got.items()) / len(got) if got else -math.inf

    await spend(ids, minibatch)
    order = sorted(ids, key=difference, reverse=True)
    keep = math.ceil(len(ids) / 2)
    for place, id_ in enumerate(order):
        if difference(id_) < 0:
            ended[id_] = "behind on the minibatch"
        elif place >= keep:
            ended[id_] = "others were further ahead on the minibatch"
    rest = [e for e in examples if e not in set(minibatch)]
    size = max(1, len(minibatch))
    for start in range(0, len(rest), size):
        alive = [id_ for id_ in order if id_ not in ended]
        if not alive:
            break
        await spend(alive, rest[start : start + size])
        left = rest[start + size :]
        for id_ in alive:
            behind = -difference(id_) * len(scores[id_])
            if races[id_].behind:
                ended[id_] = "shown to be behind"
            elif left and behind > sum(high - incumbent[e] for e in left if e in incumbent):
                ended[id_] = "cannot catch up on what is left"
    return [Heat(i, len(scores[i]), difference(i), i not in ended, ended.get(i, "")) for i in ids]
