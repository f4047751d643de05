"""A time limit on work: it stands still while what it limits waits for its turn, or for an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self

from agentopt._aio import running_loop

__all__ = ["Clock", "waiting"]

_CLOCK: ContextVar[Clock | None] = ContextVar("agentopt_clock", default=None)


class Clock:
    """``asyncio.timeout`` of work alone. Whoever waits on behalf of that work says so with ``paused`` or ``waiting``.

    Where several branches of the work wait, it goes on when the last of them has done waiting.

    Args:
        seconds: after which the block is cancelled and ends with ``TimeoutError``.

    >>> async def slow() -> str:
    ...     async with Clock(0.05) as clock:
    ...         with waiting():
    ...             await asyncio.sleep(0.2)
    ...     return "in time"
    >>> asyncio.run(slow())
    'in time'
    """

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(seconds)
        self._waits = 0
        self._left = seconds
        self._on = False

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._timeout.__aenter__()
        self._on = True
        self._token: Token[Clock | None] = _CLOCK.set(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._on = False
        _CLOCK.reset(self._token)
        await self._timeout.__aexit__(kind, error, traceback)

    def expired(self) -> bool:
        """Whether the time was up."""
        return self._timeout.expired()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within the block, which may be in any thread, time does not count. Nothing happens once the work is over."""
        self._do(self._stop)
        try:
            yield
        finally:
            self._do(self._go_on)

    def _do(self, step: Callable[[], None]) -> None:
        if running_loop() is self._loop:
            step()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(step)

    def _stop(self) -> None:
        self._waits += 1
        if self._waits == 1 and self._on and (ends := self._timeout.when()) is not None and not self.expired():
            self._left = ends - self._loop.time()
            self._timeout.reschedule(None)

    def _go_on(self) -> None:
        self._waits -= 1
        if self._waits == 0 and self._on and not self.expired():
            self._timeout.reschedule(self._loop.time() + max(0.0, self._left))


@contextmanager
def waiting() -> Iterator[None]:
    """Within the block the clock of this context, if there is one, stands still: what is waited for is others' work."""
    clock = _CLOCK.get()
    if clock is None:
        yield
        return
    with clock.paused():
        yield
