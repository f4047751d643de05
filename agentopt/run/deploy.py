"""``load``: the best candidate of a run, as a callable for production."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from agentopt.core import Override, Parameter, parameters
from agentopt.llm.context import Session, current_session, use_session
from agentopt.run.best import read_best
from agentopt.run.codeplace import code_sandbox
from agentopt.run.target import is_async, value_of
from agentopt.sandbox.execution import SandboxExec
from agentopt.workspace import load_graph, scripted

__all__ = ["load"]


def load(path: str | Path, *, graph: Any = None, model: Any = None) -> Callable[..., Any]:
    """The best candidate of a run as a callable for production.

    Args:
        path: ``runs/NAME/best``, ``runs/NAME``, or ``candidate.json``.
        graph: the graph's object, where the run was started from Python with one that has no name.
        model: another model than the run's.

    Functions that the run changed go on running in a sandbox, which is opened here; ``agentopt apply`` makes them
    ordinary Python.

    Returns:
        A function with the graph's arguments that returns plain values; a coroutine function where the graph is one.
    """
    record = read_best(path)
    target = graph if graph is not None else load_graph(record["graph"])
    chosen = model if model is not None else record.get("model")

    changed = [
        p for name, p in parameters(target).items() if p.kind == "code" and _differs(p, record["values"].get(name))
    ]
    place = code_sandbox(changed) if changed else None

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
        with SandboxExec(place) if place else nullcontext(), Override(record["values"]), use_session(session):
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


def _differs(parameter: Parameter[str], source: object) -> bool:
    return isinstance(source, str) and source.strip() != parameter.default.strip()
