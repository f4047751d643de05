"""What a run improves: a callable graph, its parameters, and the calling of it on an example."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

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
        only: names of the parameters to search; empty means all but code, or the code where there is nothing else.

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
        plain = {key: p for key, p in found.items() if p.kind != "code"}
        chosen = {key: p for key, p in found.items() if key in only}
        self.parameters: dict[str, Parameter[Any]] = chosen if only else plain or found
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

        A dict is itself the one argument where that has another name and is annotated as a mapping. A sync graph runs
        in a thread with a copy of this context, so that handlers and the run's session reach it.
        """
        args, kwargs = self._bind(input)
        if self._is_async:
            result = self.graph(*args, **kwargs)
        else:
            result = await in_thread(functools.partial(self.graph, *args, **kwargs))
        return await result if inspect.isawaitable(result) else result

    def admit(self, input: Any) -> None:
        """Raise ``UsageError`` when the graph cannot be called with an example's input; nothing is called."""
        self._bind(input)

    def _bind(self, input: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        named = isinstance(input, Mapping)
        signature = self._signature
        if signature is None:
            return ((), dict(input)) if named else ((input,), {})
        args, kwargs = ((), dict(input)) if named and not self._whole(signature, input) else ((input,), {})
        try:
            signature.bind(*args, **kwargs)
        except TypeError:
            raise UsageError(_unfit(self.name, signature, input)) from None
        return args, kwargs

    @functools.cached_property
    def _signature(self) -> inspect.Signature | None:
        """What the graph takes; None where that cannot be said."""
        try:
            return inspect.signature(self.graph)
        except (TypeError, ValueError):
            return None

    def _whole(self, signature: inspect.Signature, input: Mapping[str, Any]) -> bool:
        """Whether a dict is one argument: there is only one, it has another name, and its type says that it is one."""
        takes = [p for p in signature.parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if len(takes) != 1 or len(signature.parameters) != 1 or set(input) == {takes[0].name}:
            return False
        function = self.graph if inspect.isroutine(self.graph) else type(self.graph).__call__
        try:
            hint = get_type_hints(inspect.unwrap(function)).get(takes[0].name, takes[0].annotation)
        except Exception:  # a name that is imported for type checkers only
            hint = takes[0].annotation
        return _holds_mapping(hint)


def _holds_mapping(hint: Any) -> bool:
    """Whether a type says that its values are, or may be, dicts.

    >>> [_holds_mapping(hint) for hint in (dict, Mapping[str, int], dict | None, JsonValue, Any, "dict[str, Any]")]
    [True, True, True, True, True, True]
    >>> [_holds_mapping(hint) for hint in (str, list[dict], inspect.Parameter.empty)]
    [False, False, False]
    """
    if isinstance(hint, str):
        return hint.split("[")[0].rpartition(".")[2] in ("dict", "Dict", "Mapping", "Any", "object", "JsonValue")
    if hint in (Any, object, JsonValue) or is_typeddict(hint):
        return True
    if isinstance(hint, types.UnionType) or get_origin(hint) is Union:
        return any(map(_holds_mapping, get_args(hint)))
    kind = get_origin(hint) or hint
    return isinstance(kind, type) and issubclass(kind, Mapping)


def _unfit(name: str, signature: inspect.Signature, input: Any) -> str:
    """Why a graph cannot be called with an input, in one sentence that names both sides."""
    takes = [p.name if p.default is p.empty else f"{p.name}=..." for p in signature.parameters.values()]
    told = f"graph {name} takes {', '.join(takes) or 'nothing'}"
    if not isinstance(input, Mapping):
        return f"{told}, the examples have one {type(input).__name__}: give a dict with a key for each argument"
    text = f"{told}, the examples have {', '.join(map(str, input)) or 'an empty dict'}: rename one side"
    return f"{text}, or annotate {takes[0]} as dict to get the whole input" if len(takes) == 1 else text


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
