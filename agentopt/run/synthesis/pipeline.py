"""From draws to rows: grow, read step by step, drop what is alike, expand, solve, ask as questions, check.

After ReSocratic (Yang et al., ICLR 2025, section 3), with two things in another order: a problem is solved before its
questions are paid for, since one without an answer needs none; and draws go through all stages in rounds, so that a
budget that ends has whole rows to show. What a round keeps depends on the draws and answers alone, not on what came
first, so that a resumed run makes the same data set.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from agentopt.core.values import digest
from agentopt.evaluate.modelling import Solved, find_program
from agentopt.problems.dataset import OBJECTIVE, Row
from agentopt.problems.declared import breaches
from agentopt.problems.leaks import question_problem
from agentopt.problems.similarity import keep_unlike
from agentopt.problems.steps import Demonstration, read_demonstration
from agentopt.run.synthesis.calls import Caller, Left, Useless
from agentopt.run.synthesis.options import SynthesisOptions
from agentopt.run.synthesis.seeds import Draw, Seed
from agentopt.run.synthesis.tally import Fell, Tally

__all__ = ["PROMPTS", "Pipeline", "Solver"]

PROMPTS = ("grow", "nonlinear", "question", "question_table", "code")
"""The texts that it uses, below ``prompts/synthesis/``."""
Solver = Callable[[str, Sequence[str]], Awaitable[Solved]]
"""Runs a program for an answer with these keys; remembers what it has run."""
_SAME = 1e-6  # by which figures that agree may differ, relative to their size


class _Drop(Exception):
    """Something fell at a filter."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage = stage


class Pipeline:
    """Takes draws to rows, a round at a time.

    Args:
        caller: what asks the model.
        solver: what runs programs.
        options: the knobs.
        prompts: texts by their name in ``PROMPTS``.
        seeds: the demonstrations that are grown from; what is too much like one of them is dropped.
        run: told in the provenance of every row, with the model's identity.
    """

    def __init__(
        self, caller: Caller, solver: Solver, options: SynthesisOptions, prompts: Mapping[str, str],
        seeds: Sequence[Seed], run: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._caller, self._solver, self._options, self._prompts = caller, solver, options, prompts
        self._run = dict(run)
        self._kept = [(seed.name, seed.demonstration.head) for seed in seeds]
        self._asked: set[str] = set()
        """Hashes of the questions that are rows."""

    async def round(self, draws: Sequence[Draw]) -> tuple[list[Row], Tally]:
        """Take draws through all stages."""
        tally = _Counter()
        grown = await asyncio.gather(*(self._grow(draw, tally) for draw in draws))
        there = [(draw, demonstration) for draw, demonstration in zip(draws, grown, strict=True) if demonstration]
        kept = self._unlike(there, tally)
        problems = [(draw, whole.prefix(n)) for draw, whole in kept for n in self._lengths(whole)]
        tally.add("problems", len(problems))
        made = await asyncio.gather(*(self._problem(draw, scenario, tally) for draw, scenario in problems))
        rows = []
        for row in (row for some in made for row in some):
            if (key := digest(row.question)) in self._asked:
                tally.fall(row.id, "duplicate", "this question is in the data set")
                continue
            self._asked.add(key)
            rows.append(row)
        tally.add("rows", len(rows))
        return rows, tally.done()

    async def _grow(self, draw: Draw, tally: _Counter) -> Demonstration | None:
        """A new demonstration: what is good of it."""
        options, where = self._options, f"draw {draw.number}"
        values = {
            "examples": "\n\n---\n\n".join(seed.demonstration.text for seed in draw.seeds),
            "kind": draw.kind,
            "most": str(options.most_constraints),
            "nonlinear": self._prompts["nonlinear"] if draw.kind == "nonlinear" else "",
        }
        try:
            response = await self._caller.ask(
                f"grow/{draw.number}", self._prompts["grow"], values, temperature=options.grow_temperature,
                max_tokens=options.grow_tokens, repeat=draw.repeat,
            )  # fmt: skip
        except Left:
            tally.left += 1
            return None
        except Useless as useless:
            tally.add("grow")
            tally.fall(where, "grow", f"no answer of use: {useless}")
            return None
        tally.add("grow")
        read = read_demonstration(response.text, most=options.most_constraints, unfinished=bool(response.unfinished))
        if read.demonstration is None:
            tally.fall(where, "steps", _kind(read.problem))
            return None
        if read.problem:
            tally.cut.append(Fell(where=where, stage="steps (tail cut)", reason=_kind(read.problem)))
        tally.add("steps")
        return read.demonstration

    def _unlike(self, grown: Sequence[tuple[Draw, Demonstration]], tally: _Counter) -> list[tuple[Draw, Demonstration]]:
        """Those that are unlike the seeds and all that was kept before."""
        heads = [demonstration.head for _, demonstration in grown]
        names = [*(name for name, _ in self._kept), *(f"draw {draw.number}" for draw, _ in grown)]
        judged = keep_unlike(heads, [head for _, head in self._kept], self._options.threshold)
        found = []
        for (draw, demonstration), (keep, likeness, place) in zip(grown, judged, strict=True):
            if keep:
                found.append((draw, demonstration))
                self._kept.append((f"draw {draw.number}", demonstration.head))
            else:
                tally.fall(f"draw {draw.number}", "similarity", f"too similar: {likeness:.2f} to {names[place]}")
        tally.add("similarity", len(found))
        return found

    def _lengths(self, whole: Demonstration) -> range:
        """Numbers of constraints of the prefixes that become problems."""
        return range(1 if self._options.expand else whole.constraints, whole.constraints + 1)

    async def _problem(self, draw: Draw, scenario: Demonstration, tally: _Counter) -> list[Row]:
        """The rows of one problem."""
        where, n = f"draw {draw.number}, {scenario.constraints} constraints", scenario.constraints
        try:
            answers, program, agreeing = await self._answer(draw, scenario, tally)
        except Left:
            tally.left += 1
            return []
        except _Drop as drop:
            tally.fall(where, drop.stage, str(drop))
            return []
        tally.add("solver")
        made = await asyncio.gather(*(self._question(draw, scenario, form, tally) for form in self._options.forms))
        rows = []
        for form, question in zip(self._options.forms, made, strict=True):
            if question is None:
                continue
            scope = f"{draw.number}/{n}/{_form(form)}"
            provenance: dict[str, Any] = {
                **self._run, "draw": draw.number, "seeds": [seed.name for seed in draw.seeds], "repeat": draw.repeat,
                "samples": self._options.samples, "agreeing": agreeing,
                "calls": [f"synthesis/grow/{draw.number}", f"synthesis/code/{draw.number}/{n}/...",
                          f"synthesis/question/{scope}"],
            }  # fmt: skip
            rows.append(
                Row(
                    id=f"{draw.number}-{n}-{_form(form)}", question=question, table=form, answers=answers,
                    kind=draw.kind, constraints=n, scenario=scenario.text, program=program,
                    cluster=f"draw-{draw.number}", provenance=provenance,
                )
            )  # fmt: skip
        return rows

    async def _answer(self, draw: Draw, scenario: Demonstration, tally: _Counter) -> tuple[dict[str, float], str, int]:
        """The figures that enough programs agree on, a program that all of these agree with, and how many they are."""
        options, names = self._options, [*scenario.symbols.values(), OBJECTIVE]
        written = await asyncio.gather(
            *(self._program(draw, scenario, names, sample) for sample in range(options.samples)), return_exceptions=True
        )
        for problem in written:
            if isinstance(problem, Left):
                raise problem
        programs = [found for found in written if isinstance(found, str)]
        drops = [problem for problem in written if isinstance(problem, BaseException)]
        if any(not isinstance(problem, _Drop) for problem in drops):
            raise next(problem for problem in drops if not isinstance(problem, _Drop))
        if len(programs) < options.needed:
            raise next(problem for problem in drops if isinstance(problem, _Drop))
        tally.add("code")
        solved = await asyncio.gather(*(self._solver(program, names) for program in programs))
        if any(s.ours for s in solved):
            raise Left  # nothing is known of the problem: a resumed run asks for nothing and runs the program
        sound = [(s, p) for s, p in zip(solved, programs, strict=True) if not _unsound(s, scenario)]
        if len(sound) < options.needed:
            raise _Drop("solver", next(_unsound(s, scenario) for s in solved if _unsound(s, scenario)))
        groups = [
            [other for other, _ in sound if _same(other.values[OBJECTIVE], one.values[OBJECTIVE])] for one, _ in sound
        ]
        middle = max(range(len(sound)), key=lambda at: len(groups[at]))  # likeness is to it: it carries no further
        (first, program), best = sound[middle], groups[middle]
        if len(best) < options.needed:
            told = ", ".join(f"{s.values[OBJECTIVE]:.6g}" for s, _ in sound)
            raise _Drop("solver", f"programs disagree: the optimum is {told}")
        agreed = [n for n in names if all(_same(s.values[n], first.values[n]) for s in best)]
        return {name: first.values[name] for name in agreed}, program, len(best)

    async def _program(self, draw: Draw, scenario: Demonstration, names: Sequence[str], sample: int) -> str:
        """One program for a problem."""
        options = self._options
        values = {
            "scenario": scenario.text,
            "names": "\n".join(json.dumps(name, ensure_ascii=False) for name in names),
        }
        try:
            response = await self._caller.ask(
                f"code/{draw.number}/{scenario.constraints}/{sample}", self._prompts["code"], values,
                temperature=options.grow_temperature if sample else 0.0, max_tokens=options.code_tokens, repeat=sample,
            )  # fmt: skip
        except Useless as useless:
            raise _Drop("code", f"no answer of use: {useless}") from None
        if response.unfinished:
            raise _Drop("code", f"cut off: {response.unfinished}")
        found = find_program(response.text)
        if found.form in ("none", "cut_off"):
            raise _Drop("code", "the reply holds no program")
        return found.code

    async def _question(self, draw: Draw, scenario: Demonstration, table: bool, tally: _Counter) -> str | None:
        """One question for a problem; None when it fell."""
        where = f"draw {draw.number}, {scenario.constraints} constraints, {_form(table)}"
        try:
            response = await self._caller.ask(
                f"question/{draw.number}/{scenario.constraints}/{_form(table)}",
                self._prompts["question_table" if table else "question"], {"scenario": scenario.text},
                temperature=0.0, max_tokens=self._options.question_tokens,
            )  # fmt: skip
        except Left:
            tally.left += 1
            return None
        except Useless as useless:
            tally.add("questions")
            tally.fall(where, "question", f"no answer of use: {useless}")
            return None
        tally.add("questions")
        if response.unfinished:
            tally.fall(where, "question", f"cut off: {response.unfinished}")
            return None
        question = response.text.strip()
        if problem := question_problem(scenario, question, table=table):
            tally.fall(where, "leak", problem)
            return None
        tally.add("leak")
        return question


class _Counter:
    """A tally in the making."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.fell: list[Fell] = []
        self.cut: list[Fell] = []
        self.left = 0

    def add(self, name: str, count: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + count

    def fall(self, where: str, stage: str, reason: str) -> None:
        self.fell.append(Fell(where=where, stage=stage, reason=reason))

    def done(self) -> Tally:
        """What was counted, in the order of the draws."""
        fell, cut = (tuple(sorted(some, key=_place)) for some in (self.fell, self.cut))
        return Tally(counts=self.counts, fell=fell, cut=cut, left=self.left)


def _place(fell: Fell) -> tuple[list[int], str]:
    """Draw and constraints, then the words."""
    return [int(number) for number in re.findall(r"\d+", fell.where)], fell.where


def _form(table: bool) -> str:
    return "table" if table else "prose"


def _kind(problem: str) -> str:
    """A problem of a step with its kind first, so that kinds can be counted."""
    header, separator, what = problem.partition(": ")
    return f"{what}: {header}" if separator else problem.replace(" where ", ": where ", 1)


def _same(a: float, b: float) -> bool:
    return abs(a - b) <= _SAME * max(1.0, abs(a), abs(b))


def _unsound(solved: Solved, scenario: Demonstration) -> str:
    """Why an answer cannot be used; empty for a good one."""
    if not solved.ok:
        return f"{solved.status}: {' '.join(solved.text.split())[:200]}"
    wrong = breaches(scenario, solved.values)
    return f"not as declared: {wrong[0]}" if wrong else ""
