"""The forecast: what a run will need at least, what the budget can buy, and the smallest effect it can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentopt.core.values import Budget
from agentopt.errors import BudgetTooSmall
from agentopt.evaluate import Splits, minimum_detectable
from agentopt.evaluate.clusters import cluster_labels, clusters_of
from agentopt.evaluate.summary import counted
from agentopt.llm.ledger import Amounts
from agentopt.run.config import RunConfig

__all__ = ["CallCost", "Forecast", "dearest", "forecast", "kept_back", "measured"]

NOISE_EXAMPLES = 20
"""The A/A repeat of the baseline takes at most this many examples."""
LEAST_PROPOSALS = 3
"""A budget that cannot pay for the evaluation of this many proposals is refused."""


@dataclass(frozen=True, slots=True)
class CallCost:
    """What a cell costs: estimated before the first call, measured after the baseline."""

    calls: float
    tokens: float
    usd: float | None
    measured: bool = False
    most_tokens: float = 0.0
    """The most that one call may reserve."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Cells by phase, the least that is needed, what is held for the end, and what is left for the search."""

    sizes: tuple[int, int, int]
    """Examples of search, validation and test."""
    cost: CallCost
    cells: dict[str, int]
    """Cells of baseline, noise, three proposals, validation, test."""
    need: Amounts
    held: Amounts
    proposals: int | None
    """Proposals that the budget can evaluate in full; None when nothing limits them."""
    deadline: tuple[float, float] | None
    """Seconds of the budget, and seconds of grace for what is then in flight."""
    clusters: int | None
    """Clusters that the test examples lie in; None where no two share one."""
    detectable: float | None
    """Smallest difference on the test split that is shown with 80 % power (scores 0 and 1, 10 % of examples lost); a
    cluster counts as one example."""

    def lines(self) -> list[str]:
        """What is printed before the first call."""
        search, validation, test = self.sizes
        kind = "measured" if self.cost.measured else "estimated"
        money = "price unknown" if self.cost.usd is None else f"{self.cost.usd:.4f} USD"
        lines = [
            f"examples: {search} search, {validation} validation, {test} test",
            f"a cell costs {self.cost.calls:.1f} calls, {self.cost.tokens:.0f} tokens, {money} ({kind})",
            f"least needed: {told(self.need)} ({', '.join(f'{name} {n}' for name, n in self.cells.items())} cells)",
        ]
        if self.proposals is not None:
            lines.append(f"the budget pays for {self.proposals} proposals if each ran on every search example")
        if self.deadline is not None:
            seconds, grace = self.deadline
            lines.append(f"deadline: {seconds:g} seconds; calls then in flight are given up {grace:g} seconds later")
        where = f"{test} test examples" + (f" in {counted(self.clusters, 'cluster')}" if self.clusters else "")
        if self.detectable is None:
            lines.append(f"{where} are too few to show any difference of scores of 0 and 1")
        else:
            lines.append(f"smallest difference that {where} are likely to show: {self.detectable:.2f}")
        return lines


def told(amounts: Mapping[str, float]) -> str:
    """Amounts in words: ``640 calls, 0.12 usd``."""
    return ", ".join(f"{v:.4f} usd" if axis == "usd" else f"{v:,.0f} {axis}" for axis, v in amounts.items() if v)


def forecast(config: RunConfig, splits: Splits, cost: CallCost, *, remaining: Budget | None = None) -> Forecast:
    """Work out what a run needs; raises ``BudgetTooSmall`` when the budget cannot pay for the least of it.

    The least is: the baseline on the search split, its A/A repeat, three proposals on the search split, the
    finalists and the baseline on the validation split, and both on the test split.
    """
    sizes = search, validation, test = splits.sizes
    repeats = config.repeats
    cells = {
        "baseline": search * repeats,
        "A/A": min(NOISE_EXAMPLES, search),
        "three proposals": LEAST_PROPOSALS * search * repeats,
        "validation": 2 * validation * repeats,
        "test": 2 * test * repeats,
    }
    need = _amounts(sum(cells.values()), cost, optimizer_calls=1)
    held = kept_back(config, sizes, cost)
    budget = remaining if remaining is not None else config.budget
    check = {**need}
    if remaining is not None:  # the baseline is paid for
        check = _amounts(sum(cells.values()) - cells["baseline"], cost, optimizer_calls=1)
    short = [a for a, v in check.items() if (limit := getattr(budget, a)) is not None and v > limit]
    if short:
        wanted = ",".join(f"{a}={check[a]:.0f}" if a != "usd" else f"{a}={check[a]:.2f}" for a in short)
        parts = ", ".join(f"{name} {n}" for name, n in cells.items())
        raise BudgetTooSmall(
            f"the budget {budget} cannot pay for the least that a run needs: it takes {wanted} ({parts} cells at "
            f"{cost.calls:.1f} calls and {cost.tokens:.0f} tokens each); raise it, or use fewer examples (--limit)"
        )
    bought = [
        (limit - need[a] + _amounts(cells["three proposals"], cost).get(a, 0.0)) / per
        for a in need
        if (limit := getattr(config.budget, a)) is not None
        and (per := _amounts(search * repeats, cost).get(a, 0.0)) > 0
    ]
    proposals = int(min(bought)) if bought else None
    deadline = None if config.budget.seconds is None else (config.budget.seconds, config.timeout)
    clusters = len(set(cluster_labels([e.id for e in splits.test], clusters_of(splits.test)))) or None
    detectable = minimum_detectable(clusters or test) if test > 1 else None
    return Forecast(sizes, cost, cells, need, held, proposals, deadline, clusters, detectable)


def kept_back(config: RunConfig, sizes: tuple[int, int, int], cost: CallCost, *, validation: bool = True) -> Amounts:
    """What the search must leave: the test of two candidates, and before it the validation of all finalists.

    Args:
        config: repeats and the number of finalists.
        sizes: examples of search, validation and test.
        cost: of the dearest candidate that may come there.
        validation: False once that is behind.
    """
    _, middle, test = sizes
    cells = 2 * test + ((config.finalists + 1) * middle if validation else 0)
    held = _amounts(cells * config.repeats, cost)
    for axis in ("tokens", "usd"):  # answers differ in length, and the last call must still be reserved in full
        if axis in held:
            held[axis] *= 1.1
    if held["tokens"]:
        held["tokens"] += cost.most_tokens
    return held


def dearest(costs: Sequence[CallCost]) -> CallCost:
    """The most that any of them costs, axis by axis.

    >>> dearest([CallCost(1, 300, 0.1), CallCost(2, 200, None)])
    CallCost(calls=2, tokens=300, usd=None, measured=False, most_tokens=0.0)
    """
    usd = [cost.usd for cost in costs]
    return CallCost(
        calls=max(cost.calls for cost in costs),
        tokens=max(cost.tokens for cost in costs),
        usd=None if any(u is None for u in usd) else max(u or 0.0 for u in usd),
        measured=all(cost.measured for cost in costs),
        most_tokens=max(cost.most_tokens for cost in costs),
    )


def _amounts(cells: float, cost: CallCost, optimizer_calls: int = 0) -> Amounts:
    amounts = {
        "evaluations": float(cells),
        "calls": cells * cost.calls + (optimizer_calls if cost.calls else 0),
        "tokens": cells * cost.tokens,
    }
    if cost.usd is not None:
        amounts["usd"] = cells * cost.usd
    return amounts


def measured(outcomes: Sequence[dict[str, float]], most_tokens: float) -> CallCost | None:
    """The mean cost of cells, from their metrics; None when there are none."""
    if not outcomes:
        return None
    n = len(outcomes)
    usd = [m.get("usd") for m in outcomes]
    return CallCost(
        calls=sum(m.get("calls", 0.0) for m in outcomes) / n,
        tokens=sum(m.get("input_tokens", 0.0) + m.get("output_tokens", 0.0) for m in outcomes) / n,
        usd=None if any(u is None for u in usd) else sum(u or 0.0 for u in usd) / n,
        measured=True,
        most_tokens=most_tokens,
    )
