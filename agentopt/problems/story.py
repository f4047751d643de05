"""A problem as it is told: variables, objective and constraints, each in plain words and in formal lines.

The same parts make a formulation (for solvers), a question in prose or with a table (for models), and a stepwise
demonstration (for synthesis).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agentopt.problems.formulation import Formulation, Variable

__all__ = ["LEVELS", "Level", "LevelName", "Scenario", "Step", "Story", "Table", "each", "listing", "money", "slug"]

LevelName = Literal["easy", "medium", "hard"]


@dataclass(frozen=True, slots=True)
class Level:
    """How large a problem is.

    ``items`` and ``limits`` are the least and greatest numbers of things to decide and of further constraints;
    ``halves`` says that coefficients may end in .5; ``aside`` adds a fact that has nothing to do with the question.
    """

    items: tuple[int, int]
    limits: tuple[int, int]
    halves: bool = False
    aside: bool = False

    def count(self, draw: random.Random, least: int = 2, most: int = 99) -> int:
        """A number of items, between bounds of the scenario's own."""
        return max(least, min(most, draw.randint(*self.items)))

    def number(self, draw: random.Random, low: int, high: int) -> int | float:
        """A coefficient between two numbers."""
        whole = draw.randint(low, high)
        return whole + 0.5 if self.halves and draw.random() < 0.3 else whole


LEVELS: dict[LevelName, Level] = {
    "easy": Level((2, 2), (1, 2)),
    "medium": Level((3, 4), (2, 3), halves=True),
    "hard": Level((4, 6), (3, 4), halves=True, aside=True),
}


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a problem: in words with its numbers, in words beside a table that has them, and formally."""

    text: str
    formal: tuple[str, ...]
    brief: str = ""
    """As ``text``, where the table has the numbers; empty where it has none of them."""


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers by row and column; the first cell of a row is its name."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As Markdown, with its title above."""
        lines = [self.header, tuple("---" for _ in self.header), *self.rows]
        return f"{self.title}:\n" + "\n".join("| " + " | ".join(row) + " |" for row in lines)


@dataclass(frozen=True, slots=True)
class Story:
    """A problem in all its parts. ``optimum`` is the solution where the scenario has it in closed form."""

    intro: str
    variables: tuple[Variable, ...]
    sense: Literal["maximize", "minimize"]
    objective: str
    objective_meaning: str
    goal: Step
    limits: tuple[Step, ...]
    table: Table
    optimum: Mapping[str, Any] | None = None

    @property
    def formulation(self) -> Formulation:
        """The problem as data."""
        constraints = tuple(line for step in self.limits for line in step.formal)
        return Formulation(
            variables=self.variables, sense=self.sense, objective=self.objective,
            objective_meaning=self.objective_meaning, constraints=constraints,
        )  # fmt: skip

    def question(self, *, table: bool) -> str:
        """The text that is put to a model, in prose or with a table."""
        steps = (self.goal, *self.limits)
        if not table:
            return " ".join([self.intro, *(step.text for step in steps)])
        facts = [step.brief or step.text for step in self.limits]
        told = [f"{self.intro} {self.goal.brief or self.goal.text}", self.table.markdown(), " ".join(facts)]
        return "\n\n".join(filter(None, told))


Scenario = Callable[[random.Random, Level], Story]
"""Draws a story of one kind."""


def listing(words: Sequence[str], joint: str = "and") -> str:
    """Words as a list in a sentence.

    >>> listing(["a", "b", "c"]), listing(["a"])
    ('a, b and c', 'a')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joint} {words[-1]}"


def each(names: Sequence[Any], pattern: str, *values: Sequence[Any]) -> str:
    """One sentence with a clause for each thing.

    >>> each(["chair", "table"], "each {} takes {} hours", [1, 3.5])
    'Each chair takes 1 hour and each table takes 3.5 hours.'
    """
    clauses = [pattern.format(told(name), *map(told, row)) for name, *row in zip(names, *values, strict=True)]
    sentence = _ONE.sub(lambda m: f"1 {m[1] or ''}{_SINGULAR.get(m[2], m[2][:-1])}", listing(clauses))
    return f"{sentence[0].upper()}{sentence[1:]}."


_ONE = re.compile(
    r"(?<![\d.])1 (square )?(hours|minutes|kilograms|liters|deciliters|grams|milligrams|boards|meters|cups|boxes|pieces"
    r"|tubes|people|workers|units|loads|trips|kilometers)\b"
)
_SINGULAR = {"boxes": "box", "people": "person"}


def told(value: Any) -> str:
    """A number as it is written in a text: ``12``, ``3.5``, ``1250``."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def money(value: Any) -> str:
    """An amount of dollars."""
    return f"${told(value)}"


def slug(words: str) -> str:
    """A Python name for words.

    >>> slug("office chairs"), slug("Plant 2")
    ('office_chairs', 'plant_2')
    """
    return re.sub(r"\W+", "_", words.lower()).strip("_")
