"""What a run keeps of its eval, as data, and the measures that are read off its outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal

from pydantic import Field, JsonValue

from agentopt.core.values import Feedback, Frozen, Outcome
from agentopt.evaluate.clusters import clusters_of, mean_interval
from agentopt.evaluate.protocol import Eval, Published
from agentopt.evaluate.summary import Summary, cell_score, example_scores, summarize
from agentopt.evaluate.task import Example

__all__ = [
    "Departure",
    "EvalRecord",
    "GuessRow",
    "MeasureRecord",
    "MeasureRow",
    "Measured",
    "as_scores",
    "measured",
    "plainly",
    "record_of",
]


class MeasureRecord(Frozen):
    """A ``Measure`` as a run keeps it: its function over examples has become a list of them."""

    name: str
    """What tables and ``--measure`` call it."""
    title: str
    """In words."""
    of: str
    """``parts.NAME``, ``metrics.NAME``, ``score`` or ``answered``."""
    kind: Literal["share", "mean"] = "share"
    """A share lies from 0 to 1."""
    failed: float | None = 0.0
    """What a part counts for where the program failed."""
    lower_is_better: bool = False
    """The direction of better."""
    subset: str = ""
    """Name of the examples that count; empty when all do."""
    over: tuple[str, ...] | None = None
    """Their ids; None when all do."""

    @cached_property
    def _within(self) -> frozenset[str] | None:
        return None if self.over is None else frozenset(self.over)

    def read(self, outcome: Outcome, lowest: float = 0.0) -> float | None:
        """The value of one cell; None when it does not count (it was lost to the world, or has no such part).

        >>> cell = Outcome(candidate="c", example="e", feedback={"score": 1, "parts": {"parses": 0.5}})
        >>> MeasureRecord(name="p", title="p", of="parts.parses").read(cell)
        0.5
        """
        if outcome.status == "infra_error" or (self._within is not None and outcome.example not in self._within):
            return None
        kind, _, name = self.of.partition(".")
        if kind == "metrics":
            return outcome.metrics.get(name)
        if kind == "answered":
            return float(outcome.status == "ok")
        if kind == "score":
            return cell_score(outcome, lowest)
        if outcome.feedback is None:
            return self.failed
        return outcome.feedback.parts.get(name)


class Departure(Frozen):
    """Where a run is not what its eval pins."""

    field: str
    """Of the protocol: ``limit``, ``repeats``, ..."""
    pinned: JsonValue
    """What the eval says."""
    given: JsonValue
    """What the run was made with."""

    @property
    def told(self) -> str:
        """``limit 20 (pinned: none)``."""
        return f"{self.field} {plainly(self.given)} (pinned: {plainly(self.pinned)})"


class EvalRecord(Frozen):
    """What a run keeps of the eval that it was made by; it can be read without the workspace."""

    form: int = 1
    """Of this record."""
    name: str
    """The eval's name."""
    version: int
    """Its version."""
    hash: str
    """Of the measurement: name, version, protocol, and how measures and clusters are read."""
    about: str = ""
    """What is measured, in words."""
    pinned: dict[str, JsonValue]
    """The protocol."""
    departs: tuple[Departure, ...] = ()
    """Where the run is otherwise."""
    measures: tuple[MeasureRecord, ...] = ()
    """Numbers beside the score."""
    clusters: dict[str, str] | None = None
    """Example id to cluster, of those that have one; None in older records of an eval without ``group``."""
    types: dict[str, str] | None = None
    """Example id to type; None without a table by type."""
    guesses: dict[str, tuple[Outcome, ...]] = Field(default_factory=dict)
    """Title to outcomes of answers without a model."""
    published: tuple[Published, ...] = ()
    """Published results."""
    notes: tuple[str, ...] = ()
    """What is said with every result."""


class MeasureRow(Frozen):
    """One measure on some outcomes: its mean with interval and n."""

    name: str
    """Of the measure."""
    title: str
    """In words, with the examples that it is over."""
    kind: Literal["share", "mean"]
    """A share lies from 0 to 1."""
    mean: float | None
    """Repeats averaged within an example, then examples; None when no example counts."""
    low: float | None
    """Lower end of the interval; None where there is no value, or all of a mean are equal or in one cluster, which
    bounds nothing."""
    high: float | None
    """Upper end."""
    n: int = Field(ge=0)
    """Examples that count."""


class GuessRow(Frozen):
    """Answers without a model, scored as answers are."""

    title: str
    """How they are made."""
    summary: Summary
    """Mean score."""
    measures: tuple[MeasureRow, ...]
    """Parts that its scores have."""


class Measured(Frozen):
    """Everything beside the score that an eval says of a run."""

    record: EvalRecord
    """The eval as the run keeps it."""
    measures: tuple[MeasureRow, ...]
    """In the order of the eval."""
    guesses: tuple[GuessRow, ...]
    """In the order of the eval, on the examples that the run has a score of."""

    @property
    def pinned(self) -> bool:
        """Whether the run was made under the pinned protocol."""
        return not self.record.departs

    @property
    def departure(self) -> str:
        """``not the pinned protocol: limit 20 (pinned: none)``; empty where it is the pinned one."""
        told = ", ".join(d.told for d in self.record.departs)
        return f"not the pinned protocol: {told}" if told else ""


def record_of(
    pinned: Eval,
    examples: Sequence[Example],
    *,
    departs: Sequence[Departure] = (),
    guesses: Mapping[str, Sequence[Outcome]] | None = None,
    notes: Sequence[str] = (),
) -> EvalRecord:
    """What a run on ``examples`` keeps of an eval: its functions have become labels. ``notes`` are the task's."""
    measures = [
        MeasureRecord(
            name=m.name, title=m.title, of=m.of, kind=m.kind, lower_is_better=m.lower_is_better,
            failed=None if m.failed is None else float(m.failed),
            subset=m.subset, over=None if m.over is None else tuple(e.id for e in examples if m.over(e)),
        )
        for m in pinned.measures
    ]  # fmt: skip
    by = pinned.by
    types = None if by is None else {e.id: str(label) for e in examples if (label := by(e)) is not None}
    return EvalRecord(
        name=pinned.name, version=pinned.version, hash=pinned.hash, about=pinned.about, pinned=pinned.pinned,
        departs=tuple(departs), measures=tuple(measures), types=types,
        clusters=clusters_of(examples, pinned.group),
        guesses={title: tuple(outcomes) for title, outcomes in (guesses or {}).items()},
        published=tuple(pinned.published), notes=(*pinned.notes, *notes),
    )  # fmt: skip


def measured(record: EvalRecord, outcomes: Sequence[Outcome], score_range: tuple[float, float]) -> Measured:
    """The measures and guesses of an eval on the outcomes of one candidate, each cell once."""
    scored = example_scores(outcomes, score_range)
    guesses = []
    for title, made in record.guesses.items():
        known = [o for o in made if o.example in scored]
        rows = [row for row in measure_rows(record, known, score_range) if row.n]
        summary = summarize(known, score_range, clusters=record.clusters)
        guesses.append(GuessRow(title=title, summary=summary, measures=tuple(rows)))
    rows = measure_rows(record, outcomes, score_range)
    return Measured(record=record, measures=tuple(rows), guesses=tuple(guesses))


def measure_rows(record: EvalRecord, outcomes: Iterable[Outcome], score_range: tuple[float, float]) -> list[MeasureRow]:
    """A row for each measure of an eval."""
    outcomes = list(outcomes)
    return [_row(measure, outcomes, score_range, record.clusters) for measure in record.measures]


def _row(
    measure: MeasureRecord,
    outcomes: Sequence[Outcome],
    score_range: tuple[float, float],
    clusters: Mapping[str, str] | None,
) -> MeasureRow:
    values: dict[str, list[float]] = {}
    for outcome in outcomes:
        if (value := measure.read(outcome, score_range[0])) is not None:
            values.setdefault(outcome.example, []).append(value)
    means = {example: math.fsum(found) / len(found) for example, found in values.items()}
    low = high = None
    if measure.kind == "share" and means:
        low, high = mean_interval(means, clusters)
    elif len(set(means.values())) > 1:
        ends = mean_interval(means, clusters, (-math.inf, math.inf))
        low, high = ends if all(map(math.isfinite, ends)) else (None, None)
    return MeasureRow(
        name=measure.name, kind=measure.kind, low=low, high=high, n=len(means),
        title=f"{measure.title} ({measure.subset})" if measure.subset else measure.title,
        mean=math.fsum(means.values()) / len(means) if means else None,
    )  # fmt: skip


def as_scores(measure: MeasureRecord, outcomes: Iterable[Outcome], lowest: float) -> list[Outcome]:
    """The outcomes with the value of a measure in the place of the score; those that do not count have none.

    >>> cell = Outcome(candidate="c", example="e", status="timeout")
    >>> [o.score for o in as_scores(MeasureRecord(name="a", title="a", of="answered"), [cell], 0.0)]
    [0.0]
    """
    made = []
    for outcome in outcomes:
        value = measure.read(outcome, lowest)
        feedback = None if value is None else Feedback(score=value)
        status = "infra_error" if outcome.status == "infra_error" else "ok"
        made.append(outcome.model_copy(update={"status": status, "feedback": feedback}))
    return made


def plainly(value: JsonValue) -> str:
    """A setting in words: ``none``, ``n=20, seed=1``.

    >>> plainly({"n": 20, "seed": None}), plainly({}), plainly(0.5)
    ('n=20, seed=none', 'none', '0.5')
    """
    if isinstance(value, dict):
        return ", ".join(f"{k}={plainly(v)}" for k, v in value.items()) or "none"
    return "none" if value is None else str(value)
