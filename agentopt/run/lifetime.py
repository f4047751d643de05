"""What every run has around its work: listeners, Ctrl-C, its clock, and no folder where it was refused."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import shutil
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from agentopt._aio import run_sync
from agentopt.errors import StoreError, UsageError
from agentopt.llm.ledger import Ledger
from agentopt.run.forecast import told
from agentopt.run.parts import Parts
from agentopt.run.telling import Telling
from agentopt.store import Event, Store

__all__ = ["Listener", "begun", "interruptible", "keep_clock", "plainly", "run_here", "subscribe", "write_down"]

T = TypeVar("T")
Listener = Callable[[Event], None]


def run_here(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end: in the main thread itself where that is free, so that Ctrl-C reaches the run; else beside it."""
    free = threading.current_thread() is threading.main_thread() and not _in_loop()
    return plainly(lambda: asyncio.run(work) if free else run_sync(work))


def plainly(work: Callable[[], T]) -> T:
    """Let a mistake of the caller come up without the frames below: where it was made is in its text.

    AGENTOPT_TRACEBACK keeps them.
    """
    try:
        return work()
    except UsageError as mistake:
        if os.environ.get("AGENTOPT_TRACEBACK"):
            raise
        raise mistake.with_traceback(None) from mistake.__cause__


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # nothing may run inside this handler: its error would be told as the context of every other
        return False
    return True


@contextmanager
def begun(folder: Path) -> Iterator[None]:
    """Leave no folder behind of a run that was refused, or interrupted, before it had begun."""
    new = not folder.exists()
    try:
        yield
    except BaseException as problem:
        with contextlib.suppress(StoreError):
            with Store(folder, readonly=True) as store:
                paid = store.last("call.received") or store.last("cell")
                refused = isinstance(problem, UsageError) and paid is None
                new = new and (refused or store.last("run.started") is None)
            if new:
                shutil.rmtree(folder, ignore_errors=True)
        raise


def subscribe(store: Store, on_event: Listener | None, progress: bool) -> None:
    """Have what happens told: on stderr where ``progress`` is asked for, and to a listener of the caller's."""
    if progress:
        store.subscribe(Telling())
    if on_event is not None:
        store.subscribe(on_event)


@contextmanager
def interruptible(stop: Callable[[], None], store: Store) -> Iterator[None]:
    """Ctrl-C once calls ``stop``; twice ends the run now. Only in the main thread of a program."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    telling: list[asyncio.Task[Event]] = []  # held here so that the word to the listeners is not lost

    def interrupt() -> None:
        stop()
        text = "stopping: what is in flight is finished and kept; interrupt once more to stop at once"
        telling.append(loop.create_task(store.append("warning", {"text": text})))
        loop.remove_signal_handler(signal.SIGINT)

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, RuntimeError):
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def write_down(parts: Parts, since: float) -> None:
    """The end of a process: what providers billed beyond their caps, and the seconds used since ``since``."""
    await keep_clock(parts.store, parts.ledger, since)


async def keep_clock(store: Store, ledger: Ledger, since: float) -> None:
    """The same for a run that has a store and a ledger, and no program."""
    for text in _overruns(ledger):
        await asyncio.shield(store.append("warning", {"text": text}))
    await asyncio.shield(store.append("clock", {"seconds": round(ledger.elapsed - since, 3)}))


def _overruns(ledger: Ledger) -> list[str]:
    """Of providers that billed more than their caps allow: how much, by role and axis."""
    sums: dict[tuple[str, str], list[float]] = {}
    for role, axis, amount in ledger.overruns:
        sums.setdefault((role, axis), []).append(amount)
    return [
        f"the provider billed {told({axis: math.fsum(found)})} beyond the cap of {len(found)} {role} calls: the budget "
        "counts it, and may be exceeded by that much"
        for (role, axis), found in sums.items()
    ]
