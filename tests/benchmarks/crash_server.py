"""The model of the crash benchmark: a stub server in a process of its own, which writes down every request it gets.

A line of its log is the API key (run and generation, as the program sends it) and the request's own reference.
"""

from __future__ import annotations

import sys
import threading
import zlib
from pathlib import Path
from typing import Any

from crash_program import reply

from agentopt.testing import StubReply, StubServer
from agentopt.testing.stub import Received


class Counting(StubServer):
    """Writes a line for each request before it is answered."""

    def __init__(self, log: Path) -> None:
        super().__init__(answer)
        self._log, self._gate = log.open("a", encoding="utf-8"), threading.Lock()

    def take(self, received: Received) -> StubReply:
        """Note the request, then answer it."""
        key = received.headers.get("authorization", "").removeprefix("Bearer ")
        with self._gate:
            self._log.write(f"{key} {reference(received.body)}\n")
            self._log.flush()
        return super().take(received)


def reference(body: dict[str, Any]) -> str:
    """What tells a call of a run from its others."""
    return str(body["messages"][0]["content"]).removeprefix("ref ")


def answer(body: dict[str, Any]) -> StubReply:
    """Text and latency (4 to 20 ms), both a function of the request."""
    return StubReply(reply(body), delay=0.004 + zlib.crc32(reference(body).encode()) % 16 / 1000)


if __name__ == "__main__":
    with Counting(Path(sys.argv[1])) as server:
        print(server.model, flush=True)
        sys.stdin.read()
