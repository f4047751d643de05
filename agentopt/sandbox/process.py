"""One fork server, seen from the host: a child process that is started, spoken with, and ended."""

from __future__ import annotations

import collections
import contextlib
import os
import select
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from agentopt.errors import UsageError
from agentopt.sandbox.backends import Launch
from agentopt.sandbox.base import Isolation
from agentopt.sandbox.guest.frames import FrameError, Reader, pack

__all__ = ["Gone", "Process"]

STARTUP = 120.0
GRACE = 15.0
"""Seconds beyond a job's wall clock after which a server that says nothing is given up."""
_LONGEST = 64 << 20


class Gone(Exception):
    """The server has ended, or does not answer any more."""


class Process:
    """A running fork server. Started by the thread that will live as long as it does.

    Raises:
        UsageError: it does not start; the message has what it said.
    """

    def __init__(self, launch: Launch) -> None:
        self.launch = launch
        self._log: collections.deque[str] = collections.deque(maxlen=50)
        self._sending = threading.Lock()
        self._closed = False
        self._reader = Reader(_LONGEST)
        self._heard: collections.deque[dict[str, Any]] = collections.deque()
        try:
            self._process = subprocess.Popen(
                launch.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=dict(launch.environment), cwd="/", start_new_session=True, bufsize=0,
            )  # fmt: skip
        except OSError as exc:
            raise UsageError(f"the {launch.backend} sandbox cannot be started: {launch.command[0]}: {exc}") from None
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        threading.Thread(target=self._listen, name="agentopt-sandbox-log", daemon=True).start()
        try:
            ready = self._next(lambda: STARTUP)
        except Gone as exc:
            self.kill()
            said = self.log() or "it said nothing"
            raise UsageError(f"the {launch.backend} sandbox did not start ({exc}): {said}") from None
        layers = {**launch.given, **ready["layers"]}
        lacking = {
            name: ready["lacking"].get(name, "left off") for name in launch.needed if name not in ready["layers"]
        }
        self.isolation = Isolation(launch.backend, layers, {**lacking, **ready["lacking"]}, ready["missing"])

    def _listen(self) -> None:
        pipe: Any = self._process.stderr
        with contextlib.suppress(OSError, ValueError):
            for line in pipe:
                self._log.append(line[:2000].decode("utf-8", "replace").rstrip())

    def log(self) -> str:
        """The last that it wrote to stderr."""
        return "\n".join(self._log)[-2000:]

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; from any thread.

        Raises:
            Gone: nobody reads it.
        """
        view = memoryview(pack(message))
        with self._sending:
            if self._closed:  # its descriptor may be somebody else's by now
                raise Gone("it was closed")
            try:
                while view:
                    view = view[os.write(self._in, view) :]
            except OSError as exc:
                raise Gone(f"it does not listen: {exc.strerror}") from None

    def _next(self, left: Callable[[], float]) -> dict[str, Any]:
        """The next message, as long as ``left`` says that there is time."""
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        while not self._heard:
            if left() <= 0:
                raise Gone("it does not answer")
            if not poll.poll(1000 * min(1.0, max(0.0, left()))):
                continue
            data = os.read(self._out, 1 << 20)
            if not data:
                raise Gone(f"it ended with exit code {self._process.wait(5) if self._ended(2.0) else 'unknown'}")
            try:
                self._heard += self._reader.feed(data)
            except FrameError as exc:
                raise Gone(str(exc)) from None
        return self._heard.popleft()

    def _ended(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False

    def do(
        self, job: dict[str, Any], call: Callable[[dict[str, Any]], None], busy: Callable[[], bool]
    ) -> dict[str, Any]:
        """Do a job; its last message.

        Args:
            job: the message that begins it.
            call: told of each call of a host function; the answer is sent by ``send``.
            busy: whether the host is at work on such a call: its time is not the job's.

        Raises:
            Gone: the server ended, or was silent for too long.
        """
        silent, last = 0.0, time.monotonic()
        allowed = float(job["limits"]["wall"]) + GRACE

        def left() -> float:
            nonlocal silent, last
            now = time.monotonic()
            silent, last = silent + (0.0 if busy() else now - last), now
            return allowed - silent

        self.send(job)
        while True:
            message = self._next(left)
            if message.get("op") == "done":
                return message
            call(message)

    def kill(self) -> None:
        """End it with everything in it."""
        with contextlib.suppress(OSError):
            self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        self._close()

    def close(self) -> None:
        """Let it end by itself, or else end it."""
        self._close_in()
        if not self._ended(2.0):
            self._process.kill()
            self._ended(10.0)
        self._close()

    def _close_in(self) -> None:
        """Close what the server listens to; nothing is sent from here on."""
        with self._sending:
            self._closed = True
            if self._process.stdin:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()

    def _close(self) -> None:
        self._close_in()
        if self._process.stdout:
            with contextlib.suppress(OSError):
                self._process.stdout.close()
