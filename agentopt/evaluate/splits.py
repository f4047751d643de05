"""Search, validation and test: disjoint parts of a task's examples, fixed by a seed.

The order in which examples are listed does not matter, near-identical examples and those of one cluster stay on one
side, and a limit takes a part of a split that is cut first, so that the test examples of a small run are never search
examples of a larger one.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import Field, model_validator

from agentopt.core.values import Frozen, canonical, digest
from agentopt.errors import UsageError

if TYPE_CHECKING:
    from agentopt.evaluate.task import Example

__all__ = ["SplitChoice", "SplitName", "SplitSpec", "Splits", "make_splits"]

SplitName = Literal["search", "validation", "test"]
SplitChoice = Literal["search", "validation", "test", "all"]
NAMES: tuple[SplitName, ...] = get_args(SplitName)


class SplitSpec(Frozen):
    """How large each split is: three fractions (of all examples) or three counts, and the seed.

    >>> SplitSpec(search=20, validation=10, test=50).sizes(100)
    {'search': 20, 'validation': 10, 'test': 50}
    >>> SplitSpec().sizes(10)
    {'search': 4, 'validation': 2, 'test': 4}
    """

    search: int | float = Field(0.4, ge=0)
    """Examples that the optimizer may see and follow."""
    validation: int | float = Field(0.2, ge=0)
    """Examples that choose among finalists; the optimizer never sees them."""
    test: int | float = Field(0.4, ge=0)
    """Examples for the one claim at the end."""
    seed: int = 0
    """Another seed gives other splits."""

    @model_validator(mode="after")
    def _sensible(self) -> SplitSpec:
        given = [v for v in (self.search, self.validation, self.test) if v]
        if not given:
            raise ValueError("all three splits are empty")
        fractions = [isinstance(v, float) for v in given]
        if any(fractions) and not all(fractions):
            raise ValueError(f"splits are three fractions or three counts, not a mixture: {given}")
        if all(fractions) and sum(given) > 1 + 1e-9:
            raise ValueError(f"the fractions of the splits add up to {sum(given):g}, which is more than 1")
        return self

    def sizes(self, n: int) -> dict[SplitName, int]:
        """How many of ``n`` examples each split gets. Rounding leaves no wanted split empty."""
        wanted = {name: getattr(self, name) for name in NAMES}
        if not any(isinstance(v, float) and v for v in wanted.values()):
            return {name: int(v) for name, v in wanted.items()}
        return _apportion({name: float(v) for name, v in wanted.items()}, n, total=n * min(1.0, sum(wanted.values())))


@dataclass(frozen=True, slots=True)
class Splits:
    """The three parts, each a tuple of examples in a seeded, stratified order."""

    search: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]

    def __getitem__(self, name: str) -> tuple[Example, ...]:
        if name not in NAMES:
            raise UsageError(f"no split named {name!r}; there are {', '.join(NAMES)}")
        return getattr(self, name)  # type: ignore[no-any-return]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Examples of search, validation and test."""
        return len(self.search), len(self.validation), len(self.test)

    def hash(self, name: str) -> str:
        """What the split holds, as sha256: the key of the split ledger. Order and ids do not matter, content does."""
        return digest(sorted(e.content for e in self[name]))


def make_splits(
    examples: Sequence[Example],
    spec: SplitSpec,
    *,
    limit: int | None = None,
    of: SplitChoice | None = None,
    task: str = "task",
    test_only: Collection[str] = (),
) -> Splits:
    """Cut ``examples`` into disjoint splits.

    Args:
        examples: without repeats.
        spec: sizes and seed.
        limit: at most so many examples, from the start of a split, so that every split of a smaller limit is a part of
            the same split without one.
        of: what ``limit`` counts. None: all three splits, which keep their shares, and none of them is left empty, as a
            search needs all. ``all``: the same, but a split may be empty. A split: that one; the others are whole, and
            may be empty where there are few examples.
        task: the name in error messages.
        test_only: ids of the examples that are published as test set. When there are any, the test split is drawn from
            them, search and validation from the others that are neither near-identical to one of them nor in a cluster
            with one, and a fraction is a share of its own part.

    Raises:
        UsageError: a split that is wanted and needed would be empty.
    """
    if test_only:
        held = [e for e in examples if e.id in test_only]
        known = {key for e in held for key in _ties(e)}
        free = [e for e in examples if e.id not in test_only and known.isdisjoint(_ties(e))]
        parts, units = _cut(free, spec, ("search", "validation"), task)
        test, more = _cut(held, spec, ("test",), task)
        parts, units = {**parts, **test}, units + more
    else:
        parts, units = _cut(examples, spec, NAMES, task)
    if limit is not None and limit < 1:
        raise UsageError(f"limit is {limit}; it must be at least 1")
    cut = parts if limit is None else _limited(parts, limit, of)
    needed = NAMES if of is None else () if of == "all" else (of,)
    empty = [name for name in needed if getattr(spec, name) and not cut[name]]
    if empty:
        left = "" if limit is None else f" with limit={limit}"
        instead = "set that split to 0 in SplitSpec" if of is None else "take the split 'all'"
        raise UsageError(
            f"task {task!r} has {len(examples)} examples ({units} after grouping near-identical ones){left}:"
            f" none is left for {' and '.join(empty)}; give more examples, or {instead}"
        )
    return Splits(**{name: tuple(part) for name, part in cut.items()})


def _cut(
    examples: Sequence[Example], spec: SplitSpec, names: Sequence[SplitName], task: str
) -> tuple[dict[SplitName, list[Example]], int]:
    """The splits ``names`` of these examples, and how many examples there are after grouping near-identical ones."""
    others = {name: type(getattr(spec, name))(0) for name in NAMES if name not in names}
    wanted = {name: getattr(spec, name) for name in names}
    sizes = dict.fromkeys(NAMES, 0)
    if any(wanted.values()):
        sizes = SplitSpec.model_construct(**{**wanted, **others}, seed=spec.seed).sizes(len(examples))
    if sum(sizes.values()) > len(examples):
        raise UsageError(
            f"task {task!r} has {len(examples)} examples{'' if len(names) == len(NAMES) else f' for {_list(names)}'},"
            f" its splits ask for {_told(sizes)}; give more examples or ask for fewer"
        )
    units = _stratified(_units(examples), spec.seed)
    parts = _dealt(units, sizes)
    return {name: parts[name] for name in names}, len(units)


def _list(names: Sequence[str]) -> str:
    return " and ".join(names)


def _apportion(weights: dict[SplitName, float], n: int, total: float) -> dict[SplitName, int]:
    """Largest remainder, with at least one for every positive weight while there is one to give."""
    whole = round(total)
    scale = sum(weights.values()) or 1.0
    exact = {name: whole * w / scale for name, w in weights.items()}
    sizes = {name: int(e + 1e-9) for name, e in exact.items()}
    for name in sorted(exact, key=lambda k: sizes[k] - exact[k])[: whole - sum(sizes.values())]:
        sizes[name] += 1
    for name in exact:
        if weights[name] and not sizes[name]:
            donor = max(sizes, key=lambda k: sizes[k])
            if sizes[donor] > 1:
                sizes[donor] -= 1
                sizes[name] += 1
    return sizes


def _dealt(units: list[list[Example]], sizes: dict[SplitName, int]) -> dict[SplitName, list[Example]]:
    """Consecutive stretches of ``units``; a unit too large for the room left waits for the next split."""
    parts: dict[SplitName, list[list[Example]]] = {name: [] for name in NAMES}
    room, waiting = dict(sizes), list(units)

    def deal(unit: list[Example], name: SplitName) -> None:
        parts[name].append(unit)
        room[name] -= len(unit)

    for name in NAMES:
        later: list[list[Example]] = []
        for unit in waiting:
            if len(unit) <= room[name]:
                deal(unit, name)
            else:
                later.append(unit)
        waiting = later
    for unit in waiting:  # larger than any room left: where most is left
        name = max(NAMES, key=lambda name: room[name])
        if room[name] > 0:
            deal(unit, name)
    for name in NAMES:
        donor = max(NAMES, key=lambda n: len(parts[n]))
        if sizes[name] and not parts[name] and len(parts[donor]) > 1:
            parts[name].append(parts[donor].pop(parts[donor].index(min(parts[donor], key=len))))
    return {name: [example for unit in part for example in unit] for name, part in parts.items()}


def _limited(
    parts: dict[SplitName, list[Example]], limit: int, of: SplitChoice | None
) -> dict[SplitName, list[Example]]:
    if of in NAMES:
        return {name: part[:limit] if name == of else part for name, part in parts.items()}
    have = sum(len(p) for p in parts.values())
    if limit >= have:
        return parts
    sizes = _apportion({name: float(len(p)) for name, p in parts.items()}, have, total=limit)
    return {name: part[: sizes[name]] for name, part in parts.items()}


def _told(sizes: dict[SplitName, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sizes.items())


def _same(value: object) -> str:
    """The text by which near-identical inputs are recognised: case, width, spacing and closing marks do not count."""
    text = value if isinstance(value, str) else canonical(value)
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(" .!?;:")


def _units(examples: Sequence[Example]) -> list[list[Example]]:
    """Examples that must stay together: near-identical inputs, and those of one cluster, through whatever chain.

    Content decides the order, not the order of the list.
    """
    units: dict[str, list[Example]] = {}
    at: dict[str, str] = {}
    for example in sorted(examples, key=lambda e: e.content):
        keys = _ties(example)
        homes = list(dict.fromkeys(at[key] for key in keys if key in at)) or [keys[0]]
        home = homes[0]
        units.setdefault(home, []).append(example)
        for other in homes[1:]:  # this example ties together what had been apart
            units[home] += units.pop(other)
            at.update({key: home for key, where in at.items() if where == other})
        at.update(dict.fromkeys(keys, home))
    return list(units.values())


def _ties(example: Example) -> list[str]:
    """What an example shares with those that it must stay together with."""
    own = f"input {_same(example.input)}"
    return [own] if example.cluster is None else [own, f"cluster {example.cluster}"]


def _stratified(units: list[list[Example]], seed: int) -> list[list[Example]]:
    """A shuffled order in which every stretch holds the groups in about their overall proportions."""
    strata: dict[str, list[list[Example]]] = {}
    for unit in units:
        strata.setdefault(unit[0].group or "", []).append(unit)
    placed: list[tuple[float, str, int, list[Example]]] = []
    for group in sorted(strata):
        rng = random.Random(digest([seed, group]))
        members = strata[group]
        rng.shuffle(members)
        offset = rng.random()
        placed += [((i + offset) / len(members), group, i, unit) for i, unit in enumerate(members)]
    return [unit for *_, unit in sorted(placed, key=lambda p: p[:3])]
