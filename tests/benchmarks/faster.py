"""What training the source of a slow function brought, run by run: gains and failures alike.

    agentopt optimize faster_primes --task faster --task-arg name=primes --optimizer optoprime \\
        --optimizer-model local/qwen2.5-coder-1.5b --limit 24 --steps 3 --proposals 4 --name primes
    python tests/benchmarks/faster.py runs/primes

Reads runs of the task ``faster`` and writes ``docs/results/faster.json`` and ``faster.md``. It runs nothing itself.
"""

from __future__ import annotations

import argparse
import difflib
import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo import record

from agentopt.run.files import RunFile

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def times_as_fast(run: RunFile, candidate: str) -> float | None:
    """How many times as fast as the reference a candidate is on the test examples: the geometric mean."""
    told = [
        o.feedback.parts.get("times_as_fast") for o in run.outcomes(candidate=candidate, split="test") if o.feedback
    ]
    logs = [math.log(ratio) for ratio in told if ratio]
    return math.exp(statistics.fmean(logs)) if logs else None


def measured(folder: Path) -> dict[str, Any]:
    """A run in numbers, with what it was asked to do."""
    found = record(folder)
    with RunFile(folder) as run:
        config = run.config
        best, baseline = run.best(), run.baseline()
        assert best is not None
        assert baseline is not None
        asked = {name: getattr(config, name) for name in ("graph", "optimizer", "limit", "steps", "proposals")}
        speed = {"baseline": times_as_fast(run, baseline.id), "best": times_as_fast(run, best.id)}
    return found | {"asked": asked, "times_as_fast": speed}


def table(records: Sequence[dict[str, Any]]) -> str:
    """The runs as a Markdown page: a table, and what became of each function."""
    models = sorted({str(r["optimizer"]) for r in records})
    lines = [
        "# Functions made faster",
        "",
        f"Source trained with {', '.join(f'`{m}`' for m in models)}; {platform.machine()}, {os.cpu_count()} cores.",
        "Score: 0.5 at the speed of an expert's program, a quarter more or less for every factor of ten, 0 if wrong.",
        "Speeds are processor time in the sandbox, in turns with the expert's program. Means on test examples, which",
        "the search never saw. Raw: [faster.json](faster.json), made by `tests/benchmarks/faster.py`.",
        "",
        "| function | optimizer | score before | after | difference, 95 % interval | test "
        "| times as fast as the expert's, before | after | optimizer calls | tokens | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in records:
        claim, speed, asked = r["claim"], r["times_as_fast"], r["asked"]
        name = asked["graph"].removeprefix("faster_")
        spent = f"{r['calls'].get('optimizer', 0):.0f} | {r['tokens'].get('optimizer', 0):.0f} | {r['seconds']:.0f} |"
        if claim is None:
            lines.append(f"| {name} | {asked['optimizer']} | - | - | no improvement shown | not made | - | - | {spent}")
            continue
        ends = f"{claim['difference']:+.2f} [{claim['low']:+.2f}, {claim['high']:+.2f}]"
        test = f"{claim['test']} p = {claim['p']:.2g}, n = {claim['n']}: {claim['verdict']}"
        speeds = " | ".join("-" if speed[k] is None else f"{speed[k]:.2g}" for k in ("baseline", "best"))
        lines.append(
            f"| {name} | {asked['optimizer']} | {claim['mean_a']:.2f} | {claim['mean_b']:.2f} | {ends} | {test} | "
            f"{speeds} | {spent}"
        )
    for r in records:
        for key, value in r["best"].items():
            if value != r["baseline"][key]:
                diff = difflib.unified_diff(
                    r["baseline"][key].splitlines(), value.splitlines(), "before", "after", lineterm=""
                )
                lines += ["", f"## {key}", "", "```diff", *diff, "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the runs and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", help="folders of runs")
    parser.add_argument("--out", default=str(RESULTS), help="folder of faster.json and faster.md")
    options = parser.parse_args()
    records = [measured(Path(folder)) for folder in options.runs]
    out = Path(options.out)
    (out / "faster.json").write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = table(records)
    (out / "faster.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
