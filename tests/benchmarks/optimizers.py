"""Optimizers side by side: ours, and those of three other libraries, on the same agents, examples, scorers and budget.

    python tests/benchmarks/optimizers.py                                  # what is missing of the core table
    python tests/benchmarks/optimizers.py --only method=gepa,task=mail     # one part of it
    python tests/benchmarks/optimizers.py --minutes 60                     # be done in an hour
    python tests/benchmarks/optimizers.py --table                          # only make the table of what is there

What is fixed in writing stands in ``docs/results/protocol.md``. Each search that has ended is a line of
``docs/results/optimizers.jsonl``; what is there is not run again. ``optimizers.md`` and ``optimizers.json`` are made of
these lines, and say what is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import time
import traceback
from pathlib import Path
from typing import Any

import optimizers_ours as ours
import optimizers_peers as peers
from optimizers_counting import Clients, Counts
from optimizers_protocol import (
    METHODS,
    NUMBERS,
    STARTS,
    Cell,
    Sizes,
    cells,
    data,
    method,
    protocol_hash,
)
from optimizers_table import markdown, read_lines, summarise

from agentopt.core.values import digest
from agentopt.errors import UsageError

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"


async def run(cell: Cell, sizes: Sizes, clients: Clients, known: list[dict[str, Any]]) -> dict[str, Any]:
    """One cell to its end: the search, then the test. What others found with the same values is not asked again."""
    line: dict[str, Any] = {"task": cell.task, "method": cell.method, "seed": cell.seed}
    if cell.task == NUMBERS:
        chosen = ours if method(cell.method).who == "ours" else peers
        found = await chosen.search_numbers(cell, sizes, clients)
        assert found.outcomes is not None
        line["outcomes"] = {k: round(v, 6) for k, v in found.outcomes.items()}
    else:
        cut = data(cell.task, cell.seed, sizes)
        if cell.method in STARTS:
            found = ours.Found(ours.start_values(cut), "no search")
        else:
            chosen = ours if method(cell.method).who == "ours" else peers
            found = await chosen.search_texts(cell, cut, sizes, clients)
        key = digest([cell.task, found.values])
        tested = Counts()
        same = (k for k in known if k.get("values_hash") == key and k["outcomes"] and k["method"] != "start again")
        earlier = next(same, None)
        if earlier is not None and cell.method != "start again":
            line |= {"outcomes": earlier["outcomes"], "as": [earlier["method"], earlier["seed"]]}
        else:
            again = cell.method == "start again"
            line["outcomes"] = await ours.test(cut, found.values, clients, tested, again)
        line |= {"values": found.values, "values_hash": key, "test_spend": tested.by_role["agent"]}
        line["validation"] = found.score
    return line | {
        "ended": found.ended,
        "spend": found.counts.by_role,
        "seconds": round(found.seconds, 1),
        "more": found.more,
        "protocol": protocol_hash(sizes, cell.task, cell.method),
        "code": CODE,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load": round(os.getloadavg()[0], 1),
    }


def code() -> str:
    """A hash of the code that a line was made with: library, tasks, graphs, prompts, and this benchmark."""
    root = Path(__file__).resolve().parents[2]
    files = [*(p for d in ("agentopt", "tasks", "graphs", "prompts") for p in (root / d).rglob("*"))]
    files += [Path(__file__).with_name("numerical.py"), *Path(__file__).parent.glob("optimizers*")]
    kept = sorted(p for p in files if p.suffix in (".py", ".md"))
    return digest([[str(p.relative_to(root)), p.read_text(encoding="utf-8")] for p in kept])[:12]


def wanted(options: argparse.Namespace, sizes: Sizes) -> list[Cell]:
    """The cells that ``--only`` leaves, without those of methods that are not there yet."""
    only = [part.split("=", 1) for part in (options.only or "").split(",") if part]
    for pair in only:
        if len(pair) != 2 or pair[0] not in ("method", "task", "seed"):
            raise UsageError(f"--only {options.only}: give method=NAME, task=NAME or seed=NUMBER, with commas between")
    chosen: dict[str, set[str]] = {}
    for name, value in only:
        chosen.setdefault(name, set()).add(value)
    found = [
        c for c in cells(sizes, options.full) if all(str(getattr(c, name)) in values for name, values in chosen.items())
    ]
    return [c for c in found if c.method in STARTS or method(c.method).there]


CODE = code()


def expected(cell: Cell, known: list[dict[str, Any]]) -> float:
    """Seconds that a cell may take, test included: what its method took at most on its task, else any, else a guess."""
    alike = [k for k in known if k["task"] == cell.task]
    took = [k["seconds"] for k in alike if k["method"] == cell.method] or [k["seconds"] for k in alike]
    return 60 + (max(took) if took else 240)


async def fill(options: argparse.Namespace, sizes: Sizes, clients: Clients) -> None:
    """Run what is missing, ``jobs`` cells at once, until it is done or the minutes are over."""
    path = Path(options.out) / "optimizers.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    known = read_lines(path, sizes)
    there = {(k["task"], k["method"], k["seed"]) for k in known}
    waiting = iter([c for c in wanted(options, sizes) if (c.task, c.method, c.seed) not in there])

    async def work() -> None:
        for cell in waiting:
            left = math.inf if options.minutes is None else 60 * options.minutes - (time.monotonic() - began)
            if expected(cell, known) > left:
                print(f"{cell} waits: {left:.0f} s are left; the same command goes on", flush=True)
                continue
            print(f"{time.strftime('%H:%M:%S')} {cell} ...", flush=True)
            await attempt(cell)

    async def attempt(cell: Cell) -> None:
        try:
            line = await run(cell, sizes, clients, known)
        except Exception as error:  # a search that fails has no line; the others go on
            if options.strict:
                raise
            print(f"  {cell}: no result: {type(error).__name__}: {str(error)[:1500]}", flush=True)
            if options.verbose:
                traceback.print_exc()
            return
        line["at_once"] = options.jobs
        known.append(line)
        with path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        scores = list(line["outcomes"].values())
        print(
            f"{time.strftime('%H:%M:%S')} {cell}: {sum(scores) / len(scores):.3f} on {len(scores)}; "
            f"{line['spend']['agent']['calls']} + {line['spend']['optimizer']['calls']} calls, "
            f"{line['seconds']:.0f} s; {line['ended'][:100]}",
            flush=True,
        )

    try:
        await asyncio.gather(*(work() for _ in range(options.jobs)))
    finally:
        await clients.aclose()


def write_table(out: Path, sizes: Sizes) -> str:
    """Make ``optimizers.json`` and ``optimizers.md`` from the lines that are there."""
    lines = read_lines(out / "optimizers.jsonl", sizes)
    summary = summarise(lines, sizes, CODE)
    page = markdown(summary)
    (out / "optimizers.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "optimizers.md").write_text(page, encoding="utf-8")
    return page


def main() -> None:
    """Fill the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="method=..,task=..,seed=..; several values of one name are alternatives")
    parser.add_argument(
        "--minutes", type=float, help="be done in so many minutes: begin no search that would take longer"
    )
    parser.add_argument("--jobs", type=int, default=1, help="searches at once; they share the models' batches")
    parser.add_argument("--full", action="store_true", help="the full table: more tasks, and demonstrations")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each method and task (the core table has 3)")
    parser.add_argument("--out", default=str(RESULTS), help="folder of optimizers.jsonl, .json and .md")
    parser.add_argument("--table", action="store_true", help="run nothing, make the table")
    parser.add_argument("--list", action="store_true", help="run nothing, list the cells")
    parser.add_argument("--strict", action="store_true", help="end at the first search that fails")
    parser.add_argument("--verbose", action="store_true", help="show tracebacks of searches that fail")
    parser.add_argument("--tiny", action="store_true", help="a look at the machinery: tiny sizes, never in the table")
    options = parser.parse_args()
    sizes = Sizes(seeds=tuple(range(options.seeds)))
    if options.tiny:
        sizes = Sizes(0, 8, 6, 48, 12, 512, 300.0, 2, 3, seeds=(0,))
        if Path(options.out) == RESULTS:
            raise SystemExit("--tiny needs --out: its lines are no results")
    if options.list:
        missing = [m.name for m in METHODS if not m.there]
        for cell in wanted(options, sizes):
            print(cell)
        print(f"methods that are not there yet: {', '.join(missing) or 'none'}")
        return
    if not options.table:
        asyncio.run(fill(options, sizes, Clients()))
    print("\n" + write_table(Path(options.out), sizes))


if __name__ == "__main__":
    main()
