"""Scoring again: the answers of a finished evaluation with the scorer that its task has now. No model is called."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from agentopt._aio import in_thread
from agentopt._clock import Clock
from agentopt.core import Block, open_run
from agentopt.core.values import Outcome, canonical, digest
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate import Eval, Example, Task, evaluator_hash
from agentopt.evaluate.scoring import FAILED, ScorerError
from agentopt.evaluate.summary import counted
from agentopt.llm.context import Session, use_session
from agentopt.llm.failures import redact
from agentopt.llm.types import Request, Response
from agentopt.run import setup
from agentopt.run.cells import CAUGHT, LATE_SCORER
from agentopt.run.codeplace import program_place
from agentopt.run.config import RunConfig
from agentopt.run.evaluation import KIND, evaluation_of
from agentopt.run.files import RunFile, find_run
from agentopt.run.finals import scored_again
from agentopt.run.lifetime import Listener, begun, run_here, subscribe
from agentopt.run.naming import new_folder
from agentopt.run.past import PastTrace
from agentopt.run.pinned import as_event, eval_of, recorded
from agentopt.run.result import Evaluation
from agentopt.run.stored import stored_examples
from agentopt.store import Store, blob_id
from agentopt.workspace import load_eval

__all__ = ["rescore", "rescore_async"]

SPLITS = ("search", "validation", "test")


def rescore(
    run: str | Path,
    *,
    task: Any = None,
    metric: Callable[..., Any] | None = None,
    name: str | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    runs_dir: str | Path = "runs",
) -> Evaluation:
    """Score the answers of an evaluation again, with the scorer and the targets that its task has now.

    What a program answered is taken from the run as JSON, and so is its trace; costs and times are those of that run.
    Examples are the same when their inputs are. Failures of the program stay failures; an answer whose scorer failed is
    scored. A scoring that was interrupted is not resumed, since nothing was paid for: score again.

    Args:
        run: path, name, beginning of a name, or ``last``.
        task, metric: the objects of a run that was started from Python with objects that have no name.
        name: of the new run's folder.
        on_event, progress, runs_dir: as in ``evaluate``.

    Returns:
        The ``Evaluation`` of a new run, which names the one whose answers it has.

    Raises:
        UsageError: the run is none with answers to score, or a scoring that was interrupted; its task asks other things
            now, or its scorer wants a model.
    """
    work = rescore_async(
        run, task=task, metric=metric, name=name, on_event=on_event, progress=progress, runs_dir=runs_dir
    )
    return run_here(work)


async def rescore_async(
    run: str | Path,
    *,
    task: Any = None,
    metric: Callable[..., Any] | None = None,
    name: str | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    runs_dir: str | Path = "runs",
) -> Evaluation:
    """``rescore`` for code that runs in an event loop."""
    with RunFile(find_run(run, runs_dir)) as old:
        candidate = old.baseline()
        if old.started["kind"] != KIND or candidate is None:
            raise UsageError(
                f"run {old.dir.name} is no evaluation with answers: only the answers of one are scored again"
            )
        if (said := old.started.get("rescored")) and old.state.finished is None:
            raise UsageError(
                f"run {old.dir.name} has the answers of {said['run']} and has not come to its end: "
                f"`agentopt rescore {said['run']}` scores all of them"
            )
        if task is None and "task" not in old.started.get("refs", {"task": ""}):
            raise UsageError(
                f"the task of run {old.dir.name} was made in Python and is in no file of its own: score from there "
                f"with agentopt.run.rescore.rescore({old.dir.name!r}, task=...)"
            )
        config = old.config.model_copy(update={"name": name or f"{old.dir.name}-rescored", "runs_dir": str(runs_dir)})
        made = setup.task_of(config, task, metric)
        again = _Again(old, config, made, _matched(old, made))
        folder = _folder(config, name is not None)
        with begun(folder), Store(folder) as store:
            subscribe(store, on_event, progress)
            data, blobs = await again.started()
            await store.append("run.started", data, blobs)
            for note in again.notes():
                await store.append("warning", {"text": note})
            await store.append("baseline", {"candidate": candidate.model_dump(mode="json")})
            with program_place(config, made.scorer, store):
                await again.run(store, candidate.id)
            await store.append("run.finished", {"status": "evaluated", "spend": {}})
    return evaluation_of(folder, "evaluated")


class _Again:
    """The work on one run: which answers belong to which present example, and how each is scored."""

    def __init__(self, old: RunFile, config: RunConfig, task: Task, examples: Mapping[str, Example]) -> None:
        self.old, self.config, self.task = old, config, task
        self.examples = examples
        """The present example of each that the run has, by the id that it has there."""
        self._turn = itertools.count()
        self._slots = asyncio.Semaphore(config.max_connections)

    async def started(self) -> tuple[dict[str, Any], list[bytes]]:
        """The first event of the new run: as that of the old one, with task, scorer and examples as they are now."""
        first, task, splits, blobs = self.old.started, self.task, {}, []
        for split in SPLITS:
            then = _stored(self.old, split)
            now = [self.examples[e.id] for e in then if e.id in self.examples]
            blobs.append(blob := canonical([e.model_dump(mode="json") for e in now]).encode())
            hash_ = digest(sorted(e.content for e in now)) if now else ""
            splits[split] = {"n": len(now), "hash": hash_, "examples": blob_id(blob)}
        data = {
            **first,
            "config": self.config.model_dump(mode="json"),
            "task": {"name": task.name, "version": task.version, "hash": task.hash},
            "objective": task.objective,
            "evaluator": evaluator_hash(task.scorer),
            "score_range": list(task.score_range),
            "splits": splits,
            "rescored": {
                "run": self.old.dir.name,
                "id": self.old.store.id,
                "evaluator": first["evaluator"],
                "before": [{"run": r["run"], "id": r["id"]} for r in scored_again(first)],
            },
        }
        kept = await self._eval(data["candidate"]["values"])
        if kept is not None:
            data["eval"], blob = kept
            blobs.append(blob)
        sources = [self.old.store.blob(id_) for id_ in first.get("sources", {}).values()]
        return data, [*blobs, *sources]

    async def _eval(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], bytes] | None:
        """The eval as it is now; as the run kept it where there is none of its name any more."""
        before = eval_of(self.old)
        if before is None:
            return None
        try:
            now: Eval = load_eval(before.name)
        except UnknownName:
            return as_event(before)
        split = self.old.started["split"]
        given = next((d.given for d in before.departs if d.field == "values"), before.pinned.get("values"))
        own = given if isinstance(given, dict) else {}
        examples = [self.examples[e.id] for s in SPLITS for e in _stored(self.old, s) if e.id in self.examples]
        wanted = examples if split == "all" else [e for e in examples if e.id in self._ids(split)]
        return as_event(await recorded(now, self.config, self.task, split, own, wanted))

    def _ids(self, split: str) -> set[str]:
        return {self.examples[e.id].id for e in _stored(self.old, split) if e.id in self.examples}

    def notes(self) -> list[str]:
        """What is to be known of the matching."""
        found = [f"the answers are those of run {self.old.dir.name}: nothing was asked"]
        then = {e.id: e for split in SPLITS for e in _stored(self.old, split)}
        if gone := len(then.keys() - self.examples.keys()):
            found.append(f"{counted(gone, 'example')} of {len(then)} are no longer in the task, or ask something else")
        if other := sum(then[id_].target != e.target for id_, e in self.examples.items()):
            found.append(f"{counted(other, 'example')} have another target now")
        return [*found, *self.task.notes]

    async def run(self, store: Store, candidate: str) -> None:
        """Score and commit every answer."""
        latest = {(o.example, o.repeat): o for o in self.old.outcomes(candidate)}
        work = [self._one(store, o) for o in latest.values() if o.example in self.examples]
        try:
            async with asyncio.TaskGroup() as group:
                for one in work:
                    group.create_task(one)
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _one(self, store: Store, outcome: Outcome) -> None:
        async with self._slots:
            example = self.examples[outcome.example]
            update: dict[str, Any] = {"example": example.id}
            if _answered(outcome):
                update |= await self._scored(example, outcome)
            made = Outcome.model_validate({**outcome.model_dump(), **update})
            blobs = [] if made.trace is None else [self.old.store.blob(made.trace)]
            data = {"outcome": made.model_dump(mode="json"), "elapsed": 0.0, "turn": next(self._turn)}
            await store.append("cell", data, blobs)

    async def _scored(self, example: Example, outcome: Outcome) -> dict[str, Any]:
        models = {"judge": self.config.model_of("judge") or "none"}
        graph = self.old.graph(outcome)
        trace = None if graph is None else PastTrace(graph)
        judge = Session(_Nobody(self.task.name), models, role="judge", loop=asyncio.get_running_loop())
        try:
            with open_run(), Block(), use_session(judge):
                async with Clock(self.config.timeout):
                    feedback = await self.task.ascore(example, outcome.output, trace, aside=in_thread)
        except TimeoutError:
            feedback = ScorerError(text=f"{LATE_SCORER} {self.config.timeout:g} seconds")
        if isinstance(feedback, ScorerError):
            return {"status": "infra_error", "error": redact(feedback.text), "feedback": None}
        return {"status": "ok", "error": None, "feedback": feedback}


class _Nobody:
    """The client of a scorer that is to score without one."""

    def __init__(self, task: str) -> None:
        self._task = task

    async def complete(self, request: Request) -> Response:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UsageError(
            f"the scorer of task {self._task!r} asks a model, and scoring again calls none: evaluate anew, or give the "
            "task a scorer that needs no model"
        )


def _answered(outcome: Outcome) -> bool:
    """Whether there is an answer to score: the scorer may have failed on it before.

    A failure of the scorer that was recorded in its own words is known by what stands beside it: a trace, since the
    program was run here, and an output, which there is only once the program has come to its end.
    """
    if outcome.status != "infra_error":
        return outcome.status == "ok"
    error = outcome.error or ""
    if error.startswith((FAILED, LATE_SCORER)):
        return True
    return outcome.output is not None and outcome.trace is not None and not error.startswith(CAUGHT)


def _matched(old: RunFile, task: Task) -> dict[str, Example]:
    """The present example of each that a run has: of the same id and input, or else of an input that is there once."""
    by_id = {e.id: e for e in task.examples}
    by_input: dict[str, list[Example]] = {}
    for example in task.examples:
        by_input.setdefault(digest(example.input), []).append(example)
    found: dict[str, Example] = {}
    for split in SPLITS:
        for then in _stored(old, split):
            now, alike = by_id.get(then.id), by_input.get(digest(then.input), [])
            if now is not None and digest(now.input) == digest(then.input):
                found[then.id] = now
            elif len(alike) == 1:
                found[then.id] = alike[0]
    if not found:
        raise UsageError(
            f"task {task.name!r} asks nothing now that run {old.dir.name} has an answer to: there is nothing to score"
        )
    return found


def _stored(run: RunFile, split: str) -> list[Example]:
    """The examples of a split as a run had them."""
    return list(stored_examples(run.store, run.started, split).values())


def _folder(config: RunConfig, named: bool) -> Path:
    """The folder of the new run; a number is put behind a name that was not chosen and is taken."""
    if named:
        return new_folder(config, goes_on=False)
    number, name = 2, config.name
    while (Path(config.runs_dir) / str(config.name)).exists():
        config = config.model_copy(update={"name": f"{name}-{number}"})
        number += 1
    return new_folder(config)
