"""What a run spent: by role and axis, against its budget, with what is not known told as such."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from agentopt.core.values import AXES, Budget
from agentopt.report.clean import clean
from agentopt.run.files import RunFile

__all__ = ["spending"]


def spending(run: RunFile) -> dict[str, Any]:
    """A row for each role, the sums, the budget, and what stands behind the sums: retries, cache, unreported usage."""
    spent = run.spend()
    unpriced: Counter[str] = Counter()
    counts = dict.fromkeys(("cached", "unreported", "cut", "refused"), 0)
    failures: Counter[str] = Counter()
    for event in run.events("call.received", "call.failed", "call.refused"):
        data: Any = event.data
        if event.type == "call.refused":
            counts["refused"] += 1
            continue
        if event.type == "call.failed":
            failures[str(clean(str(data["error"]), 300))] += 1
            continue
        response = data["response"]
        if response["cached"]:
            counts["cached"] += 1
        else:
            unpriced[data["role"]] += response["usd"] is None
            counts["unreported"] += not response["usage"]["reported"]
        counts["cut"] += response["finish"] == "length"
    rows = []
    for role in ("agent", "optimizer", "judge"):
        axes = spent.get(role, {})
        if axes or role != "judge":
            rows.append({"role": role, "usd_unknown": unpriced[role],
                         **{axis: axes.get(axis, 0.0) for axis in AXES if axis != "seconds"}})  # fmt: skip
    limit = _budget(run).model_dump(exclude_none=True)
    totals: dict[str, float] = defaultdict(float)
    for axes in spent.values():
        for axis, amount in axes.items():
            totals[axis] += amount
    waiting: dict[str, float] = defaultdict(float)
    open_calls = run.store.unanswered()
    for call in open_calls:
        for axis, amount in call["reserved"].items():
            waiting[axis] += amount
    bars = [
        {"axis": axis, "spent": totals[axis], "waiting": waiting[axis], "limit": limit[axis],
         "share": (totals[axis] + waiting[axis]) / limit[axis] if limit[axis] else 1.0}
        for axis in AXES if limit.get(axis) is not None
    ]  # fmt: skip
    return {
        "rows": rows, "totals": dict(totals), "usd_unknown": sum(unpriced.values()), "bars": bars,
        "open": len(open_calls), "failures": failures.most_common(8), "failed": sum(failures.values()), **counts,
    }  # fmt: skip


def _budget(run: RunFile) -> Budget:
    """The budget of the run, with what was added on resuming."""
    budget = run.config.budget
    for event in run.events("run.resumed"):
        budget = budget.plus(Budget.model_validate(event.data.get("add_budget") or {}))
    return budget
