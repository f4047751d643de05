"""The sentinel: proof, before anything is proposed, that a candidate's values reach the program.

A candidate in which every parameter has another value is run on search examples, offline: its calls and effects get
what the baseline's got at the same places; others are refused, and nothing is sent. Where a parameter is not read in
the call (bound when the file was imported, kept in a cache, read in a thread without the run's context), every
candidate would be scored as the baseline, and nobody would see it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from agentopt.core.values import Candidate, Outcome, canonical
from agentopt.errors import ConstraintError, LLMError
from agentopt.evaluate import Example
from agentopt.llm.types import Request, Response
from agentopt.optim.base import ParameterSpec
from agentopt.run.cells import Cell, Cells, scope_of
from agentopt.run.effects import StoreTape, world
from agentopt.store import Store

__all__ = ["Sighting", "other_values", "sight"]

ENOUGH = 8
"""Examples after which parameters that were not read are told."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What the sentinel showed."""

    examples: int
    """How many it ran on."""
    read: list[str]
    """Parameters that the program read, with the sentinel's values."""
    unread: list[str]
    """Parameters with another value that it did not read."""
    changed: bool
    """Whether a call or an output came out different from the baseline's."""


def other_values(specs: Mapping[str, ParameterSpec]) -> dict[str, JsonValue]:
    """For each parameter a value that it admits and that is not its own; left out where none is known.

    >>> other_values({"n": ParameterSpec("n", "number", 3, low=1, high=5, integer=True)})
    {'n': 1}
    """
    found: dict[str, JsonValue] = {}
    for name, spec in specs.items():
        for value in _others(spec):
            try:
                admitted = value if spec.check is None else spec.check(value)
            except ConstraintError:
                continue
            if canonical(admitted) != canonical(spec.value):
                found[name] = admitted
                break
    return found


async def sight(
    cells: Cells,
    store: Store,
    baseline: Candidate,
    values: Mapping[str, JsonValue],
    examples: Sequence[Example],
    seed: int,
) -> Sighting:
    """Run the sentinel until every parameter has been read with its value; at most on all examples.

    Once one has been read, at most on ``ENOUGH``. What was not read is then tried alone, since the other value of a
    parameter may lead the program past it (another branch, a call that has no answer here). Its calls have a scope of
    their own: its values may be those of a candidate that is proposed later.
    """
    seen = await _sight(cells, store, baseline, values, examples, seed)
    if not seen.read or not seen.unread:
        return seen
    alone = {name: values[name] for name in seen.unread}
    known = _known(store, baseline)
    tried = [example for example in examples if example.id in known][: seen.examples]
    more = await _sight(cells, store, baseline, alone, tried, seed)
    return Sighting(seen.examples, sorted({*seen.read, *more.read}), more.unread, seen.changed or more.changed)


async def _sight(
    cells: Cells,
    store: Store,
    baseline: Candidate,
    values: Mapping[str, JsonValue],
    examples: Sequence[Example],
    seed: int,
) -> Sighting:
    records = StoreTape.known(store)
    sentinel = baseline.change(dict(values), "sentinel")
    known = _known(store, baseline)
    read: set[str] = set()
    changed, n = False, 0
    for example in examples:
        if example.id not in known:
            continue
        cell = Cell(sentinel, example, "search")
        given = cells.given(cell)
        scope, before = f"sentinel/{example.id}", scope_of(Cell(baseline, example, "search"))
        inside = world(seed, lambda scope: _Kept(records, scope))(before)
        memory = _Memory(store, scope, before)
        played = await cells.play(cell, memory, scope, inside)
        n += 1
        read |= {p.name for p, v in played.trace.values.items() if p.name in values and v == given[p.name]}
        changed = changed or memory.differs or _differs(known[example.id], played.status, played.shown)
        if read >= values.keys() or (read and n >= ENOUGH):
            break
    return Sighting(n, sorted(read), sorted(values.keys() - read), changed)


def _known(store: Store, baseline: Candidate) -> dict[str, Outcome]:
    """What the baseline did on each example that it could be run on."""
    return {o.example: o for o in store.cells(baseline.id) if o.repeat == 0 and o.status in ("ok", "agent_error")}


class _Memory:
    """Answers the sentinel's calls as the baseline's were answered; it has no way to ask."""

    def __init__(self, store: Store, scope: str, before: str) -> None:
        self._store, self._scope, self._before = store, scope, before
        self.differs = False

    async def complete(self, request: Request) -> Response:
        then = None
        if request.address is not None:
            place = self._before + request.address.scope.removeprefix(self._scope)
            then = self._store.call(str(request.address.model_copy(update={"scope": place})))
        self.differs = self.differs or then is None or then["hash"] != request.hash
        if then is None or then["state"] != "received":
            raise LLMError("the sentinel asks no model")
        return Response.model_validate(then["response"])


class _Kept:
    """Gives the effects of the baseline; it has no way to perform another."""

    def __init__(self, records: Mapping[str, Mapping[str, Any]], scope: str) -> None:
        self._records, self._scope = records, scope

    def get(self, place: str) -> Mapping[str, Any]:
        record = self._records.get(f"{self._scope}|{place}")
        if record is None:
            raise LLMError("the sentinel reaches nothing outside")
        return record

    def put(self, place: str, record: Mapping[str, Any]) -> None:
        """Nothing is kept."""


def _differs(then: Outcome, status: str, output: JsonValue) -> bool:
    return status != then.status or canonical(output) != canonical(then.output)


def _others(spec: ParameterSpec) -> Iterator[JsonValue]:
    value = spec.value
    if spec.kind == "text" and isinstance(value, str):
        yield from (f"{value}\n(sentinel)", f"(sentinel)\n{value}", f"{value} ", value.upper())
    elif spec.kind == "code" and isinstance(value, str):
        yield f"{value}\n# (sentinel)"
    elif spec.kind == "number" and isinstance(value, int | float):
        yield from (v for v in (spec.low, spec.high) if v is not None and math.isfinite(v))
        yield from (value + 1, value - 1, value / 2, value * 1.01 + 1e-6)
    elif spec.kind == "choice":
        yield from spec.choices
    elif spec.kind == "demos" and isinstance(value, list):
        yield from (value[:-1], value[::-1], list(spec.choices[:1]))
