"""Problems from a seed: drawn, solved, and kept when their optimum is known and the only one. No model is asked."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from agentopt.core.values import Frozen, digest
from agentopt.errors import UnknownName, UsageError
from agentopt.problems.formulation import Formulation
from agentopt.problems.scenarios import LINEAR, SCENARIOS
from agentopt.problems.scenarios.words import aside
from agentopt.problems.solving import find_optimum
from agentopt.problems.steps import Demonstration, demonstrate
from agentopt.problems.story import LEVELS, LevelName, Story

__all__ = ["Problem", "generate"]

_TRIES = 400
"""Draws for one problem; the scenarios need a few. Where so many bring nothing new, hardly anything new is left."""
_NEAR = 1e-7  # by which a solution in closed form may break a constraint, relative to its size


class Problem(Frozen):
    """A problem with its answer, in words and as data."""

    question: str
    """What is put to a model."""
    scenario: str
    """Which kind of story it is."""
    level: LevelName
    """How large it is."""
    table: bool
    """Whether the numbers are in a table."""
    formulation: Formulation
    """What the question says, as data."""
    values: dict[str, float]
    """The optimum by variable name."""
    method: Literal["highs", "grid", "closed form"]
    """How the optimum was found: by HiGHS, by trying every point, or in closed form."""
    demonstration: Demonstration
    """The same problem step by step, each in words and formally."""

    @property
    def answers(self) -> dict[str, float]:
        """What is asked for, by name; the objective last."""
        return self.formulation.answers(self.values)

    @property
    def asked(self) -> dict[str, float]:
        """The answers that a solver can be held to: of a nonlinear problem in real numbers the objective alone.

        Around a flat optimum the objective hardly changes, and what a solver gives for the variables is its tolerance.
        """
        told = self.answers
        if self.linear or all(v.whole for v in self.formulation.variables):
            return told
        return {self.formulation.objective_meaning: told[self.formulation.objective_meaning]}

    @property
    def linear(self) -> bool:
        """Whether it is linear."""
        return self.formulation.is_linear

    @property
    def type(self) -> str:
        """``linear-table``, ``linear-notable``, ``nonlinear-table`` or ``nonlinear-notable``."""
        return f"{'linear' if self.linear else 'nonlinear'}-{'table' if self.table else 'notable'}"


def generate(
    n: int,
    *,
    seed: int = 0,
    scenarios: Sequence[str] = (),
    levels: Sequence[LevelName] = ("easy", "medium", "hard"),
    tables: Sequence[bool] = (False, True),
) -> list[Problem]:
    """Draw problems. The first ``k`` of a longer list are the list of ``k``.

    Args:
        n: how many.
        seed: the same seed gives the same problems everywhere.
        scenarios: which kinds (``SCENARIOS``); all when none is named. They take turns, as do levels and tables; a
            scenario that has no new problem left at a level is passed over there.
        levels: easy, medium, hard.
        tables: False for prose, True for a table.

    Raises:
        UnknownName: a scenario or level that there is not.
        UsageError: a list without anything in it, or there are not so many different problems.

    >>> one = generate(1, seed=1, scenarios=["fence"], levels=["easy"], tables=[False])[0]
    >>> one.method, one.formulation.violations(one.values, 1e-9)
    ('closed form', [])
    """
    chosen = list(scenarios) or list(SCENARIOS)
    for name in chosen:
        if name not in SCENARIOS:
            raise UnknownName("scenario", name, list(SCENARIOS), f"there are {', '.join(SCENARIOS)}")
    for level in levels:
        if level not in LEVELS:
            raise UnknownName("level", level, list(LEVELS), f"there are {', '.join(LEVELS)}")
    if n < 0 or not levels or not tables:
        raise UsageError("give a number of problems from 0 on, at least one level, and tables as False, True or both")
    made: list[Problem] = []
    known: set[str] = set()
    left = [(name, level) for level in levels for name in chosen]
    while len(made) < n:
        place = len(made)
        turn, at = divmod(place, len(chosen))
        pair, table = (chosen[at], levels[turn % len(levels)]), tables[(turn + at) % len(tables)]
        if pair not in left:  # evenly from the others, and from the place alone, so that lists have equal beginnings
            pair = random.Random(f"problems/instead/{seed}/{place}").choice(left)
        problem = _one(f"{seed}/{place}", *pair, table, known)
        if problem is not None:
            made.append(problem)
            known.add(digest(problem.formulation.model_dump()))
            continue
        left = [other for other in left if other != pair]
        if not left:
            raise UsageError(_too_many(n, len(made), pair, len({*chosen}) * len({*levels})))
    return made


def _too_many(n: int, made: int, last: tuple[str, LevelName], pairs: int) -> str:
    what = f"{last[0]} at level {last[1]} has" if pairs == 1 else "the scenarios and levels that are named have"
    return f"there are no {n} different problems: {what} no more than {made}; ask for fewer, or name more of them"


def _one(seed: str, name: str, level: LevelName, table: bool, known: set[str]) -> Problem | None:
    """A problem that is not known; None where no draw brings one."""
    draw = random.Random(f"problems/{name}/{level}/{seed}")
    for _ in range(_TRIES):
        story = SCENARIOS[name](draw, LEVELS[level])
        formulation = story.formulation
        if formulation.is_linear != (name in LINEAR) or digest(formulation.model_dump()) in known:
            continue
        found = _optimum(story, formulation)
        if found is None:
            continue
        method, values = found
        if LEVELS[level].aside:
            story = dataclasses.replace(story, intro=f"{story.intro} {aside(draw)}")
        return Problem(
            question=story.question(table=table), scenario=name, level=level, table=table, formulation=formulation,
            values={k: float(v) for k, v in values.items()}, method=method, demonstration=demonstrate(story),
        )  # fmt: skip
    return None


def _optimum(story: Story, formulation: Formulation) -> tuple[Any, Mapping[str, Any]] | None:
    """How the optimum was found, and itself; None when there is none, or more than one, or nothing is done at it."""
    if story.optimum is not None:
        point = {name: float(f"{value:.12g}") + 0.0 for name, value in story.optimum.items()}
        return None if formulation.violations(point, _NEAR) else ("closed form", point)
    found = find_optimum(formulation)
    if found.status != "optimal" or not found.unique or found.values is None or not any(found.values.values()):
        return None
    return found.method, found.values
