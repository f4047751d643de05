"""Runs on disk, for those who look at them: lists, summaries, outcomes, graphs. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from agentopt.core import Graph
from agentopt.core.values import Budget, Candidate, Outcome
from agentopt.errors import StoreError, UnknownName, UsageError
from agentopt.evaluate import Claim, summarize
from agentopt.optim.base import Scored
from agentopt.run.config import RunConfig
from agentopt.run.state import State, fold, whole_budget
from agentopt.store import Event, Store, in_use

__all__ = ["RunFile", "RunInfo", "list_runs", "open_run"]


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of ``agentopt runs``."""

    dir: Path
    name: str
    status: str
    """running, interrupted, budget, finished, evaluated, damaged."""
    graph: str = ""
    task: str = ""
    """As it is named for people: with its arguments, where it was given any."""
    optimizer: str = ""
    started: float = 0.0
    score_baseline: float | None = None
    score_best: float | None = None
    claim: str | None = None


class RunFile:
    """A run, open for reading; also while another process writes it."""

    def __init__(self, folder: str | Path) -> None:
        self.dir = Path(folder)
        self.store = Store(folder, readonly=True)
        started = self.store.last("run.started")
        if started is None:
            self.store.close()
            raise StoreError(f"run {self.dir} has no beginning: it was killed before anything was paid; delete it")
        self.started: dict[str, Any] = dict(started.data)
        self.time = started.time
        self.config = RunConfig.model_validate(self.started["config"])
        self.state: State = fold(self.store, self.started, damaged=True)

    @property
    def status(self) -> str:
        """``running`` while a process works on it; else ``finished``, ``budget``, ``evaluated`` or ``interrupted``."""
        return "running" if in_use(self.dir) else self.state.finished or "interrupted"

    def require_candidates(self, what: str) -> None:
        """Raise ``UsageError`` where the run has no candidates that ``what`` could be about: it made a data set."""
        if self.started["kind"] == "synthesize":
            raise UsageError(f"run {self.dir.name} made a data set and has no {what}: `agentopt show {self.dir.name}`")

    def events(self, *types: str) -> Iterator[Event]:
        """Events of the given types, in order; all when none is given."""
        return self.store.events(*types)

    def candidates(self) -> list[Scored]:
        """Everything that was evaluated on the search split, in order."""
        return [self.state.archive.scored(e.candidate.id) for e in self.state.archive]

    def outcomes(self, candidate: str | None = None, split: str | None = None) -> list[Outcome]:
        """Committed outcomes."""
        return self.store.cells(candidate, split)

    @property
    def clusters(self) -> Mapping[str, str]:
        """Example id to cluster, of the examples that have one: as the run's eval reads them, else as they say."""
        return self.state.archive.clusters

    def graph(self, outcome: Outcome) -> Graph | None:
        """The traced graph behind an outcome."""
        return None if outcome.trace is None else Graph.from_json(json.loads(self.store.blob(outcome.trace)))

    def baseline(self) -> Candidate | None:
        """Where the run started."""
        return self.state.baseline

    def best(self) -> Candidate | None:
        """What validation chose; before that, the incumbent."""
        id_ = self.state.chosen or self.state.incumbent
        return None if id_ is None else self.state.archive[id_].candidate

    def claim(self) -> Claim | None:
        """What may be said of the best candidate, once the test was made."""
        return self.state.claim

    @property
    def budget(self) -> Budget:
        """What the run may spend, with what was added to it."""
        return whole_budget(self.store, self.config.budget)

    def spend(self) -> dict[str, dict[str, float]]:
        """Settled amounts by role and axis."""
        return self.store.spend()

    def info(self) -> RunInfo:
        """The run in one line."""
        state = self.state
        means = [state.archive.scored(c.id).mean if c else None for c in (self.baseline(), self.best())]
        if self.started["kind"] == "evaluate":  # of whatever was evaluated
            low, high = self.started["score_range"]
            means = [summarize(self.outcomes(), (low, high)).mean, None]
        config = self.config
        optimizer = config.optimizer if self.started["kind"] == "optimize" else "-"
        return RunInfo(
            self.dir, self.dir.name, self.status, config.graph, config.task_told, optimizer, self.time,
            means[0], means[1], state.claim.sentence if state.claim else None,
        )  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def list_runs(folder: str | Path = "runs") -> list[RunInfo]:
    """All runs of a folder, oldest first; a damaged one is listed as such."""
    infos = []
    for place in sorted(Path(folder).glob("*/run.sqlite")):
        try:
            with RunFile(place.parent) as run:
                infos.append(run.info())
        except StoreError as error:
            infos.append(RunInfo(place.parent, place.parent.name, "damaged", claim=str(error)))
    return sorted(infos, key=lambda i: (i.started, i.name))


def find_run(name: str | Path, folder: str | Path = "runs", *, kind: str | None = None) -> Path:
    """The folder of a run: a path, a name, a unique beginning of one, or ``last``.

    ``last`` is the run of a ``kind`` (optimize, evaluate; None is either) that began last. Raises ``UnknownName`` with
    a suggestion, and ``UsageError`` when ``last`` finds none.
    """
    if str(name) == "last":
        return _last(Path(folder), kind)
    place = Path(name)
    for candidate in (place, place.parent if place.name in ("best", "run.sqlite") else place, Path(folder) / place):
        if (candidate / "run.sqlite").is_file():
            return candidate
    runs = sorted(p.parent for p in Path(folder).glob("*/run.sqlite"))
    hits = [run for run in runs if run.name.startswith(str(name))]
    if len(hits) == 1:
        return hits[0]
    raise UnknownName("run", str(name), [run.name for run in runs], "`agentopt runs` lists them")


def _last(folder: Path, kind: str | None) -> Path:
    begun: list[tuple[float, str, Path]] = []
    for place in folder.glob("*/run.sqlite"):
        try:
            with Store(place.parent, readonly=True) as store:
                event = store.last("run.started")
        except StoreError:
            continue
        if event is not None and kind in (None, event.data.get("kind")):
            begun.append((event.time, place.parent.name, place.parent))
    if not begun:
        what, command = ("evaluation", "eval") if kind == "evaluate" else ("optimization", "optimize")
        raise UsageError(f"no {what} has begun in {folder}: `agentopt {command}` begins one")
    return max(begun)[2]


def open_run(name: str | Path, folder: str | Path = "runs") -> RunFile:
    """Open a run for reading, by path, name, beginning of a name, or ``last``."""
    return RunFile(find_run(name, folder))
