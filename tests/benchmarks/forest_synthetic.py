"""Scattered Forest Search, its parts and its baselines in a space of programs with a scripted operator: no model.

    python tests/benchmarks/forest_synthetic.py

Each problem is a ``CodeSpace`` of its own, the same for every method. The operator's habits are set so that the
baselines look like those that were published; nothing was set by looking at Scattered Forest Search. What comes out
says what the search makes of such an operator, and nothing of models. ``docs/results/forest_synthetic.md`` and
``.json`` hold the tables; searches that have ended are lines of ``--raw``, so a run that is cut goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forest_search import METHODS, Found, search
from forest_table import REFERENCE, choices, curve, equal_tokens, summary_of, table

from agentopt.optim.registry import make
from agentopt.testing import ScriptedLLM
from agentopt.testing.codespace import CodeSpace, Habits, Operator, Program

RESULTS = Path(__file__).parents[2] / "docs" / "results"
ALL, CORE = (
    tuple(METHODS),
    ("SFS", "SFS without scattering", "SFS without foresting", "themed sampling", "plain tree search"),
)
CONDITIONS: dict[str, dict[str, Any]] = {
    "ten": {"n": 300, "solutions": 10, "methods": ALL},
    "one tree": {
        "n": 300, "solutions": 10, "options": {"forest": False, "scout": False},
        "methods": ("SFS", "SFS without scattering"),
    },
    "diverse operator": {"n": 150, "solutions": 10, "methods": CORE, "habits": "diverse"},
    "wrong tests": {"n": 200, "solutions": 10, "methods": ("SFS", "SFS, agreement", "themed sampling"), "wrong": 0.15},
    "three tests": {"n": 150, "solutions": 10, "methods": ("SFS", "SFS, agreement", "themed sampling"), "tests": 3},
    "forty, hard problems": {
        "n": 40, "solutions": 40, "options": {"seeds": 20}, "habits": "severe",
        "methods": (*(m for m in ALL if m not in ("SFS with PUCT", "genetic")), "SFS, c = 0.25"),
    },
}  # fmt: skip
"""What is measured: ``n`` problems, programs each, what differs from the calibrated operator and six right tests."""
WHAT = {
    "ten": "Ten programs a problem (5 seeds where there are several), six right tests.",
    "forty, hard problems": "Forty programs a problem (20 seeds where there are several), six right tests, and an "
    "operator that knows little: two of five problems look like another one to it, and each part is wrong with a "
    "chance of 40 %.",
    "one tree": "One seed and no insights in both rows: what scattering does where children of one node compete.",
    "diverse operator": "An operator without habits: each seed and each move is drawn anew. A control: what the parts "
    "of SFS act against is not there.",
    "wrong tests": "Each visible test is wrong with a chance of 15 %: no right program passes it.",
    "three tests": "Three visible tests, which do not look at everything.",
}
HEAD = """# Scattered Forest Search in a space of programs without a model

A scripted operator takes the place of the model: it writes near copies, has favourite errors, and repairs a program
mostly in one and the same way; a theme or a written direction makes it do something else. Its habits were set so that
plain, themed and line sampling look like the published ones on HumanEval (first program about 65 to 70 %, ten plain
ones about 75, ten themed ones about 85, line about 80); nothing was set by looking at SFS. So these tables say what the
search makes of an operator that has these habits, and nothing of any model. Requests, readers, trees and budgets are
those of real runs.

pass@any: any program made is right. pass@1: the returned one is (most visible tests passed, the earliest of equals).
Differences are paired with SFS on the same problems (Newcombe's interval, McNemar's exact test, p corrected by Holm
within the column). *Equal tokens*: every other method gets the median total tokens, input and output, of the SFS
searches that used all their programs, and only what was there by then counts. SFS itself stops at its programs: of its
300 searches of the first table, 23 ended unsolved below that median, and solved nothing more within it when they were
given as much. Likeness: mean similarity of tokens over pairs of the first five programs, on problems where every method
made five. `python tests/benchmarks/forest_synthetic.py` makes this page."""


def space_of(condition: Mapping[str, Any], seed: int) -> CodeSpace:
    """A problem."""
    kinds = {"": Habits, "diverse": Habits.diverse, "severe": Habits.severe}
    habits = kinds[condition.get("habits", "")]()
    return CodeSpace(seed, tests=condition.get("tests", 6), wrong_tests=condition.get("wrong", 0.0), habits=habits)


async def one(condition: Mapping[str, Any], method: str, seed: int, tokens: float) -> dict[str, Any]:
    """One search, as a row."""
    space = space_of(condition, seed)

    async def judge(text: str) -> list[tuple[float, str]]:
        program = Program.read(text)
        passed = space.results(program) if program else [False] * space.tests
        return [(float(good), "passes" if good else "fails") for good in passed]

    plain, _, extra = method.partition(", ")
    name, options = METHODS[plain]
    if name in ("sfs", "genetic"):
        options = {**condition.get("options", {}), **options} if name == "sfs" else options
    if extra:
        options = {**options, **({"c": 0.25} if extra == "c = 0.25" else {"weighting": extra})}
    found = await search(
        make(name, start=False, **options), ScriptedLLM(Operator(space)), judge,
        start="plan = 0\nparts = []\n", objective="Find the right plan and parts.",
        tests=[f"test {i}" for i in range(space.tests)],
        solutions=condition["solutions"], tokens=tokens, seed=seed,
    )  # fmt: skip
    return {"method": method, "seed": seed, "given": tokens, **row_of(space, found)}


def row_of(space: CodeSpace, found: Found) -> dict[str, Any]:
    """What is kept of a search."""
    programs = [m.program for m in found.made]
    right = [bool((program := Program.read(text)) and space.solves(program)) for text in programs]
    return {
        "right": right, "costs": [m.tokens for m in found.made], "tokens": found.tokens, "calls": found.calls,
        "passed": ["".join("01"[good] for good in m.passed) for m in found.made], "programs": programs[:5],
        "seconds": found.seconds,
    }  # fmt: skip


async def measure(options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """All rows by condition; those of the raw file are not made again."""
    path = Path(options.raw)
    path.parent.mkdir(parents=True, exist_ok=True)
    done: dict[str, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):
            row = json.loads(line)
            done[row["key"]] = row
    out: dict[str, list[dict[str, Any]]] = {}
    with path.open("a") as raw:
        for name, condition in CONDITIONS.items():
            rows = out[name] = []
            tokens, size = 0.0, round(condition["n"] * options.share)
            for method in condition["methods"]:
                for seed in range(size):
                    key = json.dumps([name, method, seed, tokens, condition.get("solutions")])
                    if key not in done:
                        done[key] = {"key": key, **await one(condition, method, seed, tokens)}
                        raw.write(json.dumps(done[key]) + "\n")
                    rows.append(done[key])
                raw.flush()
                if method == REFERENCE:
                    tokens = equal_tokens(rows, condition["solutions"])
                print(
                    f"{name}: {method}: {curve([r['right'] for r in rows if r['method'] == method], [10])}", flush=True
                )
    return out


def summarise(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The tables as data."""
    return {name: summary_of(found, CONDITIONS[name]["solutions"]) for name, found in rows.items()}


def markdown(summary: Mapping[str, Any]) -> str:
    """The page."""
    out = [HEAD]
    for name, data in summary.items():
        equal = f"n = {data['n']} problems; equal tokens: {data['equal tokens']:.0f}."
        out += ["", f"## {name[0].upper()}{name[1:]}", "", f"{WHAT[name]} {equal}", "", *table(data)]
        if name in ("wrong tests", "three tests"):
            out += ["", *choices(data)]
    return "\n".join(out) + "\n"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="share of the problems, for a quick look")
    parser.add_argument("--raw", default="runs/forest_synthetic.jsonl", help="searches that have ended")
    parser.add_argument("--out", default=str(RESULTS), help="folder of forest_synthetic.md and .json")
    return parser.parse_args(given)


def main(options: argparse.Namespace) -> dict[str, Any]:
    """Measure and write the page."""
    summary = summarise(asyncio.run(measure(options)))
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "forest_synthetic.md").write_text(markdown(summary))
    (folder / "forest_synthetic.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


if __name__ == "__main__":
    main(arguments())
