"""Event loops: one background loop for the sync face, and objects that are kept one per loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from agentopt.errors import UsageError

__all__ = ["PerLoop", "background_loop", "in_thread", "run_sync", "running_loop"]

T = TypeVar("T")


@functools.cache
def background_loop() -> asyncio.AbstractEventLoop:
    """The loop of a daemon thread of this process: made when first needed, made anew after a fork."""
    loop = asyncio.new_event_loop()
    started = threading.Event()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.call_soon(started.set)
        loop.run_forever()

    threading.Thread(target=serve, name="agentopt-loop", daemon=True).start()
    started.wait()
    return loop


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=background_loop.cache_clear)
    os.register_at_fork(after_in_child=lambda: _IDLE.clear())


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that this thread is at work in, if it is."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def run_sync(work: Coroutine[Any, Any, T], *, loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Run a coroutine to its end from plain code, also where an event loop is already running (Jupyter).

    It runs on ``loop``, if that is running (default: the background loop), with a copy of the caller's context, so it
    sees the caller's ``ContextVar`` values. An interrupt (Ctrl-C) cancels it and waits until it has cleaned up.

    Raises:
        UsageError: called from a coroutine of that very loop, which would wait for itself.

    >>> async def double(x: int) -> int:
    ...     return 2 * x
    >>> run_sync(double(21))
    42
    """
    target = loop if loop is not None and loop.is_running() else background_loop()
    if running_loop() is target:
        work.close()
        raise UsageError("a sync call was made from a coroutine of the loop that would have to serve it; await instead")
    context = contextvars.copy_context()
    result: Future[T] = Future()
    task: asyncio.Task[T] | None = None

    def finish(done: asyncio.Task[T]) -> None:
        if done.cancelled():
            result.cancel()
            result.set_running_or_notify_cancel()
        elif (error := done.exception()) is not None:
            result.set_exception(error)
        else:
            result.set_result(done.result())

    def start() -> None:
        nonlocal task
        task = target.create_task(work, context=context)
        task.add_done_callback(finish)

    def cancel() -> None:
        if task is not None:
            task.cancel()
        else:  # interrupted before it was handed over
            work.close()
            result.cancel()

    try:
        target.call_soon_threadsafe(start)  # inside the try: an interrupt may come before this returns
        return result.result()
    except (KeyboardInterrupt, SystemExit):
        target.call_soon_threadsafe(cancel)
        with contextlib.suppress(BaseException):  # the interrupt is what is told
            result.exception(timeout=10)
        raise


async def in_thread(fn: Callable[[], T]) -> T:
    """Run plain code in a thread that it has for itself, with a copy of this context.

    The thread is a daemon: code that never returns keeps neither a place in a pool nor the end of the process. Whoever
    stops waiting for it leaves it behind. A thread whose code has returned waits for more.
    """
    context, result = contextvars.copy_context(), Future[T]()

    def work() -> Callable[[], None]:
        if not result.set_running_or_notify_cancel():
            return lambda: None
        try:
            return functools.partial(result.set_result, context.run(fn))
        except BaseException as error:
            return functools.partial(result.set_exception, error)

    try:
        tasks = _IDLE.pop()
    except IndexError:
        tasks = queue.SimpleQueue()
        threading.Thread(target=_serve, args=(tasks,), name="agentopt-work", daemon=True).start()
    tasks.put(work)
    return await asyncio.wrap_future(result)


_Work = Callable[[], Callable[[], None]]
"""Does what is to be done, and gives what tells of it."""
_IDLE: deque[queue.SimpleQueue[_Work]] = deque()
"""What threads that have nothing to do wait for: to start one costs more than most scorers do."""
_MOST_IDLE = 64


def _serve(tasks: queue.SimpleQueue[_Work]) -> None:
    wanted = True
    while wanted:
        tell = tasks.get()()
        if wanted := len(_IDLE) < _MOST_IDLE:
            _IDLE.append(tasks)  # before anybody hears of it, so that who hears finds this thread
        tell()
        del tell


class PerLoop(Generic[T]):
    """One object for each event loop that asks: for things that are bound to the loop they were first used on.

    Args:
        make: makes the object; called on the loop that asks.
        close: closes it; run on the loop it belongs to, when that loop still runs.

    >>> held = PerLoop(object, lambda _: asyncio.sleep(0))
    >>> async def same() -> bool:
    ...     return held.get() is held.get()
    >>> run_sync(same())
    True
    """

    def __init__(self, make: Callable[[], T], close: Callable[[T], Awaitable[Any]]) -> None:
        self._make, self._close = make, close
        self._held: WeakKeyDictionary[asyncio.AbstractEventLoop, T] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def get(self) -> T:
        """The object of the running loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            for old in [old for old in self._held if old.is_closed()]:
                del self._held[old]
            if loop not in self._held:
                self._held[loop] = self._make()
            return self._held[loop]

    async def aclose(self) -> None:
        """Close the objects of all loops: here, on their own running loop, or by dropping them where that has ended."""
        with self._lock:
            held = list(self._held.items())
            self._held.clear()
        here = asyncio.get_running_loop()
        for loop, item in held:
            if loop is here:
                await self._close(item)
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(self._closing(item), loop)
                await asyncio.wrap_future(closing)

    async def _closing(self, item: T) -> None:
        await self._close(item)
