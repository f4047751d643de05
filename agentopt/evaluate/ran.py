"""What the trace of a program says of how its output came about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Run", "how_it_ran"]


@dataclass(frozen=True, slots=True)
class Run:
    """What a trace says of how a reply came about; None where there is no trace."""

    truncated: bool | None = None
    """Whether the cap of output tokens ended the reply."""
    tools: bool | None = None
    """Whether a tool was used: a model asked for one, or a node says that it is one (``tool=True``)."""

    @property
    def parts(self) -> dict[str, float]:
        """As parts of a feedback; what is not known is none."""
        known = {"truncated": self.truncated, "tools": self.tools}
        return {name: float(value) for name, value in known.items() if value is not None}


def how_it_ran(trace: Any, output: Any = None) -> Run:
    """Whether the reply was cut, and whether tools were used, from the trace of the program.

    The reply is the last answer of a model that is the ``output``, else the last answer of all. A program that computes
    in a plain function without saying so cannot be told from one that does not.
    """
    if trace is None:
        return Run()
    last, same, tools = None, None, False
    for node in trace.nodes:
        meta = node.meta
        if meta.kind == "llm":
            last = meta
            if isinstance(output, str) and output in (node.value, getattr(node.value, "text", None)):
                same = meta
            asked = getattr(node.value, "tool_calls", ()) or meta.more.get("finish") == "tool_calls"
            tools = tools or bool(asked)
        tools = tools or bool(meta.more.get("tool"))
    reply = same or last
    return Run(reply is not None and reply.more.get("finish") == "length", tools)
