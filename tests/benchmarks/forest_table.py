"""Curves, paired comparisons and the pages of ``forest*.py``."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from agentopt.evaluate import holm, interval, iterations_to_solve, mean_similarity, pass_any, verifier
from agentopt.evaluate.stats import mcnemar, newcombe
from agentopt.optim.forest.agreement import consensus, weights

REFERENCE = "SFS"
"""What the other methods are compared with, and whose tokens they get."""


def marks(limit: int) -> list[int]:
    """Numbers of programs at which a curve is told."""
    return [k for k in (1, 2, 3, 5, 7, 10, 20, 40) if k <= limit]


def curve(right: Sequence[Sequence[bool]], at: Sequence[int]) -> list[float]:
    """pass@any after so many programs each.

    >>> curve([[False, True], [True]], [1, 2])
    [0.5, 1.0]
    """
    return [pass_any(right, k) for k in at]


def compare(scores: Mapping[str, Sequence[float]], reference: str) -> dict[str, dict[str, float]]:
    """Each method's 0/1 scores against the reference's on the same problems: difference, interval, p (Holm).

    >>> compare({"a": [1, 1, 0], "b": [1, 0, 0]}, "a")["b"]["difference"]
    -0.3333333333333333
    """
    base, found = scores[reference], {}
    for method, own in scores.items():
        if method == reference or len(own) != len(base):
            continue
        pairs = [(bool(a), bool(b)) for a, b in zip(own, base, strict=True)]
        gained, lost = pairs.count((True, False)), pairs.count((False, True))
        low, high = newcombe(pairs.count((True, True)), gained, lost, pairs.count((False, False)))
        found[method] = {
            "difference": statistics.fmean(own) - statistics.fmean(base), "low": low, "high": high, "gained": gained,
            "lost": lost, "p": mcnemar(gained, lost),
        }  # fmt: skip
    adjusted = holm([entry["p"] for entry in found.values()])
    for entry, p in zip(found.values(), adjusted, strict=True):
        entry["p"] = p
    return found


def rate(found: Mapping[str, float]) -> str:
    """Percent with its 95 % interval.

    >>> rate({"mean": 0.75, "low": 0.301, "high": 0.954})
    '75.0 [30.1, 95.4]'
    """
    return f"{100 * found['mean']:.1f} [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"


def against(entry: Mapping[str, float] | None) -> str:
    """A paired difference in points, its interval, and Holm's p.

    >>> against({"difference": -0.1, "low": -0.2, "high": 0.0, "p": 0.04})
    '-10.0 [-20.0, +0.0], p = 0.04'
    """
    if entry is None:
        return ""
    p = "p < 0.001" if entry["p"] < 0.001 else f"p = {entry['p']:.2g}"
    return f"{100 * entry['difference']:+.1f} [{100 * entry['low']:+.1f}, {100 * entry['high']:+.1f}], {p}"


def share(value: float | None) -> str:
    """Percent, or a dash."""
    return "-" if value is None else f"{100 * value:.0f}"


def equal_tokens(rows: Sequence[Mapping[str, Any]], solutions: int) -> float:
    """The median tokens of the searches that used all their programs."""
    whole = [row["tokens"] for row in rows if len(row["right"]) >= solutions]
    return float(statistics.median(whole)) if whole else 0.0


def summary_of(rows: Sequence[Mapping[str, Any]], limit: int) -> dict[str, Any]:
    """What one set of problems says of each method.

    Args:
        rows: searches, each with ``method``, ``right`` (of each program), ``costs`` (tokens when it was there),
            ``passed`` (its visible tests, as a text of 0 and 1) and ``programs`` (the first five).
        limit: programs that count.
    """
    by: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by.setdefault(row["method"], []).append(row)
    tokens = equal_tokens(by[REFERENCE], limit)
    size = len(by[REFERENCE])
    whole = {method: found for method, found in by.items() if len(found) == size}
    shared = [i for i in range(size) if all(len(found[i]["programs"]) == 5 for found in whole.values())]
    methods = {method: _method(found, limit, tokens, shared) for method, found in whole.items()}
    out: dict[str, Any] = {"n": size, "solutions": limit, "equal tokens": tokens, "methods": methods}
    for name in ("any", "at tokens", "pass@1"):
        out[f"{name}, against"] = compare({method: data[name] for method, data in methods.items()}, REFERENCE)
    for data in methods.values():
        for name in SCORES:
            low, high = interval(data[name])
            data[name] = {"mean": statistics.fmean(data[name]), "low": low, "high": high}
    return out


SCORES = ("any", "at tokens", "pass@1", "pass@1 by agreement", "pass@1 by consensus")


def _method(found: Sequence[Mapping[str, Any]], limit: int, tokens: float, shared: Sequence[int]) -> dict[str, Any]:
    right = [row["right"][:limit] or [False] for row in found]
    picked = [_chosen(row, limit, "uniform") for row in found]
    pairs = [
        ("0" not in row["passed"][place], row["right"][place])
        for row, place in zip(found, picked, strict=True)
        if place is not None
    ]
    likeness = [mean_similarity(found[i]["programs"], "tokens") for i in shared]
    incl, excl = iterations_to_solve(right, limit)
    verdicts = verifier(pairs)
    return {
        "curve": curve(right, marks(limit)),
        "any": [float(any(row)) for row in right],
        "at tokens": [float(_within(row, tokens)) for row in found],
        "pass@1": [_of(row, place) for row, place in zip(found, picked, strict=True)],
        "pass@1 by agreement": [_of(row, _chosen(row, limit, "agreement")) for row in found],
        "pass@1 by consensus": [_of(row, _chosen(row, limit, "consensus")) for row in found],
        "iterations incl": incl,
        "iterations excl": excl,
        "tokens": statistics.fmean(row["costs"][:limit][-1] if row["costs"] else row["tokens"] for row in found),
        "precision": verdicts.precision,
        "recall": verdicts.recall,
        "similarity": statistics.fmean(likeness) if likeness else None,
        "similarity n": len(likeness),
    }


def _of(row: Mapping[str, Any], place: int | None) -> float:
    return 0.0 if place is None else float(row["right"][place])


def _within(row: Mapping[str, Any], tokens: float) -> bool:
    """Whether a right program was there when so many tokens were spent."""
    return any(good and cost <= tokens for good, cost in zip(row["right"], row["costs"], strict=True))


def _chosen(row: Mapping[str, Any], limit: int, how: str) -> int | None:
    """Place of the program that is returned: the highest worth by the visible tests, the earliest of equals."""
    shown = row["passed"][:limit]
    if not shown:
        return None
    distinct = {text: {str(i): float(c) for i, c in enumerate(text)} for text in shown}
    if how == "consensus":
        ranks = consensus({f"{i}": distinct[text] for i, text in enumerate(shown)})
        worth = [ranks[str(i)] for i in range(len(shown))]
    else:
        weight = weights({f"{i}": distinct[text] for i, text in enumerate(shown)}, how)
        worth = [sum(weight[i] * score for i, score in distinct[text].items()) for text in shown]
    return worth.index(max(worth))


def table(data: Mapping[str, Any]) -> list[str]:
    """The methods of a set of problems, as lines of Markdown."""
    at = marks(data["solutions"])
    rates = [
        head for name in ("pass@any, 95 % interval", "at equal tokens", "pass@1") for head in (name, "against SFS")
    ]
    heads = ["method", *(f"@{k}" for k in at), *rates, "iterations incl / excl", "tokens", "likeness"]
    out = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for method, m in data["methods"].items():
        excl = "-" if m["iterations excl"] is None else f"{m['iterations excl']:.2f}"
        cells = [method, *(f"{100 * v:.1f}" for v in m["curve"])]
        for name in ("any", "at tokens", "pass@1"):
            cells += [rate(m[name]), against(data[f"{name}, against"].get(method))]
        like = "-" if m["similarity"] is None else f"{m['similarity']:.3f} (n = {m['similarity n']})"
        cells += [f"{m['iterations incl']:.2f} / {excl}", f"{m['tokens']:.0f}", like]
        out.append(f"| {' | '.join(cells)} |")
    return out


def choices(data: Mapping[str, Any]) -> list[str]:
    """How the returned program is chosen, and how far the visible tests can be trusted, as lines of Markdown."""
    heads = ["method", "pass@any", "pass@1", "tests weighed by agreement", "consensus (CodeT)", "precision", "recall"]
    out = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for method, m in data["methods"].items():
        cells = [method, *(rate(m[name]) for name in ("any", "pass@1", "pass@1 by agreement", "pass@1 by consensus"))]
        out.append(f"| {' | '.join([*cells, share(m['precision']), share(m['recall'])])} |")
    return [*out, "", 'Precision and recall of "passes every visible test" for the returned program, in percent.']
