"""OptiBench on local models: what ``agentopt eval optibench`` scores, kept line by line, and its table by type.

    python tests/benchmarks/optibench.py --model local/qwen2.5-coder-0.5b --minutes 60   # what is missing of all 605
    python tests/benchmarks/optibench.py --model local/qwen2.5-coder-1.5b --n 150        # drawn by type in proportion
    python tests/benchmarks/optibench.py --run runs/NAME     # take in a run of `agentopt eval optibench`, ended or not

Protocol, measures and tolerances are those of ``evals/optibench.py``. Each problem that has ended is a line of
``optibench.jsonl``; what is there is not run again, also on another machine. ``optibench.md`` and ``optibench.json``
are made of all lines whose protocol is the present one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_search import Row, finished, lengthened
from self_correction import drawn, named

from agentopt import Budget, Example, Task, evaluate, load_graph, load_task, parameters
from agentopt._text import average
from agentopt.core.values import Outcome, digest
from agentopt.evaluate import Eval
from agentopt.evaluate.breakdown import breakdown
from agentopt.evaluate.measured import measure_rows, record_of
from agentopt.run.evaluation import evaluation_of
from agentopt.run.result import Evaluation
from agentopt.workspace import load_eval

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
GRAPH = "program_of_thought"
RATES = (
    "sound", "confirmed", "objective_1e-4", "objective_1e-6", "variables", "keys", "code_pass", "timeout",
    "not_optimal", "crashed", "no_code", "missing_solver", "no_answer",
)  # fmt: skip


SMALL = re.compile(r"\b[1-9](?:\.\d)?[Bb]\b")
"""Names of models with fewer than ten billion weights."""
VERSION = 3
"""One more whenever the same reply may get another score, so that no table mixes the two."""


def protocol(pinned: Eval) -> str:
    """What a line belongs to: the eval, how it scores, and all texts of the graph."""
    words = {name: p.default for name, p in parameters(load_graph(GRAPH)).items()}
    return digest([VERSION, pinned.hash, GRAPH, words])[:12]


def key(example: str, model: str, code: str) -> str:
    """What a line is known by."""
    return json.dumps([example, model, code])


def lines(outcomes: Sequence[Outcome], examples: Mapping[str, Example], model: str, code: str) -> list[Row]:
    """A line for each outcome that has a score; what the world lost has none, and is run again."""
    return [
        {
            "key": key(o.example, model, code), "model": model, "protocol": code, "example": o.example,
            "type": examples[o.example].group, "status": o.status, "score": o.score,
            "parts": {} if o.feedback is None else o.feedback.parts,
            "text": (o.feedback.text if o.feedback else o.error or "")[:200], "metrics": o.metrics,
        }
        for o in outcomes if o.status != "infra_error"
    ]  # fmt: skip


def write(path: Path, rows: Sequence[Row]) -> None:
    """Add lines, also after one that was cut."""
    with lengthened(path) as raw:
        for row in rows:
            raw.write(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n")


def run(options: argparse.Namespace, pinned: Eval, task: Task, code: str, known: Mapping[str, Row]) -> list[Row]:
    """Evaluate what is missing, as long as there is time."""
    wanted = task.examples if options.n is None else drawn(task, options.n, options.seed)
    missing = [e for e in wanted if key(e.id, named(options.model), code) not in known]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} problems are there")
    if not missing:
        return []
    part = Task(task.name, missing, task.scorer, version=task.version, score_range=task.score_range)
    done = evaluate(
        GRAPH, task=part, split="all", model=options.model, max_tokens=pinned.max_tokens,
        temperature=pinned.temperature, max_connections=options.at_once, runs_dir=options.runs,
        budget=Budget(seconds=None if math.isinf(options.minutes) else 60 * options.minutes),
    )  # fmt: skip
    print(f"{done.dir}: {done.status}")
    return lines(done.outcomes, done.examples, named(options.model), code)


def ours(done: Evaluation, pinned: Eval) -> bool:
    """Whether a run was made under the present protocol: by the eval, or by this script."""
    config = done.config
    if done.measured is not None:
        return done.measured.record.hash == pinned.hash and config.graph == GRAPH
    made = config.graph, config.max_tokens, config.temperature
    return made == (GRAPH, pinned.max_tokens, pinned.temperature)


def summarise(rows: Sequence[Row], pinned: Eval, task: Task) -> dict[str, Any]:
    """For each model: the four types, all, and the measures of the eval, with intervals by cluster."""
    code = protocol(pinned)
    rows = [row for row in rows if row["protocol"] == code]
    record = record_of(pinned, task.examples)
    assert record.types is not None
    tables = []
    for model in sorted({row["model"] for row in rows}):
        mine = [row for row in rows if row["model"] == model]
        outcomes = [
            Outcome(
                candidate=model, example=row["example"], split="test", status=row["status"], metrics=row["metrics"],
                feedback=(row["score"] is not None and {k: row[k] for k in ("score", "text", "parts")}) or None,
            )
            for row in mine
        ]  # fmt: skip
        table = []
        for kind in (None, *sorted(set(record.types.values()))):
            some = [o for o in outcomes if kind is None or record.types.get(o.example) == kind]
            if not some:
                continue
            whole = breakdown(some, {}, task.score_range, clusters=record.clusters)[0].summary
            measures = {m.name: m.model_dump() for m in measure_rows(record, some, task.score_range)}
            found = {"name": kind or "all", "score": whole.model_dump(), "measures": measures}
            for name in ("input_tokens", "output_tokens"):
                found[name] = statistics.fmean(o.metrics.get(name, 0.0) for o in some)
            table.append(found)
        capped = sum(row["metrics"].get("output_tokens", 0) >= (pinned.max_tokens or math.inf) for row in mine)
        tables.append({
            "model": model, "n": len(mine), "of": len(task.examples), "capped": capped, "cap": pinned.max_tokens,
            "why": Counter(reason(row) for row in mine if not row["parts"].get("code_pass")).most_common(8),
            "table": table,
        })  # fmt: skip
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}", "protocol": code, "tables": tables,
        "published": published(),
    }  # fmt: skip


def reason(row: Row) -> str:
    """The first line of why a program did not run."""
    return " ".join(row["text"].split("\n")[0].split())[:90] or row["status"]


def published() -> list[Row]:
    """What the benchmark's makers published of small models, under their own protocol."""
    found: dict[tuple[str, str], Row] = {}
    for eval_name in ("optibench_zero_shot", "optibench_few_shot"):
        for row in load_eval(eval_name).published:
            if SMALL.search(row.model):
                line = found.setdefault((row.model, row.protocol), {"model": row.model, "protocol": row.protocol})
                line[row.measure] = row.score
    return list(found.values())


def between(row: Mapping[str, Any]) -> str:
    """``0.123 [0.100, 0.150]``."""
    mean, ends = average(row["mean"], row["low"], row["high"])
    return mean if row["low"] is None else f"{mean} {ends}"


def markdown(summary: Mapping[str, Any]) -> str:
    """The page."""
    out = [
        "# OptiBench",
        "",
        "`program_of_thought` under the protocol of `evals/optibench.py`: one program at temperature 0, all figures "
        "within 1e-4 of their labels. Intervals are at 95 %, by cluster of problems with the same answers. A part of "
        "the 605 problems was drawn by type in proportion, one of each cluster. Weights and engine of the models are "
        "those of [local models](../local-models.md). `python tests/benchmarks/optibench.py` makes this page from "
        f"`optibench.jsonl`; made on {summary['machine']}.",
    ]
    for each in summary["tables"]:
        out += [
            "",
            f"## {each['model']}, {each['n']} of {each['of']} problems",
            "",
            "| problems | n | every figure | optimal value, 1e-4 | program ran | tokens in | tokens out |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        for row in each["table"]:
            cells = [row["name"], row["score"]["n"], between(row["score"])]
            cells += [between(row["measures"][name]) for name in ("objective_1e-4", "code_pass")]
            out.append(f"| {' | '.join(map(str, cells))} | {row['input_tokens']:.0f} | {row['output_tokens']:.0f} |")
        out += ["", "| of all | mean |", "| --- | --- |"]
        everything = each["table"][0]["measures"]
        out += [f"| {everything[name]['title']} | {between(everything[name])} |" for name in RATES]
        out += ["", f"{each['capped']} of {each['n']} replies reached the cap of {each['cap']:,} tokens."]
        if each["why"]:
            out += ["", "| programs | that did not run, by the first line of the reason, the most frequent ones |"]
            out += ["| --- | --- |", *(f"| {count} | `{why}` |" for why, count in each["why"])]
    out += [
        "",
        "## Published",
        "",
        "Of models with fewer than ten billion weights, by the benchmark's makers and under their protocol, which is "
        "not that above: the prompt has a skeleton of PySCIPOpt, and a model reads the printed figures.",
        "",
        "| model | how | every figure | program ran |",
        "| --- | --- | --- | --- |",
    ]
    out += [
        f"| {row['model']} | {row['protocol'].split('; ')[-1]} | {row['score']:.3f} | {row['code_pass']:.3f} |"
        for row in summary["published"]
    ]
    return "\n".join(out) + "\n"


def main() -> None:
    """Run what is missing, or take in a run; then make the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="whom to ask; without one and without --run only the table is made")
    parser.add_argument("--n", type=int, help="problems; all when not given")
    parser.add_argument("--seed", type=int, default=0, help="which problems are drawn")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no problem after so many minutes")
    parser.add_argument("--at-once", type=int, default=36, help="requests at once")
    parser.add_argument("--run", help="folder of such a run, of the eval or of this script, to take in")
    parser.add_argument("--runs", default="runs", help="folder for new runs")
    parser.add_argument("--out", default=str(RESULTS), help="folder of optibench.jsonl, .json and .md")
    options = parser.parse_args()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    raw, pinned, task = out / "optibench.jsonl", load_eval("optibench"), load_task("optibench")
    code = protocol(pinned)
    if options.run:
        done = evaluation_of(Path(options.run))
        if not ours(done, pinned):
            parser.error(f"{options.run} is no run of the present eval optibench with {GRAPH}")
        known = finished(raw)
        found = lines(done.outcomes, done.examples, named(str(done.config.model)), code)
        write(raw, [row for row in found if row["key"] not in known])
    if options.model:
        write(raw, run(options, pinned, task, code, finished(raw)))
    summary = summarise(list(finished(raw).values()), pinned, task)
    (out / "optibench.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    (out / "optibench.md").write_text(markdown(summary))
    print(markdown(summary))


if __name__ == "__main__":
    main()
