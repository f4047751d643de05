"""What self-correction is worth: a model on OptiBench with and without it, on the same problems from the same programs.

    python tests/benchmarks/self_correction.py --model local/qwen2.5-coder-1.5b --n 100 --minutes 120
    python tests/benchmarks/self_correction.py --critic self_judge --base five_element --rounds 3

Each problem is solved by ``graphs/self_correct.py`` twice, without a round and with up to ``--rounds``; the first
program is asked for once and is that of both, so that what differs is the correction. Both pay for it in the table.
Decoding is greedy. Problems are drawn by type in proportion, one of each cluster of like problems, without the rows
whose label is known to be wrong.

Every problem that has ended is a line of ``self_correction.jsonl``, and the same command goes on where it was stopped.
``self_correction.md`` and ``self_correction.json`` hold the table of all settings that the raw file has.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_search import Row, finished, lengthened

from agentopt import Example, Override, Task, load_graph, load_task, parameters
from agentopt.core.values import digest
from agentopt.errors import UnusableAnswer, UsageError
from agentopt.evaluate import claim, interval
from agentopt.evaluate.scoring import ScorerError
from agentopt.llm.context import Session, use_session
from agentopt.llm.providers import resolve
from agentopt.llm.types import Request, Response
from agentopt.run.target import value_of

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
SETTINGS = ("model", "base", "critic", "rounds", "solver", "max_tokens", "seed", "words")
"""What a line stands for beside its problem; ``words`` are a hash of all texts and settings that the graph has."""
ARMS = ("without", "with")
SIZES = ("max_seqs", "kv_gb", "batch_tokens", "threads", "idle")
"""Options of an engine that do not say what is computed."""
PARTS = {"objective_1e-4": "objective", "code_pass": "ran"}


class Paired:
    """The model for one problem: equal requests of both arms are answered once, and each arm is told what it cost."""

    def __init__(self, client: Any, slots: asyncio.Semaphore) -> None:
        self.client, self.slots = client, slots
        self.known: dict[str, Response] = {}
        self.spent = dict.fromkeys(("calls", "input_tokens", "output_tokens"), 0)

    async def complete(self, request: Request) -> Response:
        """Answer from what was asked before, or ask."""
        if request.hash not in self.known:
            async with self.slots:
                self.known[request.hash] = await self.client.complete(request)
        response = self.known[request.hash]
        self.spent["calls"] += 1
        self.spent["input_tokens"] += response.usage.input_tokens
        self.spent["output_tokens"] += response.usage.output_tokens
        return response


def drawn(task: Task, n: int, seed: int) -> list[Example]:
    """Problems by type in proportion, one of each cluster, in an order of which every beginning is mixed.

    >>> made = [Example(id=str(i), input=i, target=0, group="ab"[i % 4 == 0], cluster=str(i // 2)) for i in range(40)]
    >>> [len([e for e in drawn(Task("t", made, abs), 8, seed=1) if e.group == kind]) for kind in "ab"]
    [6, 2]
    """
    rng = random.Random(seed)
    shuffled = rng.sample(sorted(task.examples, key=lambda e: e.id), len(task.examples))
    units = list({example.cluster or example.id: example for example in shuffled}.values())
    kinds: dict[str, list[Example]] = {}
    for example in units:
        kinds.setdefault(example.group or "", []).append(example)
    at = [((i + 0.5) / len(same), kind, e) for kind, same in sorted(kinds.items()) for i, e in enumerate(same)]
    return [example for _, _, example in sorted(at, key=lambda place: place[:2])][:n]


async def solved(example: Example, task: Task, client: Paired, options: argparse.Namespace, rounds: int) -> Row:
    """One arm on one problem: how it was scored and what it cost."""
    client.spent = dict.fromkeys(client.spent, 0)
    session = Session(
        client, models={"agent": options.model}, defaults={"max_tokens": options.max_tokens, "temperature": 0.0}
    )
    values = {"base": options.base, "critic": options.critic, "solver": options.solver, "rounds": rounds}
    assert isinstance(example.input, Mapping)
    try:
        with use_session(session), Override(values):
            output = value_of(await load_graph("self_correct")(**example.input))
    except UnusableAnswer as error:
        return {"score": 0.0, "parts": {}, "text": str(error), "rounds": 0, **client.spent}
    said = await task.ascore(example, output)
    if isinstance(said, ScorerError) or said.score is None:
        raise RuntimeError(f"{example.id} could not be scored: {said.text}")
    told = {"score": said.score, "parts": dict(said.parts), "text": said.text[:300]}
    return {**told, "rounds": output["rounds"], **client.spent}


def named(model: str) -> str:
    """A model without the options of its engine that say how much it does at once; others make it another model."""
    name, _, options = model.partition("?")
    kept = [option for option in options.split("&") if option and option.partition("=")[0] not in SIZES]
    return f"{name}?{'&'.join(kept)}" if kept else name


async def measure(options: argparse.Namespace, client: Any, task: Task) -> None:
    """All problems that are not there yet, some at once; none is begun after ``minutes``."""
    path = Path(options.out) / "self_correction.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done, end = finished(path), time.monotonic() + 60 * options.minutes
    options.words = digest({name: p.default for name, p in parameters(load_graph("self_correct")).items()})[:12]
    setting = {name: getattr(options, name) for name in SETTINGS} | {"model": named(options.model)}
    problems, calls = asyncio.Semaphore(options.at_once), asyncio.Semaphore(options.at_once)
    with lengthened(path) as raw:

        async def one(example: Example) -> None:
            key = json.dumps([example.id, *setting.values()])
            if key in done:
                return
            async with problems:
                if time.monotonic() > end:
                    return
                began, pair = time.monotonic(), Paired(client, calls)
                try:
                    arms = {
                        arm: await solved(example, task, pair, options, options.rounds if arm == "with" else 0)
                        for arm in ARMS
                    }
                except UsageError:
                    raise
                except Exception as error:  # the world's: nothing is written, so it is tried again
                    print(f"{example.id}: left out, {type(error).__name__}: {error}", flush=True)
                    return
            row = {"key": key, **setting, "task": task.name, "example": example.id, "type": example.group or "", **arms}
            row["seconds"] = round(time.monotonic() - began, 1)
            raw.write(json.dumps(row, ensure_ascii=False) + "\n")
            raw.flush()
            scores = " -> ".join(f"{arms[arm]['score']:.0f}" for arm in ARMS)
            print(f"{example.id} {example.group}: {scores} in {arms['with']['rounds']} rounds", flush=True)

        await asyncio.gather(*(one(example) for example in drawn(task, options.n, options.seed)))


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """The table of each setting: all problems, then each type."""
    by_setting: dict[str, list[Row]] = {}
    for row in rows:
        by_setting.setdefault(json.dumps({name: row[name] for name in SETTINGS}), []).append(row)
    tables = []
    for setting, mine in by_setting.items():
        kinds = sorted({row["type"] for row in mine})
        table = [line("all", mine), *(line(kind, [row for row in mine if row["type"] == kind]) for kind in kinds)]
        tables.append({"setting": json.loads(setting), "task": mine[0]["task"], "table": table})
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    return {"machine": machine, "tables": tables}


def line(name: str, rows: Sequence[Row]) -> Row:
    """One line: both arms, their difference with interval and exact test, and what each cost a problem."""
    scores = {arm: {row["example"]: float(row[arm]["score"]) for row in rows} for arm in ARMS}
    told = claim(scores["without"], scores["with"])
    found: Row = {"name": name, "n": len(rows), "claim": told.model_dump(mode="json"), "sentence": told.sentence}
    for arm in ARMS:
        values = list(scores[arm].values())
        mean = {
            key: statistics.fmean(row[arm][key] for row in rows) for key in ("calls", "input_tokens", "output_tokens")
        }
        found[arm] = {"mean": statistics.fmean(values), "interval": interval(values), **mean}
        for part, called in PARTS.items():
            stated = [row[arm]["parts"].get(part, 0.0) for row in rows if part in row["without"]["parts"]]
            found[arm][called] = statistics.fmean(stated) if stated else None
    found["rounds"] = statistics.fmean(row["with"]["rounds"] for row in rows)
    found["mended"] = sum(row["with"]["rounds"] > 0 for row in rows)
    return found


def markdown(summary: Mapping[str, Any]) -> str:
    """The page."""
    out = [
        "# Self-correction on OptiBench",
        "",
        "The same first programs, as they come and after correction; right is a program all of whose figures are "
        "within 1e-4. Problems are drawn by type in proportion, one of each cluster of like ones. Intervals are "
        "Wilson's, of differences Newcombe's for pairs; p is McNemar's exact test. Gained and lost: problems that "
        "correction made right or wrong. Rounds: how often a program was mended, on average. Costs are a problem's; "
        "the first program counts in both. No ground truth reaches the loop. "
        "`python tests/benchmarks/self_correction.py` makes this page from `self_correction.jsonl`; made on "
        f"{summary['machine']}.",
    ]
    for each in summary["tables"]:
        s = each["setting"]
        out += [
            "",
            f"## {s['model']}, {s['base']}, critic {s['critic']}",
            "",
            f"Task `{each['task']}`, up to {s['rounds']} rounds, solver `{s['solver']}` with five elements, at most "
            f"{s['max_tokens']} tokens a reply, seed {s['seed']}, words `{s['words']}`.",
            "",
            "| problems | n | right without | right with | difference | p | gained, lost | ran without, with "
            "| objective without, with | rounds | calls | tokens in | tokens out |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        out += map(shown, each["table"])
        out += ["", f"All problems: {each['table'][0]['sentence']}."]
    return "\n".join(out) + "\n"


def shown(row: Mapping[str, Any]) -> str:
    """A line of the page."""
    c, (a, b) = row["claim"], (row[arm] for arm in ARMS)
    right = [f"{arm['mean']:.3f} [{arm['interval'][0]:.3f}, {arm['interval'][1]:.3f}]" for arm in (a, b)]
    p = "-" if c["p"] is None else f"{c['p']:.3f}"
    pairs = [
        " → ".join("-" if arm[part] is None else f"{arm[part]:.2f}" for arm in (a, b)) for part in ("ran", "objective")
    ]
    costs = [f"{a[part]:.{digits}f} → {b[part]:.{digits}f}" for part, digits in COSTS.items()]
    difference = f"{c['difference']:+.3f} [{c['low']:+.3f}, {c['high']:+.3f}]"
    cells = [row["name"], row["n"], *right, difference, p, f"{c['gained']}, {c['lost']}", *pairs]
    return "| " + " | ".join(map(str, [*cells, f"{row['rounds']:.2f}", *costs])) + " |"


COSTS = {"calls": 2, "input_tokens": 0, "output_tokens": 0}


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--n", type=int, default=100, help="problems")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no problem after so many minutes")
    parser.add_argument("--base", default="direct", choices=("direct", "five_element"), help="the first program")
    parser.add_argument("--critic", default="execution", choices=("execution", "self_judge"))
    parser.add_argument("--rounds", type=int, default=2, choices=range(1, 7), help="how often it is mended at most")
    parser.add_argument(
        "--solver",
        default="pyscipopt",
        help="library of the programs, with --base five_element",
        choices=parameters(load_graph("five_element"))["solver"].choices,
    )
    parser.add_argument("--max-tokens", type=int, default=1024, help="output cap of a reply")
    parser.add_argument("--seed", type=int, default=0, help="which problems are drawn")
    parser.add_argument("--at-once", type=int, default=8, help="problems at once")
    parser.add_argument("--out", default=str(RESULTS), help="folder of self_correction.jsonl, .json and .md")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, client: Any = None, task: Task | None = None) -> dict[str, Any]:
    """Measure and write the page; with another client or task, for tests."""
    asked = client or resolve(options.model)
    try:
        await measure(options, asked, task or load_task("optibench", subset="sound"))
    finally:
        if client is None:
            await asked.aclose()
    folder = Path(options.out)
    summary = summarise(list(finished(folder / "self_correction.jsonl").values()))
    (folder / "self_correction.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    (folder / "self_correction.md").write_text(markdown(summary))
    return summary


if __name__ == "__main__":
    print("\n" + markdown(asyncio.run(run(arguments()))))
