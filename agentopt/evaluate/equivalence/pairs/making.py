"""Pairs with their true labels, by seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from agentopt.errors import UnknownName
from agentopt.evaluate.equivalence.draws import Template
from agentopt.evaluate.equivalence.formulation import Formulation, Objective
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.pairs.problems import FAMILIES, draw_problem
from agentopt.evaluate.equivalence.pairs.transforms import TRANSFORMS, Changed, renamed
from agentopt.evaluate.equivalence.region import best, region_of

__all__ = ["NAMES", "Pair", "make_pair", "make_pairs"]

UNRELATED = {"j": "an unrelated formulation", "k": "an unrelated one whose constant objective has the same value"}
NAMES = tuple(sorted([*TRANSFORMS, *UNRELATED], key=lambda n: (len(n), n)))
"""All transformations."""
_TRIES = 200


@dataclass(frozen=True)
class Pair:
    """Two formulations, and whether they are the same problem."""

    id: str
    variation: str
    """The transformation."""
    equivalent: bool
    """The label, true by construction for the problem as level 3 means it: feasible sets and objective."""
    family: str
    problem: Template
    changed: Callable[[Formulation], Changed | None]
    """From the reference to the candidate."""
    _made: dict[Any, Changed | None] = field(default_factory=dict, compare=False, repr=False)

    def reference(self, draw: Mapping[str, Any] | None = None) -> Formulation:
        """The reference at a draw of the parameters; by default as it was generated."""
        return self.problem.at(draw)

    def candidate(self, draw: Mapping[str, Any] | None = None) -> Formulation:
        """The candidate at a draw.

        Raises:
            ValueError: the transformation cannot be applied to this draw.
        """
        return self._at(draw).formulation

    def possible(self, draw: Mapping[str, Any] | None = None) -> bool:
        """Whether the transformation can be applied to a draw."""
        try:
            return self._at(draw) is not None
        except ValueError:
            return False

    def gold(self, draw: Mapping[str, Any] | None = None) -> VariableMap | None:
        """The reference's variables from the candidate's; None for unrelated formulations."""
        return None if self.variation in UNRELATED else self._at(draw).to_reference

    def _at(self, draw: Mapping[str, Any] | None) -> Changed:
        key = tuple(sorted((draw or self.problem.parameters).items()))
        if key not in self._made:
            self._made[key] = self.changed(self.problem.at(draw))
        made = self._made[key]
        if made is None:
            raise ValueError(f"pair {self.id}: {self.variation} cannot be applied to the draw {draw}")
        return made


def make_pair(variation: str, seed: int) -> Pair:
    """A pair, fixed by transformation and seed: the first drawn problem to which the transformation can be applied.

    Args:
        variation: one of ``NAMES``.
        seed: of the problem and the transformation.

    Raises:
        UnknownName: no such transformation.

    >>> pair = make_pair("g", 0)
    >>> pair.equivalent, len(pair.candidate().variables) > len(pair.reference().variables)
    (True, True)
    """
    if variation not in NAMES:
        raise UnknownName("transformation", variation, NAMES, hint=f"there are {', '.join(NAMES)}")
    families = sorted(FAMILIES)
    for attempt in range(_TRIES):
        family = families[(seed + attempt) % len(families)]
        problem = draw_problem(1000 * seed + attempt, family)
        if not _usable(problem.at()):
            continue
        label = variation in TRANSFORMS and TRANSFORMS[variation].equivalent
        pair = Pair(f"{variation}/{seed}", variation, label, family, problem, _changer(variation, seed, problem))
        if pair.possible():
            return pair
    raise ValueError(f"no problem was found to which {variation} can be applied (seed {seed})")


def make_pairs(each: int, *, seed: int = 0, names: tuple[str, ...] = NAMES) -> Iterator[Pair]:
    """So many pairs of each transformation."""
    for variation in names:
        for i in range(each):
            yield make_pair(variation, 10_000 * seed + i)


def _usable(f: Formulation) -> bool:
    """Whether there is an optimum, and a point with another value."""
    least = best(region_of(f), f.objective.cost.times(Fraction(-1)))
    if least.value is None:
        return False
    most = best(region_of(f), f.objective.cost, cap=abs(least.value) + 1000)
    return most.value is not None and most.value > -least.value + Fraction(1, 100)


def _changer(variation: str, seed: int, problem: Template) -> Callable[[Formulation], Changed | None]:
    def changed(f: Formulation) -> Changed | None:
        draw = random.Random(f"change/{variation}/{seed}")  # anew each time: every draw is changed alike
        if variation in UNRELATED:
            made = _unrelated(f, variation, seed)
        else:
            made = TRANSFORMS[variation].change(f, draw)
        return None if made is None else renamed(made, random.Random(f"names/{variation}/{seed}"))

    return changed


def _unrelated(f: Formulation, variation: str, seed: int) -> Changed | None:
    other = draw_problem(1_000_003 + seed).at()
    if not _usable(other):
        other = next(p for p in (draw_problem(2_000_003 + 100 * seed + i).at() for i in range(_TRIES)) if _usable(p))
    if variation == "k":
        found = best(region_of(f), f.objective.cost.times(Fraction(-1)))
        if found.point is None:
            return None
        value = f.objective.value.value(found.point)
        other = other.model_copy(update={"objective": Objective(sense=other.objective.sense, constant=value)})
    return Changed(other, VariableMap())
