"""How many calls are under way at once: as many as the server bears."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable

from agentopt.errors import RateLimited, UsageError
from agentopt.llm.types import Client, Request, Response

__all__ = ["Limited"]


class Limited:
    """Wraps a client: at most ``limit`` calls at once, in the order they came.

    The limit adapts as TCP's does (additive increase, multiplicative decrease): a ``RateLimited`` halves it and keeps
    new calls back for the server's ``retry_after``; every success adds ``1 / limit``, so a full round of successes adds
    one. Several refusals of calls that were under way together count once.

    Args:
        inner: the client.
        max_connections: where the limit starts, and its top.
        clock: seconds, monotonic.
        sleep: waits so many seconds.

    May be used from several event loops and threads at once.
    """

    def __init__(
        self,
        inner: Client,
        max_connections: int = 16,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if max_connections < 1:
            raise UsageError(f"max_connections is at least 1, not {max_connections}")
        self._inner, self._top = inner, max_connections
        self._limit = float(max_connections)
        self._in_flight = 0
        self._round = 0
        self._open_at = 0.0
        self._clock, self._sleep = clock, sleep
        self._waiting: deque[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = deque()
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """Calls that may be under way now."""
        return max(1, int(self._limit))

    @property
    def in_flight(self) -> int:
        """Calls under way."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Calls kept back by the limit."""
        return len(self._waiting)

    async def complete(self, request: Request) -> Response:
        """Answer one request when its turn has come."""
        await self._enter()
        try:
            while (delay := self._open_at - self._clock()) > 0:
                await self._sleep(delay)
            began = self._round
            try:
                response = await self._inner.complete(request)
            except RateLimited as error:
                self._refused(began, error.retry_after)
                raise
            self._served()
            return response
        finally:
            self._leave()

    async def _enter(self) -> None:
        with self._lock:
            if self._in_flight < self.limit and not self._waiting:
                self._in_flight += 1
                return
            loop = asyncio.get_running_loop()
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.append((loop, turn))
        try:
            await turn
        except asyncio.CancelledError:
            with self._lock:
                waited = [entry for entry in self._waiting if entry[1] is turn]
                for entry in waited:
                    self._waiting.remove(entry)
            if not waited:  # the turn had been given: hand it on
                self._leave()
            raise

    def _leave(self) -> None:
        with self._lock:
            self._in_flight -= 1
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._in_flight < self.limit:
            loop, turn = self._waiting.popleft()
            if loop.is_closed():
                continue
            self._in_flight += 1
            loop.call_soon_threadsafe(_give, turn)

    def _served(self) -> None:
        with self._lock:
            self._limit = min(float(self._top), self._limit + 1.0 / self._limit)

    def _refused(self, began: int, retry_after: float | None) -> None:
        with self._lock:
            self._open_at = max(self._open_at, self._clock() + (retry_after or 0.0))
            if began == self._round:
                self._round += 1
                self._limit = max(1.0, self._limit / 2)


def _give(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
