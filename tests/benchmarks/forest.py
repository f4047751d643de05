"""Scattered Forest Search, its parts and its baselines on HumanEval with a real model, at equal total tokens.

    python tests/benchmarks/forest.py --model local/qwen2.5-coder-0.5b

Generated programs run in the sandbox, or where ``--runner`` says: a function that returns a ``ProgramRunner``.
For each problem the model writes its own tests first, once, for all methods; searches see nothing else. The problem's
own tests judge afterwards, outside of every search. Every search that has ended is a line of ``--raw`` and every answer
is kept (``--answers``), so the same command goes on where it was stopped; ``forest.md`` and ``forest.json`` hold what
there is so far, whatever it says.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import inspect
import json
import math
import os
import platform
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forest_search import METHODS, Found, search
from forest_table import REFERENCE, choices, equal_tokens, summary_of, table

from agentopt import Example, load_task
from agentopt._builtin import shipped_prompt
from agentopt.errors import UsageError
from agentopt.evaluate import ProgramRunner, use_runner
from agentopt.evaluate.programs import program_of
from agentopt.evaluate.sandboxed import shared_runner
from agentopt.llm.cache import Cache, ResponseCache
from agentopt.llm.providers import resolve
from agentopt.optim.forest.selftests import SelfTests, write_tests
from agentopt.optim.registry import make

RESULTS = Path(__file__).parents[2] / "docs" / "results"


class Counting:
    """The model; lets so many calls pass at once, and knows its name."""

    def __init__(self, client: Any, model: str, at_once: int) -> None:
        self.client, self.model, self.slots, self.tokens = client, model, asyncio.Semaphore(at_once), 0

    async def complete(self, request: Any) -> Any:
        """Ask the model."""
        async with self.slots:
            response = await self.client.complete(request)
        self.tokens += response.usage.input_tokens + response.usage.output_tokens
        return response


class Bench:
    """What all searches share: problems, model, runner, and the rows that are there.

    Args:
        options: the command line.
        client: who answers.
        runner: who runs programs.
    """

    def __init__(self, options: argparse.Namespace, client: Any, runner: ProgramRunner) -> None:
        self.options, self.llm, self.runner = options, Counting(client, options.model, options.connections), runner
        self.task = load_task("humaneval", tests=options.tests)
        examples = sorted(self.task.examples, key=lambda e: int(e.id.split("/")[1]))
        self.problems = random.Random(options.seed).sample(examples, min(options.problems, len(examples)))
        self.path, self.end = Path(options.raw), time.monotonic() + 60 * options.minutes
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.rows: dict[str, dict[str, Any]] = {}
        for line in self.path.read_text().splitlines() if self.path.exists() else ():
            with contextlib.suppress(json.JSONDecodeError):  # the last line of a run that was killed
                row = json.loads(line)
                self.rows[row["key"]] = row

    def keep(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row that is done."""
        self.rows[row["key"]] = row
        with self.path.open("a") as raw:
            raw.write(json.dumps(row) + "\n")
        return row

    def key(self, *parts: Any) -> str:
        """What a row stands for."""
        o = self.options
        return json.dumps([*parts, o.model, o.tests, o.seed, o.visible])

    async def tests_of(self, problem: Example) -> list[str]:
        """The model's own tests of a problem; where it wrote none, one that the function exists."""
        key, target = self.key("tests", problem.id), dict(problem.target)  # type: ignore[call-overload]
        if key not in self.rows:
            before = self.llm.tokens
            found: SelfTests = await write_tests(
                self.llm, shipped_prompt, str(problem.meta["prompt"]), target["entry_point"],
                count=self.options.visible, calls=6, seed=self.options.seed, scope=f"tests/{problem.id}",
            )  # fmt: skip
            made = list(found.tests) or [f"assert callable({target['entry_point']})"]
            right = await self.runner.run(str(problem.meta["reference"]), made, seconds=5.0)
            self.keep({
                "key": key, "tests": made, "written": len(found.tests), "calls": found.calls,
                "rejected": len(found.rejected), "tokens": self.llm.tokens - before,
                "right": [result.status == "passed" for result in right.results],
            })  # fmt: skip
        tests: list[str] = self.rows[key]["tests"]
        return tests

    async def one(self, method: str, problem: Example, tokens: float) -> dict[str, Any] | None:
        """One search, judged; None when the time is over."""
        key = self.key("search", method, problem.id, self.options.solutions, tokens)
        if key in self.rows:
            return self.rows[key]
        if time.monotonic() > self.end:
            return None
        tests = await self.tests_of(problem)
        name, given = METHODS[method]
        prompt, entry = str(problem.meta["prompt"]), dict(problem.target)["entry_point"]  # type: ignore[call-overload]

        async def judge(program: str) -> list[tuple[float, str]]:
            whole = program_of(program, entry_point=entry, prompt=prompt)
            verdict = await self.runner.run(whole, tests, seconds=5.0)
            if verdict.problem:
                raise UsageError(f"programs cannot be run: {verdict.problem}")
            return [(float(r.status == "passed"), r.text or r.status) for r in verdict.results]

        found = await search(
            make(name, start=False, **given), self.llm, judge, start=prompt, objective=self.task.objective,
            tests=tests, solutions=self.options.solutions, tokens=tokens,
            seed=self.options.seed, model=self.options.model, in_flight=self.options.in_flight,
        )  # fmt: skip
        right = await self._truth(problem, found)
        print(f"{problem.id} {method}: {sum(right)} of {len(right)} right, {found.tokens} tokens", flush=True)
        return self.keep({
            "key": key, "method": method, "problem": problem.id, "entry": entry, "right": right,
            "costs": [m.tokens for m in found.made], "tokens": found.tokens, "calls": found.calls,
            "useless": found.useless, "passed": ["".join("01"[good] for good in m.passed) for m in found.made],
            "programs": [m.program for m in found.made[:5]], "seconds": found.seconds,
        })  # fmt: skip

    async def _truth(self, problem: Example, found: Found) -> list[bool]:
        """Whether each program passes the problem's own tests; each distinct one is run once."""
        known: dict[str, bool] = {}
        with use_runner(self.runner):
            for program in dict.fromkeys(m.program for m in found.made):
                said = await self.task.ascore(problem, program)
                if said.score is None:
                    raise UsageError(f"{problem.id}: {said.text}")
                known[program] = said.score == 1.0
        return [known[m.program] for m in found.made]

    async def all(self) -> list[dict[str, Any]]:
        """Every method on every problem, SFS first, since the others get its tokens; as far as the time goes."""
        out: list[dict[str, Any]] = []
        slots, tokens = asyncio.Semaphore(self.options.at_once), 0.0

        async def held(method: str, problem: Example) -> dict[str, Any] | None:
            async with slots:
                return await self.one(method, problem, tokens)

        for method in [REFERENCE, *(m for m in self.options.methods if m != REFERENCE)]:
            rows = await asyncio.gather(*(held(method, problem) for problem in self.problems))
            out += [row for row in rows if row is not None]
            if method == REFERENCE:
                if None in rows:
                    break
                tokens = equal_tokens(out, self.options.solutions)
        return out


def runner_of(name: str) -> ProgramRunner:
    """The runner that a ``module:function`` returns.

    Raises:
        UsageError: there is no such function.
    """
    module, _, attribute = name.partition(":")
    try:
        made: Any = getattr(importlib.import_module(module), attribute or "runner")()
    except (ImportError, AttributeError, TypeError) as error:
        raise UsageError(
            f"--runner {name}: {error}; give MODULE:FUNCTION of a function without arguments that returns an "
            "agentopt.evaluate.ProgramRunner: generated programs never run in this process"
        ) from None
    if not inspect.iscoroutinefunction(getattr(made, "run", None)):
        raise UsageError(f"--runner {name}: what it returns ({type(made).__name__}) has no `async def run`")
    runner: ProgramRunner = made
    return runner


def summarise(rows: Sequence[Mapping[str, Any]], bench: Bench) -> dict[str, Any]:
    """The tables as data; methods that are not through all problems are left out, and named."""
    options = bench.options
    written = [row for row in bench.rows.values() if "written" in row]
    made = [good for row in written for good in row["right"]]
    counts = {method: sum(row["method"] == method for row in rows) for method in options.methods}
    size = counts.get(REFERENCE, 0)
    setup = {
        k: getattr(options, k) for k in ("model", "problems", "solutions", "visible", "tests", "seed", "in_flight")
    }
    out: dict[str, Any] = {
        "setup": setup | {"machine": f"{os.cpu_count()} cores, {platform.machine()}"},
        "tests": {
            "problems": len(written), "written": sum(row["written"] for row in written),
            "right": sum(made), "of": len(made), "tokens": sum(row["tokens"] for row in written),
        },
        "unfinished": {m: n for m, n in counts.items() if n < options.problems},
    }  # fmt: skip
    if size:
        ids = {row["problem"] for row in rows if row["method"] == REFERENCE}
        ordered = sorted((row for row in rows if row["problem"] in ids), key=lambda row: row["problem"])
        out["found"] = summary_of(ordered, options.solutions)
    return out


def markdown(summary: Mapping[str, Any]) -> str:
    """The page."""
    s, tests = summary["setup"], summary["tests"]
    out = [
        "# Scattered Forest Search on HumanEval",
        "",
        f"`{s['model']}` on {s['machine']}; {s['problems']} problems drawn at random, {s['solutions']} programs each, "
        f"{s['visible']} tests that the model wrote for itself, the {s['tests']} tests as truth. The paper's own "
        "results are with gpt-3.5-turbo and are not comparable. `python tests/benchmarks/forest.py` makes this page.",
        "",
        "pass@any: any program made is right. pass@1: the returned one is (most of its own tests passed, the earliest "
        "of equals). Differences are paired with SFS on the same problems (Newcombe's interval, McNemar's exact test, "
        "p corrected by Holm within the column). *Equal tokens*: every other method gets the median total tokens, "
        "input and output, of the SFS searches that used all their programs; SFS stops at its programs. The tests' own "
        "are not counted, being the same for all.",
        "",
        f"Own tests: {tests['written']} on {tests['problems']} problems; {tests['right']} of {tests['of']} agree with "
        f"the reference solution. {tests['tokens']} tokens.",
    ]
    if summary["unfinished"]:
        left = ", ".join(f"{method} ({n} problems done)" for method, n in summary["unfinished"].items())
        out += ["", f"Not through: {left}."]
    if "found" in summary:
        found = summary["found"]
        out += ["", f"n = {found['n']} problems; equal tokens: {found['equal tokens']:.0f}.", "", *table(found), ""]
        out += choices(found)
    return "\n".join(out) + "\n"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b", help="writes tests, seeds, directions, programs")
    parser.add_argument("--runner", help="MODULE:FUNCTION that returns what runs programs; default: the sandbox")
    parser.add_argument("--problems", type=int, default=40, help="how many, drawn by the seed")
    parser.add_argument("--solutions", type=int, default=10, help="programs a problem")
    parser.add_argument("--visible", type=int, default=6, help="own tests a problem")
    parser.add_argument("--tests", default="base", choices=("base", "plus"), help="the truth")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--methods", nargs="*", default=list(METHODS), choices=list(METHODS), help="only these, and SFS"
    )
    parser.add_argument("--in-flight", type=int, default=1, help="programs of a search at a time; the paper: 1")
    parser.add_argument("--at-once", type=int, default=4, help="searches at once")
    parser.add_argument("--connections", type=int, default=8, help="calls at once")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no search after so many minutes")
    parser.add_argument("--answers", default="runs/forest.sqlite", help="answers: a search that was cut has them")
    parser.add_argument("--raw", default="runs/forest.jsonl", help="searches that have ended")
    parser.add_argument("--out", default=str(RESULTS), help="folder of forest.json and .md")
    return parser.parse_args(given)


async def run(options: argparse.Namespace, client: Any = None, runner: ProgramRunner | None = None) -> dict[str, Any]:
    """Measure and write the page; with another client and runner, for tests."""
    place = runner or (runner_of(options.runner) if options.runner else shared_runner())
    asked = client or resolve(options.model)
    Path(options.answers).parent.mkdir(parents=True, exist_ok=True)
    answers = ResponseCache(options.answers)
    try:
        bench = Bench(options, Cache(asked, answers, options.model), place)
        rows = await bench.all()
    finally:
        answers.close()
        if client is None:
            await asked.aclose()
    summary = summarise(rows, bench)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "forest.json").write_text(json.dumps(summary, indent=1) + "\n")
    (folder / "forest.md").write_text(markdown(summary))
    return summary


if __name__ == "__main__":
    print("\n" + markdown(asyncio.run(run(arguments()))))
