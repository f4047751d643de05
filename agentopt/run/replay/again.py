"""The parts that a ``Runner`` gets in a replay: a client that only remembers, cells that complete in their turn."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import agentopt.errors
from agentopt.core.values import Outcome, digest
from agentopt.errors import BudgetExhausted, LLMError
from agentopt.evaluate import SplitLedger, Touch
from agentopt.llm.types import Client, Request, Response
from agentopt.run.cells import Cell, Cells, Played, scope_of
from agentopt.run.replay.divergence import Diverged, first_difference, node_difference, plain, told
from agentopt.run.replay.log import Comparing, Report, short
from agentopt.run.replay.record import Part, Place, place_of, timed_out
from agentopt.run.runner import Runner
from agentopt.store import Event

__all__ = ["Gate", "Remembered", "RememberedTape", "ReplayCells", "ReplayRunner", "Touches"]


class Gate:
    """Lets completions pass in the order in which they were recorded.

    Args:
        order: events of the completions, each with the candidate and example whose work it was.
        patience: seconds without any completion after which the next one is taken not to come.
    """

    def __init__(self, order: Iterable[tuple[int, Place]], patience: float) -> None:
        self._places = dict(order)
        self._left = deque(self._places)
        self._patience, self._limit = patience, math.inf
        self._moved = asyncio.Event()

    async def turn(self, seq: int) -> int | None:
        """Wait until everything that was completed before has passed; gives the event that did not come, or None."""
        while seq in self._places and self._left[0] != seq and seq <= self._limit:
            expected, moved = self._left[0], self._moved
            try:
                async with asyncio.timeout(self._patience):
                    await moved.wait()
            except TimeoutError:
                if self._left[0] == expected:
                    return expected
        if seq > self._limit:
            raise Diverged("a difference stands before this in the log")
        if self._places.pop(seq, None) is not None:
            self._left.popleft()
            self._wake()
        return None

    def end(self, seq: int | None, place: Place) -> None:
        """After a difference at an event: what was completed before it may pass, its own work and all later do not."""
        self._limit = min(self._limit, math.inf if seq is None else seq)
        for own in [s for s, whose in self._places.items() if whose == place]:
            del self._places[own]
            self._left.remove(own)
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


class Remembered:
    """A client that answers from the log, by address and payload. It has no way to ask.

    Args:
        part: the record.
        log: says where the loop is.
        report: counts what is the same.
        gate: the order of completions; None answers at once.
        wait: seconds after which a call that was cancelled in the run, and is not now, fails.
    """

    def __init__(self, part: Part, log: Comparing, report: Report, gate: Gate | None, wait: float) -> None:
        self._part, self._log, self._report, self._gate, self._wait = part, log, report, gate, wait
        self._places = part.places()

    async def complete(self, request: Request) -> Response:
        """Answer one request, fail it as it failed, or report that it differs."""
        address = str(request.address)
        answer = self._part.answers.get((self._places.of(address, request.hash), request.hash))
        refused = self._part.refused.get((address, request.hash))
        if answer is None or (refused is not None and refused.seq > answer.seq):
            answer = refused
        if answer is None:
            raise self._unknown(address, request)
        if self._gate is not None and (missing := await self._gate.turn(answer.seq)) is not None:
            raise _stuck(self._log, missing, answer.seq, **place_of(address))
        if answer.refused is not None:
            raise BudgetExhausted(*answer.refused)
        if answer.response is None:
            if answer.error.startswith("CancelledError"):
                await asyncio.sleep(self._wait)
            raise _error(answer.error, answer.status)
        self._report.count("calls")
        if request.on_text is not None and answer.response.text:
            request.on_text(answer.response.text)
        return answer.response

    def _unknown(self, address: str, request: Request) -> BaseException:
        where = place_of(address)
        seq, blob = self._part.payloads.get(address, (0, ""))
        then = json.loads(self._log.blob(blob)) if blob else None
        if then is None or digest(then) == request.hash:  # never made, or cut off while it was under way
            return self._log.absent("call", "a call that the run did not make", request.payload(), **where)
        place, a, b = first_difference(then, plain(request.payload())) or ("payload", None, None)
        what = f"the call's {place} differs: it was {short(a)}, now it is {short(b)}"
        return self._log.differs("call", what, None, then, request.payload(), seq=seq, **where)


class ReplayCells(Cells):
    """Cells that are run again, compared, and completed in the recorded order. The outcome passed on is the recorded
    one, whose seconds and trace are those that the optimizer saw.

    Args:
        replay: part, log, report and gate of the replay.
        args, options: as those of ``Cells``.
    """

    def __init__(self, replay: tuple[Part, Comparing, Report, Gate | None], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._part, self._log, self._report, self._gate = replay

    async def _evaluate(self, cell: Cell) -> tuple[Outcome, list[bytes]]:
        where = {"candidate": cell.candidate.id, "example": cell.example.id}
        recorded = self._part.cells.get(cell.key)
        if self._report.found and (self._gate is None or recorded is None):
            raise Diverged
        if recorded is None:
            if self._part.begun(scope_of(cell)):  # as far as it came: it may have changed what others share
                await super()._evaluate(cell)
            what = f"an evaluation on {cell.split} that the run did not make"
            raise self._log.absent("outcome", what, {"input": cell.example.input}, **where)
        seq, then = recorded
        if timed_out(then):  # where its time ended is not repeatable
            self._report.count("timeouts")
            return then, []
        now, _ = await super()._evaluate(cell)
        found = first_difference(told(then), told(now))
        if found is not None:
            place, a, b = found
            what = f"the outcome's {place} was {short(a)}, now it is {short(b)}"
            raise self._log.differs("outcome", what, None, told(then), told(now), seq=seq, **where)
        for place in self._part.effects_of(scope_of(cell)):
            if place not in self._report.used:
                name = place.split("|")[2]
                what = f"the run had an effect {name} that is not performed now"
                raise self._log.differs("effect", what, None, place, None, seq=seq, **where)
        if self._gate is not None and (missing := await self._gate.turn(seq)) is not None:
            raise _stuck(self._log, missing, seq, **where)
        self._report.count("cells")
        return then, []

    async def play(
        self, cell: Cell, client: Client, scope: str = "", world: AbstractContextManager[None] | None = None
    ) -> Played:
        """Run the graph, and compare what it traced before anything is scored."""
        played = await super().play(cell, client, scope, world)
        seq, then = self._part.cells.get(cell.key, (0, None))
        if scope or then is None or then.trace is None or played.status != then.status:
            return played
        nodes = node_difference(json.loads(self._log.blob(then.trace)), plain(played.trace.graph.to_json()))
        if nodes is not None:
            path, old, new = nodes
            place, a, b = first_difference(old, new) or ("", old, new)
            what = f"node {path}: {place or 'it'} was {short(a)}, now it is {short(b)}"
            where = {"candidate": cell.candidate.id, "example": cell.example.id, "path": path}
            raise self._log.differs("node", what, None, old, new, seq=seq, **where)
        return played


class RememberedTape:
    """The effects of a scope, from the log."""

    def __init__(self, scope: str, part: Part, log: Comparing, report: Report) -> None:
        self._scope, self._part, self._log, self._report = scope, part, log, report

    def get(self, place: str) -> Mapping[str, Any] | None:
        """What was written at a place; an effect that the run did not have is not performed."""
        full = f"{self._scope}|{place}"
        record = self._part.effects.get(full)
        if record is None:
            scope, path, name, _ = full.split("|")
            what = f"an effect {name} that the run did not have"
            raise self._log.absent("effect", what, name, **place_of(f"{scope}|{path}|0"))
        self._report.count("effects")
        self._report.used.add(full)
        self._log.append_now("effect", {"place": full, "record": dict(record)})  # the sentinel looks for it
        return record

    def put(self, place: str, record: Mapping[str, Any]) -> None:
        """Nothing is written in a replay."""


class ReplayRunner(Runner):
    """The loop itself; only what its clock once said is read from the log. That the scorer's files have changed does
    not end it: where that matters shows in the scores."""

    def _scorer_changed(self) -> bool:
        return False

    def _hurried(self) -> bool:
        log = self._store
        assert isinstance(log, Comparing)
        then = log.next
        return then is not None and then.type == "search.ended" and str(then.data["reason"]).startswith("the deadline")


class Touches(SplitLedger):
    """The uses of the test split that the run found in its workspace, as its claim tells them."""

    def __init__(self, claim: Event | None) -> None:
        super().__init__("")
        data: Any = claim.data if claim is not None else {"touched_by": (), "claim": {}}
        self._runs, self._shared = data["touched_by"], data["claim"].get("touched_examples")

    def touch(self, split_hash: str, run_id: str, what: str, *, examples: Iterable[str] = ()) -> list[Touch]:
        """What the run was told then; nothing is written."""
        named = self._runs if what == "claim" else ()
        return [Touch(split="", run=run, what="", time=0.0, shared=self._shared) for run in named]


def _stuck(log: Comparing, missing: int, seq: int, **where: Any) -> Diverged:
    what = f"event {missing} was completed before this one, and now it does not come"
    return log.differs("order", what, None, missing, seq, seq=missing, **where)


def _error(text: str, status: int | None) -> Exception:
    """The exception that a journaled failure was."""
    name, _, message = text.partition(": ")
    kind = getattr(agentopt.errors, name, None)
    error = kind(message) if isinstance(kind, type) and issubclass(kind, LLMError) else LLMError(text)
    error.status = status
    return error
