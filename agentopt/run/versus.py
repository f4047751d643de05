"""Runs side by side: a paired comparison on the examples that both have scores of.

Examples are the same when their inputs are; ids are names. A verdict is given on test examples only, and on all of
evals whose protocol is all, where no search of these examples made what is compared; with a label when they had been
used before. The comparison is itself written down as a use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pydantic import JsonValue

from agentopt.core.values import Feedback, Outcome, digest
from agentopt.errors import UsageError
from agentopt.evaluate import Claim, Example, Touch, compare, example_scores, holm
from agentopt.evaluate.claims import told_p
from agentopt.evaluate.summary import counted
from agentopt.run.bymeasure import mirrored, range_of, read, the_measure
from agentopt.run.files import RunFile, open_run
from agentopt.run.finals import labelled, named, scored_again, user
from agentopt.run.stored import stored_examples
from agentopt.run.whole import ledgers_of, no_test_on_all

__all__ = ["Change", "Side", "Versus", "compare_all", "compare_runs"]

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
class Change:
    """An example on which the two sides differ. Scores are means over repeats, outputs those of the first."""

    example: str
    input: JsonValue
    target: JsonValue
    score_a: float
    score_b: float
    output_a: JsonValue
    output_b: JsonValue


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
    """``b`` as the candidate, ``a`` as the baseline; None where nothing is claimed: on search and validation examples,
    and on all examples that are no test."""
    notes: tuple[str, ...]
    """What speaks against reading it as it stands."""
    only_a: int = 0
    """Examples of this split that only ``a`` has evaluated; they are left out."""
    only_b: int = 0
    unscored: int = 0
    """Examples that both have evaluated, and one has no score of (infrastructure errors); they are left out."""
    changed: tuple[Change, ...] = ()
    """Examples whose scores differ, the largest loss first."""
    adjusted: float | None = None
    """The p value after Holm, where several were compared with ``a`` at once; the verdict follows it."""
    together: int = 1
    """How many were compared with ``a`` at once."""
    measure: str = "score"
    """By what they were compared."""

    @property
    def sentence(self) -> str:
        """The comparison in one line."""
        if self.claim is not None and self.adjusted is not None:
            return f"{self.claim.sentence}; Holm over {self.together} comparisons: {told_p(self.adjusted)}"
        if self.claim is not None:
            return self.claim.sentence
        are = "among all examples" if self.split == "all" else f"{self.split} examples"
        why = f"no verdict: {are} are those that candidates are made and chosen by, not a test"
        if self.mean_a is None or self.mean_b is None or self.difference is None:
            return f"no example was scored for both; {why}"
        return (
            f"{self.mean_b:.2f} against {self.mean_a:.2f} on {counted(self.n, 'example')}, difference "
            f"{self.difference:+.2f} [{self.low:+.2f}, {self.high:+.2f}]; {why}"
        )


def compare_runs(
    a: str, b: str, *, split: str | None = None, measure: str = "score", runs_dir: str = "runs", alpha: float = 0.05
) -> Versus:
    """Compare two runs on their common examples; on the test split by an exact paired test.

    A test on examples that had been used before is labelled, as the claim of a run is. The two sides of an optimization
    that made its claim there are that claim's own use; two evaluations are used by comparing them.

    Args:
        a, b: a run (path, name, beginning of a name, ``last``): the candidate that it evaluated, or the best that it
            found. ``NAME@baseline`` is where an optimization began.
        split: test, validation, search, or all of two evaluations; default: all, where that is a test (both were made
            by an eval whose protocol is all, and no search of its examples made what they are of), else the first of
            these that both have outcomes of.
        measure: compare by this in the place of the score: a measure of the runs' eval, or ``parts.NAME``,
            ``metrics.NAME``, ``answered``.
        runs_dir: folder of the runs.
        alpha: level of the test.

    Raises:
        UsageError: no common examples, or scores on different scales.
        StoreError: the split ledger cannot be written.
    """
    with _open(a, runs_dir) as first, _open(b, runs_dir) as second:
        files = first, second
        sides = _side(a, first), _side(b, second)
        return next(_compared(sides, files, split, alpha, _everybody(sides, files), measure))


def compare_all(
    names: Sequence[str],
    *,
    split: str | None = None,
    measure: str = "score",
    runs_dir: str = "runs",
    alpha: float = 0.05,
) -> list[list[Versus]]:
    """Compare the first of several runs with each other one, split by split.

    Where there are two or more others, the p values on a split are adjusted (Holm 1979), and a verdict holds only when
    its adjusted p is at most ``alpha``. All of it is one use of the test examples.

    Args:
        names, split, measure, runs_dir, alpha: as in ``compare_runs``; without ``split``, every split that a pair has.

    Returns:
        For each run but the first: its comparison with the first on each split, test first.

    Raises:
        UsageError: fewer than two runs, or a pair that cannot be compared.
        StoreError: the split ledger cannot be written.
    """
    if len(names) < 2:
        raise UsageError("one run is not compared with anything: name two or more (`agentopt runs` lists them)")
    with ExitStack() as stack:
        files = [stack.enter_context(_open(name, runs_dir)) for name in names]
        sides = [_side(name, file) for name, file in zip(names, files, strict=True)]
        for i, (side, file) in enumerate(zip(sides[1:], files[1:], strict=True)):
            if (file.dir.resolve(), side.candidate) == (files[0].dir.resolve(), sides[0].candidate):
                raise UsageError(f"{names[i + 1]} is {names[0]}: a run is not compared with itself")
        everybody = _everybody(sides, files)
        found = [
            list(_compared((sides[0], side), (files[0], file), split, alpha, everybody, measure))
            for side, file in zip(sides[1:], files[1:], strict=True)
        ]
    if len(found) == 1:
        return found
    p_values = [v.claim.p for one in found for v in one if v.claim is not None and v.claim.p is not None]
    adjusted = iter(holm(p_values))
    return [
        [v if v.claim is None or v.claim.p is None else _adjusted(v, next(adjusted), len(p_values), alpha) for v in one]
        for one in found
    ]


def _adjusted(versus: Versus, p: float, together: int, alpha: float) -> Versus:
    claim = versus.claim
    if claim is not None and p > alpha and claim.verdict in ("better", "worse"):
        claim = claim.model_copy(update={"verdict": "no improvement shown"})
    return replace(versus, claim=claim, adjusted=p, together=together)


def _open(name: str, runs_dir: str) -> RunFile:
    return open_run(name.removesuffix("@baseline"), runs_dir)


def _side(name: str, file: RunFile) -> Side:
    file.require_candidates("score to compare")
    evaluated = file.started["kind"] == "evaluate"
    which = "evaluated" if evaluated else "baseline" if name.endswith("@baseline") else "best"
    candidate = file.best() if which == "best" else file.baseline()
    if candidate is None:
        raise UsageError(f"run {file.dir.name} has evaluated nothing yet: `agentopt resume {file.dir.name}`")
    config = file.config
    return Side(file.dir.name, which, config.graph, config.task_told, config.model, candidate.id)


Files = tuple[RunFile, RunFile]
Pairs = Sequence[tuple[Example, Example]]
Everybody = Mapping[str, Collection[str]]
"""All that are compared at once, with their candidates, and how the ledger names their runs."""


def _compared(
    sides: tuple[Side, Side], files: Files, split: str | None, alpha: float, everybody: Everybody, measure: str
) -> Iterator[Versus]:
    """The comparison of two sides on each split that they have in common, test first."""
    ranges = [tuple(file.started["score_range"]) for file in files]
    tasks = [str(file.started["task"]["name"]) for file in files]
    if tasks[0] != tasks[1] and not any("imported" in file.started for file in files):
        raise UsageError(
            f"{sides[0].run} is on task {tasks[0]}, {sides[1].run} on {tasks[1]}: only runs of one task are compared"
        )
    if ranges[0] != ranges[1]:
        a, b = sides
        raise UsageError(f"{a.run} has scores from {ranges[0]}, {b.run} from {ranges[1]}: they cannot be compared")
    found = [file.outcomes(side.candidate) for side, file in zip(sides, files, strict=True)]
    scale, lower = ranges[0], False
    if measure != "score":
        read_as = the_measure(measure, files)
        found = [read(m, outcomes, scale[0]) for m, outcomes in zip(read_as, found, strict=True)]
        scale, lower = range_of(read_as[0], [o for outcomes in found for o in outcomes]), read_as[0].lower_is_better
    no_test = no_test_on_all(files) if _evaluations(files) else None
    for name, pairs, outcomes, alone in _common(sides, files, found, _splits(files, split, no_test)):
        told = [_mirror(o, scale) for o in outcomes] if lower else outcomes
        made = compare(told, "a", "b", alpha=alpha, score_range=scale, clusters=_clusters(files, pairs))
        made = mirrored(made, scale) if lower else made
        is_test = name == "test" or (name == "all" and no_test is None)
        claim = _labelled(made, files, [e for e, _ in pairs], everybody) if is_test else None
        notes = _notes(sides, files, name, pairs) + ([no_test] if name == "all" and no_test is not None else [])
        yield Versus(
            *sides, name, made.n, made.mean_a, made.mean_b, made.difference, made.low, made.high, claim,
            tuple(notes), *alone, made.n_excluded,
            tuple(_changes(outcomes, pairs, scale)), measure=measure,
        )  # fmt: skip


def _clusters(files: Files, pairs: Pairs) -> dict[str, str]:
    """Ids of ``a`` to clusters, as the first run that knows of any has them."""
    for place, file in enumerate(files):
        known = {pair[0].id: file.clusters[pair[place].id] for pair in pairs if pair[place].id in file.clusters}
        if known:
            return known
    return {}


def _mirror(outcome: Outcome, scale: tuple[float, float]) -> Outcome:
    if outcome.score is None:
        return outcome
    return outcome.model_copy(update={"feedback": Feedback(score=scale[0] + scale[1] - outcome.score)})


def _evaluations(files: Files) -> bool:
    return all(file.started["kind"] == "evaluate" for file in files)


def _splits(files: Files, split: str | None, no_test: str | None) -> tuple[str, ...]:
    """Which splits are looked at; ``all`` is one, of evaluations, and goes before the others where it is a test."""
    if split == "all" and not _evaluations(files):
        raise UsageError("--split all is for evaluations: an optimization has made its candidates from some of them")
    if split in (None, "test") and all("imported" in file.started for file in files):
        return ("all",)  # another program's log knows no splits of ours: all of it is said to be test
    if split is not None:
        return (split,)
    return ("all",) if _evaluations(files) and no_test is None else _SPLITS


def _common(
    sides: tuple[Side, Side], files: Files, found: Sequence[Sequence[Outcome]], splits: Sequence[str]
) -> Iterator[tuple[str, Pairs, list[Outcome], tuple[int, int]]]:
    """Each split with examples that both have outcomes of: these, their outcomes under ``a`` and ``b``, and how many
    examples only one of the two has. ``found`` are the outcomes of either side."""
    any_common = False
    for name in splits:
        mine = [[o for o in outcomes if name in (o.split, "all")] for outcomes in found]
        if not all(mine):
            continue
        examples = [_examples(file, name) for file in files]
        ran = [
            [by_id[id_] for id_ in {o.example: None for o in own}] for by_id, own in zip(examples, mine, strict=True)
        ]
        pairs = _paired(*ran)
        if not pairs:
            continue
        any_common = True
        named = [{a.id: a.id for a, _ in pairs}, {b.id: a.id for a, b in pairs}]
        outcomes = [
            o.model_copy(update={"candidate": side, "example": names[o.example]})
            for side, own, names in zip("ab", mine, named, strict=True)
            for o in own
            if o.example in names
        ]
        yield name, pairs, outcomes, (len(ran[0]) - len(pairs), len(ran[1]) - len(pairs))
    if any_common:
        return
    had = "; ".join(
        f"{side.run} has outcomes on {', '.join(sorted({o.split for o in outcomes})) or 'no split'}"
        for side, outcomes in zip(sides, found, strict=True)
    )
    where = f" in the {splits[0]} split" if len(splits) == 1 else ""
    raise UsageError(f"the runs have no common examples{where}: none has the same input in both ({had})")


def _changes(outcomes: Sequence[Outcome], pairs: Pairs, score_range: tuple[float, float]) -> list[Change]:
    """Examples that both sides have a score of, and not the same."""
    own = [[o for o in outcomes if o.candidate == side] for side in "ab"]
    scores = [example_scores(side, score_range) for side in own]
    first = [{o.example: o for o in reversed(side)} for side in own]
    changed = [
        Change(e.id, e.input, e.target, *(s[e.id] for s in scores), *(o[e.id].output for o in first))
        for e, _ in pairs
        if all(e.id in s for s in scores) and scores[0][e.id] != scores[1][e.id]
    ]
    return sorted(changed, key=lambda c: c.score_b - c.score_a)


def _examples(file: RunFile, split: str) -> Mapping[str, Example]:
    """The examples of a split as the run had them, by id."""
    return stored_examples(file.store, file.started, *(_SPLITS if split == "all" else (split,)))


def _paired(a: Sequence[Example], b: Sequence[Example]) -> Pairs:
    """Examples with the same input; where an input stands more than once in a run, the target must be the same too."""
    often = {key for side in (a, b) for key, n in Counter(digest(e.input) for e in side).items() if n > 1}

    def key(e: Example) -> str:
        return e.content if digest(e.input) in often else digest(e.input)

    others = {key(e): e for e in b}
    return [(e, others[key(e)]) for e in a if key(e) in others]


def _everybody(sides: Iterable[Side], files: Iterable[RunFile]) -> Everybody:
    return {f"{user(f.store)} {s.candidate[:8]}": _users(f) for f, s in zip(files, sides, strict=True)}


def _users(file: RunFile) -> tuple[str, ...]:
    """A run, and the one whose answers it scores again: what that one asked was asked once."""
    return (user(file.store), *(named(one["run"], one["id"]) for one in scored_again(file.started)))


def _labelled(claim: Claim, files: Files, examples: Sequence[Example], everybody: Everybody) -> Claim:
    """The claim with the earlier uses of its examples; this use is written down."""
    one_run = files[0].store.id == files[1].store.id
    made = files[0].claim()
    if one_run and made is not None:  # this is that claim, and its use is written already
        return claim.model_copy(update={"touches": made.touches, "touched_examples": made.touched_examples})
    name = " and ".join(sorted(everybody))
    split, inputs = digest(sorted(e.content for e in examples)), [digest(e.input) for e in examples]
    earlier: list[Touch] = []
    for ledger in ledgers_of(files):
        earlier += ledger.touch(split, name, "compare", examples=inputs)
    # the evaluations that are compared are part of this use; so is a test of one run that has not come to its claim
    own = {run for users in everybody.values() for run in users}
    return labelled(claim, [t for t in earlier if t.run not in own or (t.what != "evaluate" and not one_run)])


def _notes(sides: tuple[Side, Side], files: Files, split: str, pairs: Pairs) -> list[str]:
    started = [file.started for file in files]
    notes = [
        f"{f.dir.name} is a log of {f.started['imported']['from']} of its task {f.started['task']['name']}"
        for f in files
        if "imported" in f.started
    ]
    if started[0]["evaluator"] != started[1]["evaluator"]:
        notes.append("the runs were scored by different scorers")
    if started[0]["task"]["hash"] != started[1]["task"]["hash"]:
        notes.append("the runs' tasks are not the same (name, version, scale or examples): compared on equal inputs")
    if other := sum(a.target != b.target for a, b in pairs):
        notes.append(f"{counted(other, 'example')} of {len(pairs)} have another target in {sides[1].run}")
    repeats = [file.config.repeats for file in files]
    if repeats[0] != repeats[1]:
        notes.append(f"{sides[0].run} has {counted(repeats[0], 'repeat')} an example, {sides[1].run} has {repeats[1]}")
    notes += [
        f"{f.dir.name} is not complete ({f.status})" for f in files if f.status in ("interrupted", "running", "budget")
    ]
    for side, file in zip(sides, files, strict=True):
        count = len({o.example for o in file.outcomes(side.candidate, None if split == "all" else split)})
        if count > len(pairs):
            notes.append(f"{side.run} has {count} {split} examples, {len(pairs)} are common to both")
    if split != "test" and any(side.which == "best" for side in sides):
        notes.append(f"a best candidate was chosen on its {split} examples: its score there is too high")
    return notes
