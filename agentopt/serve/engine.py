"""An engine as the rest of the process sees it: always there, whatever happens to the child behind it.

It starts its child when the first request comes, answers through callbacks, starts a new child after a crash, and is
shared by all clients of one model with the same settings.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentopt.errors import LLMError, TransientLLMError, UnusableAnswer
from agentopt.serve.child import Child, program
from agentopt.serve.diagnose import diagnose
from agentopt.serve.options import ENGINES, Loaded

__all__ = ["Engine", "shared"]

Result = dict[str, Any] | LLMError
HOPELESS = 3
"""Children in a row that ended without an answer: then requests fail for good."""


@dataclass(slots=True)
class Waiting:
    """A request on its way."""

    on_end: Callable[[Result], None]
    on_text: Callable[[str], None] | None


class Engine:
    """Runs an engine program in a child process.

    Args:
        label: what to call it in messages, such as ``local/smollm2-135m``.
        command: the program and its arguments.
        env: variables that must be set before it starts.
    """

    def __init__(self, label: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self.label = label
        self._command, self._env = list(command), dict(env or {})
        self._ids = itertools.count(1)
        self._reset()
        _ALIVE.add(self)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._child: Child | None = None
        self._waiting: dict[int, Waiting] = {}
        self._ready_calls: list[Callable[[], None]] = []
        self._barren = 0
        self.heard = 0.0
        """When the child last said anything, on the monotonic clock."""
        self.last_failure = ""
        """Why the last child ended, when it ended by itself."""

    @property
    def pid(self) -> int | None:
        """Process id of the child, while there is one."""
        child = self._child
        return child.pid if child else None

    @property
    def info(self) -> dict[str, Any] | None:
        """What the child said when its model was loaded: engine, version, context. None before."""
        child = self._child
        return child.ready if child else None

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return len(self._waiting)

    def log(self) -> list[str]:
        """The last lines of the child's log."""
        child = self._child
        return child.log() if child else []

    def start(self) -> None:
        """Start the child now, if there is none. Returns at once."""
        with self._lock:
            if self._child is None:
                self._child = Child(self._command, self._env, self._event, self._ended)

    def submit(
        self, message: dict[str, Any], on_end: Callable[[Result], None], on_text: Callable[[str], None] | None = None
    ) -> int:
        """Ask. Callbacks come from the engine's thread: text as it is written, then one end.

        Args:
            message: an ``op`` of the wire protocol, without its id.
            on_end: called once with the ``done`` message or an error.
            on_text: asks for streaming; called with each piece.

        Returns:
            A number that ``cancel`` takes.
        """
        with self._lock:
            ident = next(self._ids)
            self.start()
            assert self._child is not None
            self._waiting[ident] = Waiting(on_end, on_text)
            self._child.send({**message, "id": ident, "stream": on_text is not None})
        return ident

    def cancel(self, ident: int) -> None:
        """Drop a request, here and in the engine; its callbacks are not called any more."""
        with self._lock:
            if self._waiting.pop(ident, None) is not None and self._child is not None:
                self._child.send({"op": "cancel", "id": ident})

    def when_ready(self, call: Callable[[], None]) -> None:
        """Call once when the model is loaded or the child has ended; at once when it is loaded."""
        with self._lock:
            if self._child is not None and self._child.ready is None:
                self._ready_calls.append(call)
                return
        call()

    def close(self) -> None:
        """End the child; requests on their way fail. A later request starts it again."""
        with self._lock:
            child, self._child = self._child, None
            calls = self._take_ready()
            waiting = self._take_waiting()
        if child is not None:
            child.close()
        for entry in waiting:
            entry.on_end(TransientLLMError(f"{self.label} was closed while it was answering"))
        for call in calls:
            call()

    def _take_waiting(self) -> list[Waiting]:
        found = list(self._waiting.values())
        self._waiting.clear()
        return found

    def _take_ready(self) -> list[Callable[[], None]]:
        found, self._ready_calls = self._ready_calls, []
        return found

    def _event(self, child: Child, event: dict[str, Any]) -> None:
        self.heard = time.monotonic()
        kind, ident = event.get("event"), event.get("id", 0)
        if kind == "text":
            entry = self._waiting.get(ident)
            if entry and entry.on_text:
                entry.on_text(str(event["text"]))
        elif kind in ("done", "error"):
            with self._lock:
                entry = self._waiting.pop(ident, None)
                self._barren = 0
            if entry:
                entry.on_end(event if kind == "done" else self._refusal(event))
        elif kind == "ready":
            with self._lock:
                calls = self._take_ready()
            for call in calls:
                call()

    def _refusal(self, event: dict[str, Any]) -> LLMError:
        text = f"{self.label}: {event.get('message')}"
        return UnusableAnswer(text) if event.get("kind") == "invalid" else TransientLLMError(text)

    def _ended(self, child: Child, status: int | None) -> None:
        with self._lock:
            if self._child is not child:
                return
            self._child = None
            self._barren += 1
            waiting, calls = self._take_waiting(), self._take_ready()
            hopeless = self._barren >= HOPELESS
        why = diagnose([*child.log(), *([child.fatal] if child.fatal else [])], status)
        error: LLMError
        if child.fatal:
            error = LLMError(f"{self.label}: {child.fatal.strip()}: {why}")
        elif hopeless:
            error = LLMError(f"{self.label}: its engine crashed {self._barren} times without an answer: {why}")
        else:
            error = TransientLLMError(f"{self.label}: its engine crashed; the next request starts it again: {why}")
        self.last_failure = str(error)
        for entry in waiting:
            entry.on_end(error)
        for call in calls:
            call()

    def _forked(self) -> None:
        child = self._child
        self._reset()
        if child is not None:
            child.abandon()


class Shared:
    """The engines of this process: one for each model and settings, kept while somebody uses it and a little longer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engines: dict[str, Engine] = {}
        self._users: dict[str, int] = {}
        self._timers: dict[str, threading.Timer] = {}

    def acquire(self, loaded: Loaded) -> Engine:
        """The engine of a model; ``release`` must follow."""
        key = loaded.model_dump_json()
        with self._lock:
            timer = self._timers.pop(key, None)
            if timer:
                timer.cancel()
            self._users[key] = self._users.get(key, 0) + 1
            if key not in self._engines:
                self._engines[key] = _make(loaded)
            return self._engines[key]

    def release(self, loaded: Loaded) -> None:
        """One user less. The last one's leaving closes the engine, ``settings.idle`` seconds later."""
        key = loaded.model_dump_json()
        with self._lock:
            self._users[key] = self._users.get(key, 1) - 1
            if self._users[key] > 0:
                return
            timer = threading.Timer(loaded.settings.idle, self._idle, (key,))
            timer.daemon = True
            self._timers[key] = timer
            timer.start()

    def _idle(self, key: str) -> None:
        with self._lock:
            if self._users.get(key, 0) > 0:
                return
            self._timers.pop(key, None)
            engine = self._engines.pop(key, None)
        if engine:
            engine.close()

    def close(self) -> None:
        """Close all engines now."""
        with self._lock:
            engines, self._engines = list(self._engines.values()), {}
            self._users.clear()
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
        for engine in engines:
            engine.close()

    def _forked(self) -> None:
        self._lock = threading.Lock()
        self._timers = {}


def _make(loaded: Loaded) -> Engine:
    """The engine program of a loaded model, with the variables that must be set before it starts."""
    settings = loaded.settings
    exact = {"KV_CACHE_PRECISION": "f32", "INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
    argument = {
        "parent": os.getpid(),
        "name": f"local/{settings.name}",
        "model": str(loaded.weights),
        "max_seqs": settings.max_seqs,
        "kv_gb": settings.kv_gb,
        "batch_tokens": settings.batch_tokens,
        "threads": settings.threads,
        "context": loaded.context,
        "properties": exact if settings.exact else {},
    }
    command = [*program(ENGINES[loaded.engine][2]), json.dumps(argument)]
    return Engine(f"local/{settings.name}", command, {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")})


_ALIVE: weakref.WeakSet[Engine] = weakref.WeakSet()
_SHARED = Shared()


def shared() -> Shared:
    """The engines of this process: child processes belong to the process, so there is one such table in it."""
    return _SHARED


def _after_fork() -> None:
    _SHARED._forked()
    for engine in list(_ALIVE):
        engine._forked()


atexit.register(_SHARED.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
