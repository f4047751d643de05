"""Exceptions as data: the text that an optimizer reads, with the failing line marked, and the exception users catch."""

from __future__ import annotations

import functools
import linecache
from collections.abc import Hashable
from types import TracebackType, WrapperDescriptorType
from typing import Any, cast

from agentopt.core.cell import Cell, place
from agentopt.errors import AgentOptError, NodeError

__all__ = ["describe", "passes", "wrap"]

_KERNEL = __file__.rpartition("failure.py")[0]
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


def _frames(traceback: TracebackType | None) -> Any:
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
