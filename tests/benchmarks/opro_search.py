"""One search of ``opro_numbers.py``: an optimizer on a problem without a model in it, step by step."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from agentopt.core import Override, Trace, parameters
from agentopt.core.values import Candidate, Outcome, digest
from agentopt.evaluate import Task
from agentopt.llm.types import Request, Response
from agentopt.optim.base import Optimizer, ParameterSpec, Scored, View
from agentopt.workspace import load_graph, load_task, prompt_text

Row = dict[str, Any]
"""A search, or a run, that has ended: a line of a raw file."""


def finished(path: Path) -> dict[str, Row]:
    """The searches, or runs, that a raw file holds."""
    found: dict[str, Row] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(json.JSONDecodeError):  # the last line of a run that was killed
            row = json.loads(line)
            found[row["key"]] = row
    return found


def lengthened(path: Path) -> TextIO:
    """A raw file to add lines to; one that was being written when the measurement was killed is ended first."""
    cut = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    raw = path.open("a")
    raw.write("\n" if cut else "")
    return raw


@dataclass(frozen=True)
class Problem:
    """A task with its arguments, the graph that it is for, and the seed of the starts and of the search."""

    task: str
    args: tuple[tuple[str, int], ...]
    graph: str
    rep: int

    @property
    def seed(self) -> str:
        """Of everything random: the same for every method."""
        return digest([self.task, self.args, self.rep])


class Counter:
    """The optimizer's model; counts calls and tokens, and lets so many calls pass at once."""

    def __init__(self, client: Any, model: str, slots: asyncio.Semaphore) -> None:
        self.client, self.model, self.slots = client, model, slots
        self.calls = self.input = self.output = 0

    async def complete(self, request: Request) -> Response:
        """Ask the model."""
        async with self.slots:
            response: Response = await self.client.complete(request)
        self.calls += 1
        self.input += response.usage.input_tokens
        self.output += response.usage.output_tokens
        return response


class Window:
    """A ``View`` of one search; the first start is its baseline."""

    def __init__(self, problem: Problem, llm: Any, starts: Sequence[Mapping[str, Any]]) -> None:
        self.task: Task = load_task(problem.task, **dict(problem.args))
        self.agent, self.example_, self.llm, self.seed = (
            load_graph(problem.graph),
            self.task.examples[0],
            llm,
            problem.seed,
        )
        self.objective, self.off, self.frozen = self.task.objective, (), ()
        found = parameters(self.agent)
        self.parameters: Mapping[str, ParameterSpec] = {
            name: ParameterSpec(**parameter.spec_dict(), check=parameter.check) for name, parameter in found.items()
        }
        self.baseline = Candidate(values=dict(starts[0]), origin="baseline")
        self.archive: list[Scored] = []
        self.turn(0)

    def turn(self, step: int) -> None:
        """Go on to a step."""
        self.step = step
        self.rng = random.Random(int(digest([self.seed, step])[:16], 16))

    @property
    def best(self) -> Scored:
        """The best so far, the earlier of two equals."""
        return max(self.archive, key=lambda s: s.mean or 0.0)

    def example(self, id: str) -> tuple[Any, Any]:
        """The problem itself, without what it is compared with."""
        return self.example_.input, None

    def graph(self, outcome: Outcome) -> None:
        """None: what is searched here has no trace worth reading."""

    def prompt(self, name: str) -> str:
        """The text of a prompt file."""
        return prompt_text(name)

    def evaluate(self, candidate: Candidate, operator: str) -> Outcome:
        """Run the graph with a candidate's values."""
        with Override(candidate.values), Trace():
            output = self.agent(**cast("dict[str, Any]", self.example_.input)).value
        said = self.task.score(self.example_, output)
        outcome = Outcome(candidate=candidate.id, example=self.example_.id, split="search", feedback=said)
        score = said.score or 0.0
        self.archive.append(Scored(candidate, score, 1, score, score, (outcome,), self.step, operator))
        return outcome


def starts_of(problem: Problem, n: int = 5) -> list[dict[str, Any]]:
    """The paper's starting points: pairs of whole numbers from 10 to 20, or random tours; without repeats."""
    draw = random.Random(problem.seed)
    args = dict(problem.args)
    found: list[dict[str, Any]] = []
    while len(found) < n:
        if problem.task == "tsp":
            rest = list(range(1, args["n"]))
            draw.shuffle(rest)
            start: dict[str, Any] = {"tour": [0, *rest]}
        else:
            start = {"w": round(draw.uniform(10, 20)), "b": round(draw.uniform(10, 20))}
        if start not in found:
            found.append(start)
    return found


async def search(problem: Problem, optimizer: Optimizer, llm: Counter, steps: int, proposals: int) -> dict[str, Any]:
    """One search to its end: full marks, or so many steps after the starts."""
    starts = starts_of(problem)
    window = Window(problem, llm, starts)
    began = time.monotonic()
    outcomes = [window.evaluate(window.baseline, "baseline")]
    outcomes += [window.evaluate(window.baseline.change(start), "start") for start in starts[1:]]
    best, useless = [window.best.mean or 0.0], 0
    step = 0
    while step < steps and best[-1] < 1.0:
        optimizer.tell(outcomes)
        step += 1
        window.turn(step)
        known = {scored.candidate.id for scored in window.archive}
        suggested = await optimizer.ask(cast("View", window), proposals)
        useless += sum(len(p.rejected) for p in suggested)
        fresh = {p.candidate.id: p for p in suggested if p.candidate.id not in known}
        outcomes = [window.evaluate(p.candidate, p.operator) for p in fresh.values()]
        best.append(window.best.mean or 0.0)
    return {
        "steps": step,
        "solved": best[-1] == 1.0,
        "explored": len(window.archive),
        "best": best,
        "values": dict(window.best.candidate.values),
        "gap": 100 * (1 / best[-1] - 1) if problem.task == "tsp" else None,
        "meta": {k: v for k, v in window.example_.meta.items() if k not in ("w", "b")},
        "calls": llm.calls,
        "useless": useless,
        "input_tokens": llm.input,
        "output_tokens": llm.output,
        "seconds": round(time.monotonic() - began, 1),
    }
