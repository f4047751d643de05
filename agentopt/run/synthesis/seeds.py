"""Seed demonstrations, and which of them each draw shows to the model."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from agentopt.core.values import Frozen
from agentopt.errors import UsageError
from agentopt.evaluate.data import read_rows
from agentopt.problems import LINEAR, NONLINEAR, generate
from agentopt.problems.steps import Demonstration, read_demonstration
from agentopt.run.synthesis.options import SynthesisOptions

__all__ = ["Draw", "Seed", "draws", "load_seeds"]

Kind = Literal["linear", "nonlinear"]
_MOST = 12  # constraints of a seed; ours and the published ones have fewer


class Seed(Frozen):
    """A demonstration to grow from."""

    name: str
    """Told in the provenance of what was grown from it."""
    kind: Kind
    """Linear seeds grow linear problems."""
    demonstration: Demonstration


@dataclass(frozen=True, slots=True)
class Draw:
    """One request for a new demonstration."""

    number: int
    """Its place; part of the address of its calls."""
    kind: Kind
    seeds: tuple[Seed, ...]
    """One, or two."""
    repeat: int
    """How often these seeds were drawn before."""


class _Published(BaseModel):
    scenario: str


def load_seeds(source: str) -> tuple[list[Seed], list[str]]:
    """The seeds of a source, and what is to be said of those that cannot be used.

    ``ours`` are made by the generator from one fixed seed, a demonstration for each of its scenarios; ``published`` are
    those of the paper; anything else is the path of a JSON file. A demonstration with a bad step is used up to there.

    Raises:
        UsageError: there is no such file, it holds no demonstration, or none of them can be used.

    >>> seeds, notes = load_seeds("ours")
    >>> len(seeds), seeds[0].name, notes
    (23, 'production', [])
    """
    if source == "ours":
        return list(_ours()), []
    texts = _published() if source == "published" else _from_file(Path(source).expanduser())
    seeds, notes = [], []
    for name, kind, text in texts:
        read = read_demonstration(text, most=_MOST)
        if read.problem:
            notes.append(f"the seed {name} is used up to its step {read.steps}: {read.problem}"
                         if read.demonstration else f"the seed {name} is left out: {read.problem}")  # fmt: skip
        if read.demonstration is not None:
            seeds.append(Seed(name=name, kind=kind, demonstration=read.demonstration))
    if not seeds:
        raise UsageError(f"the seeds of {source}: none can be used; {'; '.join(notes[:3]) or 'there is none'}")
    return seeds, notes


@functools.cache
def _ours() -> tuple[Seed, ...]:
    made = generate(len(LINEAR) + len(NONLINEAR), seed=2024, levels=["medium"], tables=[False])
    kinds: dict[bool, Kind] = {True: "linear", False: "nonlinear"}
    return tuple(Seed(name=p.scenario, kind=kinds[p.linear], demonstration=p.demonstration) for p in made)


def _published() -> list[tuple[str, Kind, str]]:
    kinds: tuple[Kind, ...] = ("linear", "nonlinear")
    return [
        (f"{kind} {place}", kind, row.scenario)
        for kind in kinds
        for place, row in enumerate(read_rows("optibench", f"resocratic_seed_{kind}.json", _Published).rows)
    ]


def _from_file(path: Path) -> list[tuple[str, Kind, str]]:
    try:
        rows: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--seeds {path}: no such JSON file ({error}); there are also ours and published") from None
    found: list[tuple[str, Kind, str]] = []
    for place, row in enumerate(rows if isinstance(rows, list) else [None]):
        kind = row.get("kind", row.get("type")) if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(row.get("scenario"), str) or kind not in ("linear", "nonlinear"):
            raise UsageError(f'{path}: entry {place} is not {{"scenario": "...", "kind": "linear" or "nonlinear"}}')
        found.append((str(row.get("name", place)), kind, row["scenario"]))
    return found


def draws(seeds: Sequence[Seed], options: SynthesisOptions) -> list[Draw]:
    """What is drawn, in order: all seeds and pairs take turns, so that any beginning of the list is spread over them.

    Seeds alone are drawn ``singles`` times each and pairs ``pairs`` times each, both within their kind.

    >>> from agentopt.run.synthesis.options import SynthesisOptions
    >>> len(draws(load_seeds("ours")[0], SynthesisOptions(kind="linear")))
    5200
    """
    due: list[tuple[float, int, int, int, tuple[Seed, ...], Kind]] = []
    for order, kind in enumerate(options.kinds):
        own = [seed for seed in seeds if seed.kind == kind]
        for size, times in ((1, options.singles), (2, options.pairs)):
            for place, chosen in enumerate(itertools.combinations(own, size)):
                due += [((r + 0.5) / times, size, place, order, chosen, kind) for r in range(times)]
    due.sort(key=lambda d: d[:4])
    count: dict[tuple[str, ...], int] = {}
    made = []
    for number, (_, _, _, _, chosen, kind) in enumerate(due[: options.draws]):
        names = (kind, *(seed.name for seed in chosen))
        made.append(Draw(number, kind, chosen, count.get(names, 0)))
        count[names] = count.get(names, 0) + 1
    if not made:
        raise UsageError(f"there is no {options.kind} seed to draw from")
    return made
