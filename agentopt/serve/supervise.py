"""A server program that somebody else wrote: a free port, a health check, the end of its log, a clean end."""

from __future__ import annotations

import collections
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from agentopt.errors import AgentOptError
from agentopt.serve.diagnose import diagnose

__all__ = ["Server", "ServerFailed", "free_port"]


class ServerFailed(AgentOptError):
    """A server did not come up, or ended; the message says why, as far as its log tells."""


def free_port(wanted: int = 0, host: str = "127.0.0.1") -> int:
    """A port that nobody listens on: ``wanted`` if it is free, else another one.

    >>> 0 < free_port() < 65536
    True
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (wanted, 0):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((host, port))
                return int(probe.getsockname()[1])
    raise ServerFailed(f"no port is free on {host}")


class Server:
    """Starts a server, waits until it is healthy, and ends it with all its children.

    Args:
        command: the program and its arguments.
        port: where it will listen, on loopback unless ``host`` says otherwise.
        health: path that answers 200 when it is ready.
        env: variables added to this process's.
        on_line: called with each line of its log.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        *,
        host: str = "127.0.0.1",
        health: str = "/health",
        env: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.command, self.host, self.port = list(command), host, port
        self._health, self._env, self._on_line = health, dict(env or {}), on_line
        self._log: collections.deque[str] = collections.deque(maxlen=300)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid if self._process else None

    def log(self) -> list[str]:
        """The last lines of its log."""
        return list(self._log)

    def start(self) -> None:
        """Start the program, in a session of its own, so that its end takes its children along.

        Raises:
            ServerFailed: it cannot be started.
        """
        try:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._env},
                start_new_session=True,
            )
        except OSError as error:
            raise ServerFailed(f"cannot start {self.command[0]}: {error}") from error
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_ready(self, timeout: float = 600.0) -> None:
        """Return when it is healthy.

        Raises:
            ServerFailed: it ended, or was not healthy in time (it is stopped then).
        """
        deadline = time.monotonic() + timeout
        while not self.healthy():
            self.check()
            if time.monotonic() > deadline:
                self.stop()
                raise ServerFailed(
                    f"{self.command[0]} was not ready after {timeout:g} seconds: {diagnose(self.log(), None)}"
                )
            time.sleep(0.2)

    def check(self) -> None:
        """Raise ``ServerFailed`` with a diagnosis when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            if self._reader:
                self._reader.join(2.0)
            raise ServerFailed(f"{self.command[0]} ended: {diagnose(self.log(), self._process.returncode)}")

    def healthy(self) -> bool:
        """Whether it answers its health check."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection(self.host, self.port, timeout=5.0)
            with contextlib.closing(connection):
                connection.request("GET", self._health)
                return connection.getresponse().status == 200
        return False

    def stop(self, grace: float = 10.0) -> int | None:
        """End it: asked first, killed with all its children after ``grace`` seconds. Returns its exit status."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self._signal(signal.SIGKILL)
        return self._process.wait()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        for raw in self._process.stdout:
            line = raw.decode("utf-8", "replace").rstrip()
            self._log.append(line)
            if self._on_line:
                self._on_line(line)
