"""A set of outcomes row by row: all of them, and each split and group of examples; and how repeats agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from pydantic import Field

from agentopt.core.values import Frozen, Outcome
from agentopt.evaluate.summary import Summary, cell_score, counted, summarize

__all__ = ["Agreement", "Row", "agreement", "breakdown"]


class Row(Frozen):
    """One line of an evaluation's table: scores and costs of some of its cells."""

    name: str
    """``all``, ``split search``, ``group hard``."""
    summary: Summary
    """Mean with interval, and how many cells have which status."""
    n_ok: int = Field(ge=0)
    """Cells in which the program answered and the scorer said something."""
    calls: float
    """Model calls of these cells."""
    tokens: float
    """Tokens read and written."""
    seconds: float | None
    """Mean of a cell; None without any."""
    usd: float | None
    """None where the price of a call is not known."""


class Agreement(Frozen):
    """How the repeats of an example agree, over the examples that have a score in two repeats or more."""

    n: int = Field(ge=1)
    """Examples."""
    times: int
    """Repeats that were asked for."""
    every: float
    """Share of examples with full marks in every repeat."""
    once: float
    """Share of examples with full marks in at least one repeat."""
    within: float
    """Standard deviation of a score within an example: the root of the mean variance of its repeats."""

    @property
    def sentence(self) -> str:
        """The agreement in one line."""
        return (
            f"of {counted(self.n, 'example')} run {self.times} times: {self.every:.3f} have full marks every time, "
            f"{self.once:.3f} at least once; standard deviation within an example {self.within:.3f}"
        )


def breakdown(
    outcomes: Sequence[Outcome],
    groups: Mapping[str, str],
    score_range: tuple[float, float] = (0.0, 1.0),
    *,
    word: str = "group",
    clusters: Mapping[str, str] | None = None,
) -> list[Row]:
    """Rows for all outcomes, for each split where there are several, and for each group where examples have one.

    Args:
        outcomes: of one candidate, each cell once.
        groups: example id to group; examples without a group are in no group's row.
        score_range: lowest and highest score of the task.
        word: what a group is called.
        clusters: example id to its cluster, for intervals by cluster.

    >>> cells = [Outcome(candidate="c", example=str(i), feedback={"score": i % 2}) for i in range(6)]
    >>> rows = breakdown(cells, {"0": "even", "1": "odd", "3": "odd"})
    >>> [(row.name, row.summary.mean, row.summary.n) for row in rows]
    [('all', 0.5, 6), ('group even', 0.0, 1), ('group odd', 1.0, 2)]
    """

    def row(name: str, cells: Sequence[Outcome]) -> Row:
        return _row(name, cells, summarize(cells, score_range, clusters=clusters))

    rows = [row("all", outcomes)]
    keys: list[tuple[str, Callable[[Outcome], str | None]]] = [
        ("split", lambda o: o.split),
        (word, lambda o: groups.get(o.example)),
    ]
    for kind, key in keys:
        found = dict.fromkeys(name for o in outcomes if (name := key(o)))
        names = sorted(found) if kind == word else list(found)
        if len(names) > 1 or (kind == word and names):
            rows += [row(f"{kind} {name}", [o for o in outcomes if key(o) == name]) for name in names]
    return rows


def agreement(outcomes: Sequence[Outcome], score_range: tuple[float, float] = (0.0, 1.0)) -> Agreement | None:
    """How repeats agree; None where no example has a score in two of them.

    >>> cells = [Outcome(candidate="c", example="e", repeat=i, feedback={"score": i % 2}) for i in range(4)]
    >>> found = agreement(cells)
    >>> found.every, found.once, round(found.within, 3)
    (0.0, 1.0, 0.577)
    """
    low, high = score_range
    scores: dict[str, list[float]] = {}
    for outcome in outcomes:
        value = cell_score(outcome, low)
        if value is not None:
            scores.setdefault(outcome.example, []).append(value)
    several = [values for values in scores.values() if len(values) > 1]
    if not several:
        return None
    n = len(several)
    return Agreement(
        n=n,
        times=max(o.repeat for o in outcomes) + 1,
        every=sum(min(values) >= high for values in several) / n,
        once=sum(max(values) >= high for values in several) / n,
        within=math.sqrt(math.fsum(map(_variance, several)) / n),
    )


def _row(name: str, outcomes: Sequence[Outcome], summary: Summary) -> Row:
    metrics = [o.metrics for o in outcomes]
    usd = [m.get("usd") for m in metrics if m.get("calls")]
    seconds = [m["seconds"] for m in metrics if "seconds" in m]
    return Row(
        name=name,
        summary=summary,
        n_ok=sum(o.status == "ok" for o in outcomes),
        calls=math.fsum(m.get("calls", 0.0) for m in metrics),
        tokens=math.fsum(m.get("input_tokens", 0.0) + m.get("output_tokens", 0.0) for m in metrics),
        seconds=math.fsum(seconds) / len(seconds) if seconds else None,
        usd=None if any(u is None for u in usd) else math.fsum(u or 0.0 for u in usd),
    )


def _variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
