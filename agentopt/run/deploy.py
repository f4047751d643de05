"""``load``: the best candidate of a run, as a callable for production."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentopt.core import Override, Parameter, parameters
from agentopt.llm.context import current_session, use_session
from agentopt.run.best import read_best, said, unproven
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

    Calls have the run's model, temperature, ``max_tokens`` and timeout where they give none of their own: what runs is
    what was tested. A warning says so where no test showed that the candidate is better.

    Functions that the run changed go on running in a sandbox, which is opened here; ``agentopt apply`` makes them
    ordinary Python.

    Returns:
        A function with the graph's arguments that returns plain values; a coroutine function where the graph is one.

    Raises:
        UsageError: there is no best candidate in ``path``.
    """
    record = read_best(path)
    if unproven(record):
        warnings.warn(f"the candidate in {path} was not shown to be better: {said(record)}", stacklevel=2)
    target = graph if graph is not None else load_graph(record["graph"])
    chosen = model if model is not None else record.get("model")

    changed = [
        p for name, p in parameters(target).items() if p.kind == "code" and _differs(p, record["values"].get(name))
    ]
    settings = {"code_timeout": 10.0, **record.get("settings", {})}
    place = code_sandbox(changed, settings.pop("code_timeout")) if changed else None

    @contextmanager
    def deployed() -> Iterator[None]:
        base = current_session()
        session = replace(base, defaults={**base.defaults, **settings})
        if isinstance(chosen, str) and chosen.startswith("scripted/"):
            session = replace(session, client=scripted(chosen), models={"agent": chosen})
        elif isinstance(chosen, str):
            session = replace(session, models={**base.models, "agent": chosen})
        elif chosen is not None:
            session = replace(session, client=chosen, models={"agent": "given"})
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
