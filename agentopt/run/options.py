"""The keywords of ``optimize`` and ``evaluate``, as editors and type checkers see them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from agentopt.core.values import Budget
from agentopt.llm.types import Client
from agentopt.optim.base import Optimizer

__all__ = ["Options"]


class Options(TypedDict, total=False):
    """Fields of ``RunConfig``, which says what each means, and ``clients``: ready clients by model string.

    Models and optimizers may be objects here.
    """

    parameters: Sequence[str]
    task_args: Mapping[str, Any]
    optimizer: str | Optimizer
    optimizer_args: Mapping[str, Any]
    budget: str | Budget
    model: str | Client | None
    optimizer_model: str | Client | None
    judge_model: str | Client | None
    prices: Mapping[str, tuple[float, float]]
    limit: int | None
    repeats: int
    seed: int
    max_connections: int
    sandbox: str
    allow_weak_sandbox: bool
    code_timeout: float
    timeout: float
    proposals: int
    steps: int | None
    patience: int
    minibatch: int | None
    invariants_off: str | Sequence[str]
    frozen: str | Sequence[str]
    finalists: int
    max_tokens: int
    optimizer_max_tokens: int | None
    temperature: float | None
    cache: bool
    runs_dir: str | os.PathLike[str]
    name: str | None
    clients: Mapping[str, Client]
