"""What a runner works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentopt.evaluate import SplitLedger, Splits, Task
from agentopt.llm.ledger import Ledger
from agentopt.llm.types import Client
from agentopt.optim.base import Optimizer, Scored
from agentopt.run.cells import Cells
from agentopt.run.config import RunConfig
from agentopt.run.forecast import CallCost
from agentopt.run.target import Target
from agentopt.store import Store

__all__ = ["Parts", "numbers_of"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects behind a run; ``run.setup`` puts them together."""

    config: RunConfig
    target: Target
    task: Task
    splits: Splits
    optimizer: Optimizer
    store: Store
    ledger: Ledger
    client: Client
    cells: Cells
    splits_ledger: SplitLedger
    prompt: Callable[[str], str]
    cost: CallCost
    """Estimated cost of a cell."""


def numbers_of(scored: Scored) -> dict[str, Any]:
    """Mean, n and interval, as an event tells them."""
    return {"mean": scored.mean, "n": scored.n, "low": scored.low, "high": scored.high}
