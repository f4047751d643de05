"""One engine child process, seen from its parent: started and read by a thread of its own, written by another.

The thread that starts the process lives as long as the process does: on Linux the child asks to be killed when the
thread that started it ends, so that nothing is left over when the parent is killed.
"""

from __future__ import annotations

import collections
import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import agentopt
from agentopt.serve.wire import decode, encode

__all__ = ["Child", "program"]


def program(module: str) -> list[str]:
    """The command that runs one of our modules with this interpreter, without the working directory on its path."""
    return [sys.executable, "-P", "-u", "-m", module]


class Child:
    """A running engine. Its callbacks come from its reader thread.

    Args:
        command: the program and its arguments.
        env: variables added to this process's.
        on_event: called with each message of the child.
        on_end: called once, when the child is gone, with its exit status (None: it could not be started).
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        on_event: Callable[[Child, dict[str, Any]], None],
        on_end: Callable[[Child, int | None], None],
    ) -> None:
        self._command, self._env = list(command), dict(env)
        self._on_event, self._on_end = on_event, on_end
        self._out: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._log: collections.deque[str] = collections.deque(maxlen=200)
        self._process: subprocess.Popen[bytes] | None = None
        self._gone = threading.Event()
        self.ready: dict[str, Any] | None = None
        """What the child said when its model was loaded."""
        self.fatal: str | None = None
        """Why it could not load it."""
        threading.Thread(target=self._live, name="agentopt-engine", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Process id, once it was started."""
        return self._process.pid if self._process else None

    def log(self) -> list[str]:
        """The last lines that it wrote to stderr."""
        return list(self._log)

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message; never blocks."""
        self._out.put(encode(message))

    def close(self, grace: float = 3.0) -> None:
        """End the child: its stdin is closed; after ``grace`` seconds it is killed. Returns when it is gone."""
        self._out.put(None)
        if not self._gone.wait(grace) and self._process:
            self._process.kill()
            self._gone.wait(grace)

    def abandon(self) -> None:
        """After a fork, in the new process: let go of the pipes, so that the child ends with its real parent."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr) if self._process else ():
            if stream:
                with contextlib.suppress(OSError):
                    os.close(stream.fileno())

    def _live(self) -> None:
        root = str(Path(agentopt.__file__).parents[1])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, **self._env, "PYTHONPATH": os.pathsep.join(paths), "PYTHONIOENCODING": "utf-8"}
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
            )
        except OSError as error:
            self.fatal = f"cannot start {self._command[0]}: {error}"
            self._gone.set()
            self._on_end(self, None)
            return
        self._process = process
        assert process.stdin and process.stdout and process.stderr
        listener = threading.Thread(target=self._listen, args=(process.stderr,), daemon=True)
        listener.start()
        threading.Thread(target=self._write, args=(process.stdin,), daemon=True).start()
        for line in process.stdout:
            try:
                event = decode(line)
            except ValueError:
                self._log.append(line.decode("utf-8", "replace").rstrip())
                continue
            if event.get("event") == "ready":
                self.ready = event
            elif event.get("event") == "fatal":
                self.fatal = str(event.get("message"))
            self._on_event(self, event)
        status = process.wait()
        self._out.put(None)
        listener.join(2.0)
        process.stdout.close()
        self._gone.set()
        self._on_end(self, status)

    def _write(self, pipe: Any) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (data := self._out.get()) is not None:
                pipe.write(data)
                pipe.flush()
        with contextlib.suppress(OSError, ValueError):
            pipe.close()

    def _listen(self, pipe: Any) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in pipe:
                self._log.append(line.decode("utf-8", "replace").rstrip())
