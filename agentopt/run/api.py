"""``optimize``, ``evaluate`` and ``resume``: the front door for those without a loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from agentopt.core.values import Budget
from agentopt.errors import StoreError, UsageError
from agentopt.llm.types import Client
from agentopt.optim.base import Optimizer
from agentopt.run import evaluation, setup
from agentopt.run.best import read_best, write_best
from agentopt.run.codeplace import code_place
from agentopt.run.earlier import Earlier
from agentopt.run.evaluation import SplitChoice, evaluate_async
from agentopt.run.files import find_run
from agentopt.run.given import clients_by_role, configured
from agentopt.run.lifetime import Listener, begun, interruptible, run_here, subscribe, write_down
from agentopt.run.naming import new_folder
from agentopt.run.options import Options
from agentopt.run.parts import Parts
from agentopt.run.result import Evaluation, Result, result_of
from agentopt.run.runner import Runner
from agentopt.run.state import State, fold
from agentopt.store import Store

if TYPE_CHECKING:
    from agentopt.run.synthesis.result import Synthesis

__all__ = [
    "Evaluation",
    "Result",
    "evaluate",
    "evaluate_async",
    "optimize",
    "optimize_async",
    "resume",
    "resume_async",
]


def optimize(
    graph: Any,
    *,
    task: Any,
    metric: Callable[..., Any] | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Unpack[Options],
) -> Result:
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
    work = optimize_async(graph, task=task, metric=metric, on_event=on_event, progress=progress, **options)
    return run_here(work)


async def optimize_async(
    graph: Any,
    *,
    task: Any,
    metric: Callable[..., Any] | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Unpack[Options],
) -> Result:
    """``optimize`` for code that runs in an event loop."""
    config, given = configured(graph, task, {**options})
    plan = setup.plan(config, given.get("graph"), given.get("task"), metric, given["clients"])
    optimizer = given.get("optimizer") or setup.optimizer_of(config)
    setup.preflight(plan, optimizer)
    folder = new_folder(config)
    with begun(folder), Store(folder) as store:
        subscribe(store, on_event, progress)
        parts, stack = setup.connect(plan, store, optimizer=optimizer)
        try:
            endpoints = setup.check_models(plan, stack)
            data, blobs = setup.started(plan, endpoints, "optimize")
            await store.append("run.started", data, blobs)
            with code_place(plan, store):
                return await _drive(parts, fold(store, data), folder)
        finally:
            await stack.aclose()


def resume(run: str | Path, **options: Any) -> Result | Evaluation | Synthesis:
    """Go on with a run that was interrupted, killed, or whose budget ended. Nothing that was answered is asked again.

    Args:
        run: path, name, beginning of a name, or ``last``: the run that began last.
        add_budget: ``Budget`` or text: what may be spent on top, on axes that the run's budget has. A search that its
            budget ended goes on, unless the test has been made.
        retry_errors: of an evaluation: evaluate again what was lost to infrastructure errors, and nothing else that
            was evaluated. What was recorded before stays in the log.
        fail_on_error: of an evaluation: as in ``evaluate``, from here on.
        max_connections: cells and requests in flight from here on; by default as many as the run was begun with.
        graph, task, metric, optimizer, model, optimizer_model, judge_model, clients: the objects of a run that was
            started from Python with objects that have no name; ``clients`` by model string.
        on_event, progress: as in ``optimize``; every further event.
        runs_dir: where runs lie.

    Returns:
        A ``Result``, an ``Evaluation`` or a ``Synthesis``, as the run is.
    """
    return run_here(resume_async(run, **options))


async def resume_async(
    run: str | Path,
    *,
    add_budget: Budget | str | None = None,
    retry_errors: bool = False,
    fail_on_error: float | None = None,
    max_connections: int | None = None,
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
) -> Result | Evaluation | Synthesis:
    """``resume`` for code that runs in an event loop."""
    roles = {"model": model, "optimizer_model": optimizer_model, "judge_model": judge_model}
    given = clients_by_role(clients, roles)
    folder = find_run(run, runs_dir)
    with Store(folder) as store:
        subscribe(store, on_event, progress)
        earlier = Earlier.of(store)
        if max_connections is not None:
            if max_connections < 1:
                raise UsageError(f"max_connections is {max_connections}; at least 1 is needed")
            earlier.config = earlier.config.model_copy(update={"max_connections": max_connections})
        if earlier.first["kind"] == "synthesize":
            from agentopt.run import synthesis

            _refuse_for_synthesis(retry_errors=retry_errors, fail_on_error=fail_on_error, graph=graph, task=task)
            return await synthesis.go_on(earlier, add_budget=add_budget, clients=given)
        if earlier.first["kind"] == evaluation.KIND:
            return await evaluation.go_on(
                earlier, add_budget=add_budget, graph=graph, task=task, metric=metric, clients=given,
                retry_errors=retry_errors, fail_on_error=fail_on_error,
            )  # fmt: skip
        if retry_errors or fail_on_error is not None:
            raise UsageError(
                f"run {folder.name} is an optimization: it tries errors again by itself, and stops when most "
                "evaluations fail; leave out retry_errors and fail_on_error"
            )
        state = earlier.state
        extra = earlier.add(add_budget)
        if add_budget is not None:
            _check_extra(folder.name, state)
        begun_test = any(outcome.split == "test" for outcome in store.cells())
        more = add_budget is not None and "budget" in (state.ended or "") and not begun_test
        if state.finished == "finished" and not more and _written(folder, state):
            return result_of(folder)
        earlier.check_objects(graph, task)
        plan = setup.plan(earlier.config, graph, task, metric, given)
        evaluator = earlier.check(plan)
        proposer = optimizer or setup.optimizer_of(earlier.config)
        parts, stack = setup.connect(plan, store, optimizer=proposer, elapsed=earlier.elapsed)
        try:
            earlier.check_models(setup.check_models(plan, stack))
            if more:  # first: a budget that is added is never added to a search that stays closed
                await store.append("search.reopened", {})
                state.ended = state.chosen = None
            await earlier.go_on(extra, evaluator)
            with code_place(plan, store):
                return await _drive(parts, state, folder)
        finally:
            await stack.aclose()


def evaluate(
    graph: Any,
    *,
    task: Any,
    metric: Callable[..., Any] | None = None,
    split: SplitChoice = "search",
    values: Mapping[str, Any] | None = None,
    fail_on_error: float | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Unpack[Options],
) -> Evaluation:
    """Score a graph on a task, as it is or with other values.

    Args:
        graph, task, metric, model, on_event, progress, options: as in ``optimize``.
        split: search (default), validation, test or all. The use of the test split is written down. The option
            ``limit`` counts examples of this split.
        values: parameter values to use instead of the graph's own.
        fail_on_error: stop when more examples than this are lost to infrastructure errors: a number of them, or,
            below 1, a share. Without it nothing stops the evaluation.

    Returns:
        An ``Evaluation``, also where the budget ended or Ctrl-C came: then it is not ``complete``, and ``resume``
        goes on with it.

    >>> import agentopt, tempfile
    >>> word = agentopt.Parameter("hi", name="word")
    >>> @agentopt.graph
    ... def greet(who):
    ...     return word + " " + who
    >>> done = evaluate(
    ...     greet, task=[(w, f"hi {w}") for w in "abcdefgh"], split="all", progress=False, runs_dir=tempfile.mkdtemp(),
    ...     metric=lambda gold, prediction, trace: gold.target == prediction,
    ... )
    >>> done.summary.sentence, done.complete
    ('1.000 [0.676, 1.000] on 8 examples', True)
    """
    work = evaluate_async(
        graph, task=task, metric=metric, split=split, values=values, fail_on_error=fail_on_error, on_event=on_event,
        progress=progress, **options,
    )  # fmt: skip
    return run_here(work)


# -- inside ------------------------------------------------------------------------------------------------------


async def _drive(parts: Parts, state: State, folder: Path) -> Result:
    """Run to an end, write ``best/`` whatever the end is, and keep the run's clock."""
    runner = Runner(parts, state)
    status = "interrupted"
    since = parts.ledger.elapsed
    try:
        with interruptible(runner.stop, parts.store):
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
                    config=parts.config, claim=state.claim,
                )  # fmt: skip
            except OSError as error:
                raise StoreError(
                    f"cannot write {folder / 'best'} ({error.strerror}); the run itself is kept: make room, then "
                    f"`agentopt resume {folder.name}`"
                ) from error
        await write_down(parts, since)
    return result_of(folder, status)


def _written(folder: Path, state: State) -> bool:
    """Whether ``best/`` tells the end of the run."""
    try:
        record = read_best(folder)
    except (UsageError, OSError, ValueError):
        return False
    said = state.claim and state.claim.sentence
    return (record.get("id"), record.get("claim")) == (state.chosen or state.incumbent, said)


def _refuse_for_synthesis(**given: Any) -> None:
    """Refuse what a run that makes a data set has no use for."""
    wrong = [name for name, value in given.items() if value]
    if wrong:
        raise UsageError(f"the run makes a data set: leave out {', '.join(wrong)}")


def _check_extra(name: str, state: State) -> None:
    """Refuse a larger budget that would change nothing, and say why."""
    if state.claim is not None:
        raise UsageError(f"run {name} has made its test ({state.claim.verdict}): more budget changes nothing")
    if state.finished == "finished" and "budget" not in (state.ended or ""):
        raise UsageError(f"run {name} did not end for want of budget ({state.ended}): start a new run")
