"""agentopt makes LLM programs better from feedback.

Write an agent as plain Python, mark what may change, say how results are judged::

    from agentopt import graph, llm, prompt

    SOLVER = prompt("solver")  # prompts/solver.md

    @graph
    def solve(problem: str) -> str:
        return llm(SOLVER, problem=problem)

then ``agentopt optimize solve --task arithmetic --budget calls=200``, or `agentopt.optimize` from Python.

Importing this module imports nothing else: every name below is loaded when it is first used (PEP 562). Two of them,
``llm`` and ``evaluate``, are packages that can be called: ``agentopt.llm(...)`` is ``agentopt.llm.call.llm(...)``.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentopt.core import (
        Node,
        Override,
        Parameter,
        Replay,
        Trace,
        attr,
        copy_context,
        eq,
        graph,
        node,
        parameters,
        render,
        trainable,
    )
    from agentopt.core.values import Budget, Candidate, Feedback, Proposal
    from agentopt.errors import AgentOptError, BudgetExhausted, NodeError, UsageError
    from agentopt.evaluate import Example, Task, exact, from_metric, numeric, task
    from agentopt.llm.call import allm, llm
    from agentopt.llm.gateway import gateway
    from agentopt.optim.frontdoor import OptoPrime
    from agentopt.run.api import Result, evaluate, optimize, optimize_async, resume, resume_async
    from agentopt.run.config import RunConfig
    from agentopt.run.deploy import load
    from agentopt.run.evaluation import evaluate_async
    from agentopt.run.replay import replay
    from agentopt.workspace import load_graph, load_task, prompt

__version__ = "0.1.0"

_HOMES = {
    "agentopt.core": (
        "Node Override Parameter Replay Trace attr copy_context eq graph node parameters render trainable"
    ),
    "agentopt.core.values": "Budget Candidate Feedback Proposal",
    "agentopt.errors": "AgentOptError BudgetExhausted NodeError UsageError",
    "agentopt.evaluate": "Example Task exact from_metric numeric task",
    "agentopt.llm.call": "allm llm",
    "agentopt.llm.gateway": "gateway",
    "agentopt.optim.frontdoor": "OptoPrime",
    "agentopt.run.api": "Result evaluate optimize optimize_async resume resume_async",
    "agentopt.run.config": "RunConfig",
    "agentopt.run.deploy": "load",
    "agentopt.run.evaluation": "evaluate_async",
    "agentopt.run.replay": "replay",
    "agentopt.workspace": "load_graph load_task prompt",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}
_CALLABLE = {"llm", "evaluate"}

__all__ = [
    "AgentOptError",
    "Budget",
    "BudgetExhausted",
    "Candidate",
    "Example",
    "Feedback",
    "Node",
    "NodeError",
    "OptoPrime",
    "Override",
    "Parameter",
    "Proposal",
    "Replay",
    "Result",
    "RunConfig",
    "Task",
    "Trace",
    "UsageError",
    "allm",
    "attr",
    "copy_context",
    "eq",
    "evaluate",
    "evaluate_async",
    "exact",
    "from_metric",
    "gateway",
    "graph",
    "llm",
    "load",
    "load_graph",
    "load_task",
    "node",
    "numeric",
    "optimize",
    "optimize_async",
    "parameters",
    "prompt",
    "render",
    "replay",
    "resume",
    "resume_async",
    "task",
    "trainable",
]


class _CallableModule(ModuleType):
    """A sub-package whose name is also a function: calling it calls the function of that name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(importlib.import_module(_HOME[name]), name)(*args, **kwargs)


class _Package(ModuleType):
    """This module. It makes the sub-packages in ``_CALLABLE`` callable as the import system binds them."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _CALLABLE and type(value) is ModuleType:
            value.__class__ = _CallableModule
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in _CALLABLE:
        return importlib.import_module(f"agentopt.{name}")
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'agentopt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})


sys.modules[__name__].__class__ = _Package
