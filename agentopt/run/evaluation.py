"""One candidate on whole splits: what ``evaluate`` does once its parts are together."""

from __future__ import annotations

from collections.abc import Sequence

from agentopt.core.values import Candidate, Outcome
from agentopt.errors import BudgetExhausted
from agentopt.evaluate.splits import SplitName
from agentopt.run.cells import Cell
from agentopt.run.finals import touch
from agentopt.run.parts import Parts

__all__ = ["score", "split_names"]


def split_names(split: str) -> tuple[SplitName, ...]:
    """The splits that ``split`` means: itself, or all three."""
    known: tuple[SplitName, ...] = ("search", "validation", "test")
    return tuple(name for name in known if split in (name, "all"))


async def score(parts: Parts, candidate: Candidate, splits: Sequence[SplitName]) -> list[Outcome]:
    """Evaluate a candidate on splits; when the budget ends on the way, what was committed comes back."""
    store = parts.store
    await store.append("baseline", {"candidate": candidate.model_dump(mode="json")})
    for name in splits:
        touch(parts, name, "evaluate")
    cells = [
        Cell(candidate, example, name, repeat)
        for name in splits
        for example in parts.splits[name]
        for repeat in range(parts.config.repeats)
    ]
    status = "evaluated"
    try:
        outcomes = await parts.cells.run(cells)
    except BudgetExhausted as end:
        status, outcomes = "budget", parts.cells.committed(cells)
        await store.append("budget.exhausted", {"axis": end.axis, "message": str(end)})
    await store.append("run.finished", {"status": status, "spend": parts.ledger.by_role()})
    return outcomes
