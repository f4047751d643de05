"""What ``make demo`` brought, run by run: gains and failures alike.

    for seed in 0 1 2 3 4; do make demo SEED=$seed; done
    python tests/benchmarks/demo.py runs

Reads the runs of a folder and writes ``docs/results/demo.json`` and ``demo.md``. It runs nothing itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from agentopt.run.files import RunFile

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def record(folder: Path) -> dict[str, Any]:
    """A run in numbers."""
    with RunFile(folder) as run:
        claim, best, baseline = run.claim(), run.best(), run.baseline()
        assert best is not None
        assert baseline is not None
        spend = run.spend()
        return {
            "seed": run.config.seed,
            "status": run.status,
            "ended": run.state.ended,
            "agent": run.config.model,
            "optimizer": run.config.optimizer_model,
            "endpoints": run.started["endpoints"],
            "baseline": baseline.values,
            "best": best.values,
            "claim": None if claim is None else claim.model_dump(mode="json"),
            "sentence": None if claim is None else claim.sentence,
            "calls": {role: amounts["calls"] for role, amounts in spend.items() if "calls" in amounts},
            "tokens": {role: amounts["tokens"] for role, amounts in spend.items() if "tokens" in amounts},
            "seconds": spend.get("run", {}).get("seconds"),
        }


def table(records: list[dict[str, Any]]) -> str:
    """The runs as a Markdown table."""
    lines = [
        f"# `make demo` with {len(records)} seeds",
        "",
        f"Agent `{records[0]['agent']}`, optimizer `{records[0]['optimizer']}`, task `bills` with examples of the same",
        f"seed as the run; {platform.machine()}, {os.cpu_count()} cores. Raw: [demo.json](demo.json), made by",
        "`tests/benchmarks/demo.py`.",
        "Means on the 120 test examples, which the search of the run never saw; the difference with its 95 % interval.",
        "",
        "| seed | baseline | best | difference | test | verdict | shots | new text | agent + optimizer calls | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in records:
        c = r["claim"]
        changed = "yes" if r["best"]["cashier"] != r["baseline"]["cashier"] else "no"
        calls = f"{r['calls'].get('agent', 0):.0f} + {r['calls'].get('optimizer', 0):.0f}"
        end = f"| {r['best']['shots']} | {changed} | {calls} | {r['seconds']:.0f} |"
        if c is None:
            lines.append(f"| {r['seed']} | - | - | - | not made | no improvement shown {end}")
            continue
        ends = f"{c['difference']:+.2f} [{c['low']:+.2f}, {c['high']:+.2f}]"
        told = f"{c['test']} p = {c['p']:.2g}, n = {c['n']}" + (", some used before" if c["touches"] else "")
        lines.append(f"| {r['seed']} | {c['mean_a']:.2f} | {c['mean_b']:.2f} | {ends} | {told} | {c['verdict']} {end}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the runs and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", help="folder of the runs")
    parser.add_argument("--out", default=str(RESULTS), help="folder of demo.json and demo.md")
    args = parser.parse_args()
    folders = sorted(p.parent for p in Path(args.runs).glob("*/run.sqlite"))
    records = sorted((record(folder) for folder in folders), key=lambda r: r["seed"])
    out = Path(args.out)
    (out / "demo.json").write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")
    text = table(records)
    (out / "demo.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
