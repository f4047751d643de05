"""The trajectory that a meta-prompt shows: which earlier candidates, in which order, with which numbers."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agentopt.core.values import Candidate, Outcome
from agentopt.optim.base import Scored, View
from agentopt.optim.meta import show

__all__ = ["ESTIMATES", "ORDERS", "Entry", "Measure", "choose", "entries", "measure_of", "numbers", "same_values"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An earlier candidate with its score and, where one is shown in its place, the value of the measure."""

    candidate: Candidate
    score: float
    outcomes: tuple[Outcome, ...]
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A part of the feedback that stands for the score, and whether a lower value is the better one."""

    name: str
    lower: bool


def _by_example(scored: Scored, part: str = "") -> dict[str, float]:
    """Mean over repeats, for each example."""
    found: dict[str, list[float]] = {}
    for outcome in scored.outcomes:
        value = outcome.score
        if part:
            value = outcome.feedback.parts.get(part) if outcome.feedback else None
        if value is not None:
            found.setdefault(outcome.example, []).append(value)
    return {example: statistics.fmean(values) for example, values in found.items()}


def paired(scored: Scored, best: Scored) -> float | None:
    """The best candidate's score plus the difference on the examples that both ran on, within what was ever scored.

    Candidates that fell out of a race ran on few examples, and not all on the same.
    """
    own, reference = _by_example(scored), _by_example(best)
    shared = [example for example in own if example in reference]
    if best.mean is None or not shared:
        return scored.mean
    difference = statistics.fmean(own[example] - reference[example] for example in shared)
    low, high = min(0.0, *own.values()), max(1.0, *own.values(), *reference.values())
    return min(max(best.mean + difference, low), high)


ESTIMATES: dict[str, Callable[[Scored, Scored], float | None]] = {
    "paired": paired,
    "mean": lambda scored, best: scored.mean,
}
"""Score of a candidate, given the best one, by name."""

ORDERS: dict[str, Callable[[list[Entry], random.Random], list[Entry]]] = {
    "ascending": lambda found, rng: found,
    "descending": lambda found, rng: found[::-1],
    "random": lambda found, rng: rng.sample(found, len(found)),
}
"""Order of the history, made from the worst-to-best one, by name."""


def measure_of(view: View, wanted: str) -> Measure | None:
    """The part of the feedback that is shown in place of the score; None shows the score.

    Which direction is better is read off the archive: of the candidates with the best and the worst score, which has
    the lower value. Before two candidates differ there is none.
    """
    scored = [entry for entry in view.archive if entry.mean is not None]
    if wanted == "none" or not scored:
        return None
    name = wanted
    if wanted == "auto":
        parts = {part for o in scored[0].outcomes if o.feedback for part in o.feedback.parts}
        if len({o.example for o in scored[0].outcomes}) != 1 or len(parts) != 1:
            return None
        (name,) = parts
    known = [(entry.mean or 0.0, statistics.fmean(v.values())) for entry in scored if (v := _by_example(entry, name))]
    if not known:
        return None
    (worst, at_worst), (best, at_best) = min(known), max(known)
    return Measure(name, at_best < at_worst) if worst < best and at_best != at_worst else None


def entries(view: View, estimate: str = "paired", measure: Measure | None = None) -> list[Entry]:
    """Every candidate of the archive that has a score, in the order of evaluation."""
    found = []
    for scored in view.archive:
        score = ESTIMATES[estimate](scored, view.best)
        if score is None:
            continue
        values = _by_example(scored, measure.name) if measure else {}
        value = statistics.fmean(values.values()) if values else None
        if measure is None or value is not None:
            found.append(Entry(scored.candidate, score, scored.outcomes, value))
    return found


def choose(
    found: Sequence[Entry], size: int, *, threshold: float | None, order: str, rng: random.Random
) -> list[Entry]:
    """The best ``size`` (0: all; the later of equals), then without those below the threshold, in their order."""
    ranked = sorted(found, key=lambda entry: entry.score)
    kept = ranked[-size:] if size else ranked
    return ORDERS[order]([e for e in kept if threshold is None or e.score >= threshold], rng)


def numbers(shown: Sequence[Entry], scores: int | str) -> list[str]:
    """The score of each, or the measure's value, as they are shown beside each other; "" for ``none``.

    Buckets make whole numbers of scores between 0 and 1: ``round(score * buckets)``; scores outside of 0 to 1 have 6
    digits. Values of a measure are whole numbers, as in the paper, where all have three digits or more, or where some
    have two and whole numbers tell apart what differs; else they have 4 digits.

    >>> def told(*values):
    ...     return numbers([Entry(Candidate(values={}), 0.0, (), value) for value in values], 100)
    >>> told(498.6, 52.3), told(498.6, 0.2, 0.4), told(0.7, 0.25)
    (['499', '52'], ['498.6', '0.2', '0.4'], ['0.7', '0.25'])
    """
    sizes = [abs(entry.value) for entry in shown if entry.value is not None]
    values = {entry.value for entry in shown if entry.value is not None}
    distinct = len({round(v) for v in values}) >= len({f"{v:.4g}" for v in values})
    whole = min(sizes, default=0.0) >= 100 or (max(sizes, default=0.0) >= 10 and distinct)
    return [_number(entry, scores, whole) for entry in shown]


def _number(entry: Entry, scores: int | str, whole: bool) -> str:
    if scores == "none":
        return ""
    value = entry.score if entry.value is None else entry.value
    if scores == "infinite":
        return f"{value:.3f}"
    if entry.value is not None:
        return str(round(value)) if whole or abs(value) >= 1000 else f"{value:.4g}"
    return str(round(value * int(scores))) if 0 <= value <= 1 else show(value)


def same_values(found: Sequence[Entry], key: Callable[[Mapping[str, JsonValue]], str]) -> list[Entry]:
    """One entry for each key, the one with the highest score, in the order of evaluation."""
    best: dict[str, Entry] = {}
    for entry in found:
        name = key(entry.candidate.values)
        if name not in best or entry.score > best[name].score:
            best[name] = entry
    return list(best.values())
