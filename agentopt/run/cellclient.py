"""The client of one cell: what it used, what failed in it, and its clock."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import nullcontext

from agentopt._clock import Clock
from agentopt.errors import BudgetExhausted, LLMError, UnusableAnswer, UsageError
from agentopt.llm.types import Client, Request, Response
from agentopt.run.blame import INFRA

__all__ = ["CellClient"]


class CellClient:
    """Counts what a cell uses, stops its clock while a call is under way, and remembers what failed.

    A call that was sent is heard to its end, also when the branch of the program that made it is cancelled: it is paid,
    and its answer is kept. A graph that goes on after its cell has ended gets no further answers.

    Args:
        inner: what the calls go to.
    """

    def __init__(self, inner: Client) -> None:
        self._inner = inner
        self.clock: Clock | None = None
        """Of the phase (program or scorer) that is on."""
        self._closed = False
        self._calls: set[asyncio.Future[Response]] = set()
        self._moments = itertools.count()
        self._failed: dict[str, list[tuple[int, Exception]]] = {}
        """By payload: when calls failed, and how."""
        self._sums = {"calls": 0.0, "input_tokens": 0.0, "output_tokens": 0.0}
        self._usd: float | None = 0.0

    async def complete(self, request: Request) -> Response:
        """Answer one request."""
        if self._closed:
            raise LLMError("this cell has ended; its late call is not sent")
        begun = next(self._moments)
        call = asyncio.ensure_future(self._inner.complete(request))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            with self.clock.paused() if self.clock else nullcontext():
                response = await asyncio.shield(call)
        except (BudgetExhausted, UsageError, *INFRA) as error:
            if not isinstance(error, UnusableAnswer):
                self._failed.setdefault(request.hash, []).append((next(self._moments), error))
            raise
        failed = self._failed.get(request.hash, [])
        if earlier := next((one for one in failed if one[0] < begun), None):  # asked once more by the program itself
            failed.remove(earlier)
        self._sums["calls"] += 1
        self._sums["input_tokens"] += response.usage.input_tokens
        self._sums["output_tokens"] += response.usage.output_tokens
        self._usd = None if self._usd is None or response.usd is None else self._usd + response.usd
        return response

    async def close(self) -> None:
        """Take no further call, and wait for those that branches left behind: they are paid."""
        self._closed = True
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def abandon(self) -> None:
        """Take no further call, and cut off those under way."""
        self._closed = True
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def hidden(self) -> Exception | None:
        """A failure of the world that no later answer has made good; raises it where it is nobody's fault."""
        failed = [error for errors in self._failed.values() for _, error in errors]
        for error in failed:
            if isinstance(error, BudgetExhausted | UsageError):
                raise error
        return failed[0] if failed else None

    def metrics(self) -> dict[str, float]:
        """Calls, tokens and, where it is known, USD."""
        return self._sums if self._usd is None else {**self._sums, "usd": self._usd}
