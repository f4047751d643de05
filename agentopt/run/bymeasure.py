"""Runs compared by a measure in the place of the score: which measure a name means, and its values as scores."""

from __future__ import annotations

from collections.abc import Sequence

from agentopt.core.values import Outcome
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate.claims import Claim
from agentopt.evaluate.measured import MeasureRecord, as_scores
from agentopt.run.files import RunFile
from agentopt.run.pinned import eval_of

__all__ = ["mirrored", "range_of", "read", "the_measure"]


def the_measure(name: str, runs: Sequence[RunFile]) -> list[MeasureRecord]:
    """The measure of each run that a name means: one of its eval's, or ``parts.NAME``, ``metrics.NAME``, ``answered``.

    Raises:
        UnknownName: an eval has no measure of this name.
        UsageError: a run was made without an eval, or the evals read other things under this name.
    """
    kind, _, inner = name.partition(".")
    if name == "answered" or (kind in ("parts", "metrics") and inner):
        share = "share" if name == "answered" else "mean"  # of a part nothing is known: a failure counts for no length
        return [MeasureRecord(name=name, title=name, of=name, kind=share, failed=None)] * len(runs)
    found = []
    for run in runs:
        record = eval_of(run)
        if record is None:
            raise UsageError(
                f"run {run.dir.name} was made without an eval, so {name!r} is no measure of it; what every run has is "
                "read as parts.NAME, metrics.NAME or answered"
            )
        known = {m.name: m for m in record.measures}
        if name not in known:
            raise UnknownName(f"measure of eval {record.name!r}", name, known, "`agentopt show EVAL` lists them")
        found.append(known[name])
    reads = {(m.of, m.kind, m.failed, m.subset, m.lower_is_better) for m in found}
    if len(reads) > 1:
        raise UsageError(f"the runs' evals read other things as {name!r}: measure anew, or compare by parts.NAME")
    return found


def read(measure: MeasureRecord, outcomes: Sequence[Outcome], lowest: float) -> list[Outcome]:
    """Outcomes with the measure's value as their score, without the examples that it is not over."""
    within = None if measure.over is None else set(measure.over)
    return as_scores(measure, [o for o in outcomes if within is None or o.example in within], lowest)


def range_of(measure: MeasureRecord, outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """The range of a measure's values: 0 to 1 for a share, else what was seen."""
    scores = [o.score for o in outcomes if o.score is not None]
    if measure.kind == "share" or not scores:
        return 0.0, 1.0
    low, high = min(scores), max(scores)
    return low, high if high > low else low + 1.0


def mirrored(claim: Claim, score_range: tuple[float, float]) -> Claim:
    """A claim of mirrored values (low + high - value), told in the values themselves; its verdict stays.

    >>> made = Claim(verdict="better", n=2, mean_a=3.0, mean_b=7.0, difference=4.0, low=1.0, high=6.0)
    >>> back = mirrored(made, (0.0, 10.0))
    >>> back.verdict, back.mean_a, back.mean_b, back.difference, back.low
    ('better', 7.0, 3.0, -4.0, -6.0)
    """
    if claim.mean_a is None or claim.mean_b is None or claim.difference is None:
        return claim
    total = score_range[0] + score_range[1]
    ends = [None if end is None else -end for end in (claim.high, claim.low)]
    return claim.model_copy(
        update={
            "mean_a": total - claim.mean_a, "mean_b": total - claim.mean_b, "difference": -claim.difference,
            "low": ends[0], "high": ends[1],
        }
    )  # fmt: skip
