"""One candidate on whole splits: ``evaluate``, and going on with it. An evaluation is a run like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, cast

from agentopt.core.values import Budget, Candidate, digest
from agentopt.errors import BudgetExhausted, UsageError
from agentopt.evaluate import Eval, Example, Splits, Task
from agentopt.evaluate.breakdown import agreement, breakdown
from agentopt.evaluate.measured import measured
from agentopt.evaluate.splits import SplitChoice, SplitName
from agentopt.evaluate.summary import counted
from agentopt.llm.types import Client
from agentopt.run import setup
from agentopt.run.cells import Cell
from agentopt.run.codeplace import code_place
from agentopt.run.earlier import Earlier
from agentopt.run.files import RunFile
from agentopt.run.finals import touch
from agentopt.run.forecast import told
from agentopt.run.given import configured
from agentopt.run.lifetime import Listener, begun, interruptible, subscribe, write_down
from agentopt.run.naming import new_folder
from agentopt.run.options import Options
from agentopt.run.parts import Parts
from agentopt.run.pinned import as_event, eval_of, recorded
from agentopt.run.result import Evaluation
from agentopt.run.stored import stored_examples
from agentopt.store import Event, Store

__all__ = ["SplitChoice", "check_gate", "evaluate_async", "evaluation_of", "go_on", "score", "split_names"]

KIND = "evaluate"
"""How an evaluation is called in its first event."""


async def evaluate_async(
    graph: Any,
    *,
    task: Any,
    metric: Callable[..., Any] | None = None,
    split: SplitChoice = "search",
    values: Mapping[str, Any] | None = None,
    fail_on_error: float | None = None,
    gate: float | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    pinned: Eval | None = None,
    **options: Unpack[Options],
) -> Evaluation:
    """``evaluate`` for code that runs in an event loop.

    ``gate`` is a mean that the caller asks for: one that no score can reach is refused before anything is paid.
    ``pinned`` is the eval that the run is made by; its options are among the others already (see ``measure_async``).
    """
    config, given = configured(graph, task, {**options})
    _check_tolerance(fail_on_error)
    if not split_names(split):
        raise UsageError(f"split {split!r} is none of search, validation, test, all")
    plan = setup.plan(config, given.get("graph"), given.get("task"), metric, given["clients"], limit_of=split)
    check_gate(gate, plan.task.score_range)
    setup.check_inputs(plan)
    plan.task = _noted(plan, split)
    candidate = Candidate(values={n: s.value for n, s in plan.target.specs.items()}, origin="baseline")
    if values:
        candidate = candidate.change(dict(values), "given")
    folder = new_folder(config)
    with begun(folder), Store(folder) as store:
        subscribe(store, on_event, progress)
        parts, stack = setup.connect(plan, store, optimizer=None)
        try:
            data, blobs = setup.started(plan, setup.check_models(plan, stack), KIND)
            own = {"split": split, "limit_of": split, "fail_on_error": fail_on_error}
            begun_with = {"candidate": candidate.model_dump(mode="json")}
            if pinned is not None:
                kept = await recorded(pinned, config, plan.task, split, values or {}, examples_of(plan.splits, split))
                begun_with["eval"], blob = as_event(kept)
                blobs.append(blob)
            await store.append("run.started", data | own | begun_with, blobs)
            with code_place(plan, store):
                return await _drive(parts, candidate, split)
        finally:
            await stack.aclose()


async def go_on(
    earlier: Earlier,
    *,
    add_budget: Budget | str | None = None,
    graph: Any = None,
    task: Any = None,
    metric: Callable[..., Any] | None = None,
    clients: Mapping[str, Client] | None = None,
    retry_errors: bool = False,
    fail_on_error: float | None = None,
) -> Evaluation:
    """Evaluate what an earlier process has not, and, where that is asked for, what was lost to the world."""
    store, state = earlier.store, earlier.state
    _check_tolerance(fail_on_error)
    earlier.refuse_rescored()
    complete = state.finished == "evaluated"
    extra = earlier.add(add_budget)
    if complete and not (retry_errors and any(o.status == "infra_error" for o in store.cells())):
        if add_budget is not None:
            raise UsageError(f"run {earlier.name} has evaluated every example: more budget changes nothing")
        return evaluation_of(store.folder, "evaluated")
    earlier.check_objects(graph, task)
    limit_of = cast("SplitChoice | None", earlier.first.get("limit_of"))  # older runs: of all splits
    plan = setup.plan(earlier.config, graph, task, metric, clients, limit_of=limit_of)
    evaluator = earlier.check(plan)
    plan.task = _noted(plan, earlier.first["split"])
    parts, stack = setup.connect(plan, store, optimizer=None, elapsed=earlier.elapsed)
    try:
        earlier.check_models(setup.check_models(plan, stack))
        more = {"retry_errors": retry_errors, "fail_on_error": fail_on_error}
        await earlier.go_on(extra, evaluator, more)
        begun_with = earlier.first.get("candidate")
        candidate = Candidate.model_validate(begun_with) if begun_with else state.baseline or plan.target.baseline()
        with code_place(plan, store):
            return await _drive(parts, candidate, earlier.first["split"])
    finally:
        await stack.aclose()


def _noted(plan: setup.Plan, split: str) -> Task:
    """The task, with a note where runs of this place have searched or chosen on what is evaluated."""
    examples = examples_of(plan.splits, split)
    inputs = (digest(e.input) for e in examples)  # as the ledger knows them, where there is one
    found = setup.split_ledger(plan.config).not_fresh(inputs, f"these {counted(len(examples), 'example')}")
    return replace(plan.task, notes=(*plan.task.notes, *found)) if found else plan.task


async def _drive(parts: Parts, candidate: Candidate, split: str) -> Evaluation:
    """Evaluate to an end, whatever the end is, and keep the run's clock."""
    cells, since = parts.cells, parts.ledger.elapsed

    def stop() -> None:
        cells.stopping = True

    status = "interrupted"
    try:
        with interruptible(stop, parts.store):
            status = await score(parts, candidate, split_names(split))
    except asyncio.CancelledError:
        if not cells.stopping:
            raise
    finally:
        await write_down(parts, since)
    return evaluation_of(parts.store.folder, status)


def examples_of(splits: Splits, split: str) -> list[Example]:
    """The examples that are evaluated, in their order."""
    return [example for name in split_names(split) for example in splits[name]]


def split_names(split: str) -> tuple[SplitName, ...]:
    """The splits that ``split`` means: itself, or all three."""
    known: tuple[SplitName, ...] = ("search", "validation", "test")
    return tuple(name for name in known if split in (name, "all"))


async def score(parts: Parts, candidate: Candidate, splits: Sequence[SplitName]) -> str:
    """Evaluate a candidate on splits: the cells that the log does not have, or lost to the world and is to try again.

    Returns:
        ``evaluated``; ``budget`` when that ended on the way; ``errors`` when more examples were lost to the world than
        the run tolerates. What was committed is in the log.
    """
    store = parts.store
    cells = [
        Cell(candidate, example, name, repeat)
        for name in splits
        for example in parts.splits[name]
        for repeat in range(parts.config.repeats)
    ]
    if store.last("baseline") is None:
        await store.append("forecast", {"lines": _forecast(parts, len(cells))})
        for note in parts.task.notes:
            await store.append("warning", {"text": note})
        await store.append("baseline", {"candidate": candidate.model_dump(mode="json")})
    for name in splits:
        touch(parts, name, KIND)
    known = {(o.candidate, o.example, o.repeat): o.status for o in store.cells()}
    last = store.last("run.resumed")
    again = last is not None and bool(last.data.get("retry_errors"))
    lost = [c for c in cells if known.get(c.key) == "infra_error"]
    todo = [c for c in cells if c.key not in known] + (lost if again else [])
    watch = _Watch(_tolerated(store, cells), {c.example.id for c in lost if not again}, parts)
    if not watch.over:
        store.subscribe(watch)
        status = "evaluated"
        try:
            await parts.cells.run(todo)
        except BudgetExhausted as end:
            status = "budget"
            await store.append("budget.exhausted", {"axis": end.axis, "message": str(end)})
        except asyncio.CancelledError:
            if not watch.over:
                raise
        if not watch.over:
            await store.append("run.finished", {"status": status, "spend": parts.ledger.by_role()})
            return status
    text = (
        f"{len(watch.lost)} of {counted(len({c.example.id for c in cells}), 'example')} lost to infrastructure errors"
    )
    await store.append("warning", {"text": f"{text}, more than --fail-on-error allows: stopped"})
    return "errors"


class _Watch:
    """A listener that stops the evaluation when more examples are lost to the world than is tolerated."""

    def __init__(self, tolerated: float | None, lost: set[str], parts: Parts) -> None:
        self.lost = lost
        self._tolerated, self._cells = tolerated, parts.cells

    @property
    def over(self) -> bool:
        """Whether it is more than that."""
        return self._tolerated is not None and len(self.lost) > self._tolerated

    def __call__(self, event: Event) -> None:
        if event.type != "cell":
            return
        outcome: Any = event.data["outcome"]
        if outcome["status"] == "infra_error":
            self.lost.add(outcome["example"])
            if self.over:
                self._cells.stopping = True


def _tolerated(store: Store, cells: Sequence[Cell]) -> float | None:
    """How many examples may be lost: what was said last counts; a number below 1 is a share of the examples."""
    said = [e.data.get("fail_on_error") for e in store.events("run.started", "run.resumed")]
    given: Any = next((value for value in reversed(said) if value is not None), None)
    return None if given is None else float(given if given >= 1 else given * len({c.example.id for c in cells}))


def _check_tolerance(value: float | None) -> None:
    if value is not None and not (0 <= value < 1 or (value >= 1 and value == int(value))):
        raise UsageError(f"--fail-on-error {value}: give a share of the examples (0 to 1) or a whole number of them")


def check_gate(gate: float | None, score_range: tuple[float, float]) -> None:
    """Refuse a mean that every evaluation is below, or none."""
    low, high = score_range
    if gate is not None and not low <= gate <= high:
        raise UsageError(f"--gate {gate:g}: the task's scores go from {low:g} to {high:g}; give a mean in between")


def _forecast(parts: Parts, cells: int) -> list[str]:
    """What is told before the first call."""
    cost, repeats = parts.cost, parts.config.repeats
    times = f", {repeats} times each" if repeats > 1 else ""
    lines = [f"{counted(cells, 'evaluation')} of {counted(cells // repeats, 'example')}{times}"]
    if not cost.calls:
        return lines
    amounts = {"calls": cells * cost.calls, "tokens": cells * cost.tokens}
    need = amounts if cost.usd is None else {**amounts, "usd": cells * cost.usd}
    lines.append(f"estimated at one call each: {told(need)}{', price unknown' if cost.usd is None else ''}")
    budget = parts.config.budget
    limits = {"evaluations": float(cells), **need}
    shares = [limit / n for axis, n in limits.items() if n and (limit := getattr(budget, axis)) is not None]
    if shares and min(shares) < 1:
        limited = told({axis: n for axis in limits if (n := getattr(budget, axis)) is not None})
        lines.append(f"the budget of {limited} pays for about {int(cells * min(shares))} of them, the rest is left out")
    return lines


def evaluation_of(folder: Path, status: str | None = None) -> Evaluation:
    """Read an evaluation from a run's folder.

    Raises ``UsageError`` when the run is not an evaluation, or nothing has been evaluated.
    """
    with RunFile(folder) as run:
        if run.started["kind"] != KIND:
            raise UsageError(f"run {run.dir.name} is not an evaluation: `agentopt show {run.dir.name}`")
        candidate = run.baseline()
        if candidate is None:
            raise UsageError(f"run {run.dir.name} has evaluated nothing yet: `agentopt resume {run.dir.name}`")
        low, high = run.started["score_range"]
        examples = stored_examples(run.store, run.started, *split_names(run.started["split"]))
        place = {id_: number for number, id_ in enumerate(examples)}
        outcomes = [o for o in run.outcomes(candidate.id) if o.example in place]
        outcomes.sort(key=lambda o: (place[o.example], o.repeat))
        kept = eval_of(run)
        groups = {e.id: e.group for e in examples.values() if e.group is not None}
        if kept is not None and kept.types is not None:
            rows = breakdown(outcomes, kept.types, (low, high), word="type", clusters=run.clusters)
        else:
            rows = breakdown(outcomes, groups, (low, high), clusters=run.clusters)
        return Evaluation(
            dir=folder, status=status or run.state.finished or "interrupted", config=run.config,
            split=run.started["split"], candidate=candidate, summary=rows[0].summary,
            planned=len(examples) * run.config.repeats,
            rows=tuple(rows), agreement=agreement(outcomes, (low, high)), outcomes=tuple(outcomes),
            examples=examples, spend=run.spend(), budget=run.budget,
            rescored=run.started.get("rescored", {}).get("run"),
            measured=None if kept is None else measured(kept, outcomes, (low, high)),
        )  # fmt: skip
