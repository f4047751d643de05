"""A space of programs without a model in it, and an operator that moves in it as models do: from copy to near copy.

A program is a plan and a list of parts, written as two assignments. Programs of one plan are a cluster: small steps
stay inside, and under a wrong plan only some tests can be passed, so that each cluster has a local optimum. It is for
testing searches; what is found in it says what a search makes of such an operator, and nothing of real models.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from agentopt.llm.types import Request
from agentopt.testing.scripted import Reply

__all__ = ["CodeSpace", "Habits", "Operator", "Program"]


@dataclass(frozen=True, slots=True)
class Program:
    """A plan, and a variant for each part.

    >>> Program.read(Program(1, (0, 2)).text)
    Program(plan=1, parts=(0, 2))
    """

    plan: int
    parts: tuple[int, ...]

    @property
    def text(self) -> str:
        """As Python source."""
        return f"plan = {self.plan}\nparts = {list(self.parts)}\n"

    @classmethod
    def read(cls, text: str) -> Program | None:
        """The last program in a text; None without one."""
        found = re.findall(r"plan = (\d+)\s+parts = \[([\d, ]*)\]", text)
        if not found:
            return None
        plan, parts = found[-1]
        return cls(int(plan), tuple(int(part) for part in parts.split(",") if part.strip()))


@dataclass(frozen=True, slots=True)
class Habits:
    """How the operator behaves. ``diverse()`` has none of the habits that scattering and foresting are made against."""

    trap: float = 0.1
    """Share of spaces whose favourite plan is a wrong one: at first sight the problem looks like another."""
    hard: float = 0.3
    """Share of hard spaces."""
    knows: float = 0.99
    """Chance that the favourite variant of a part is the right one."""
    knows_hard: float = 0.7
    """The same in a hard space."""
    keen: float = 0.99
    """Chance that a seed has its favourite plan, and a part its favourite variant, at temperature 0."""
    cools: float = 0.03
    """How much lower that is at temperature 1."""
    sway: float = 0.15
    """Chance that another manner has a favourite of its own for the plan, or for a part."""
    fixes: float = 0.35
    """Chance that a move sets its part right, more often than guessing would; with a written direction or without."""
    same_move: float = 0.8
    """Chance that a repair without a direction makes the one move that it likes best."""
    leap: float = 0.25
    """Chance that one of several written directions is another plan."""
    skill: float = 0.9
    """Chance that a direction is carried out as it says."""

    @classmethod
    def severe(cls) -> Habits:
        """The same operator where it knows little: most problems look like another one, or are hard."""
        return cls(trap=0.4, hard=1.0, knows_hard=0.6)

    @classmethod
    def diverse(cls) -> Habits:
        """An operator that draws each seed and each move anew: without the habits that the parts of SFS act against."""
        return cls(keen=0.8, same_move=0.0)


@dataclass
class CodeSpace:
    """One problem: the right plan and parts, what each wrong plan can reach, and the tests.

    Args:
        seed: of everything drawn.
        plans, parts, variants: size of the space: ``plans * variants ** parts`` programs.
        tests: how many visible tests there are; each looks at one or two parts.
        wrong_tests: chance that a visible test wants something wrong.
        habits: of the operator; they decide where it begins.
    """

    seed: int
    plans: int = 4
    parts: int = 5
    variants: int = 4
    tests: int = 6
    wrong_tests: float = 0.0
    habits: Habits = field(default_factory=Habits)

    def __post_init__(self) -> None:
        rng = random.Random(f"codespace/{self.seed}")
        self.plan = rng.randrange(self.plans)
        shared = [rng.randrange(self.variants) for _ in range(self.parts)]
        self.right = [
            tuple(v if rng.random() < 0.5 else rng.randrange(self.variants) for v in shared) for _ in range(self.plans)
        ]
        """The right variants under each plan; half of them are the same under all."""
        self.hard = rng.random() < self.habits.hard
        order = rng.sample(range(self.parts), self.parts)
        self.looks = [
            tuple(sorted({order[i % self.parts], *([rng.randrange(self.parts)] if rng.random() < 0.5 else [])}))
            for i in range(self.tests)
        ]
        """The parts that each test looks at; with as many tests as parts every part is looked at."""
        reach = max(1, round(0.6 * self.tests))
        self.reached = [set(rng.sample(range(self.tests), reach)) for _ in range(self.plans)]
        self.wrong = {
            test: (rng.choice(self.looks[test]), rng.randrange(1, self.variants))
            for test in range(self.tests)
            if rng.random() < self.wrong_tests
        }
        """Of a wrong test: the part of which it wants another variant, and by how much that is off."""

    def favourites(self, manner: str = "") -> Program:
        """What the operator writes first in a manner: the same errors each time, and most of them in every manner."""
        plain, own = (random.Random(f"codespace/{self.seed}/{name}") for name in ("", manner))
        wrong = [plan for plan in range(self.plans) if plan != self.plan]
        knows = self.habits.knows_hard if self.hard else self.habits.knows

        def draw(right: int, others: Sequence[int], chance: float) -> int:
            usual = right if plain.random() < chance else plain.choice(others)
            new = right if own.random() < chance else own.choice(others)
            return new if own.random() < self.habits.sway else usual

        plan = draw(self.plan, wrong, 1 - self.habits.trap)
        right = self.right[plan]
        rest = [[v for v in range(self.variants) if v != right[part]] for part in range(self.parts)]
        return Program(plan, tuple(draw(right[part], rest[part], knows) for part in range(self.parts)))

    def solves(self, program: Program) -> bool:
        """Whether a program is right: the truth, which no search sees."""
        return program.plan == self.plan and program.parts == self.right[self.plan]

    def results(self, program: Program) -> list[bool]:
        """Which visible tests a program passes."""
        if not 0 <= program.plan < self.plans or len(program.parts) != self.parts:
            return [False] * self.tests
        right, found = self.right[program.plan], []
        for test, looks in enumerate(self.looks):
            reachable = program.plan == self.plan or test in self.reached[program.plan]
            off, by = self.wrong.get(test, (-1, 0))
            wanted = {part: (right[part] + (by if part == off else 0)) % self.variants for part in looks}
            found.append(reachable and all(program.parts[part] == v for part, v in wanted.items()))
        return found


class Operator:
    """Answers the requests of Scattered Forest Search and its baselines about one space.

    Its moves are a function of the request's seed, temperature and text. It reads the current program, the theme, the
    direction and the insights off the request, so it goes through the same prompts and readers as a model.

    >>> space = CodeSpace(3)
    >>> from agentopt.llm.types import Address, Message
    >>> asked = Request(model="m", messages=(Message(role="user", content="Go."),), seed=1, temperature=0.0,
    ...                 address=Address(scope="ask/0", path="sfs/seed/0"))
    >>> Program.read(str(Operator(space)(asked)))== space.favourites()
    True
    """

    def __init__(self, space: CodeSpace) -> None:
        self.space = space

    def __call__(self, request: Request) -> Reply:
        """Answer one request."""
        rng = random.Random(f"{self.space.seed}/{request.seed}")
        path = request.address.path if request.address else ""
        text = str(request.messages[-1].content)
        current = Program.read(text)
        if "/seed/" in path or current is None:
            theme = re.search(r"manner: (.*)", str(request.messages[0].content))
            return _block(self.seed(theme.group(1) if theme else "", request.temperature or 0.0, rng))
        if "/scatter/" in path:
            schema = request.json_schema or {}
            fields: dict[str, dict[str, int]] = schema.get("properties", {})  # type: ignore[assignment]
            count = int(fields.get("ideas", {}).get("maxItems", 2))
            return {"reflection": "It fails some tests.", "ideas": self.ideas(current, text, count, rng)}
        if "/scout/" in path:
            return json.dumps({"insights": self.lessons(text)})
        idea = re.search(r"# Idea\n(.*)", text)
        return _block(self.carry_out(current, idea.group(1), rng) if idea else self.repair(current, rng))

    def seed(self, theme: str, temperature: float, rng: random.Random) -> Program:
        """A first program: the favourite plan and variants, less so at a higher temperature or with a theme."""
        space = self.space
        usual = space.favourites(theme)
        keen = space.habits.keen - space.habits.cools * temperature
        plan = usual.plan if rng.random() < keen else rng.randrange(space.plans)
        return Program(plan, tuple(v if rng.random() < keen else rng.randrange(space.variants) for v in usual.parts))

    def ideas(self, current: Program, text: str, count: int, rng: random.Random) -> list[str]:
        """Different moves, those that the insights speak for first, without those that they speak against."""
        space = self.space
        moves = [self._move(current, rng) for _ in range(4 * count)]
        if rng.random() < space.habits.leap:
            plan = rng.choice([p for p in range(space.plans) if p != current.plan])
            moves.insert(rng.randrange(count), f"Take plan {plan}.")
        moves = list(dict.fromkeys(moves))
        told = text.partition("taught")[2].partition("\n\n")[0]
        known = text.partition("already")[2].partition("\n\n")[0]
        good = [move for move in moves if f"{move} helps" in told]
        rest = [move for move in moves if move not in good and move not in known and f"{move} does not" not in told]
        return (good + rest)[:count] or ["Look again."]

    def lessons(self, text: str) -> list[str]:
        """What a change of the score says of a move."""
        idea = re.search(r"# Idea\n(.*)", text)
        change = re.search(r"# Change of the score\n([-+.\d]+)", text)
        before = [line[2:] for line in text.partition("Insights so far")[2].splitlines() if line.startswith("- ")]
        if idea is None or change is None or not idea.group(1).startswith(("Set", "Take")):
            return before or ["Nothing yet."]
        return [f"{idea.group(1)} {'helps' if float(change.group(1)) > 0 else 'does not'} here.", *before]

    def carry_out(self, current: Program, idea: str, rng: random.Random) -> Program:
        """A direction as it says, mostly; one that says nothing is a repair."""
        space = self.space
        part, plan = re.search(r"Set part (\d+) to (\d+)", idea), re.search(r"Take plan (\d+)", idea)
        if part is None and plan is None:
            return self.repair(current, rng)
        if rng.random() >= space.habits.skill:
            return self.repair(current, rng)
        if part is not None:
            return _with(current, int(part.group(1)), int(part.group(2)))
        new = int(plan.group(1)) if plan is not None else current.plan
        if rng.random() < 0.5:
            return Program(new, current.parts)
        knows = space.habits.knows_hard if space.hard else space.habits.knows
        return Program(
            new, tuple(v if rng.random() < knows else rng.randrange(space.variants) for v in space.right[new])
        )

    def repair(self, current: Program, rng: random.Random) -> Program:
        """One part of a failed test changed: mostly the same one in the same way, whoever asks."""
        habit = random.Random(f"{self.space.seed}/{current.text}")
        draw = habit if rng.random() < self.space.habits.same_move else rng
        part, variant = map(int, re.findall(r"\d+", self._move(current, draw)))
        return _with(current, part, variant)

    def _move(self, current: Program, draw: random.Random) -> str:
        """Another variant for a part of a failed test; the right one as often as the operator knows it."""
        space = self.space
        failed = self._failed(current) or [*range(space.tests)]
        part = draw.choice(space.looks[draw.choice(failed)])
        others = [v for v in range(space.variants) if v != current.parts[part]]
        right = space.right[current.plan][part]
        variant = right if right in others and draw.random() < space.habits.fixes else draw.choice(others)
        return f"Set part {part} to {variant}."

    def _failed(self, current: Program) -> list[int]:
        return [test for test, passed in enumerate(self.space.results(current)) if not passed]


def _with(program: Program, part: int, variant: int) -> Program:
    parts: Sequence[int] = [variant if i == part else v for i, v in enumerate(program.parts)]
    return Program(program.plan, tuple(parts))


def _block(program: Program) -> str:
    return f"```python\n{program.text}```"
