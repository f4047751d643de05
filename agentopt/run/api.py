"""``optimize``, ``evaluate`` and ``resume``: the front door for those without a loop of their own."""

from __future__ import annotations

import asyncio
import contextlib
import math
import shutil
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from pydantic import JsonValue

from agentopt._aio import run_sync
from agentopt.core.values import Budget, Candidate
from agentopt.errors import StoreError, UnknownName, UsageError
from agentopt.evaluate import evaluator_hash, summarize
from agentopt.evaluate.splits import SplitName
from agentopt.llm.ledger import Ledger
from agentopt.llm.types import Client
from agentopt.optim.base import Optimizer
from agentopt.run import setup
from agentopt.run.archive import Archive
from agentopt.run.best import read_best, write_best
from agentopt.run.config import RunConfig
from agentopt.run.evaluation import score, split_names
from agentopt.run.files import find_run
from agentopt.run.forecast import told
from agentopt.run.parts import Parts
from agentopt.run.result import Evaluation, Result, result_of
from agentopt.run.runner import Runner
from agentopt.run.state import State, fold
from agentopt.run.telling import Telling
from agentopt.store import Event, Store
from agentopt.workspace import run_defaults

__all__ = ["Result", "evaluate", "evaluate_async", "optimize", "optimize_async", "resume", "resume_async"]

T = TypeVar("T")
Listener = Callable[[Event], None]
SplitChoice = SplitName | Literal["all"]


def optimize(graph: Any, *, task: Any, **options: Any) -> Result:
    """Improve a graph's parameters from feedback, within a budget, and test what comes out.

    Args:
        graph: a decorated function or object, or its name.
        task: a ``Task``, its name, or a list of examples (with ``metric``).
        metric: with a list of examples: ``(gold, prediction, trace) -> score``, ``(score, text)`` or ``Feedback``.
        optimizer: name of who proposes.
        budget: ``Budget`` or text such as ``"calls=400,usd=2"``.
        model, optimizer_model, judge_model: model strings, or objects with ``complete`` (see ``Client``).
        on_event: called with every event of the run after its commit.
        progress: whether the forecast, and what happens, is told on stderr.
        options: any other field of ``RunConfig``.

    Returns:
        A ``Result``. The end of a budget is a normal ending.

    Raises:
        BudgetTooSmall: before the first call.
        UsageError: a name, option or program that cannot be used.
        LLMError: the model could not be asked at all.

    >>> import agentopt, tempfile
    >>> word = agentopt.Parameter("hi", name="word", kind="choice", choices=("hi", "hello"))
    >>> @agentopt.graph
    ... def greet(who):
    ...     return word + " " + who
    >>> result = optimize(
    ...     greet, task=[(w, f"hello {w}") for w in "abcdefghijklmnopqrstuvwxyzABCD"], optimizer="random",
    ...     metric=lambda gold, prediction, trace: gold.target == prediction, runs_dir=tempfile.mkdtemp(), steps=3,
    ... )
    >>> result.best.values, result.claim.verdict
    ({'word': 'hello'}, 'better')
    """
    return _run(optimize_async(graph, task=task, **options))


async def optimize_async(
    graph: Any,
    *,
    task: Any,
    metric: Callable[..., Any] | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Any,
) -> Result:
    """``optimize`` for code that runs in an event loop."""
    config, given = _configured(graph, task, options)
    plan = setup.plan(config, given.get("graph"), given.get("task"), metric, given["clients"])
    optimizer = given.get("optimizer") or setup.optimizer_of(config)
    setup.preflight(plan)
    folder = setup.new_folder(config)
    with _begun(folder), Store(folder) as store:
        _subscribe(store, on_event, progress)
        parts, stack = setup.connect(plan, store, optimizer=optimizer)
        try:
            endpoints = setup.check_models(plan, stack)
            data, blobs = setup.started(plan, endpoints, "optimize")
            await store.append("run.started", data, blobs)
            return await _drive(parts, State(Archive(plan.task.score_range)), folder)
        finally:
            await stack.aclose()


def resume(run: str | Path, **options: Any) -> Result:
    """Go on with a run that was interrupted, killed, or whose budget ended. Nothing that was answered is asked again.

    Args:
        run: path, name, beginning of a name, or ``last``.
        add_budget: ``Budget`` or text: what may be spent on top, on axes that the run's budget has. A search that its
            budget ended goes on, unless the test has been made.
        graph, task, metric, optimizer, model, optimizer_model, judge_model, clients: the objects of a run that was
            started from Python with objects that have no name; ``clients`` by model string.
        on_event, progress: as in ``optimize``; every further event.
        runs_dir: where runs lie.
    """
    return _run(resume_async(run, **options))


async def resume_async(
    run: str | Path,
    *,
    add_budget: Budget | str | None = None,
    graph: Any = None,
    task: Any = None,
    metric: Callable[..., Any] | None = None,
    optimizer: Optimizer | None = None,
    clients: Mapping[str, Client] | None = None,
    model: Client | None = None,
    optimizer_model: Client | None = None,
    judge_model: Client | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    runs_dir: str | Path = "runs",
) -> Result:
    """``resume`` for code that runs in an event loop."""
    roles = {"model": model, "optimizer_model": optimizer_model, "judge_model": judge_model}
    clients = {**(clients or {}), **{f"given/{role}": client for role, client in roles.items() if client is not None}}
    folder = find_run(run, runs_dir)
    with Store(folder) as store:
        _subscribe(store, on_event, progress)
        begun = store.last("run.started")
        if begun is None or begun.data.get("kind") != "optimize":
            raise UsageError(
                f"run {folder.name} is not an optimization that has begun: nothing was paid, start it again"
            )
        first: dict[str, Any] = dict(begun.data)
        config = RunConfig.model_validate(first["config"])
        budget = config.budget
        for event in store.events("run.resumed"):
            budget = budget.plus(Budget.model_validate(event.data.get("add_budget") or {}))
        low, high = first["score_range"]
        state = fold(store, Archive((low, high)))
        extra = Budget.parse(add_budget) if isinstance(add_budget, str) else add_budget or Budget()
        if add_budget is not None:
            _check_extra(folder.name, state, budget, extra)
        config = config.model_copy(update={"budget": budget.plus(extra)})
        more = add_budget is not None and "budget" in (state.ended or "")
        if state.finished == "finished" and not more and _written(folder, state):
            return result_of(folder)
        plan = setup.plan(config, graph, task, metric, clients)
        if plan.task.hash != first["task"]["hash"]:
            raise UsageError(
                f"task {plan.task.name} has other examples than when the run began: restore them, or start a new run"
            )
        if state.baseline is not None:
            setup.same_space(plan, state.baseline)
        evaluator = evaluator_hash(plan.task.scorer)
        if evaluator != _evaluator(store) and any(o.score is not None for o in store.cells()):
            raise UsageError(
                f"the files of the scorer have changed since run {folder.name} began, and it has scores of the old "
                "ones: restore them, or start a new run"
            )
        known = store.spend().get("run", {}).get("seconds", 0.0)
        last = store.last("cell")
        elapsed = max(known, cast("float", last.data.get("elapsed", 0.0)) if last else 0.0)
        parts, stack = setup.connect(plan, store, optimizer=optimizer or setup.optimizer_of(config), elapsed=elapsed)
        try:
            setup.check_models(plan, stack)
            if elapsed > known:  # the process before was killed and could not write its time down
                await store.append("clock", {"seconds": round(elapsed - known, 3)})
            if more:  # first: a budget that is added is never added to a search that stays closed
                await store.append("search.reopened", {})
                state.ended = state.chosen = None
            sums = {"add_budget": extra, "budget": config.budget}
            budgets = {name: sum_.model_dump(mode="json", exclude_none=True) for name, sum_ in sums.items()}
            await store.append("run.resumed", {**budgets, "evaluator": evaluator})
            return await _drive(parts, state, folder)
        finally:
            await stack.aclose()


def evaluate(graph: Any, *, task: Any, **options: Any) -> Evaluation:
    """Score a graph on a task, as it is or with other values.

    Args:
        graph, task, metric, model, on_event, progress, options: as in ``optimize``.
        split: search (default), validation, test or all. The use of the test split is written down.
        values: parameter values to use instead of the graph's own.
    """
    return _run(evaluate_async(graph, task=task, **options))


async def evaluate_async(
    graph: Any,
    *,
    task: Any,
    metric: Callable[..., Any] | None = None,
    split: SplitChoice = "search",
    values: Mapping[str, Any] | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Any,
) -> Evaluation:
    """``evaluate`` for code that runs in an event loop."""
    config, given = _configured(graph, task, options)
    plan = setup.plan(config, given.get("graph"), given.get("task"), metric, given["clients"])
    candidate = Candidate(values={n: s.value for n, s in plan.target.specs.items()}, origin="baseline")
    if values:
        candidate = candidate.change(dict(values), "given")
    folder = setup.new_folder(config)
    with Store(folder) as store:
        _subscribe(store, on_event, progress)
        parts, stack = setup.connect(plan, store, optimizer=None)
        try:
            data, blobs = setup.started(plan, setup.check_models(plan, stack), "evaluate")
            await store.append("run.started", data | {"split": split}, blobs)
            outcomes = await score(parts, candidate, split_names(split))
            summary = summarize(outcomes, plan.task.score_range)
            return Evaluation(folder, split, candidate, summary, tuple(outcomes), store.spend())
        finally:
            await stack.aclose()


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end: in the main thread itself where that is free, so that Ctrl-C reaches the run; else beside it."""
    if threading.current_thread() is threading.main_thread():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(work)
    return run_sync(work)


@contextmanager
def _begun(folder: Path) -> Iterator[None]:
    """Leave no folder behind of a run that was refused before it had begun."""
    new = not folder.exists()
    try:
        yield
    except Exception:
        with contextlib.suppress(StoreError):
            with Store(folder, readonly=True) as store:
                new = new and store.last("run.started") is None
            if new:
                shutil.rmtree(folder, ignore_errors=True)
        raise


def _subscribe(store: Store, on_event: Listener | None, progress: bool) -> None:
    if progress:
        store.subscribe(Telling())
    if on_event is not None:
        store.subscribe(on_event)


# -- inside ------------------------------------------------------------------------------------------------------


async def _drive(parts: Parts, state: State, folder: Path) -> Result:
    """Run to an end, write ``best/`` whatever the end is, and keep the run's clock."""
    runner = Runner(parts, state)
    status = "interrupted"
    begun = parts.ledger.elapsed
    try:
        with _interruptible(runner, parts.store):
            status = await runner.run()
    except asyncio.CancelledError:
        if not runner.stopping:
            raise
    finally:
        id_ = state.chosen or state.incumbent
        if id_ is not None and state.baseline is not None and not parts.store.full:
            try:
                write_best(
                    folder, state.archive[id_].candidate, state.baseline, parts.target.parameters,
                    graph=parts.config.graph, model=parts.config.model, claim=_sentence(state),
                )  # fmt: skip
            except OSError as error:
                raise StoreError(
                    f"cannot write {folder / 'best'} ({error.strerror}); the run itself is kept: make room, then "
                    f"`agentopt resume {folder.name}`"
                ) from error
        for text in _overruns(parts.ledger):
            await asyncio.shield(parts.store.append("warning", {"text": text}))
        await asyncio.shield(parts.store.append("clock", {"seconds": round(parts.ledger.elapsed - begun, 3)}))
    return result_of(folder, status)


def _sentence(state: State) -> str | None:
    return state.claim.sentence if state.claim else None


def _written(folder: Path, state: State) -> bool:
    """Whether ``best/`` tells the end of the run."""
    try:
        record = read_best(folder)
    except (UsageError, OSError, ValueError):
        return False
    return (record.get("id"), record.get("claim")) == (state.chosen or state.incumbent, _sentence(state))


def _overruns(ledger: Ledger) -> list[str]:
    """Of providers that billed more than their caps allow: how much, by role and axis."""
    sums: dict[tuple[str, str], list[float]] = {}
    for role, axis, amount in ledger.overruns:
        sums.setdefault((role, axis), []).append(amount)
    return [
        f"the provider billed {told({axis: math.fsum(found)})} beyond the cap of {len(found)} {role} calls: the budget "
        "counts it, and may be exceeded by that much"
        for (role, axis), found in sums.items()
    ]


@contextmanager
def _interruptible(runner: Runner, store: Store) -> Iterator[None]:
    """Ctrl-C once ends the run after what is in flight; twice ends it now. Only in the main thread of a program."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, lambda: _interrupt(runner, loop, store))
    except (NotImplementedError, RuntimeError):
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _interrupt(runner: Runner, loop: asyncio.AbstractEventLoop, store: Store) -> None:
    runner.stop()
    text = "stopping: what is in flight is finished and kept; interrupt once more to stop at once"
    runner.telling = loop.create_task(store.append("warning", {"text": text}))
    loop.remove_signal_handler(signal.SIGINT)


def _evaluator(store: Store) -> JsonValue:
    """Hash of the scorer that the scores in a log were made with."""
    return next(
        e.data["evaluator"] for e in reversed([*store.events("run.started", "run.resumed")]) if "evaluator" in e.data
    )


def _check_extra(name: str, state: State, budget: Budget, extra: Budget) -> None:
    """Refuse a larger budget that would change nothing, and say why."""
    given = extra.model_dump(exclude_none=True)
    if not any(given.values()):
        raise UsageError("--add-budget adds nothing: give it as calls=200,usd=1")
    for axis in given:
        if getattr(budget, axis) is None:
            raise UsageError(f"run {name} has no limit on {axis}, so nothing is added to it; its budget is {budget}")
    if state.claim is not None:
        raise UsageError(f"run {name} has made its test ({state.claim.verdict}): more budget changes nothing")
    if state.finished == "finished" and "budget" not in (state.ended or ""):
        raise UsageError(f"run {name} did not end for want of budget ({state.ended}): start a new run")


def _configured(graph: Any, task: Any, options: dict[str, Any]) -> tuple[RunConfig, dict[str, Any]]:
    """A configuration from objects, options, environment and ``agentopt.toml``; and the objects themselves."""
    given: dict[str, Any] = {"clients": dict(options.pop("clients", None) or {})}
    fields: dict[str, Any] = run_defaults(RunConfig.model_fields.keys())
    if isinstance(graph, str):
        fields["graph"] = graph
    else:
        given["graph"], fields["graph"] = graph, setup.reference(graph)
    if isinstance(task, str):
        fields["task"] = task
    else:
        given["task"], fields["task"] = task, setup.reference(task)
    if not isinstance(options.get("optimizer", ""), str):
        given["optimizer"] = options.pop("optimizer")
        fields["optimizer"] = given["optimizer"].name
    for role in ("model", "optimizer_model", "judge_model"):
        if not isinstance(options.get(role), str | None):
            name = f"given/{role}"
            given["clients"][name] = options[role]
            options[role] = name
    for key in options:
        if key not in RunConfig.model_fields:
            raise UnknownName("option", key, RunConfig.model_fields, "`help(agentopt.RunConfig)` lists them")
    if isinstance(options.get("budget"), str):
        options["budget"] = Budget.parse(options["budget"])
    if isinstance(fields.get("budget"), str):
        fields["budget"] = Budget.parse(fields["budget"])
    try:
        return RunConfig.model_validate({**fields, **options}), given
    except ValueError as error:
        raise UsageError(f"the run's options cannot be used: {error}") from None
