"""Fork servers at work: jobs wait in a line, each server takes the next; one that dies is replaced.

A server has a thread of its own in this process, which starts it, speaks with it and outlives it. Host functions are
not called there but by whoever runs the job, so that they see that caller's context.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
import queue
import random
import threading
from collections.abc import Callable
from typing import Any

from agentopt.errors import UsageError
from agentopt.sandbox.backends import Launch
from agentopt.sandbox.base import Isolation
from agentopt.sandbox.process import Gone, Process

__all__ = ["Pool", "Ticket"]

_OVER = {"op": "done", "status": "broken", "error": {"message": "the sandbox was closed"}}


class Ticket:
    """A job on its way.

    Args:
        message: what begins it; its id is set when a server takes it.
        post: told of every message about it, from another thread: that a server has taken it, calls of host functions,
            and its end.
    """

    def __init__(self, message: dict[str, Any], post: Callable[[dict[str, Any]], None]) -> None:
        self.message, self._post = message, post
        self._server: Process | None = None
        self._cancelled = False
        self._lock = threading.Lock()
        self.busy = False

    def post(self, message: dict[str, Any]) -> None:
        """Tell the caller; one that is gone is not told."""
        self.busy = message.get("op") == "call"
        with contextlib.suppress(RuntimeError):
            self._post(message)

    def reply(self, answer: dict[str, Any]) -> None:
        """Answer a call of a host function."""
        self.busy = False
        server = self._server
        with contextlib.suppress(Gone):
            if server is not None:
                server.send({"op": "reply", "id": self.message["id"], **answer})

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        with self._lock:
            self._cancelled = True
            self.busy = False
            if self._server is not None:
                with contextlib.suppress(Gone):
                    self._server.send({"op": "kill", "id": self.message["id"]})

    def ended(self) -> None:
        """The server is done with it: nothing more is sent there."""
        with self._lock:
            self._server = None

    def begin(self, server: Process, number: int, seat: int) -> bool:
        """Give it to a server, unless it has been cancelled; ``seat`` says which of the processors are its own."""
        with self._lock:
            self.message |= {"id": number, "seat": seat}
            self._server = None if self._cancelled else server
            return not self._cancelled


class _Line:
    """Jobs, and the threads that take them one by one: up to ``most``."""

    def __init__(self, most: float) -> None:
        self.most = most
        self.jobs: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self.threads = 0
        self.taken = 0
        """Jobs that wait or are under way."""


class Pool:
    """Up to ``servers`` fork servers, started as jobs come. The first is started at once.

    A job that does not bear waiting gets a server beside these when all are taken; that one is kept for the next such.

    Args:
        launch: how to start one.
        servers: how many jobs may run at a time.
        accept: looks at what the first server gives; may raise.

    Raises:
        UsageError: a server cannot be started, or is not accepted.
    """

    def __init__(self, launch: Launch, servers: int, accept: Callable[[Isolation], None]) -> None:
        self._launch, self._accept = launch, accept
        self._line, self._aside = _Line(servers), _Line(math.inf)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._servers: set[Process] = set()
        self._closed = False
        self._pid = os.getpid()
        self._numbers = iter(range(1, 1 << 62))
        self._seats = itertools.count(random.randrange(1 << 16))  # pools beside this one begin with other processors
        first: queue.SimpleQueue[Isolation | BaseException] = queue.SimpleQueue()
        self._thread(self._line, first)
        got = first.get()
        if isinstance(got, BaseException):
            self.close()
            raise got
        self.isolation = got

    def _thread(self, line: _Line, first: queue.SimpleQueue[Isolation | BaseException] | None = None) -> None:
        work = functools.partial(self._work, line, next(self._seats), first)
        thread = threading.Thread(target=work, name="agentopt-sandbox", daemon=True)
        line.threads += 1
        self._threads.append(thread)
        thread.start()

    def put(self, ticket: Ticket, at_once: bool = False) -> None:
        """Take a job; one that is done ``at_once`` waits behind no other, but for the start of a server.

        Raises:
            UsageError: the pool is closed.
        """
        with self._lock:
            if self._closed:
                raise UsageError("this sandbox is closed; open another one")
            line = self._aside if at_once and self._line.taken >= self._line.most else self._line
            line.taken += 1
            line.jobs.put(ticket)
            if line.threads < min(line.taken, line.most):
                self._thread(line)

    def _start(self) -> Process:
        server = Process(self._launch)
        try:
            self._accept(server.isolation)
        except BaseException:
            server.close()
            raise
        with self._lock:
            if not self._closed:
                self._servers.add(server)
                return server
        server.close()
        raise UsageError("the sandbox was closed")

    def _work(self, line: _Line, seat: int, first: queue.SimpleQueue[Isolation | BaseException] | None) -> None:
        server: Process | None = None
        if first is not None:
            try:
                server = self._start()
            except BaseException as exc:
                first.put(exc)
                return
            first.put(server.isolation)
        while (ticket := line.jobs.get()) is not None:
            last: dict[str, Any] | None = None
            try:
                server = server or self._start()
                if ticket.begin(server, next(self._numbers), seat):
                    ticket.post({"op": "begun"})
                    last = server.do(ticket.message, ticket.post, lambda ticket=ticket: ticket.busy)  # type: ignore[misc]
            except (Gone, UsageError) as exc:
                said = f"{exc}; {server.log()}" if server is not None and server.log() else str(exc)
                last = {**_OVER, "error": {"message": said}}
                if server is not None:
                    self._servers.discard(server)
                    server.kill()
                    server = None
            except BaseException as exc:
                last = {**_OVER, "error": {"message": f"{type(exc).__name__}: {exc}"}}
            finally:
                ticket.ended()
                with self._lock:
                    line.taken -= 1
            if last is not None:
                ticket.post(_OVER if self._closed and last["status"] == "broken" else last)
        if server is not None:
            self._servers.discard(server)
            server.close()

    def close(self) -> None:
        """End all servers; jobs in the line and under way end as lost."""
        if os.getpid() != self._pid:
            return  # a copy of the pool in a process that was forked off
        with self._lock:
            if self._closed:
                return
            self._closed = True
            servers = list(self._servers)
            lines = (self._line, self._aside)
            if any(line.taken for line in lines):
                for line in lines:
                    with contextlib.suppress(queue.Empty):
                        while (ticket := line.jobs.get_nowait()) is not None:
                            ticket.post(_OVER)
                for server in servers:
                    server.kill()
            for line in lines:
                for _ in range(line.threads):
                    line.jobs.put(None)
        for thread in self._threads:
            thread.join(15)
