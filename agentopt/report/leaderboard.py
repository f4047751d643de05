"""The leaderboard of an eval: its runs side by side, and apart from them what was not measured under its protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from agentopt.errors import StoreError, UnknownName, UsageError
from agentopt.evaluate import Eval, Published
from agentopt.evaluate.measured import GuessRow, MeasureRow
from agentopt.evaluate.summary import Summary, counted
from agentopt.run.evaluation import evaluation_of
from agentopt.run.files import RunFile
from agentopt.run.finals import scored_again
from agentopt.run.pinned import eval_of
from agentopt.run.result import Evaluation

__all__ = ["Board", "BoardRow", "find_eval", "leaderboard"]

_Found = tuple[Evaluation, dict[str, Any], float]
"""A run: its evaluation, its first event with its id, and when it began."""


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One run."""

    run: str
    """Its name."""
    model: str
    """The agent's model; for a server, what stands behind it."""
    graph: str
    summary: Summary
    """Score with interval and n."""
    measures: tuple[MeasureRow, ...]
    tokens: float
    """Read and written, of the whole run."""
    seconds: float | None
    """Mean of an evaluation."""
    usd: float | None
    """None where the price of a call is not known."""
    marks: tuple[str, ...]
    """Why it does not stand with the others: what departs from the protocol, what is missing, what is of another
    version. Empty for a run under the pinned protocol."""
    remarks: tuple[str, ...]
    """What else is to be known of it: repeats, failures, answers of another run."""


@dataclass(frozen=True, slots=True)
class Board:
    """A leaderboard: rows by score, the highest first."""

    name: str
    version: int
    hash: str
    about: str
    protocol: dict[str, JsonValue]
    """What is pinned."""
    rows: tuple[BoardRow, ...]
    """Under the pinned protocol."""
    apart: tuple[BoardRow, ...]
    """Not under it; each says why."""
    guesses: tuple[GuessRow, ...]
    """Answers without a model, as the newest run under the pinned protocol has them."""
    published: tuple[Published, ...]
    """Published results, each under a protocol of its own."""
    measures: tuple[tuple[str, str, str], ...]
    """Name, title and kind of each measure."""
    notes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    """Runs that were left out, and why."""

    def record(self) -> dict[str, Any]:
        """The board as JSON."""
        found = asdict(self)
        for part in ("rows", "apart"):
            for made, row in zip(found[part], getattr(self, part), strict=True):
                made["summary"] = row.summary.model_dump(mode="json")
                made["measures"] = [m.model_dump(mode="json") for m in row.measures]
        found["guesses"] = [g.model_dump(mode="json") for g in self.guesses]
        found["published"] = [p.model_dump(mode="json") for p in self.published]
        return found


def leaderboard(name: str, runs: Sequence[Path], pinned: Eval | None = None) -> Board:
    """The board of an eval from runs.

    Args:
        name: the eval's.
        runs: folders; those of other evals are left out, and so is a run whose answers another one has scored again,
            unless that one came less far or lost more of them.
        pinned: the eval as it is now. Without it, the newest run under its protocol says what it is.

    Raises:
        UsageError: no run is one of this eval.
    """
    found: list[_Found] = []
    skipped = []
    for folder in runs:
        try:
            with RunFile(folder) as run:
                kept = run.started["kind"] == "evaluate" and eval_of(run)
                if not kept or kept.name != name:
                    continue
                identity = dict(run.started) | {"id": run.store.id}
                found.append((evaluation_of(folder, run.status), identity, run.time))
        except (StoreError, UsageError) as problem:
            skipped.append(f"{folder.name}: {problem}")
    found = _standing(found)
    if not found:
        raise UsageError(f"no run of eval {name!r} is here: `agentopt eval {name} --model ...` makes one")
    under = [one for one in found if one[0].measured is not None and one[0].measured.pinned]
    newest = max([one for one in under if one[0].complete] or found, key=lambda one: one[2])
    last = newest[0].measured
    assert last is not None
    hash_, version = (pinned.hash, pinned.version) if pinned is not None else (last.record.hash, last.record.version)
    marks = [_marks(done, hash_, version) for done, _, _ in found]
    same = _commonest([one for one, own in zip(found, marks, strict=True) if not own] or under or found)
    rows = [_row(done, first, [*own, *_apart(first, same)]) for (done, first, _), own in zip(found, marks, strict=True)]
    rows.sort(key=lambda row: (-(row.summary.mean if row.summary.mean is not None else -1e300), row.run))
    record = last.record
    return Board(
        name=name, version=version, hash=hash_, about=record.about if pinned is None else pinned.about,
        protocol=record.pinned if pinned is None else pinned.pinned,
        rows=tuple(row for row in rows if not row.marks), apart=tuple(row for row in rows if row.marks),
        guesses=last.guesses, published=record.published if pinned is None else tuple(pinned.published),
        measures=tuple((m.name, m.title, m.kind) for m in last.measures), notes=record.notes, skipped=tuple(skipped),
    )  # fmt: skip


def _standing(found: list[_Found]) -> list[_Found]:
    """Without the runs whose answers another one has scored again, as far as the first had come and losing no more."""
    by_id = {first["id"]: done for done, first, _ in found}
    replaced = set()
    for done, first, _ in found:
        for id_ in (said["id"] for said in scored_again(first)):
            before = by_id.get(id_)
            if before and _left(done) <= _left(before) and done.summary.n_excluded <= before.summary.n_excluded:
                replaced.add(id_)
    return [one for one in found if one[1]["id"] not in replaced]


def _left(done: Evaluation) -> int:
    """Evaluations that are missing."""
    return max(0, done.planned - len(done.outcomes))


def _commonest(found: list[_Found]) -> tuple[str, str]:
    """Task and scorer that most runs have, the newest run's where as many have others."""
    keys = [(str(first["task"]["hash"]), str(first["evaluator"])) for _, first, _ in sorted(found, key=lambda f: -f[2])]
    return Counter(keys).most_common(1)[0][0]  # of those that are as common, the first that was met


def _marks(done: Evaluation, hash_: str, version: int) -> list[str]:
    """Why a run does not stand with the others, as far as the run itself tells."""
    measured = done.measured
    assert measured is not None
    record, marks = measured.record, [measured.departure] if measured.departure else []
    if record.hash != hash_:
        other = f"version {record.version}" if record.version != version else "another wording"
        marks.append(f"made by {other} of this eval (now version {version})")
    if left := _left(done):
        marks.append(f"not complete: {done.planned - left} of {done.planned} evaluations")
    if n := done.summary.n_excluded:
        marks.append(f"{counted(n, 'example')} lost to the world")
    return marks


def _apart(first: dict[str, Any], same: tuple[str, str]) -> list[str]:
    """Why a run cannot be compared with those that are measured alike."""
    task, scorer = same
    marks = []
    if first["task"]["hash"] != task:
        marks.append("other examples than the other runs")
    if first["evaluator"] != scorer:
        marks.append("another scorer than the other runs")
    return marks


def _row(done: Evaluation, first: dict[str, Any], marks: list[str]) -> BoardRow:
    measured, s = done.measured, done.summary
    assert measured is not None
    remarks = [f"{done.config.repeats} times each"] if done.config.repeats > 1 else []
    for n, word in ((s.n_agent_error, "failed"), (s.n_timeout, "timed out")):
        if n:
            remarks.append(f"{n} {word}")
    if done.rescored is not None:
        remarks.append(f"answers of {done.rescored}, scored again")
    total = done.rows[0]
    return BoardRow(
        run=done.dir.name, model=_model(done, first), graph=done.config.graph.rpartition("@")[2], summary=s,
        measures=measured.measures, tokens=total.tokens, seconds=total.seconds, usd=total.usd, marks=tuple(marks),
        remarks=tuple(remarks),
    )  # fmt: skip


def _model(done: Evaluation, first: dict[str, Any]) -> str:
    model = done.config.model or "none"
    return str(first["endpoints"].get("agent", model)) if model.startswith(("http://", "https://")) else model


def find_eval(name: str) -> Eval | None:
    """The eval of this name as it is now; None where there is none any more."""
    from agentopt.workspace import load_eval

    try:
        made: Eval = load_eval(name)
    except UnknownName:
        return None
    return made
