"""Ctrl-C: once asks for a clean stop, twice stops at once. Both leave a run that can be resumed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["on_interrupt"]


@contextmanager
def on_interrupt(stop: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """While inside, the first SIGINT (or SIGTERM) calls ``stop``; the second raises ``KeyboardInterrupt``.

    Outside the main thread, where Python allows no handler, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        say("stopping: what is in flight is finished and saved (Ctrl-C again stops now)")
        stop()

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
