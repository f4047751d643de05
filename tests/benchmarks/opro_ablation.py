"""OPRO's ablations on a small scale: history order, scores shown, number of exemplars (section 5.3 of the paper).

    python tests/benchmarks/opro_ablation.py --model local/qwen2.5-coder-0.5b --optimizer-model local/qwen2.5-coder-1.5b

Each arm changes one option of the defaults (ascending, 100 buckets, 3 exemplars) and is run with the same seeds, as
an ordinary run in which every candidate is evaluated on all search examples. Runs lie below ``--runs``; finished ones
are lines of ``opro_ablation.jsonl``, one that was cut is resumed. ``opro_ablation.md`` and ``.json`` hold the table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_search import Row, finished

from agentopt.core.values import digest
from agentopt.evaluate import interval
from agentopt.evaluate.stats import paired_permutation
from agentopt.run.api import optimize_async, resume_async
from agentopt.run.result import Result

BASE = "defaults"
ARMS: dict[str, dict[str, Any]] = {
    BASE: {},
    "order: descending": {"order": "descending"},
    "order: random": {"order": "random"},
    "scores: 20 buckets": {"scores": 20},
    "scores: none": {"scores": "none"},
    "exemplars: none": {"exemplars": 0},
    "exemplars: 10": {"exemplars": 10},
}
PAPER = {
    "order: descending": "worse",
    "order: random": "worse",
    "scores: 20 buckets": "slightly worse",
    "scores: none": "worse",
    "exemplars: none": "worse",
    "exemplars: 10": "slightly worse",
}
"""What the paper reports against the defaults; it has curves only, no numbers."""
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def key_of(arm: str, seed: int, options: argparse.Namespace) -> str:
    """What a line of the raw file stands for."""
    names = ("graph", "task", "parameters", "model", "optimizer_model", "limit", "steps", "samples", "style")
    return json.dumps([arm, seed, *(getattr(options, name) for name in names)])


def folder_of(arm: str, seed: int, options: argparse.Namespace) -> str:
    """The name of a run: one with other models or sizes is another run, and is not gone on with."""
    return f"{arm}-{seed}-{digest(key_of(arm, seed, options))[:8]}".replace(": ", "-").replace(" ", "-")


async def one(arm: str, seed: int, options: argparse.Namespace, clients: Mapping[str, Any] | None) -> Result:
    """Make a run, or go on with the one that is there."""
    name = folder_of(arm, seed, options)
    given: dict[str, Any] = {"clients": clients} if clients else {}
    if (Path(options.runs) / name / "run.sqlite").exists():
        result = await resume_async(Path(options.runs) / name, runs_dir=options.runs, progress=False, **given)
        assert isinstance(result, Result)
        return result
    return await optimize_async(
        options.graph, task=options.task, parameters=tuple(options.parameters), seed=seed, limit=options.limit,
        model=options.model, optimizer_model=options.optimizer_model, optimizer="opro", name=name,
        optimizer_args={"samples": options.samples, "style": options.style, "max_tokens": 200, **ARMS[arm]},
        proposals=options.samples, steps=options.steps, patience=options.steps + 1, minibatch=10**6,
        runs_dir=options.runs, progress=False, **given,
    )  # fmt: skip


def curve(result: Result, steps: int) -> list[float]:
    """Score of the baseline on the search split, then of the best so far after each step."""
    size = result.archive[0].n
    best = [result.archive[0].mean or 0.0]
    for step in range(steps):
        new = [s.mean for s in result.archive if s.step == step and s.mean is not None and s.n == size and s.operator]
        best.append(max([best[-1], *new]))
    return best


async def measure(options: argparse.Namespace, clients: Mapping[str, Any] | None = None) -> list[Row]:
    """All runs that are not there yet, seed by seed; none is begun after ``minutes``."""
    path = Path(options.out) / "opro_ablation.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done, end, rows = finished(path), time.monotonic() + 60 * options.minutes, []
    for seed in range(options.seeds):
        for arm in ARMS:
            key = key_of(arm, seed, options)
            if key not in done:
                if time.monotonic() > end:
                    continue
                began = time.monotonic()
                result = await one(arm, seed, options, clients)
                best = curve(result, options.steps)
                row: Row = {
                    "key": key, "arm": arm, "seed": seed, "curve": best, "n": result.archive[0].n,
                    "candidates": len(result.archive) - 1, "asked": options.samples * options.steps,
                    "calls": {role: spent.get("calls", 0) for role, spent in result.spend.items()},
                    "best": None if result.best is None else dict(result.best.values),
                    "seconds": round(time.monotonic() - began, 1),
                }  # fmt: skip
                with path.open("a") as raw:
                    raw.write(json.dumps(row, ensure_ascii=False) + "\n")
                done[key] = row
                print(f"{arm}, seed {seed}: {best[0]:.3f} -> {best[-1]:.3f}, {row['candidates']} candidates, "
                      f"{row['seconds']} s", flush=True)  # fmt: skip
            rows.append(done[key])
    return rows


def summarise(rows: Sequence[Row], options: argparse.Namespace) -> dict[str, Any]:
    """Gain over the start at the end and on the average of the steps, and both paired with the defaults."""

    def gains(arm: str) -> dict[int, tuple[float, float]]:
        mine = {row["seed"]: row["curve"] for row in rows if row["arm"] == arm}
        return {seed: (c[-1] - c[0], statistics.fmean(c[1:]) - c[0]) for seed, c in mine.items()}

    base, table = gains(BASE), []
    for arm in ARMS:
        mine = gains(arm)
        if not mine:
            continue
        row: Row = {"arm": arm, "runs": len(mine), "paper": PAPER.get(arm, "")}
        used = [r["candidates"] / r["asked"] for r in rows if r["arm"] == arm]
        row["used"] = statistics.fmean(used)
        for at, name in enumerate(("final", "mean")):
            values = [g[at] for g in mine.values()]
            row[name] = _estimate(values)
            pairs = [mine[seed][at] - base[seed][at] for seed in mine if seed in base]
            if arm != BASE and len(pairs) > 1:
                row[f"{name} difference"] = [*_estimate(pairs), paired_permutation(pairs)]
        table.append(row)
    names = ("graph", "task", "parameters", "model", "optimizer_model", "limit", "steps", "samples", "seeds", "style")
    setup = {name: getattr(options, name) for name in names}
    setup["machine"] = f"{os.cpu_count()} cores, {platform.machine()}"
    return {"setup": setup, "n": rows[0]["n"] if rows else 0, "table": table}


def _estimate(values: Sequence[float]) -> list[float | None]:
    """Mean and 95 % interval; of one value there is none."""
    ends = interval(values, (-1.0, 1.0)) if len(values) > 1 else (None, None)
    return [statistics.fmean(values), *ends]


def markdown(summary: Mapping[str, Any]) -> str:
    """The page."""
    s = summary["setup"]
    out = [
        "# Ablations of OPRO",
        "",
        f"One option changed at a time; task `{s['task']}`, agent `{s['graph']}` with `{s['model']}`, optimizer "
        f"`{s['optimizer_model']}`, meta-prompt `{s['style']}`, {s['steps']} steps of {s['samples']} samples, every "
        f"candidate on the same {summary['n']} search examples of its seed, on {s['machine']}. Gains are in the search "
        "score, over the start, with 95 % intervals over runs; differences are to the defaults with the same seed "
        "(permutation test). With so few runs most intervals hold zero: read them, not the means. The paper's column "
        "is what it shows by curves. `python tests/benchmarks/opro_ablation.py` makes this page.",
        "",
        "| arm | runs | gain at the end | difference | gain, mean of the steps | difference | candidates used "
        "| in the paper |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in summary["table"]:
        cells = [row["arm"], str(row["runs"])]
        for name in ("final", "mean"):
            cells += [_told(row[name]), _told(row.get(f"{name} difference"))]
        out.append("| " + " | ".join([*cells, f"{row['used']:.0%}", row["paper"]]) + " |")
    return "\n".join(out) + "\n"


def _told(numbers: Sequence[float | None] | None) -> str:
    if numbers is None or numbers[0] is None:
        return ""
    ends = "" if numbers[1] is None else f" [{numbers[1]:+.3f}, {numbers[2]:+.3f}]"
    return f"{numbers[0]:+.3f}{ends}" + (f", p = {numbers[3]:.2f}" if len(numbers) > 3 else "")


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b", help="the agent's model")
    parser.add_argument("--optimizer-model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--graph", default="sorter")
    parser.add_argument("--task", default="mail")
    parser.add_argument("--parameters", nargs="*", default=["sorter"], help="search only these")
    parser.add_argument("--limit", type=int, default=96, help="examples over all splits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--samples", type=int, default=8, help="answers, and candidates at most, a step")
    parser.add_argument("--style", default="full")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no run after so many minutes")
    parser.add_argument("--runs", default="runs/opro_ablation", help="folder of the runs")
    parser.add_argument("--out", default=str(RESULTS), help="folder of opro_ablation.jsonl, .json and .md")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, clients: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Measure and write the page; with other clients than the models', for tests."""
    summary = summarise(await measure(options, clients), options)
    (Path(options.out) / "opro_ablation.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    (Path(options.out) / "opro_ablation.md").write_text(markdown(summary))
    return summary


if __name__ == "__main__":
    print("\n" + markdown(asyncio.run(run(arguments()))))
