"""What Scattered Forest Search is to be compared with, in the same machine, at the same budget."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import JsonValue

from agentopt.errors import UsageError
from agentopt.optim.forest.machine import Machine, Step
from agentopt.optim.forest.optimizer import SFS
from agentopt.optim.forest.tree import ROOT
from agentopt.optim.options import check_number

__all__ = ["Genetic", "Refine", "Repeated", "Themed", "Tree"]


@dataclass(kw_only=True, eq=False)
class Repeated(Machine):
    """Repeated sampling (best of N): the same request again and again; nothing is learned from what came of it.

    The paper ran it at the temperature of its own method, 0 to 0.2, where samples hardly differ; the default here is
    the 0.8 of Brown et al. 2024, "Large Language Monkeys".

    >>> Repeated().seed_temperature
    0.8
    """

    name: ClassVar[str] = "repeated"
    theme: str = "none"
    seed_temperature: float | None = 0.8
    start: bool | None = False

    def wanted(self) -> float:
        """Seeds without an end."""
        return math.inf

    def picks(self, step: Step, n: int) -> list[int]:
        """None: there are seeds only."""
        return []


@dataclass(kw_only=True, eq=False)
class Themed(Repeated):
    """Repeated sampling with another theme each time: what the difference of the requests alone brings.

    >>> Themed().theme
    'auto'
    """

    name: ClassVar[str] = "themed"
    theme: str = "auto"


@dataclass(kw_only=True, eq=False)
class Refine(Machine):
    """Line refinement (Reflexion): one seed, then always a repair of the latest candidate, after a written reflection.

    The paper returned the last candidate; here, as everywhere, the best one is the result. ``follow="best"`` goes on
    from the best one instead of the latest; ``scatter=False`` leaves the reflection out.

    >>> Refine(follow="best").directions
    1
    """

    name: ClassVar[str] = "refine"
    forest: bool = False
    scout: bool = False
    directions: int = 1
    theme: str = "none"
    follow: str = "latest"
    """``latest`` or ``best``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.follow not in ("latest", "best"):
            raise UsageError(f"refine: follow={self.follow!r}; it must be latest or best")

    def picks(self, step: Step, n: int) -> list[int]:
        """The latest candidate with a score (of several made at once the best), or the best of all."""
        nodes, scores = self._forest.nodes, step.scores.by_id
        known = [number for number, node in enumerate(nodes) if node.id in scores]
        if self.follow == "latest" and known:
            known = [number for number in known if nodes[number].parent == nodes[known[-1]].parent]
        return [max(known, key=lambda number: scores[nodes[number].id])] * min(n, self.directions) if known else []


@dataclass(kw_only=True, eq=False)
class Tree(SFS):
    """Plain tree search: one seed, no directions, no insights; a node is left when all its places are used.

    >>> Tree().scatter
    False
    """

    name: ClassVar[str] = "tree"
    forest: bool = False
    scatter: bool = False
    scout: bool = False
    theme: str = "none"
    leave: str = "full"


@dataclass(kw_only=True, eq=False)
class Genetic(Machine):
    """Islands of candidates (after FunSearch, Romera-Paredes et al. 2024): a random member of each in turn is refined.

    When every island is full, the worse half of the islands is emptied, and each begins again with the best candidate
    of one that was left.

    >>> Genetic(islands=4).population
    3
    """

    name: ClassVar[str] = "genetic"
    scatter: bool = False
    scout: bool = False
    theme: str = "none"
    seeds: int = 2
    islands: int = 2
    """How many there are; the seeds are dealt out to them."""
    population: int = 3
    """Members at which an island is full."""

    _members: list[list[int]] = field(default_factory=list, init=False, repr=False)
    _turn: int = field(default=0, init=False, repr=False)
    _drawn: list[int] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("islands", "population"):
            check_number("genetic", option, getattr(self, option), low=1, whole=True)
        self._members = [[] for _ in range(self.islands)]

    def born(self, number: int, place: int) -> None:
        """A seed goes to the islands in turn, a child to the island that its parent was drawn from."""
        seed = self._forest.nodes[number].parent == ROOT
        home = number % self.islands if seed else self._drawn[place]
        self._members[home].append(number)

    def picks(self, step: Step, n: int) -> list[int]:
        """A random member of the next island that has any."""
        nodes, scores, rng = self._forest.nodes, step.scores.by_id, step.view.rng
        for number, node in enumerate(nodes):  # one that was no answer of the model: where the run began
            if node.parent == ROOT and not any(number in island for island in self._members):
                self._members[number % self.islands].append(number)
        alive = [[number for number in island if nodes[number].id in scores] for island in self._members]
        if all(len(island) >= self.population for island in alive):
            alive = self._renewed(alive, [scores.get(node.id, 0.0) for node in nodes], rng)
        self._drawn = []
        picked: list[int] = []
        while len(picked) < n and any(alive):
            home = self._turn % self.islands
            self._turn += 1
            if alive[home]:
                picked.append(rng.choice(alive[home]))
                self._drawn.append(home)
        return picked

    def _renewed(self, alive: list[list[int]], scores: Sequence[float], rng: random.Random) -> list[list[int]]:
        """The worse half of the islands begins again with the best of one of the others; a single one with its own."""
        best = [max(island, key=lambda number: scores[number]) for island in alive]
        ranked = sorted(range(self.islands), key=lambda home: -scores[best[home]])
        kept = ranked[: (self.islands + 1) // 2]
        for home in ranked[len(kept) :] or ranked:
            alive[home] = [best[rng.choice(kept)]]
            self._members[home] = list(alive[home])
        return alive

    def state(self) -> dict[str, JsonValue]:
        """With the islands."""
        islands: list[JsonValue] = [list(island) for island in self._members]
        return {**super().state(), "islands": islands, "turn": self._turn}

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """Take a state that ``state`` gave."""
        super().load(state)
        kept: Any = state
        self._members = [[int(number) for number in island] for island in kept.get("islands", ())]
        self._members += [[] for _ in range(self.islands - len(self._members))]
        self._turn = int(kept.get("turn", 0))
