"""Cells: one candidate on one example, once. Each is run in a context of its own and committed before it is used."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue

from agentopt._aio import in_thread
from agentopt._clock import Clock
from agentopt.core import Block, Node, Override, Trace, open_run
from agentopt.core.values import Candidate, Outcome, Status
from agentopt.errors import LLMError, StoreError
from agentopt.evaluate import Example, Task
from agentopt.evaluate.scoring import ScorerError
from agentopt.llm.context import Session, use_session
from agentopt.llm.failures import redact
from agentopt.llm.ledger import Ledger
from agentopt.llm.types import Client
from agentopt.run.blame import blame, unscored
from agentopt.run.cellclient import CellClient
from agentopt.run.effects import World
from agentopt.run.leaveout import left_out
from agentopt.run.target import Target, jsonable, value_of
from agentopt.store import Store, blob_id

__all__ = ["Cell", "Cells", "scope_of"]

LATE_SCORER = "the scorer said nothing within"
"""How the error of an evaluation begins whose scorer was cut off by the clock."""
CAUGHT = "an error was caught, and what came after it is not scored"
"""How the error of an evaluation begins whose answer came after a failure of the world that the program hid."""
TRIES = 2
"""How often a cell is run when the world fails (model server gone, scorer broken), before that is recorded."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is to be evaluated."""

    candidate: Candidate
    example: Example
    split: str
    repeat: int = 0

    @property
    def key(self) -> tuple[str, str, int]:
        """Identity within a run."""
        return self.candidate.id, self.example.id, self.repeat


def scope_of(cell: Cell) -> str:
    """The scope of the addresses of a cell's calls."""
    return f"cell/{cell.candidate.id}/{cell.example.id}/{cell.repeat}"


class Cells:
    """Evaluates cells that the store does not have yet, many at once.

    Args:
        target: the graph.
        task: examples and scorer.
        store: where outcomes are committed.
        ledger: counts evaluations.
        client: what the graph's model calls go to.
        session: makes the session of a scope: models by role and defaults.
        concurrency: cells in flight.
        timeout: seconds for what a cell does itself; waiting for a model (its queue, retries and the limits of a
            server included) or for a place in the sandbox is not counted, and each attempt at a call has as many
            seconds of its own. The scorer has as many again.
        world: makes the context of a scope: random numbers, and the tape of what is taken from outside.
        turn: counts completions, in the order in which they are committed.
        again: called with a scope that is about to be executed once more.
    """

    def __init__(
        self,
        target: Target,
        task: Task,
        store: Store,
        ledger: Ledger,
        client: Client,
        session: Callable[[Client, str, int], Session],
        *,
        concurrency: int,
        timeout: float,
        world: World = lambda scope: nullcontext(),
        turn: Callable[[], int] = int,
        again: Callable[[str], None] = lambda scope: None,
    ) -> None:
        self._target, self._task, self._store, self._ledger = target, task, store, ledger
        self._client, self._session, self._timeout = client, session, timeout
        self._world, self._turn, self._again = world, turn, again
        self._slots = asyncio.Semaphore(concurrency)
        self._done = {(o.candidate, o.example, o.repeat): o for o in store.cells() if o.status != "infra_error"}
        self.stopping = False
        """Set to end early: cells in flight are finished and committed, no new one is begun."""

    async def run(self, cells: Sequence[Cell]) -> list[Outcome]:
        """Outcomes of the cells, in their order; those that are committed already cost nothing.

        Raises ``BudgetExhausted`` when the budget ends on the way, after everything in flight is committed.
        """
        tasks = [asyncio.ensure_future(self._one(cell)) for cell in cells]
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        for error in (r for r in results if isinstance(r, BaseException) and not isinstance(r, _Stopped)):
            raise error
        if self._store.full:
            raise StoreError(
                f"the disk is full: what was paid for is kept. Make room, then `agentopt resume {self._store.folder}`"
            )
        if any(isinstance(r, _Stopped) for r in results):
            raise asyncio.CancelledError("the run was asked to stop")
        return [r for r in results if isinstance(r, Outcome)]

    def committed(self, cells: Sequence[Cell]) -> list[Outcome]:
        """Those of the cells that have an outcome."""
        return [self._done[c.key] for c in cells if c.key in self._done]

    async def _one(self, cell: Cell) -> Outcome:
        known = self._done.get(cell.key)
        if known is not None:
            return known
        async with self._slots:
            if self.stopping or self._store.full:
                raise _Stopped
            reservation = await self._ledger.reserve("agent", {"evaluations": 1})
            try:
                outcome, blobs = await self._evaluate(cell)
            except BaseException:
                self._ledger.release(reservation)
                raise
            self._ledger.settle(reservation, {"evaluations": 1})
            data = {"outcome": outcome.model_dump(mode="json"), "elapsed": round(self._ledger.elapsed, 3)}
            await asyncio.shield(self._commit(data, blobs))
            self._done[cell.key] = outcome
            return outcome

    async def _commit(self, data: dict[str, Any], blobs: list[bytes]) -> None:
        await self._store.append("cell", {**data, "turn": self._turn()}, blobs)

    async def _evaluate(self, cell: Cell) -> tuple[Outcome, list[bytes]]:
        for left in reversed(range(TRIES)):
            outcome, blobs = await self._try(cell)
            if outcome.status != "infra_error" or not left:
                break
            self._again(scope_of(cell))
        return outcome, blobs

    def given(self, cell: Cell) -> dict[str, JsonValue]:
        """The candidate's values as the cell gets them: without demonstrations that were made from its example."""
        return left_out(cell.candidate.values, self._target.specs, cell.example)

    async def play(
        self, cell: Cell, client: Client, scope: str = "", world: AbstractContextManager[None] | None = None
    ) -> Played:
        """Run the graph once under the candidate, with any client; nothing is scored or committed.

        Without ``scope`` and ``world`` its calls and effects are those of the cell.
        """
        meter = client if isinstance(client, CellClient) else CellClient(client)
        session = self._session(meter, scope or scope_of(cell), cell.repeat)
        world = world or self._world(session.scope)
        with open_run(), Override(self.given(cell)), world, Trace() as trace, use_session(session):
            played = Played(trace, session)
            try:
                async with Clock(self._timeout) as meter.clock:
                    played.output = await self._target.call(cell.example.input)
                trace.output = played.output if isinstance(played.output, Node) else None
                played.shown = jsonable(played.output)
            except (Exception, SystemExit, asyncio.CancelledError) as problem:
                if isinstance(problem, asyncio.CancelledError) and _cancelled():
                    raise
                if isinstance(problem, TimeoutError) and meter.clock is not None and meter.clock.expired():
                    played.status, played.error = "timeout", f"no answer within {self._timeout:g} seconds"
                else:
                    played.status, played.error = blame(problem, cell.candidate)
        meter.clock = None
        if meter is not client:
            await meter.close()
        return played

    async def _try(self, cell: Cell) -> tuple[Outcome, list[bytes]]:
        """Run the graph once under the candidate, score what came, and say how it went."""
        meter = CellClient(self._client)
        try:
            return await self._measured(cell, meter)
        except asyncio.CancelledError:
            await meter.abandon()
            raise
        except BaseException:
            await meter.close()
            raise

    async def _measured(self, cell: Cell, meter: CellClient) -> tuple[Outcome, list[bytes]]:
        begin = time.monotonic()
        feedback = None
        played = await self.play(cell, meter)
        status, error, trace, session = played.status, played.error, played.trace, played.session
        if status == "ok" and (caught := _caught(meter, cell)):  # the program went on as if all were well
            status, error = "infra_error", caught
        if status == "ok":
            judge = replace(session, role="judge", scope=f"{session.scope}/judge")
            try:
                with open_run(), Block(), self._world(judge.scope), use_session(judge):  # its calls are counted
                    async with Clock(self._timeout) as meter.clock:
                        feedback = await self._task.ascore(
                            cell.example, value_of(played.output), trace, aside=in_thread
                        )
            except TimeoutError:
                feedback = ScorerError(text=f"{LATE_SCORER} {self._timeout:g} seconds")
            except LLMError as problem:  # a judge that brings nothing says nothing of the program
                feedback = ScorerError(text=f"the judge: {type(problem).__name__}: {problem}")
            if isinstance(feedback, ScorerError):
                status, error, feedback = unscored(feedback, cell.candidate), redact(feedback.text), None
        await meter.close()
        if status != "infra_error" and (caught := _caught(meter, cell)):  # so did the scorer, or what was left behind
            status, error, feedback = "infra_error", caught, None
        graph = json.dumps(trace.graph.to_json(), ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace")
        metrics = {"seconds": time.monotonic() - begin, **meter.metrics()}
        outcome = Outcome(
            candidate=cell.candidate.id,
            example=cell.example.id,
            repeat=cell.repeat,
            split=cell.split,
            status=status,
            output=played.shown,
            feedback=feedback,
            metrics=metrics,
            trace=blob_id(graph),
            error=error,
        )
        return outcome, [graph]


@dataclass(slots=True)
class Played:
    """How a graph ran on an example, before anything is scored."""

    trace: Trace
    session: Session
    status: Status = "ok"
    output: Any = None
    shown: JsonValue = None
    """The output as JSON."""
    error: str | None = None


def _caught(meter: CellClient, cell: Cell) -> str | None:
    """What is said of a cell in which a failure of the world was hidden; raises what is nobody's fault."""
    hidden = meter.hidden()
    if hidden is None:
        return None
    status, text = blame(hidden, cell.candidate)
    return None if status == "agent_error" else f"{CAUGHT}: {text}"


class _Stopped(Exception):
    """A cell that was not begun, because the run is stopping."""


def _cancelled() -> bool:
    """Whether this task is being cancelled; a ``CancelledError`` can also come from the program itself."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
