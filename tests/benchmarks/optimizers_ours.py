"""Our optimizers, through the front door: ``agentopt.optimize`` on texts, ask and tell on numbers. And the test."""

from __future__ import annotations

import asyncio
import io
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numerical
from optimizers_counting import Clients, Counts, total
from optimizers_protocol import Cell, Data, Sizes, method, optimizer_model

from agentopt.core.values import Budget, Outcome
from agentopt.evaluate.summary import example_scores
from agentopt.run.api import evaluate_async, optimize_async


@dataclass
class Found:
    """What a search ended with."""

    values: dict[str, Any]
    """The parameters that it chose."""
    ended: str
    """Why it ended."""
    counts: Counts = field(default_factory=Counts)
    seconds: float = 0.0
    score: float | None = None
    """Of what it chose, where it chose: on the validation split."""
    outcomes: dict[str, float] | None = None
    """Numbers only, where nothing is tested: best score by problem."""
    more: dict[str, Any] = field(default_factory=dict)


async def search_texts(cell: Cell, data: Data, sizes: Sizes, clients: Clients) -> Found:
    """One run of ours on a text task. It has no test split: the test is the benchmark's, the same for all."""
    chosen = method(cell.method)
    counts = Counts({"agent": sizes.agent_calls, "optimizer": sizes.optimizer_calls})
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agentopt-bench-") as folder:
        result = await optimize_async(
            data.agent(),
            task=data.task,
            optimizer=chosen.name,
            optimizer_args=chosen.options,
            parameters=("instruction", "demos") if "demos" in chosen.slot else ("instruction",),
            model=await clients.counted(data.spec.model, counts, "agent"),
            optimizer_model=await clients.counted(optimizer_model(cell.task), counts, "optimizer"),
            budget=Budget(evaluations=sizes.agent_calls, seconds=sizes.seconds),
            seed=cell.seed,
            proposals=sizes.proposals,
            patience=sizes.patience,
            finalists=sizes.finalists,
            max_tokens=data.spec.max_tokens,
            optimizer_max_tokens=sizes.optimizer_tokens,
            cache=False,
            progress=False,
            runs_dir=folder,
            name="run",
        )
    best = result.best or result.baseline
    assert best is not None
    scores = {s.candidate.id: s.mean for s in result.archive}
    more = {"candidates": len(result.archive), "search": scores.get(best.id), "status": result.status}
    return Found(start_values(data) | dict(best.values), result.reason, counts, time.monotonic() - began, more=more)


async def search_numbers(cell: Cell, sizes: Sizes, clients: Clients) -> Found:
    """One of ours on all numerical problems, each with as many candidates and answers of the model as anybody."""
    chosen = method(cell.method)
    numerical.METHODS.setdefault(f"core/{chosen.name}", (chosen.name, chosen.options))
    accounts = [Counts({"optimizer": sizes.optimizer_calls}) for _ in range(sizes.problems)]
    began = time.monotonic()
    slots = asyncio.Semaphore(8)

    async def one(problem: int) -> Mapping[str, Any]:
        searched = numerical.Cell(f"core/{chosen.name}", problem, cell.seed)
        async with slots:
            client = await clients.counted(optimizer_model(cell.task), accounts[problem], "optimizer")
            counter = numerical.Counter(client, optimizer_model(cell.task))
            return await numerical.search(searched, counter, sizes.evaluations, 2, io.StringIO(), by_answers=True)

    rows = await asyncio.gather(*map(one, range(sizes.problems)))
    return Found(
        {},
        "; ".join(_ended(row, sizes) for row in rows),
        total(accounts),
        time.monotonic() - began,
        outcomes={str(p): row["best"][-1] for p, row in enumerate(rows)},
        more={"solved": sum(row["solved"] for row in rows), "used": [row["used"] for row in rows]},
    )


def _ended(row: Mapping[str, Any], sizes: Sizes) -> str:
    """Why the search on a numerical problem ended, in the words of peers' scripts."""
    if row["solved"] or row["used"] >= sizes.evaluations:
        return "solved" if row["solved"] else "candidates used"
    return "answers used" if row["calls"] else "nothing new five times"


async def test(
    data: Data, values: Mapping[str, Any], clients: Clients, counts: Counts, again: bool
) -> dict[str, float]:
    """Scores by example of the agent with these values, on the test split: the same code for everybody's.

    ``again``: nothing that was answered before is given again.
    """
    model = await clients.counted(data.spec.model, counts, "agent", again)
    with tempfile.TemporaryDirectory(prefix="agentopt-bench-") as folder:
        report = await evaluate_async(
            data.agent(), task=data.whole, split="test", values=dict(values), model=model, seed=0,
            max_tokens=data.spec.max_tokens, cache=False, progress=False, runs_dir=Path(folder), name="test",
        )  # fmt: skip
    return scored(report.outcomes, data)


def scored(outcomes: tuple[Outcome, ...], data: Data) -> dict[str, float]:
    """Scores by example id, an agent's failure as the lowest.

    Raises:
        RuntimeError: an example has no score, for a reason that is not the agent's; the cell is run again.
    """
    found = example_scores(list(outcomes), data.whole.score_range)
    missing = {e.id for e in data.test} - found.keys()
    if missing:
        raise RuntimeError(f"{len(missing)} of {len(data.test)} test examples have no score: {sorted(missing)[:3]}")
    return {str(k): float(v) for k, v in found.items()}


def start_values(data: Data) -> dict[str, Any]:
    """What every search starts from."""
    return {"instruction": data.start, "demos": []}
