"""The kernel: nodes, parameters, decorators, handlers, graphs and feedback.

Reading order: ``cell`` (what a node remembers), ``node`` and ``arithmetic`` (operators), ``scope`` (where the program
is), ``call`` and ``decorators`` (traced calls), ``handlers``, ``parameter`` and ``constraints``, ``graphs``,
``feedback``. The value types of the layers above (``Budget``, ``Candidate``, ``Feedback``, ...) are in ``values``,
loaded when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentopt.core.arithmetic import eq
from agentopt.core.cell import Meta, Parent
from agentopt.core.constraints import placeholders
from agentopt.core.decorators import NodeFunction, graph, node, trainable
from agentopt.core.feedback import Given, zero_feedback
from agentopt.core.graphs import Edge, Graph, Record
from agentopt.core.handlers import Block, Call, Escape, Exec, Handler, Override, Replay, Seed, Trace, rng
from agentopt.core.node import Node, add_op, attr, wants_node
from agentopt.core.parameter import Parameter
from agentopt.core.scope import copy_context, current_path, live_agent, next_place, open_run, require_run, tracing
from agentopt.core.template import render
from agentopt.core.walk import parameters

if TYPE_CHECKING:
    from agentopt.core.values import Budget, Candidate, Feedback, Outcome, Proposal

__all__ = [
    "Block",
    "Budget",
    "Call",
    "Candidate",
    "Edge",
    "Escape",
    "Exec",
    "Feedback",
    "Given",
    "Graph",
    "Handler",
    "Meta",
    "Node",
    "NodeFunction",
    "Outcome",
    "Override",
    "Parameter",
    "Parent",
    "Proposal",
    "Record",
    "Replay",
    "Seed",
    "Trace",
    "add_op",
    "attr",
    "copy_context",
    "current_path",
    "eq",
    "graph",
    "live_agent",
    "next_place",
    "node",
    "open_run",
    "parameters",
    "placeholders",
    "render",
    "require_run",
    "rng",
    "tracing",
    "trainable",
    "wants_node",
    "zero_feedback",
]

_VALUES = frozenset({"Budget", "Candidate", "Feedback", "Outcome", "Proposal"})


def __getattr__(name: str) -> Any:
    if name in _VALUES:
        from agentopt.core import values

        return getattr(values, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
