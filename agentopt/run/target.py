"""What a run improves: a callable graph, its parameters, and the calling of it on an example."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, JsonValue

from agentopt._aio import in_thread
from agentopt.core import Node, Parameter, parameters
from agentopt.core.values import Candidate
from agentopt.errors import UnknownName, UsageError
from agentopt.optim.base import ParameterSpec

__all__ = ["Target", "is_async", "jsonable", "value_of"]


class Target:
    """A graph with the parameters that are searched.

    Args:
        graph: a decorated function, or an object that can be called.
        name: how it is named in messages and in the run.
        only: names of the parameters to search; empty means all but code, which needs the sandbox.

    Raises:
        UsageError: nothing to call, nothing to search, or a name in ``only`` that is not a parameter.
    """

    def __init__(self, graph: Callable[..., Any], name: str, only: tuple[str, ...] = ()) -> None:
        if not callable(graph):
            raise UsageError(f"graph {name} is {type(graph).__name__}, which cannot be called; decorate a function")
        self.graph, self.name = graph, name
        found = parameters(graph)
        for wanted in only:
            if wanted not in found:
                raise UnknownName("parameter", wanted, found, f"`agentopt check {name}` lists them")
        self.parameters: dict[str, Parameter[Any]] = {
            key: p for key, p in found.items() if (key in only if only else p.kind != "code")
        }
        self._is_async = is_async(graph)

    @functools.cached_property
    def specs(self) -> dict[str, ParameterSpec]:
        """The search space, as optimizers see it."""
        return {name: ParameterSpec(**p.spec_dict(), check=p.check) for name, p in self.parameters.items()}

    def baseline(self) -> Candidate:
        """The values that the program has now."""
        if not self.parameters:
            raise UsageError(
                f"graph {self.name} has no parameter to search: make a prompt with `prompt(...)`, or a "
                "`Parameter(value, name=...)`, and use it in the graph"
            )
        return Candidate(values={n: s.value for n, s in self.specs.items()}, origin="baseline")

    async def call(self, input: Any) -> Any:
        """Run the graph on an example's input: a dict fills the arguments by name, anything else is the one argument.

        A sync graph runs in a thread with a copy of this context, so that handlers and the run's session reach it.
        """
        args, kwargs = self._bind(input)
        if self._is_async:
            result = self.graph(*args, **kwargs)
        else:
            result = await in_thread(functools.partial(self.graph, *args, **kwargs))
        return await result if inspect.isawaitable(result) else result

    def _bind(self, input: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not isinstance(input, Mapping):
            return (input,), {}
        try:
            signature = inspect.signature(self.graph)
        except (TypeError, ValueError):
            return (), dict(input)
        names = [p.name for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        if takes_any or set(input) <= set(names):
            return (), dict(input)
        if len(names) == 1:
            return (input,), {}
        raise UsageError(
            f"graph {self.name} takes {names}, the examples have {sorted(input)}: rename one side, or take **kwargs"
        )


def is_async(graph: Callable[..., Any]) -> bool:
    """Whether a graph's call gives a coroutine: an async function, or an object with an async ``__call__``."""
    call = graph if inspect.isroutine(graph) else type(graph).__call__
    return any(inspect.iscoroutinefunction(inspect.unwrap(f)) for f in (graph, call))


def value_of(output: Any) -> Any:
    """A graph's output without its history: a node's value, and those of nodes inside lists, tuples and dicts."""
    if isinstance(output, Node):
        return value_of(output.value)
    if isinstance(output, dict):
        return {key: value_of(v) for key, v in output.items()}
    if type(output) in (list, tuple):
        return type(output)(value_of(v) for v in output)
    return output


def jsonable(value: Any) -> JsonValue:
    """A value as JSON: nodes and models opened, tuples and sets as lists, what JSON cannot hold as its repr.

    Half characters (lone surrogates) are escaped and whole numbers of hundreds of digits are written in hexadecimal.
    """
    value = value_of(value)
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int):
        return value if value.bit_length() < 2048 else hex(value)
    if value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, BaseModel):
        return jsonable(value.model_dump(mode="json"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(jsonable(k)): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((jsonable(v) for v in value), key=repr)
    return repr(value).encode("utf-8", "backslashreplace").decode()
