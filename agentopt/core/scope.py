"""Where the program is: the handlers in force and the call being executed, in one ``ContextVar``.

A scope is a pair ``(env, frame)``. ``Env`` is immutable and changes when a handler is entered; ``Frame`` belongs to one
call and counts what is called from it. Nothing else in the kernel is shared between contexts, so a thousand candidates
can run side by side over one agent.
"""

from __future__ import annotations

import contextvars
import functools
import itertools
import threading
from asyncio import Task, _get_running_loop, current_task
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from agentopt.errors import UsageError

if TYPE_CHECKING:
    from agentopt.core.cell import Cell
    from agentopt.core.handlers import Assigned, Exec, Handler, Trace

__all__ = [
    "BODY",
    "GRAPH",
    "ROOT",
    "SCOPE",
    "Env",
    "Frame",
    "copy_context",
    "current_path",
    "live_agent",
    "next_place",
    "open_run",
    "tracing",
]

P = ParamSpec("P")
R = TypeVar("R")

ROOT, GRAPH, BODY = "root", "graph", "body"


class Env(NamedTuple):
    """The handlers in force, outermost first, and what they amount to."""

    handlers: tuple[Handler, ...] = ()
    traces: tuple[Trace, ...] = ()
    hooks: tuple[Handler, ...] = ()
    values: Mapping[str, Assigned] = MappingProxyType({})
    hidden: frozenset[str] = frozenset()
    sinks: tuple[Callable[[Any], None], ...] = ()
    next_id: Callable[[], int] = int
    blocked: bool = False
    seed: int | None = None
    exec: Exec | None = None
    in_run: bool = False


def running_task() -> Task[Any] | None:
    """The asyncio task that runs here, if one does; hot."""
    loop = _get_running_loop()
    return None if loop is None else current_task(loop)


class Frame:
    """One call in progress: its path, how often each name was called from it, and what its nodes depend on.

    ``control`` is a linked list ``(node, rest)`` of the nodes that were branched on; ``reads`` are the parameters read
    and the nodes made inside a node's body. ``task`` is the asyncio task that the call runs in: in another one (a
    branch of ``asyncio.gather``) counts and branches are that task's own, see ``enter``; they are in ``parts``.
    """

    __slots__ = ("control", "counts", "kind", "parts", "path", "reads", "task")

    parts: WeakKeyDictionary[Task[Any], Frame]

    def __init__(self, path: str, kind: str, control: Any = None) -> None:
        self.path = path
        self.kind = kind
        self.task = running_task()
        self.counts: dict[str, Iterator[int]] = {}
        self.control: tuple[Cell, Any] | None = control
        self.reads: dict[int, Cell] = {}

    def ordinal(self, name: str) -> int:
        """0 for the first call of ``name`` from here, 1 for the second, ... (safe under threads)."""
        count = self.counts.get(name)
        if count is None:
            count = self.counts.setdefault(name, itertools.count())
        return next(count)

    def own(self, env: Env) -> Frame:
        """This call as the running task sees it: its part, where it has entered one; hot.

        A block such as ``with Override(...)`` leaves the scope as it found it: the task's part is found again here.
        """
        parts: WeakKeyDictionary[Task[Any], Frame] | None = getattr(self, "parts", None)
        task = running_task() if parts is not None else None
        if parts is None or task is None or (part := parts.get(task)) is None:
            return self
        SCOPE.set((env, part))
        return part

    def stranger(self) -> bool:
        """Whether the running task is not the one that this call runs in."""
        task = running_task()
        if self.task is task or task is None:
            return False
        if self.task is None or self.task.done():  # made before the loop was there
            self.task = task
            return False
        return True

    def enter(self, env: Env, name: str, ordinal: int) -> Frame:
        """The running task's own part of this call, for what the task does after its first call ``name:ordinal``.

        Which of several tasks is ahead is chance. With a part of its own each counts for itself, so that a call has the
        same path in every run; the tasks' first calls are counted together, in the order in which the tasks began.
        """
        step = f"{name}:{ordinal}+"
        part = Frame(f"{self.path}/{step}" if self.path else step, self.kind, self.control)
        part.reads = self.reads
        if (task := running_task()) is not None:
            with _PARTS:
                if not hasattr(self, "parts"):
                    self.parts = WeakKeyDictionary()
                self.parts[task] = part
        SCOPE.set((env, part))
        return part


_PARTS = threading.Lock()
SCOPE: contextvars.ContextVar[tuple[Env, Frame | None]] = contextvars.ContextVar(
    "agentopt_scope", default=(Env(), None)
)


class _Process:
    """What one context must know of the others: whether a run is open anywhere, and whether a live agent is served."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runs = 0
        self.live = 0


_PROCESS = _Process()


def current_path() -> str:
    """The path of the call being executed, such as ``"solve:0/draft:1"``; ``""`` outside of any."""
    frame = SCOPE.get()[1]
    return frame.path if frame else ""


def next_place(name: str) -> tuple[str, int]:
    """The current path, and how often ``name`` was asked for under it before: 0, 1, 2, ... ``("", 0)`` outside of any.

    It depends on the program alone and not on the order of arrival, so it can be a call's address; only tasks that
    wait for something else before their first call may come in another order.
    """
    env, frame = SCOPE.get()
    if frame is None:
        return "", 0
    frame = frame.own(env)
    path, ordinal = frame.path, frame.ordinal(name)
    if frame.stranger():
        frame.enter(env, name, ordinal)
    return path, ordinal


def tracing() -> bool:
    """Whether a traced call made here gives a ``Node``: in a trace, a run or a traced graph, not in a node's body."""
    env, frame = SCOPE.get()
    return frame is not None and frame.kind is not BODY and not env.blocked


@contextmanager
def open_run() -> Iterator[None]:
    """Mark this context as inside a run, with call paths that start anew.

    While any run is open in the process, a context that is in none (a thread that the user started, say) may not read
    parameters: it would see the deployed values and not the candidate's. ``copy_context`` carries the run over.
    Nests: enter it again for every cell, so that each has its own paths.
    """
    env, _ = SCOPE.get()
    with _PROCESS.lock:
        _PROCESS.runs += 1
    token = SCOPE.set((env._replace(in_run=True), Frame("", ROOT)))
    try:
        yield
    finally:
        SCOPE.reset(token)
        with _PROCESS.lock:
            _PROCESS.runs -= 1


@contextmanager
def live_agent() -> Iterator[None]:
    """Declare that this process serves a live agent: contexts outside runs use its deployed values."""
    with _PROCESS.lock:
        _PROCESS.live += 1
    try:
        yield
    finally:
        with _PROCESS.lock:
            _PROCESS.live -= 1


def require_run(what: str) -> None:
    """Refuse ``what`` in a context without a run while a run is open.

    Raises:
        UsageError: it names ``agentopt.copy_context``.
    """
    if _PROCESS.runs and not _PROCESS.live and not SCOPE.get()[0].in_run:
        raise UsageError(
            f"{what} in thread {threading.current_thread().name!r}, which does not belong to the run that is open: "
            "it would use the deployed values instead of the candidate's; start the thread with "
            "agentopt.copy_context(function) (or declare a live agent with agentopt.core.live_agent())"
        )


def copy_context(fn: Callable[P, R]) -> Callable[P, R]:
    """``fn``, to be run in a copy of the present context, from any thread and as often as wanted.

    >>> import threading
    >>> from agentopt.core import Override, Parameter, copy_context
    >>> tone, seen = Parameter("plain", name="tone"), []
    >>> with Override({"tone": "warm"}):
    ...     thread = threading.Thread(target=copy_context(lambda: seen.append(tone.value)))
    >>> thread.start(); thread.join(); seen
    ['warm']
    """
    context = contextvars.copy_context()

    @functools.wraps(fn)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        return context.copy().run(fn, *args, **kwargs)

    return carried
