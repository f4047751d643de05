"""Effects: what a program takes from outside itself (a clock, a tool, a service) is written down while a run is open.

A run gives a tape to each of its cells. With it, a result is committed before the program sees it, and given again
where the same place of the program is executed once more: after a crash, and in a replay.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from agentopt.core.scope import next_place
from agentopt.errors import AgentOptError, UsageError

__all__ = ["Tape", "effect", "perform", "recording"]

P = ParamSpec("P")
R = TypeVar("R")


class Tape(Protocol):
    """Where results of effects are kept, by their place in the program. Both methods may be called from any thread."""

    def get(self, place: str) -> Mapping[str, Any] | None:
        """What was written at a place, or None."""
        ...

    def put(self, place: str, record: Mapping[str, Any]) -> None:
        """Write a result down, so that it is on disk before anything that is written later."""
        ...


_TAPE: ContextVar[Tape | None] = ContextVar("agentopt_tape", default=None)


@contextmanager
def recording(tape: Tape | None) -> Iterator[None]:
    """Write the effects of this context on a tape, and take from it what it has."""
    token = _TAPE.set(tape)
    try:
        yield
    finally:
        _TAPE.reset(token)


def effect(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that reaches outside: in a run its result is written down, and a replay gives that again.

    For clocks, random numbers, files and services; sync or async. Results are JSON; errors are written down too.
    Outside a run it is the function itself. Under ``@node`` it goes below: ``@node`` first, ``@effect`` next.

    Raises:
        UsageError: in a run, a result that JSON cannot hold.

    >>> import time
    >>> now = effect(time.time)
    >>> now() > 0
    True
    """
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: P.args, **kwargs: P.kwargs) -> Any:
            return await perform(function, args, kwargs)

        return cast("Callable[P, R]", acall)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        tape = _TAPE.get()
        if tape is None:
            return function(*args, **kwargs)
        place = _place(function)
        record = tape.get(place)
        if record is None:
            result, error = _tried(function, args, kwargs)
            record = _record(function, result, error, lenient=False)
            tape.put(place, record)
            if error is not None:
                raise error
        return cast("R", _again(record))

    return call


async def perform(
    function: Callable[..., Any], args: Any = (), kwargs: Mapping[str, Any] | None = None, *, lenient: bool = False
) -> Any:
    """Call a function, sync or async, as an effect.

    With ``lenient``, a result that is not JSON is passed on as it is; a replay then makes the call once more.
    """
    tape = _TAPE.get()
    place = "" if tape is None else _place(function)
    record = None if tape is None else tape.get(place)
    if record:
        return _again(record)
    result, error = _tried(function, args, kwargs or {})
    if inspect.isawaitable(result):
        try:
            result = await result
        except Exception as raised:
            result, error = None, raised
    if tape is None or record is not None:
        if error is not None:
            raise error
        return result
    record = _record(function, result, error, lenient=lenient)
    tape.put(place, record)
    if error is not None:
        raise error
    return _again(record) if record else result


def _place(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    path, ordinal = next_place(f"~effect:{name}")
    return f"{path}|{name}|{ordinal}"


def _tried(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> tuple[Any, Exception | None]:
    try:
        return function(*args, **kwargs), None
    except Exception as error:
        return None, error


def _record(function: Callable[..., Any], result: Any, error: Exception | None, *, lenient: bool) -> dict[str, Any]:
    """What is written of a call: its value, its error, or nothing where JSON cannot hold it."""
    if isinstance(error, AgentOptError):
        raise error
    if error is not None:
        return {"error": [type(error).__module__, type(error).__qualname__, str(error)]}
    try:
        value = json.loads(json.dumps(result, allow_nan=False))
    except (TypeError, ValueError) as reason:
        if lenient:
            return {}
        name = getattr(function, "__name__", repr(function))
        raise UsageError(f"effect {name} gave a {type(result).__name__}, which is not JSON ({reason})") from None
    return {} if lenient and value != result else {"value": value}


def _again(record: Mapping[str, Any]) -> Any:
    if "value" in record:
        return record["value"]
    module, kind, text = record["error"]
    raised = getattr(sys.modules.get(module), kind, None)
    if isinstance(raised, type) and issubclass(raised, Exception):
        try:
            again = raised(text)
        except TypeError:  # one that wants more than a text
            again = RuntimeError(f"{kind}: {text}")
        raise again
    raise RuntimeError(f"{kind}: {text}")
