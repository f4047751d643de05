"""``measure``: score a graph under the pinned protocol of an eval."""

from __future__ import annotations

from typing import Any

from agentopt.errors import UsageError
from agentopt.evaluate import Eval
from agentopt.run.evaluation import SplitChoice, evaluate_async
from agentopt.run.lifetime import Listener, run_here
from agentopt.run.pinned import pinned_options
from agentopt.run.result import Evaluation
from agentopt.workspace import load_eval

__all__ = ["measure", "measure_async"]


def measure(
    pinned: Eval | str,
    *,
    graph: Any = None,
    values: dict[str, Any] | None = None,
    split: SplitChoice | None = None,
    fail_on_error: float | None = None,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Any,
) -> Evaluation:
    """Score a graph under the pinned protocol of an eval.

    Args:
        pinned: an ``Eval``, or its name.
        graph: another graph than the eval's.
        values: parameter values in place of the eval's and the graph's own.
        split, options: as in ``evaluate``: ``model``, ``max_connections``, ``budget``, ``runs_dir``, ... An option that
            the eval pins goes before what it pins; the result then says that it is not the pinned protocol.
        fail_on_error, on_event, progress: as in ``evaluate``.

    Returns:
        An ``Evaluation`` whose ``measured`` holds the measures, the guesses and what was published.

    Raises:
        UsageError: the task is given: it is what an eval is about.

    >>> import agentopt, tempfile
    >>> from agentopt.evaluate import Eval, always
    >>> @agentopt.graph
    ... def nothing(problem):
    ...     return "0"
    >>> pinned = Eval(task="bills", graph="calculator", name="toy", limit=8, guesses=[always("0")])
    >>> done = measure(pinned, graph=nothing, limit=4, progress=False, runs_dir=tempfile.mkdtemp())
    >>> [d.field for d in done.measured.record.departs], done.measured.guesses[0].summary == done.summary
    (['graph', 'limit'], True)
    """
    work = measure_async(
        pinned, graph=graph, values=values, split=split, fail_on_error=fail_on_error, on_event=on_event,
        progress=progress, **options,
    )  # fmt: skip
    return run_here(work)


async def measure_async(
    pinned: Eval | str,
    *,
    graph: Any = None,
    values: dict[str, Any] | None = None,
    split: SplitChoice | None = None,
    **options: Any,
) -> Evaluation:
    """``measure`` for code that runs in an event loop."""
    chosen = load_eval(pinned) if isinstance(pinned, str) else pinned
    if "task" in options:
        raise UsageError(f"eval {chosen.name!r} pins its task, {chosen.task!r}: leave the task out")
    own = pinned_options(chosen)
    own["split"] = split or own["split"]
    own["values"] = dict(own["values"] if values is None else values)
    thing = chosen.graph if graph is None else graph
    return await evaluate_async(thing, task=chosen.task, pinned=chosen, **{**own, **options})
