"""Two runs side by side: a paired comparison on the examples that both have scores of.

Examples are the same when their inputs are; ids are names. A verdict is given on test examples only, with a label when
they had been used before, and the comparison is itself written down as a use.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentopt.core.values import Outcome, digest
from agentopt.errors import UsageError
from agentopt.evaluate import Claim, Example, Touch, compare
from agentopt.evaluate.summary import counted
from agentopt.run.files import RunFile, open_run
from agentopt.run.finals import labelled, user
from agentopt.run.setup import split_ledger

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
    n: int
    """Examples that both have a score of."""
    mean_a: float | None
    """None when n is 0."""
    mean_b: float | None
    difference: float | None
    """``b`` minus ``a``."""
    low: float | None
    """Lower end of the interval of the difference."""
    high: float | None
    claim: Claim | None
    """``b`` as the candidate, ``a`` as the baseline; None off the test split, where nothing is claimed."""
    notes: tuple[str, ...]
    """What speaks against reading it as it stands."""

    @property
    def sentence(self) -> str:
        """The comparison in one line."""
        if self.claim is not None:
            return self.claim.sentence
        why = f"no verdict: {self.split} examples are those that candidates are made and chosen by, not a test"
        if self.mean_a is None or self.mean_b is None or self.difference is None:
            return f"no example was scored for both; {why}"
        return (
            f"{self.mean_b:.2f} against {self.mean_a:.2f} on {counted(self.n, 'example')}, difference "
            f"{self.difference:+.2f} [{self.low:+.2f}, {self.high:+.2f}]; {why}"
        )


def compare_runs(a: str, b: str, *, split: str | None = None, runs_dir: str = "runs", alpha: float = 0.05) -> Versus:
    """Compare two runs on their common examples; on the test split by an exact paired test.

    A test on examples that had been used before is labelled, as the claim of a run is. The two sides of an optimization
    that made its claim there are that claim's own use; two evaluations are used by comparing them.

    Args:
        a, b: a run (path, name, beginning of a name, ``last``): the candidate that it evaluated, or the best that it
            found. ``NAME@baseline`` is where an optimization began.
        split: test, validation or search; default: the first of these that both have outcomes of.
        runs_dir: folder of the runs.
        alpha: level of the test.

    Raises:
        UsageError: no common examples, or scores on different scales.
        StoreError: the split ledger cannot be written.
    """
    with _open(a, runs_dir) as first, _open(b, runs_dir) as second:
        files = first, second
        sides = _side(a, first), _side(b, second)
        ranges = [tuple(file.started["score_range"]) for file in files]
        if ranges[0] != ranges[1]:
            raise UsageError(f"{a} has scores from {ranges[0]}, {b} from {ranges[1]}: they cannot be compared")
        chosen, pairs, outcomes = _common(sides, files, split)
        found = compare(outcomes, "a", "b", alpha=alpha, score_range=ranges[0])
        claim = _labelled(found, sides, files, [e for e, _ in pairs]) if chosen == "test" else None
        notes = tuple(_notes(sides, files, chosen, pairs))
        return Versus(*sides, chosen, found.n, found.mean_a, found.mean_b, found.difference, found.low, found.high,
                      claim, notes)  # fmt: skip


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


Files = tuple[RunFile, RunFile]
Pairs = Sequence[tuple[Example, Example]]


def _common(sides: tuple[Side, Side], files: Files, split: str | None) -> tuple[str, Pairs, list[Outcome]]:
    """The split to compare on, the examples that both have outcomes of there, and these, under ``a`` and ``b``."""
    found = [file.outcomes(side.candidate) for side, file in zip(sides, files, strict=True)]
    for name in (split,) if split else _SPLITS:
        mine = [[o for o in outcomes if o.split == name] for outcomes in found]
        if not all(mine):
            continue
        examples = [_examples(file, name) for file in files]
        ran = [
            [by_id[id_] for id_ in {o.example: None for o in own}] for by_id, own in zip(examples, mine, strict=True)
        ]
        pairs = _paired(*ran)
        if pairs:
            named = [{a.id: a.id for a, _ in pairs}, {b.id: a.id for a, b in pairs}]
            return (
                name,
                pairs,
                [
                    o.model_copy(update={"candidate": side, "example": names[o.example]})
                    for side, outcomes, names in zip("ab", mine, named, strict=True)
                    for o in outcomes
                    if o.example in names
                ],
            )
    had = "; ".join(
        f"{side.run} has outcomes on {', '.join(sorted({o.split for o in outcomes})) or 'no split'}"
        for side, outcomes in zip(sides, found, strict=True)
    )
    where = f" in the {split} split" if split else ""
    raise UsageError(f"the runs have no common examples{where}: none has the same input in both ({had})")


def _examples(file: RunFile, split: str) -> Mapping[str, Example]:
    """The examples of a split as the run had them, by id."""
    stored = json.loads(file.store.blob(file.started["splits"][split]["examples"]))
    return {e.id: e for e in map(Example.model_validate, stored)}


def _paired(a: Sequence[Example], b: Sequence[Example]) -> Pairs:
    """Examples with the same input; where an input stands more than once in a run, the target must be the same too."""
    often = {key for side in (a, b) for key, n in Counter(digest(e.input) for e in side).items() if n > 1}

    def key(e: Example) -> str:
        return e.content if digest(e.input) in often else digest(e.input)

    others = {key(e): e for e in b}
    return [(e, others[key(e)]) for e in a if key(e) in others]


def _labelled(claim: Claim, sides: tuple[Side, Side], files: Files, examples: Sequence[Example]) -> Claim:
    """The claim with the earlier uses of its examples; this use is written down."""
    one_run = files[0].store.id == files[1].store.id
    made = files[0].claim()
    if one_run and made is not None:  # this is that claim, and its use is written already
        return claim.model_copy(update={"touches": made.touches, "touched_examples": made.touched_examples})
    own = {user(file.store) for file in files}
    name = " and ".join(sorted(f"{user(f.store)} {s.candidate[:8]}" for f, s in zip(files, sides, strict=True)))
    places = [file.config.model_copy(update={"runs_dir": str(file.dir.parent)}) for file in files]
    ledgers = {ledger.path.resolve(): ledger for ledger in map(split_ledger, places)}
    split, inputs = digest(sorted(e.content for e in examples)), [digest(e.input) for e in examples]
    earlier: list[Touch] = []
    for ledger in ledgers.values():
        earlier += ledger.touch(split, name, "compare", examples=inputs)
    # the evaluations that are compared are part of this use; so is a test of one run that has not come to its claim
    return labelled(claim, [t for t in earlier if t.run not in own or (t.what != "evaluate" and not one_run)])


def _notes(sides: tuple[Side, Side], files: Files, split: str, pairs: Pairs) -> list[str]:
    notes = []
    started = [file.started for file in files]
    if started[0]["evaluator"] != started[1]["evaluator"]:
        notes.append("the runs were scored by different scorers")
    if started[0]["task"]["hash"] != started[1]["task"]["hash"]:
        notes.append("the runs' tasks are not the same (name, version, scale or examples): compared on equal inputs")
    if other := sum(a.target != b.target for a, b in pairs):
        notes.append(f"{counted(other, 'example')} of {len(pairs)} have another target in {sides[1].run}")
    for side, file in zip(sides, files, strict=True):
        count = len({o.example for o in file.outcomes(side.candidate, split)})
        if count > len(pairs):
            notes.append(f"{side.run} has {count} {split} examples, {len(pairs)} are common to both")
    if split != "test" and any(side.which == "best" for side in sides):
        notes.append(f"a best candidate was chosen on its {split} examples: its score there is too high")
    return notes
