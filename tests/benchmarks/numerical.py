"""OptoPrime on numerical problems, with the graph and with the graph masked, against random search.

    python tests/benchmarks/numerical.py --model local/qwen2.5-coder-1.5b

Every method gets the same problems, the same starts and the same number of candidate evaluations; tokens are told
beside. Each evaluation is written to ``numerical.jsonl`` as it is made. A run that was stopped goes on where it was:
whole searches are kept, a search that was cut begins again. ``numerical.md`` and ``numerical.json`` hold the table.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, cast

from agentopt.core import Graph, Override, Trace, open_run, parameters
from agentopt.core.values import Candidate, Outcome, digest
from agentopt.errors import BudgetExhausted
from agentopt.evaluate import Task, interval
from agentopt.evaluate.stats import paired_permutation
from agentopt.llm.providers import resolve
from agentopt.llm.types import Request, Response
from agentopt.optim.base import Optimizer, ParameterSpec, Scored, View
from agentopt.optim.registry import make
from agentopt.workspace import load_graph, load_task, prompt_text

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "optoprime": ("optoprime", {"reasoning": False}),
    "optoprime, graph masked": ("optoprime", {"reasoning": False, "mask_graph": True}),
    "random search": ("random", {}),
}
RESULTS = Path(__file__).parents[2] / "docs" / "results"


@dataclass(frozen=True)
class Cell:
    """One search: a method on a problem with a seed."""

    method: str
    problem: int
    seed: int


class Counter:
    """The optimizer's model; counts calls and tokens."""

    def __init__(self, client: Any, model: str) -> None:
        self.client, self.model = client, model
        self.calls = self.input = self.output = 0

    async def complete(self, request: Request) -> Response:
        """Ask the model."""
        response: Response = await self.client.complete(
            request.model_copy(update={"role": "optimizer", "model": request.model or self.model})
        )
        self.calls += 1
        self.input += response.usage.input_tokens
        self.output += response.usage.output_tokens
        return response


class Window:
    """A ``View`` of one search."""

    def __init__(self, cell: Cell, task: Task, llm: Any, raw: IO[str]) -> None:
        self.cell, self.task, self.example_, self.llm, self.raw = cell, task, task.examples[0], llm, raw
        self.step, self.objective, self.off, self.frozen = 0, task.objective, (), ()
        self.agent = load_graph("arithmetic")
        assert isinstance(self.example_.input, Mapping)
        self.program = self.example_.input["program"]
        found = parameters(self.agent)
        start = self.example_.meta["start"]
        assert isinstance(start, Mapping)
        specs = {n: ParameterSpec(**found[n].spec_dict(), check=found[n].check) for n in start}
        self.parameters: Mapping[str, ParameterSpec] = specs
        self.baseline = Candidate(values=dict(start), origin="baseline")
        self.archive: list[Scored] = []
        self.graphs: dict[str, Graph] = {}
        self.rng = random.Random()
        self.turn(0)

    def turn(self, step: int) -> None:
        """Go on to a step."""
        self.step = step
        self.rng = random.Random(int(digest([self.cell.seed, self.example_.id, step])[:16], 16))

    @property
    def best(self) -> Scored:
        """The best so far, the earlier of two equals."""
        return max(self.archive, key=lambda s: s.mean or 0.0)

    def example(self, id: str) -> tuple[Any, Any]:
        """The calculation itself is what a trace shows: an optimizer gets no input, and never the target."""
        return None, None

    def graph(self, outcome: Outcome) -> Graph | None:
        """The traced calculation."""
        return self.graphs.get(outcome.candidate)

    def prompt(self, name: str) -> str:
        """The text of a prompt file."""
        return prompt_text(name)

    def evaluate(self, candidate: Candidate, operator: str) -> Outcome:
        """Run the calculation with a candidate's numbers, and write down what came."""
        with open_run(), Override(candidate.values), Trace() as trace:
            output = self.agent(self.program)
            trace.output = output
        self.graphs[candidate.id] = trace.graph
        said = self.task.score(self.example_, output.value)
        outcome = Outcome(
            candidate=candidate.id, example=self.example_.id, split="search", output=output.value, feedback=said
        )
        score = said.score or 0.0
        line = {"evaluation": len(self.archive), "values": candidate.values, "output": output.value, "score": score}
        self.raw.write(json.dumps({**asdict(self.cell), **line}) + "\n")
        self.raw.flush()
        self.archive.append(Scored(candidate, score, 1, score, score, (outcome,), self.step, operator))
        return outcome


async def search(
    cell: Cell, llm: Counter, evaluations: int, proposals: int, raw: IO[str], *, by_answers: bool = False
) -> dict[str, Any]:
    """One search to its end: ``evaluations`` candidates after the start, or the target reached, or nothing proposed.

    Nothing proposed: five asks in a row without a new candidate. ``by_answers``: the end of the answers of the
    optimizer's model, which ``llm``'s client limits, in place of it; an ask that costs none of them still counts.
    """
    window = Window(cell, load_task("numerical", problem=cell.problem), llm, raw)
    name, options = METHODS[cell.method]
    optimizer: Optimizer = make(name, **options)
    began, empty, step = time.monotonic(), 0, 0
    outcomes = [window.evaluate(window.baseline, "baseline")]
    while len(window.archive) <= evaluations and window.best.mean != 1.0 and empty < 5:
        optimizer.tell(outcomes)
        window.turn(step)
        wanted = min(proposals, evaluations + 1 - len(window.archive))
        known = {s.candidate.id for s in window.archive}
        answers = llm.calls
        try:
            suggested = await optimizer.ask(cast(View, window), wanted)
        except BudgetExhausted:
            break
        fresh = list({p.candidate.id: p for p in suggested if p.candidate.id not in known}.values())[:wanted]
        outcomes = [window.evaluate(p.candidate, p.operator) for p in fresh]
        empty = 0 if fresh or (by_answers and llm.calls > answers) else empty + 1
        step += 1
    scores = [s.mean or 0.0 for s in window.archive]
    best = [max(scores[: i + 1]) for i in range(len(scores))]
    best += [best[-1]] * (evaluations + 1 - len(best))
    done = {
        **asdict(cell),
        "done": True,
        "evaluations": evaluations,
        "used": len(scores) - 1,
        "solved": best[-1] == 1.0,
        "start": best[0],
        "best": best,
        "calls": llm.calls,
        "input_tokens": llm.input,
        "output_tokens": llm.output,
        "seconds": round(time.monotonic() - began, 1),
    }
    raw.write(json.dumps(done) + "\n")
    raw.flush()
    return done


def finished(path: Path, evaluations: int) -> dict[Cell, dict[str, Any]]:
    """The searches that a raw file holds to their end."""
    found: dict[Cell, dict[str, Any]] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):  # the last line of a run that was killed
            row = json.loads(line)
            if row.get("done") and row["evaluations"] == evaluations:
                found[Cell(row["method"], row["problem"], row["seed"])] = row
    return found


async def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All searches that are not there yet, some at once."""
    path = Path(options.out) / "numerical.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = finished(path, options.evaluations)
    cells = [Cell(m, p, s) for s in range(options.seeds) for p in range(options.problems) for m in METHODS]
    client = resolve(options.model)
    slots = asyncio.Semaphore(options.at_once)
    with path.open("a") as raw:

        async def one(cell: Cell) -> dict[str, Any]:
            if cell in done:
                return done[cell]
            async with slots:
                row = await search(cell, Counter(client, options.model), options.evaluations, options.proposals, raw)
            print(
                f"problem {cell.problem:2} seed {cell.seed} {cell.method:24} "
                f"{row['start']:.2f} -> {row['best'][-1]:.2f}{' solved' if row['solved'] else ''} "
                f"({row['used']} evaluations, {row['output_tokens']} tokens out, {row['seconds']} s)",
                flush=True,
            )
            return row

        try:
            return list(await asyncio.gather(*map(one, cells)))
        finally:
            await client.aclose()


def summarise(rows: Sequence[Mapping[str, Any]], options: argparse.Namespace) -> dict[str, Any]:
    """Means over problems, each averaged over its seeds first."""
    table: list[dict[str, Any]] = []
    by_problem: dict[str, list[float]] = {}
    for method in METHODS:
        mine = [r for r in rows if r["method"] == method]
        problems = sorted({r["problem"] for r in mine})
        final, area = [], []
        for problem in problems:
            searches = [r for r in mine if r["problem"] == problem]
            final.append(statistics.fmean(r["best"][-1] for r in searches))
            area.append(statistics.fmean(statistics.fmean(r["best"][1:]) for r in searches))
        by_problem[method] = final
        low, high = interval(final)
        table.append(
            {
                "method": method,
                "searches": len(mine),
                "problems": len(problems),
                "solved": sum(r["solved"] for r in mine),
                "best": statistics.fmean(final),
                "low": low,
                "high": high,
                "area": statistics.fmean(area),
                "evaluations": statistics.fmean(r["used"] for r in mine),
                "calls": statistics.fmean(r["calls"] for r in mine),
                "input_tokens": statistics.fmean(r["input_tokens"] for r in mine),
                "output_tokens": statistics.fmean(r["output_tokens"] for r in mine),
            }
        )
    first = "optoprime"
    pairs = {
        other: {
            "difference": statistics.fmean(a - b for a, b in zip(by_problem[first], by_problem[other], strict=True)),
            "p": paired_permutation([a - b for a, b in zip(by_problem[first], by_problem[other], strict=True)]),
        }
        for other in METHODS
        if other != first
    }
    setup = {k: getattr(options, k) for k in ("model", "problems", "seeds", "evaluations", "proposals")}
    setup["machine"] = f"{os.cpu_count()} cores, {platform.machine()}"
    start = statistics.fmean(r["start"] for r in rows)
    return {"setup": setup, "start": start, "table": table, "optoprime against": pairs}


def markdown(summary: Mapping[str, Any]) -> str:
    """The table, as a page."""
    s = summary["setup"]
    lines = [
        "# Numerical problems",
        "",
        f"{s['problems']} random calculations of 2 or 3 whole numbers, {s['seeds']} search(es) of each by each method, "
        f"{s['evaluations']} "
        f"evaluations of candidates a search after the start, {s['proposals']} proposals a step; optimizer's model: "
        f"`{s['model']}`, on {s['machine']}. Feedback: larger, smaller, or right. Score: 1 at the target, falling with "
        f"the logarithm of the distance (start: {summary['start']:.2f}). Intervals are over problems. "
        "`python tests/benchmarks/numerical.py` makes this page.",
        "",
        "| method | solved | best score, 95 % interval | mean of the best so far | evaluations used | calls "
        "| tokens in | tokens out |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in summary["table"]:
        lines.append(
            f"| {row['method']} | {row['solved']} of {row['searches']} | {row['best']:.3f} [{row['low']:.3f}, "
            f"{row['high']:.3f}] | {row['area']:.3f} | {row['evaluations']:.1f} | {row['calls']:.1f} | "
            f"{row['input_tokens']:.0f} | {row['output_tokens']:.0f} |"
        )
    lines.append("")
    for other, pair in summary["optoprime against"].items():
        lines.append(
            f"OptoPrime against {other}, paired over problems: difference of the best score {pair['difference']:+.3f}, "
            f"p = {pair['p']:.3f} (permutation test)."
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b", help="the optimizer's model")
    parser.add_argument("--problems", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--evaluations", type=int, default=12, help="candidates a search may evaluate after the start")
    parser.add_argument("--proposals", type=int, default=2, help="candidates a step")
    parser.add_argument("--at-once", type=int, default=8, help="searches at once")
    parser.add_argument("--out", default=str(RESULTS), help="folder of numerical.jsonl, .json and .md")
    options = parser.parse_args()
    summary = summarise(asyncio.run(measure(options)), options)
    page = markdown(summary)
    (Path(options.out) / "numerical.json").write_text(json.dumps(summary, indent=2) + "\n")
    (Path(options.out) / "numerical.md").write_text(page)
    print("\n" + page)


if __name__ == "__main__":
    main()
