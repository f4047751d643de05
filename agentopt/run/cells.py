"""Cells: one candidate on one example, once. Each is run in a context of its own and committed before it is used."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from pydantic import JsonValue

from agentopt._aio import in_thread
from agentopt.core import Block, Node, Override, Trace, open_run
from agentopt.core.values import Candidate, Outcome, Status
from agentopt.errors import (
    AgentOptError,
    BudgetExhausted,
    LLMError,
    NodeError,
    StoreError,
    UnusableAnswer,
    UsageError,
)
from agentopt.evaluate import Example, Task
from agentopt.evaluate.scoring import ScorerError
from agentopt.llm.context import Session, use_session
from agentopt.llm.ledger import Ledger
from agentopt.llm.types import Client, Request, Response
from agentopt.run.effects import World
from agentopt.run.leaveout import left_out
from agentopt.run.target import Target, jsonable, value_of
from agentopt.store import Store, blob_id

__all__ = ["Cell", "Cells", "scope_of"]

_INFRA = (LLMError, StoreError, ConnectionError)
_REFUSED = (400, 404, 413, 422)
LATE_SCORER = "the scorer said nothing within"
"""How the error of an evaluation begins whose scorer was cut off by the clock."""
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
            server included) is not counted, and each attempt at a call has as many seconds of its own. The scorer has
            as many again.
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
        meter = client if isinstance(client, _CellClient) else _CellClient(client)
        session = self._session(meter, scope or scope_of(cell), cell.repeat)
        world = world or self._world(session.scope)
        with open_run(), Override(self.given(cell)), world, Trace() as trace, use_session(session):
            played = Played(trace, session)
            try:
                async with asyncio.timeout(self._timeout) as meter.limit:
                    played.output = await self._target.call(cell.example.input)
                trace.output = played.output if isinstance(played.output, Node) else None
                played.shown = jsonable(played.output)
            except Exception as problem:
                if isinstance(problem, TimeoutError) and meter.limit is not None and meter.limit.expired():
                    played.status, played.error = "timeout", f"no answer within {self._timeout:g} seconds"
                else:
                    played.status, played.error = _blame(problem, cell.candidate)
        meter.limit = None
        return played

    async def _try(self, cell: Cell) -> tuple[Outcome, list[bytes]]:
        """Run the graph once under the candidate, score what came, and say how it went."""
        meter = _CellClient(self._client)
        begin = time.monotonic()
        feedback = None
        played = await self.play(cell, meter)
        status, error, trace, session = played.status, played.error, played.trace, played.session
        if status == "ok":
            judge = replace(session, role="judge", scope=f"{session.scope}/judge")
            try:
                with open_run(), Block(), self._world(judge.scope), use_session(judge):  # its calls are counted
                    async with asyncio.timeout(self._timeout) as meter.limit:
                        feedback = await self._task.ascore(
                            cell.example, value_of(played.output), trace, aside=in_thread
                        )
            except TimeoutError:
                feedback = ScorerError(text=f"{LATE_SCORER} {self._timeout:g} seconds")
            except LLMError as problem:  # a judge that brings nothing says nothing of the program
                feedback = ScorerError(text=f"the judge: {type(problem).__name__}: {problem}")
            if isinstance(feedback, ScorerError):
                status, error, feedback = "infra_error", feedback.text, None
        meter.closed = True
        hidden = meter.hidden()
        if (
            hidden is not None and _blame(hidden, cell.candidate)[0] != "agent_error" and status != "infra_error"
        ):  # the program or the scorer went on as if all were well
            status, feedback = "infra_error", None
            error = f"an error was caught, and what came after it is not scored: {type(hidden).__name__}: {hidden}"
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


class _Stopped(Exception):
    """A cell that was not begun, because the run is stopping."""


class _CellClient:
    """The client of one cell: counts what it uses, stops the cell's clock while a call is under way, remembers what
    failed, and refuses calls of a graph that goes on after its timeout."""

    def __init__(self, inner: Client) -> None:
        self._inner = inner
        self.closed = False
        self.limit: asyncio.Timeout | None = None
        self._waits: dict[asyncio.Timeout, tuple[int, float]] = {}
        """For each phase: calls under way, and seconds that it had left when the first of them began."""
        self._failed: dict[str, Exception] = {}
        self._sums = {"calls": 0.0, "input_tokens": 0.0, "output_tokens": 0.0}
        self._usd: float | None = 0.0

    async def complete(self, request: Request) -> Response:
        if self.closed:
            raise LLMError("this cell has ended (timeout); its late call is not sent")
        try:
            with self._paused():
                response = await self._inner.complete(request)
        except (BudgetExhausted, UsageError, *_INFRA) as error:
            if not isinstance(error, UnusableAnswer):
                self._failed[request.hash] = error
            raise
        self._failed.pop(request.hash, None)  # asked once more by the program itself
        self._sums["calls"] += 1
        self._sums["input_tokens"] += response.usage.input_tokens
        self._sums["output_tokens"] += response.usage.output_tokens
        self._usd = None if self._usd is None or response.usd is None else self._usd + response.usd
        return response

    def hidden(self) -> Exception | None:
        """A failure of the world that no later answer has made good; raises it where it is nobody's fault."""
        failed = list(self._failed.values())
        for error in failed:
            if isinstance(error, BudgetExhausted | UsageError):
                raise error
        return failed[0] if failed else None

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """Stop the clock of the phase that makes the call (program or scorer) while it waits for a model."""
        limit = self.limit
        if limit is None:
            yield
            return
        under_way, left = self._waits.get(limit, (0, 0.0))
        if not under_way and (ends := limit.when()) is not None:
            left = ends - asyncio.get_running_loop().time()
            limit.reschedule(None)
        self._waits[limit] = under_way + 1, left
        try:
            yield
        finally:
            under_way, left = self._waits[limit]
            self._waits[limit] = under_way - 1, left
            if under_way == 1 and limit is self.limit and not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time() + max(0.0, left))

    def metrics(self) -> dict[str, float]:
        return self._sums if self._usd is None else {**self._sums, "usd": self._usd}


def _blame(problem: Exception, candidate: Candidate) -> tuple[Status, str]:
    """Whose fault an exception is. The end of a budget and a caller's mistake are nobody's: they go up."""
    for cause in _causes(problem):
        if isinstance(cause, BudgetExhausted | UsageError):
            raise cause
    for cause in _causes(problem):
        # A request that is refused for what it says is the doing of the candidate; of the baseline's, of the set-up.
        refused = isinstance(cause, LLMError) and cause.status in _REFUSED and candidate.origin != "baseline"
        if isinstance(cause, UnusableAnswer) or refused:
            return "agent_error", f"{type(cause).__name__}: {cause}"
        if isinstance(cause, _INFRA):
            return "infra_error", f"{type(cause).__name__}: {cause}"
    original = problem.__cause__ if isinstance(problem, NodeError) and problem.__cause__ is not None else problem
    return "agent_error", "".join(traceback.format_exception(original)).strip()


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """An exception, what our own errors wrap, and the members of a group (of an ``asyncio.TaskGroup``, say)."""
    yield problem
    if isinstance(problem, BaseExceptionGroup):
        for member in problem.exceptions:
            yield from _causes(member)
    elif isinstance(problem, NodeError | AgentOptError) and problem.__cause__ is not None:
        yield from _causes(problem.__cause__)
