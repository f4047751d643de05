"""The trace of a cell that was run before, as a scorer reads one: from the graph that its run keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agentopt.core.graphs import Graph, Record

__all__ = ["PastNode", "PastTrace"]


@dataclass(frozen=True, slots=True)
class PastNode:
    """A node of it: ``value`` is JSON (or the repr of what JSON cannot hold), ``meta`` the record."""

    meta: Record

    @property
    def value(self) -> Any:
        """What it held."""
        return self.meta.value


@dataclass(frozen=True)
class PastTrace:
    """A kept graph with the names of a ``Trace``: ``nodes``, ``output``, ``graph``.

    >>> from agentopt.core import Node, Trace
    >>> with Trace() as trace:
    ...     y = Node(2, name="x") + 1
    >>> [(node.meta.name, node.value) for node in PastTrace(trace.graph).nodes]
    [('x', 2), ('add', 3)]
    """

    graph: Graph = field(repr=False)

    @cached_property
    def nodes(self) -> list[PastNode]:
        """In the order of their making."""
        return [PastNode(record) for record in self.graph.nodes]

    @property
    def output(self) -> PastNode | None:
        """The node that the score was about."""
        id_ = self.graph.output
        return None if id_ is None else PastNode(self.graph[id_])
