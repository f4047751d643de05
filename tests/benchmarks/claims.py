"""Claims: how often noise is called an improvement, how often an improvement is found, and what racing saves.

    python tests/benchmarks/claims.py --jobs 2              # 2,000 runs without any effect, 3 x 200 with one
    python tests/benchmarks/claims.py --null 100 --power 20

Every run is a whole optimization through the Runner: baseline, A/A, steps of ask, race and tell, validation, one test.
The model is scripted: whether a prompt is right on an example is a function of run, prompt and example, drawn with the
probability that the prompt was given. Without an effect all prompts have the baseline's. What a full evaluation of
every candidate would have chosen is computed from the same function, without asking. Writes
``docs/results/claims.json`` and ``claims.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import multiprocessing
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import agentopt
from agentopt.core.values import Proposal
from agentopt.evaluate import Example, Task
from agentopt.evaluate.power import mcnemar_power
from agentopt.evaluate.stats import clopper_pearson
from agentopt.llm.types import Request, Response, Usage
from agentopt.run.api import optimize_async
from agentopt.run.files import open_run

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
ALPHA = 0.05
BASE = 0.5
SIZES = {"search": 16, "validation": 8, "test": 30}
STYLE = agentopt.Parameter("Baseline {{question}}", name="style")
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet")


@agentopt.graph
async def answer(question: str) -> Any:
    """One call of the model."""
    return await agentopt.allm(STYLE, question=question)


class Coin:
    """A model that is right on an example with the probability of the prompt: a function of run, prompt and example.

    Args:
        run: number of the run.
        chance: word of a prompt to the probability of a right answer.
    """

    endpoint, price = "scripted/coin", (0.0, 0.0)

    def __init__(self, run: str, chance: dict[str, float]) -> None:
        self.run, self.chance = run, chance

    def right(self, prompt: str, question: str) -> bool:
        """Whether the prompt is right on a question."""
        drawn = hashlib.sha256(f"{self.run}|{prompt}|{question}".encode()).digest()
        return int.from_bytes(drawn[:8], "big") / 2**64 < self.chance.get(prompt, BASE)

    async def complete(self, request: Request) -> Response:
        prompt, question = str(request.messages[-1].content).split()
        text = "yes" if self.right(prompt, question) else "no"
        return Response(text=text, usage=Usage(input_tokens=5, output_tokens=1), usd=0.0, endpoint=self.endpoint)


class Listed:
    """Proposes one prompt after the other."""

    name, at = "listed", 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        words = WORDS[self.at : self.at + n]
        self.at += n
        return [Proposal(candidate=view.baseline.change({"style": f"{word} {{{{question}}}}"})) for word in words]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


async def right(example: Example, output: Any) -> bool:
    """The scorer."""
    return bool(output == example.target)


async def one(run: str, chance: dict[str, float], folder: Path) -> dict[str, Any]:
    """An optimization with three steps of three proposals; what was claimed, and what racing spent."""
    coin = Coin(run, chance)
    examples = [Example(input={"question": f"{run}-{i}"}, target="yes") for i in range(sum(SIZES.values()))]
    task = Task("coin", examples, right).with_split(**SIZES)
    result = await optimize_async(
        answer, task=task, optimizer=Listed(), model=coin, steps=3, proposals=3, patience=9, cache=False,
        runs_dir=str(folder), name="run", invariants_off=("length", "form", "copied", "leak"), max_connections=16,
    )  # fmt: skip
    search = [str(e.input["question"]) for e in task.splits(seed=0).search]  # type: ignore[index,call-overload]
    claim = result.claim
    with open_run(result.dir) as opened:
        steps = [e.data for e in opened.events("step.done")]
        values = {e.candidate.id: str(e.candidate.values["style"]).split()[0] for e in opened.state.archive}
    record: dict[str, Any] = {
        "claimed": claim is not None and claim.shown,
        "tested": claim is not None,
        "verdict": None if claim is None else claim.verdict,
        "chosen": None if result.best is None else str(result.best.values["style"]).split()[0],
        "raced": 0, "full": 0, "steps": 0, "same": 0, "lost": [],
    }  # fmt: skip

    def mean(prompt: str) -> float:
        return sum(coin.right(prompt, q) for q in search) / len(search)

    before = values[result.baseline.id] if result.baseline else ""
    for step in steps:  # what evaluating every candidate on every example would have chosen
        heats: Any = step["heats"]
        raced = [values[h["id"]] for h in heats]
        best = max([before, *raced], key=lambda p: (mean(p), p == before))
        chosen = values[str(step["incumbent"])]
        record["steps"] += 1
        record["raced"] += sum(h["n"] for h in heats)
        record["full"] += len(raced) * len(search)
        record["same"] += mean(chosen) == mean(best)
        record["lost"].append(round(mean(best) - mean(chosen), 6))
        before = chosen
    return record


def part(name: str, numbers: Sequence[int], chance: dict[str, float]) -> list[dict[str, Any]]:
    """Some runs, one after the other, each in a folder that is thrown away."""
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None, prefix="claims-"))
    found = []
    try:
        os.chdir(place)
        for i in numbers:
            found.append(asyncio.run(one(f"{name}{i}", chance, place)))
            shutil.rmtree(place / "run")
    finally:
        os.chdir("/")
        shutil.rmtree(place, ignore_errors=True)
    return found


def many(name: str, n: int, chance: dict[str, float], jobs: int) -> list[dict[str, Any]]:
    """So many runs, in ``jobs`` processes; what comes out does not depend on how many."""
    size = 25
    parts = [range(i, min(i + size, n)) for i in range(0, n, size)]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return [r for found in pool.map(part, [name] * len(parts), parts, [chance] * len(parts)) for r in found]


def share(k: int, n: int) -> str:
    """``0.012 [0.004, 0.027]``: with the exact 95 % interval."""
    if not n:
        return "-"
    low, high = clopper_pearson(k, n)
    return f"{k / n:.4f} [{low:.4f}, {high:.4f}]"


def saving(records: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Share of evaluations that racing saved, with a 95 % interval over runs (ratio, jackknife)."""
    raced, full = (sum(r[k] for r in records) for k in ("raced", "full"))
    total = 1 - raced / full
    n = len(records)
    without = [1 - (raced - r["raced"]) / (full - r["full"]) for r in records]
    spread = math.sqrt((n - 1) / n * sum((w - statistics.fmean(without)) ** 2 for w in without))
    return total, total - 1.96 * spread, total + 1.96 * spread


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    null: list[dict[str, Any]] = result["null"]
    false, tested = sum(r["claimed"] for r in null), sum(r["tested"] for r in null)
    worse = sum(r["verdict"] == "worse" for r in null)
    lines = [
        f"# Claims: {len(null):,} runs without an effect, {sum(len(p['runs']) for p in result['power']):,} with one",
        "",
        f"{result['machine']}; {result['seconds']:.0f} s. Raw: [claims.json](claims.json), made by",
        f"`python tests/benchmarks/claims.py {result['arguments']}`. Each run is a whole optimization: nine",
        f"candidates in three steps, {SIZES['search']} search, {SIZES['validation']} validation, {SIZES['test']} test",
        f"examples, scores of 0 and 1, baseline right with probability {BASE:g}.",
        "Intervals are exact (Clopper and Pearson, 95 %).",
        "",
        "## No effect",
        "",
        "| | runs | share |",
        "| --- | --- | --- |",
        f"| ahead by chance on search and validation, so that the test was made | {tested} of {len(null):,} | "
        f"{share(tested, len(null))} |",
        f"| called better, of all runs | {false} of {len(null):,} | {share(false, len(null))} |",
        f"| called better, of those tested | {false} of {tested:,} | {share(false, tested)} |",
        f"| called worse, of those tested | {worse} of {tested:,} | {share(worse, tested)} |",
        "",
        f"Allowed: {ALPHA / 2:g} of the runs that were tested (the test is two-sided at {ALPHA:g}).",
        "",
        "## A planted effect",
        "",
        "One of the nine candidates is right more often. The forecast is the exact power of McNemar's test.",
        "",
        "| right with | chosen for the test | called better, where tested | forecast | called better, of all runs |",
        "| --- | --- | --- | --- | --- |",
    ]
    for planted in result["power"]:
        runs = planted["runs"]
        hit = [r for r in runs if r["tested"] and r["chosen"] == planted["word"]]
        shown = sum(r["claimed"] for r in hit)
        lines.append(
            f"| {planted['chance']:g} | {share(len(hit), len(runs))} | {share(shown, len(hit))}, n = {len(hit)} | "
            f"{planted['forecast']:.4f} | {share(sum(r['claimed'] for r in runs), len(runs))} |"
        )
    every = [("no effect", null), *((f"right with {p['chance']:g}", p["runs"]) for p in result["power"])]
    lines += [
        "",
        "## What racing saves",
        "",
        "Against the evaluation of every candidate on every search example. The choice is the same when the incumbent",
        "after the step has the highest mean that was to be had.",
        "",
        "| | steps | evaluations saved | same choice | mean lost a step |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, runs in every:
        if not runs:
            continue
        saved, low, high = saving(runs)
        steps, same = sum(r["steps"] for r in runs), sum(r["same"] for r in runs)
        lost = statistics.fmean(v for r in runs for v in r["lost"])
        lines.append(
            f"| {name} | {steps:,} | {saved:.3f} [{low:.3f}, {high:.3f}] | {share(same, steps)} | {lost:.4f} |"
        )
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Run, write the results, and fail when noise was claimed too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--null", type=int, default=2000)
    parser.add_argument("--power", type=int, default=200, help="runs for each planted effect")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    began = time.monotonic()
    word = WORDS[4]
    result: dict[str, Any] = {"null": many("null", args.null, {}, args.jobs), "power": []}
    for chance in (0.7, 0.85, 0.95):
        runs = many(f"p{chance:g}-", args.power, {word: chance}, args.jobs)
        forecast = mcnemar_power(SIZES["test"], (1 - BASE) * chance, BASE * (1 - chance), alpha=ALPHA)
        result["power"].append({"chance": chance, "word": word, "forecast": forecast, "runs": runs})
    result["arguments"] = f"--null {args.null} --power {args.power}"
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result["seconds"] = round(time.monotonic() - began, 1)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "claims.json").write_text(json.dumps(result) + "\n")
    (args.out / "claims.md").write_text(page(result))
    print(page(result))
    verdicts = Counter(r["verdict"] for r in result["null"])
    tested = sum(r["tested"] for r in result["null"])
    if tested and clopper_pearson(verdicts["better"], tested)[0] > ALPHA / 2:
        raise SystemExit(f"noise was called better in {verdicts['better']} of {tested} tests")


if __name__ == "__main__":
    main()
