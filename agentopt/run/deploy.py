"""``load``: the best candidate of a run, as a callable for production."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agentopt.core import Override
from agentopt.llm.context import Session, current_session, use_session
from agentopt.run.best import read_best
from agentopt.run.target import is_async, value_of
from agentopt.workspace import load_graph, scripted

__all__ = ["load"]


def load(path: str | Path, *, graph: Any = None, model: Any = None) -> Callable[..., Any]:
    """The best candidate of a run as a callable for production.

    Args:
        path: ``runs/NAME/best``, ``runs/NAME``, or ``candidate.json``.
        graph: the graph's object, where the run was started from Python with one that has no name.
        model: another model than the run's.

    Returns:
        A function with the graph's arguments that returns plain values; a coroutine function where the graph is one.
    """
    record = read_best(path)
    target = graph if graph is not None else load_graph(record["graph"])
    chosen = model if model is not None else record.get("model")

    @contextmanager
    def deployed() -> Iterator[None]:
        base = current_session()
        session = base
        if isinstance(chosen, str) and chosen.startswith("scripted/"):
            session = Session(scripted(chosen), {"agent": chosen}, base.defaults)
        elif isinstance(chosen, str):
            session = Session(base.client, {**base.models, "agent": chosen}, base.defaults)
        elif chosen is not None:
            session = Session(chosen, {"agent": "given"}, base.defaults)
        with Override(record["values"]), use_session(session):
            yield

    if is_async(target):

        async def acall(*args: Any, **kwargs: Any) -> Any:
            with deployed():
                return value_of(await target(*args, **kwargs))

        return acall

    def call(*args: Any, **kwargs: Any) -> Any:
        with deployed():
            return value_of(target(*args, **kwargs))

    return call
