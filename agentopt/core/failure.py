"""Exceptions as data: the text that an optimizer reads, with the failing line marked, and the exception users catch."""

from __future__ import annotations

import functools
import linecache
import os
import traceback as tracebacks
from collections.abc import Hashable, Iterator
from types import CodeType, TracebackType, WrapperDescriptorType
from typing import Any, cast

from agentopt.core.cell import Cell, place
from agentopt.errors import AgentOptError, NodeError

__all__ = ["describe", "passes", "printed", "wrap"]

_KERNEL = __file__.rpartition("failure.py")[0]
_HOUSE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_SHIPPED = _HOUSE + "_workspace" + os.sep
_AROUND = 20


def describe(exc: BaseException) -> str:
    """What went wrong, where, and the source of the innermost function with the failing line marked ``>>>``."""
    told = getattr(exc, "__agentopt_told__", None)
    if isinstance(told, str):  # by a sandbox, which has seen the source that failed
        return told
    lines = [f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__]
    frames = list(_frames(exc.__traceback__))
    for code, line in frames[:-1][-10:]:
        lines.append(f"called from {place(code.co_filename, line)} in {code.co_name}")
    if frames:
        code, line = frames[-1]
        lines.append(f"at {place(code.co_filename, line)} in {code.co_name}")
        last = max((at for _, _, at in code.co_lines() if at is not None), default=line)
        first = max(code.co_firstlineno, line - _AROUND)
        for number in range(first, min(last, line + _AROUND) + 1):
            text = linecache.getline(code.co_filename, number, {"__name__": ""}).rstrip()
            if text or number == line:
                lines.append(f"{'>>>' if number == line else '   '} {number:4d} | {text}")
    return "\n".join(lines)


def printed(exc: BaseException) -> str:
    """An exception as Python prints it, without the frames of this library; what happened inside a node is one story.

    AGENTOPT_TRACEBACK keeps them.

    >>> from agentopt.core import graph, node
    >>> @node
    ... def half(x):
    ...     return x / 0
    >>> @graph
    ... def solve(x):
    ...     return half(x)
    >>> try:
    ...     solve(1)
    ... except ZeroDivisionError as exc:
    ...     text = printed(exc)
    >>> [line.partition("in ")[2] for line in text.splitlines() if "File" in line], text.splitlines()[-1]
    (['<module>', 'solve', 'half'], 'ZeroDivisionError: division by zero')
    """
    told = tracebacks.TracebackException.from_exception(exc)
    if not os.environ.get("AGENTOPT_TRACEBACK"):
        told = _told(exc, set())
    return "".join(told.format()).rstrip()


def _told(exc: BaseException, seen: set[int]) -> tracebacks.TracebackException:
    steps = _outside(exc)
    while isinstance(exc, NodeError) and exc.__cause__ is not None:
        exc = exc.__cause__
        steps += _outside(exc)
    seen.add(id(exc))
    told = tracebacks.TracebackException(type(exc), exc, None)
    told.stack = tracebacks.StackSummary.from_list(steps)
    for name in ("__cause__", "__context__"):
        other = getattr(exc, name)
        known = other is None or id(other) in seen
        setattr(told, name, None if known else _told(other, seen))
    if isinstance(exc, BaseExceptionGroup):
        told.exceptions = [_told(one, seen) for one in exc.exceptions]
    return told


def _outside(exc: BaseException) -> list[tracebacks.FrameSummary]:
    """The steps of a traceback that are not in this library; the graphs that it ships count as a user's."""
    steps = tracebacks.extract_tb(exc.__traceback__)
    return [s for s in steps if not s.filename.startswith(_HOUSE) or s.filename.startswith(_SHIPPED)]


def _frames(traceback: TracebackType | None) -> Iterator[tuple[CodeType, int]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(_KERNEL):
            yield code, traceback.tb_lineno
        traceback = traceback.tb_next


def passes(exc: Exception) -> bool:
    """Whether an exception is passed on as it is: our own errors (a usage mistake, the end of a budget) are."""
    return isinstance(exc, AgentOptError)


def wrap(exc: Exception, node: Cell) -> Exception:
    """The exception to raise for ``exc``: a ``NodeError`` that is also of ``exc``'s own type where Python allows it,
    so that ``except ValueError`` around a node goes on working.
    """
    message = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    text = f"{message} (in node {node._n_path or node._n_op.name})"
    try:
        kind = _joined(cast("Hashable", type(exc)))
        both = kind.__new__(kind, *exc.args)
        if isinstance(type(exc).__init__, WrapperDescriptorType):
            type(exc).__init__(both, *exc.args)
        both.__dict__.update(vars(exc), node=node)
        both.args = exc.args
        both.add_note(text)
    except (TypeError, AttributeError):
        return NodeError(text, node)
    return both  # type: ignore[no-any-return]


@functools.lru_cache(maxsize=64)
def _joined(kind: type[Exception]) -> Any:
    return type(f"{kind.__name__}InNode", (NodeError, kind), {"__module__": __name__, "__str__": kind.__str__})
