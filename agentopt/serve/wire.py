"""What a process and its engine child say to each other: one JSON object a line, over the child's stdin and stdout.

To the child::

    {"op": "chat", "id": 7, "messages": [...], "max_tokens": 64, "stream": true, ...}     OpenAI's field names
    {"op": "complete", "id": 8, "prompt": "...", "max_tokens": 64}
    {"op": "cancel", "id": 7}

From the child::

    {"event": "ready", "engine": "openvino-genai", "version": "...", "context": 32768}    once, when the model is loaded
    {"event": "alive"}                                             at most once a second, while it computes
    {"event": "text", "id": 7, "text": "..."}                                             when streaming
    {"event": "done", "id": 7, "text": "...", "finish": "stop", "input_tokens": 9, "output_tokens": 3,
     "cached_tokens": 0, "tool_calls": [{"name": "...", "arguments": "{...}"}], "logprobs": [...]}
    {"event": "error", "id": 7, "kind": "invalid" | "failed", "message": "..."}           this request only
    {"event": "fatal", "message": "..."}                                                  it cannot start; it ends

The end of the child's stdin ends the child.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, BinaryIO, NoReturn

__all__ = ["Channel", "Refused", "decode", "encode"]

PR_SET_PDEATHSIG = 1
BEAT = 1.0
"""Seconds between two signs of life."""


class Refused(Exception):
    """A request that the engine cannot take: a mistake in it, not a failure of the engine."""


def encode(message: dict[str, Any]) -> bytes:
    """One message as a line.

    >>> encode({"op": "cancel", "id": 1})
    b'{"op":"cancel","id":1}\\n'
    """
    return json.dumps(message, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line.

    Raises:
        ValueError: the line is not a JSON object.
    """
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


class Channel:
    """The child's side: an inbox filled by a thread, and a guarded way out.

    Libraries may print: what they write to stdout goes to stderr, which the parent keeps as the log. The child ends
    with its parent: at the end of its stdin, when the system says that the parent died, or when it has another parent.

    Args:
        parent: process id of the parent.
    """

    def __init__(self, parent: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _die_with_parent(parent)
        self.inbox: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._told = 0.0
        self._out: BinaryIO = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        threading.Thread(target=self._read, args=(os.dup(0),), daemon=True).start()
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()

    def emit(self, event: str, **fields: Any) -> None:
        """Send a message to the parent; without a parent there is nothing left to do."""
        data = encode({"event": event, **fields})
        with self._lock:
            try:
                while data:
                    data = data[self._out.write(data) :]
            except OSError:
                os._exit(0)

    def alive(self) -> None:
        """Tell that work goes on: a step was made. Not more than once in ``BEAT`` seconds."""
        now = time.monotonic()
        if now - self._told >= BEAT:
            self._told = now
            self.emit("alive")

    def fatal(self, message: str) -> NoReturn:
        """Tell why there can be no engine, and end."""
        self.emit("fatal", message=message)
        os._exit(3)

    def take(self, *, block: bool) -> list[dict[str, Any]]:
        """All messages that have come; waits for one when ``block``."""
        found = [self.inbox.get()] if block else []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self.inbox.get_nowait())
        return found

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as source:
            for line in source:
                with contextlib.suppress(ValueError):
                    self.inbox.put(decode(line))
        os._exit(0)


def _die_with_parent(parent: int) -> None:
    """On Linux the system kills this process with the thread that started it (one that lives as long as this does)."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
