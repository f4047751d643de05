"""OPRO on the paper's linear regression and TSP with a local model, beside random search and classical solvers.

    python tests/benchmarks/opro_numbers.py --model local/qwen2.5-coder-1.5b

Every search that has ended is a line of ``opro_numbers.jsonl``, and every answer is kept (``--answers``), so the same
command goes on where it was stopped.
``opro_numbers.md`` and ``opro_numbers.json`` hold the tables, with the paper's own numbers beside (Yang et al. 2024,
tables 2 and 3). Problems, starts, history, samples and the end of a search are the paper's; the model is not, and the
number of repetitions and steps is given in the page.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_search import Counter, Problem, Row, finished, search

from agentopt.llm.cache import Cache, ResponseCache
from agentopt.llm.providers import resolve
from agentopt.optim.registry import make

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "OPRO": ("opro", {"starts": 0, "max_tokens": 200}),
    "OPRO, meta-prompt of the paper": ("opro", {"starts": 0, "max_tokens": 256, "style": "paper"}),
    "random search": ("random", {}),
}
LINES: dict[tuple[int, int], tuple[str, str, str]] = {
    (15, 14): ("inside", "5.8 / 7.6 / 4.0", "40.0 / 36.0 / 17.2"),
    (17, 17): ("inside", "4.0 / 12.6 / 6.0", "33.4 / 53.8 / 26.0"),
    (16, 10): ("inside", "3.8 / 10.4 / 6.2", "30.2 / 42.8 / 24.2"),
    (3, 5): ("near outside", "9.8 / 10.8 / 12.2", "55.8 / 39.6 / 33.0"),
    (25, 23): ("near outside", "19.6 / 26.4 / 12.2", "104.0 / 78.6 / 44.2"),
    (2, 30): ("far outside", "31.4 / 42.8 / 38.0", "126.4 / 125.6 / 99.0"),
    (36, -1): ("far outside", "35.8 / 45.4 / 50.4", "174.0 / 142.2 / 116.4"),
}
"""The true pairs of the paper: where they lie, and its steps and pairs explored (text-bison, gpt-3.5-turbo, gpt-4)."""
TOURS = {10: "0.0 / 0.0 / 0.0", 15: "4.4 / 1.2 / 0.2", 20: "30.4 / 4.4 / 1.4", 50: "219.8 / 133.0 / 11.0"}
"""Optimality gaps of the paper, in percent (text-bison, gpt-3.5-turbo, gpt-4)."""
GRAPHS = {10: "tour", 15: "tour_15", 20: "tour_20", 50: "tour_50"}
RESULTS = Path(__file__).parents[2] / "docs" / "results"


def problems(options: argparse.Namespace) -> list[Problem]:
    """Line and tour problems, repetition by repetition, so that a run that is cut has all kinds."""
    found = []
    for rep in range(max(options.reps, options.instances)):
        if rep < options.reps:
            found += [
                Problem("linear_regression", (("w", w), ("b", b), ("seed", rep + 1)), "line", rep) for w, b in LINES
            ]
        if rep < options.instances:
            found += [Problem("tsp", (("n", n), ("seed", rep + 1)), GRAPHS[n], rep) for n in options.points]
    return found


def key_of(problem: Problem, method: str, options: argparse.Namespace) -> str:
    """What a line of the raw file stands for."""
    steps = options.steps if problem.task == "linear_regression" else options.tour_steps
    model = "" if METHODS[method][0] == "random" else options.model
    return json.dumps([problem.task, problem.args, problem.rep, method, steps, options.proposals, model])


async def measure(options: argparse.Namespace, client: Any) -> list[Row]:
    """All searches that are not there yet, some at once; none is begun after ``minutes``."""
    path = Path(options.out) / "opro_numbers.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done, end = finished(path), time.monotonic() + 60 * options.minutes
    searches, calls = asyncio.Semaphore(options.at_once), asyncio.Semaphore(16)
    with path.open("a") as raw:

        async def one(problem: Problem, method: str) -> Row | None:
            key = key_of(problem, method, options)
            if key in done:
                return done[key]
            async with searches:
                if time.monotonic() > end:
                    return None
                name, settings = METHODS[method]
                if name == "opro":
                    settings = {**settings, "samples": options.proposals}
                steps = options.steps if problem.task == "linear_regression" else options.tour_steps
                llm = Counter(client, options.model, calls)
                result = await search(problem, make(name, **settings), llm, steps, options.proposals)
            row = {"key": key, "task": problem.task, "args": dict(problem.args), "rep": problem.rep, "method": method}
            raw.write(json.dumps(row | result) + "\n")
            raw.flush()
            told = "solved" if result["solved"] else f"best {result['best'][-1]:.3f}"
            print(
                f"{problem.task} {dict(problem.args)} {method}: {told} in {result['steps']} steps, "
                f"{result['explored']} explored, {result['useless']} of {result['calls']} answers of no use, "
                f"{result['seconds']} s", flush=True,
            )  # fmt: skip
            return row | result

        rows = await asyncio.gather(
            *(one(problem, method) for problem in problems(options) for method in options.methods)
        )
    return [row for row in rows if row is not None]


def spread(values: Sequence[float], error: bool = False) -> str:
    """Mean and standard deviation (``error``: standard error); a dash for none.

    >>> spread([1.0, 3.0]), spread([1.0, 3.0], error=True), spread([])
    ('2.0 ± 1.4', '2.0 ± 1.0', '-')
    """
    if not values:
        return "-"
    if len(values) < 2:
        return f"{values[0]:.1f}"
    deviation = statistics.stdev(values) / (math.sqrt(len(values)) if error else 1)
    return f"{statistics.fmean(values):.1f} ± {deviation:.1f}"


def summarise(rows: Sequence[Row], options: argparse.Namespace) -> dict[str, Any]:
    """The tables as data."""

    def of(task: str, method: str, **args: int) -> list[Row]:
        return [
            row for row in rows
            if row["task"] == task and row["method"] == method and args.items() <= row["args"].items()
        ]  # fmt: skip

    lines = [
        {
            "w": w, "b": b, "region": region, "paper steps": steps, "paper explored": explored,
            "methods": {m: _line(of("linear_regression", m, w=w, b=b)) for m in METHODS},
        }
        for (w, b), (region, steps, explored) in LINES.items()
    ]  # fmt: skip
    tours = [
        {
            "n": n, "paper gap": TOURS[n], "methods": {m: _tour(of("tsp", m, n=n)) for m in METHODS},
            "classical": _classical(of("tsp", "random search", n=n)),
        }
        for n in options.points
    ]  # fmt: skip
    usable = {}
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method and row["calls"]]
        if mine:
            calls, useless = (sum(row[k] for row in mine) for k in ("calls", "useless"))
            usable[method] = {"calls": calls, "useless": useless,
                              "tokens out": sum(row["output_tokens"] for row in mine) / calls}  # fmt: skip
    setup = {k: getattr(options, k) for k in ("model", "steps", "tour_steps", "proposals", "reps", "instances")}
    setup["machine"] = f"{os.cpu_count()} cores, {platform.machine()}"
    return {"setup": setup, "lines": lines, "tours": tours, "answers": usable, "searches": len(rows)}


def _line(rows: Sequence[Row]) -> Row:
    return {
        "n": len(rows),
        "solved": sum(row["solved"] for row in rows),
        "steps": spread([row["steps"] for row in rows if row["solved"]]),
        "explored": spread([row["explored"] for row in rows]),
    }


def _tour(rows: Sequence[Row]) -> Row:
    return {
        "n": len(rows),
        "solved": sum(row["solved"] for row in rows),
        "gap": spread([row["gap"] for row in rows], error=True),
        "steps": spread([row["steps"] for row in rows if row["solved"]]),
        "start": spread([100 * (1 / row["best"][0] - 1) for row in rows], error=True),
    }


def _classical(rows: Sequence[Row]) -> Row:
    """Gaps of the heuristics, on instances that every method shares."""
    gap: Callable[[str], list[float]] = lambda name: [  # noqa: E731
        100 * (row["meta"][name] / row["meta"]["optimum"] - 1) for row in rows
    ]
    return {name: spread(gap(name), error=True) for name in ("nearest_neighbour", "farthest_insertion")}


def markdown(summary: Mapping[str, Any]) -> str:
    """The page."""
    s = summary["setup"]
    out = [
        "# OPRO on linear regression and tours",
        "",
        f"The numeric problems of the OPRO paper with `{s['model']}` as the optimizer, on {s['machine']}. Each search "
        "begins at the same 5 random points for every method, takes "
        f"{s['proposals']} proposals a step, and ends at the optimum or after {s['steps']} steps (tours: "
        f"{s['tour_steps']}; the paper: 500). {summary['searches']} searches. The model sees values only; the formula "
        "is not shown. `python tests/benchmarks/opro_numbers.py` makes this page.",
        "",
        "## Linear regression",
        "",
        "Solved: the true pair was proposed. Steps are of the solved searches, mean ± standard deviation. Explored: "
        "pairs evaluated, the 5 starts included, of all searches. The paper's columns: text-bison / gpt-3.5-turbo / "
        "gpt-4, mean of 5. Least squares finds every one of these pairs in one solve, and six values of the loss "
        "determine it.",
        "",
        "| true w, b | region | method | solved | steps | explored | steps in the paper | explored in the paper |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in summary["lines"]:
        for at, (method, m) in enumerate(_made(row["methods"])):
            head = f"| {row['w']}, {row['b']} | {row['region']}" if at == 0 else "| |"
            tail = f"{row['paper steps']} | {row['paper explored']}" if at == 0 else "|"
            out.append(f"{head} | {method} | {m['solved']} of {m['n']} | {m['steps']} | {m['explored']} | {tail} |")
    out += [
        "",
        "## Tours",
        "",
        "Gap: how much longer than the optimum the best tour is, in percent, mean ± standard error over instances. The "
        "optimum is exact. NN and FI: nearest neighbour and farthest insertion on the same instances.",
        "",
        "| points | method | optimum found | gap | best of the 5 starts | NN | FI | gap in the paper |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in summary["tours"]:
        for at, (method, m) in enumerate(_made(row["methods"])):
            c = row["classical"]
            tail = f"{c['nearest_neighbour']} | {c['farthest_insertion']} | {row['paper gap']}" if at == 0 else "| |"
            head = row["n"] if at == 0 else ""
            out.append(f"| {head} | {method} | {m['solved']} of {m['n']} | {m['gap']} | {m['start']} | {tail} |")
    out += ["", "## Answers", ""]
    for method, a in summary["answers"].items():
        share = a["useless"] / a["calls"]
        out.append(
            f"{method}: {a['calls']} answers of {a['tokens out']:.0f} tokens, {share:.0%} of no use (not in the asked "
            "form, out of bounds, no tour, or seen before)."
        )
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def _made(methods: Mapping[str, Row]) -> list[tuple[str, Row]]:
    """The methods that have any search."""
    return [(method, m) for method, m in methods.items() if m["n"]]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b", help="the optimizer's model")
    parser.add_argument("--reps", type=int, default=5, help="repetitions of each true pair")
    parser.add_argument("--instances", type=int, default=5, help="tours of each size")
    parser.add_argument(
        "--points", type=int, nargs="*", default=[10, 15], choices=sorted(GRAPHS), help="sizes of tours"
    )
    parser.add_argument("--steps", type=int, default=50, help="steps of a search for a pair")
    parser.add_argument("--tour-steps", type=int, default=50, help="steps of a search for a tour")
    parser.add_argument("--proposals", type=int, default=8, help="candidates a step")
    parser.add_argument("--at-once", type=int, default=4, help="searches at once")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS), help="only these")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no search after so many minutes")
    parser.add_argument("--answers", default="runs/opro_numbers.sqlite", help="answers: a search that was cut has them")
    parser.add_argument("--out", default=str(RESULTS), help="folder of opro_numbers.jsonl, .json and .md")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, client: Any = None) -> dict[str, Any]:
    """Measure and write the page; with another client than the model's, for tests."""
    asked = client or resolve(options.model)
    answers = ResponseCache(options.answers)
    try:
        rows = await measure(options, Cache(asked, answers, options.model))
    finally:
        answers.close()
        if client is None:
            await asked.aclose()
    summary = summarise(rows, options)
    (Path(options.out) / "opro_numbers.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    (Path(options.out) / "opro_numbers.md").write_text(markdown(summary))
    return summary


if __name__ == "__main__":
    print("\n" + markdown(asyncio.run(run(arguments()))))
