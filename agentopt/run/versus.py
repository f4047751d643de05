"""Two runs side by side: a paired comparison on the examples that both have scores of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agentopt.core.values import Outcome
from agentopt.errors import UsageError
from agentopt.evaluate import Claim, compare
from agentopt.run.files import RunFile, open_run

__all__ = ["Side", "Versus", "compare_runs"]

_SPLITS = ("test", "validation", "search")


@dataclass(frozen=True, slots=True)
class Side:
    """What stands on one side: a candidate of a run. ``which`` is best, baseline, or evaluated."""

    run: str
    which: str
    graph: str
    task: str
    model: str | None
    candidate: str

    def __str__(self) -> str:
        model = f", {self.model}" if self.model else ""
        return f"{self.run} ({self.which}: {self.graph} on {self.task}{model})"


@dataclass(frozen=True, slots=True)
class Versus:
    """The comparison of side ``b`` with side ``a``."""

    a: Side
    b: Side
    split: str
    claim: Claim
    """``b`` as the candidate, ``a`` as the baseline."""
    notes: tuple[str, ...]
    """What speaks against reading it as it stands."""


def compare_runs(a: str, b: str, *, split: str | None = None, runs_dir: str = "runs", alpha: float = 0.05) -> Versus:
    """Compare two runs by an exact paired test on their common examples.

    Args:
        a, b: a run (path, name, beginning of a name, ``last``): the candidate that it evaluated, or the best that it
            found. ``NAME@baseline`` is where an optimization began.
        split: test, validation or search; default: the first of these that both have outcomes of.
        runs_dir: folder of the runs.
        alpha: level of the test.

    Raises:
        UsageError: no common examples, or scores on different scales.
    """
    with _open(a, runs_dir) as first, _open(b, runs_dir) as second:
        files = first, second
        sides = _side(a, first), _side(b, second)
        ranges = [tuple(file.started["score_range"]) for file in files]
        if ranges[0] != ranges[1]:
            raise UsageError(f"{a} has scores from {ranges[0]}, {b} from {ranges[1]}: they cannot be compared")
        found = [file.outcomes(side.candidate) for side, file in zip(sides, files, strict=True)]
        chosen, outcomes = _common(sides, found, split)
        claim = compare(outcomes, "a", "b", alpha=alpha, score_range=ranges[0])
        return Versus(*sides, chosen, claim, tuple(_notes(sides, files, chosen, outcomes)))


def _open(name: str, runs_dir: str) -> RunFile:
    return open_run(name.removesuffix("@baseline"), runs_dir)


def _side(name: str, file: RunFile) -> Side:
    evaluated = file.started["kind"] == "evaluate"
    which = "evaluated" if evaluated else "baseline" if name.endswith("@baseline") else "best"
    candidate = file.best() if which == "best" else file.baseline()
    if candidate is None:
        raise UsageError(f"run {file.dir.name} has evaluated nothing yet: `agentopt resume {file.dir.name}`")
    config = file.config
    return Side(file.dir.name, which, config.graph, config.task, config.model, candidate.id)


def _common(sides: tuple[Side, ...], found: list[list[Outcome]], split: str | None) -> tuple[str, list[Outcome]]:
    """The split to compare on, and both sides' outcomes on the examples that both have there, under ``a`` and ``b``."""
    for name in (split,) if split else _SPLITS:
        mine = [[o for o in outcomes if o.split == name] for outcomes in found]
        shared = {o.example for o in mine[0]} & {o.example for o in mine[1]}
        if shared:
            return name, [
                o.model_copy(update={"candidate": side})
                for side, outcomes in zip("ab", mine, strict=True)
                for o in outcomes
                if o.example in shared
            ]
    had = "; ".join(
        f"{side.run} has outcomes on {', '.join(sorted({o.split for o in outcomes})) or 'no split'}"
        for side, outcomes in zip(sides, found, strict=True)
    )
    raise UsageError(f"the runs have no common examples{f' in the {split} split' if split else ''} ({had})")


def _notes(sides: tuple[Side, ...], files: tuple[RunFile, ...], split: str, outcomes: list[Outcome]) -> list[str]:
    notes = []
    started: list[dict[str, Any]] = [file.started for file in files]
    if started[0]["evaluator"] != started[1]["evaluator"]:
        notes.append("the runs were scored by different scorers")
    counts = [len({o.example for o in file.outcomes(s.candidate, split)}) for s, file in zip(sides, files, strict=True)]
    common = len({o.example for o in outcomes})
    for side, count in zip(sides, counts, strict=True):
        if count > common:
            notes.append(f"{side.run} has {count} {split} examples, {common} are common to both")
    if split != "test" and any(side.which == "best" for side in sides):
        notes.append(f"a best candidate was chosen on its {split} examples: its score there is too high")
    return notes
