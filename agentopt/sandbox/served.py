"""The sandbox that all back ends share: a pool of fork servers, and host functions called for their jobs."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import enum
import inspect
import os
import queue
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any, Self

from agentopt._aio import run_sync, running_loop
from agentopt._clock import waiting
from agentopt.errors import BudgetExhausted, LLMError, StoreError, UnusableAnswer, UsageError
from agentopt.sandbox import told
from agentopt.sandbox.base import Isolation, Job, Limits, Result
from agentopt.sandbox.guest.codec import Uncarriable, decode, encode
from agentopt.sandbox.pool import Pool, Ticket

__all__ = ["ServedSandbox"]

_MOST = 10_000
_TEXT = 4000
_OURS = (BudgetExhausted, StoreError, LLMError)
"""What ends the job and goes on to its caller. All else is told to the candidate's code, whose arguments they were."""


_HOSTING: ContextVar[bool] = ContextVar("agentopt_hosting", default=False)
"""Whether a host function of a job is called here: its server is taken until this is done."""


class ServedSandbox:
    """A ``Sandbox`` over fork servers; made by ``open_sandbox``. A context manager that closes itself."""

    def __init__(self, pool: Pool, limits: Limits) -> None:
        self._pool, self.limits = pool, limits
        self._pid = os.getpid()
        self._end = weakref.finalize(self, pool.close)

    @property
    def isolation(self) -> Isolation:
        """What is in force."""
        return self._pool.isolation

    async def run(self, job: Job) -> Result:
        """Do a job; see ``Sandbox``."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        def post(message: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(events.put_nowait, message)

        work = _Work(self, job, post, at_once=_HOSTING.get())
        try:
            with waiting():
                message = await events.get()
            while message["op"] != "done":
                if message["op"] == "call":
                    try:
                        with _hosting():
                            value = work.call(message)
                            answer = work.answer(await value if inspect.isawaitable(value) else value)
                    except Exception as exc:
                        answer = work.error(exc)
                    work.ticket.reply(answer)
                message = await events.get()
            return work.result(message)
        finally:
            work.ticket.cancel()

    def run_sync(self, job: Job) -> Result:
        """Do a job from plain code; see ``Sandbox``."""
        events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        work = _Work(self, job, events.put, at_once=_HOSTING.get() or running_loop() is not None)
        try:
            with waiting():
                message = events.get()
            while message["op"] != "done":
                if message["op"] == "call":
                    try:
                        with _hosting():
                            value = work.call(message)
                            answer = work.answer(run_sync(_awaited(value)) if inspect.isawaitable(value) else value)
                    except Exception as exc:
                        answer = work.error(exc)
                    work.ticket.reply(answer)
                message = events.get()
            return work.result(message)
        finally:
            work.ticket.cancel()

    def close(self) -> None:
        """End everything."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _begin(self, job: Job, post: Callable[[dict[str, Any]], None], at_once: bool) -> tuple[Ticket, Limits]:
        if os.getpid() != self._pid:
            raise UsageError("this sandbox was opened by the process that this one was forked from; open one here")
        limits = job.limits or self.limits
        if limits.disk != self.limits.disk:
            raise UsageError(f"a job's disk limit is its sandbox's, {self.limits.disk:,} bytes; set it in open_sandbox")
        message = {
            "op": "job", "source": job.source, "entry": job.entry, "seed": job.seed,
            "args": [_sent(arg, f"args[{i}]") for i, arg in enumerate(job.args)],
            "kwargs": {name: _sent(arg, f"kwargs[{name!r}]") for name, arg in job.kwargs.items()},
            "names": {name: inspect.iscoroutinefunction(fn) for name, fn in job.allow.items()},
            "limits": dataclasses.asdict(limits), "prelude": job.prelude, "annotations": job.annotations,
            "values": {name: _sent(value, f"values[{name!r}]") for name, value in job.values.items()},
        }  # fmt: skip
        ticket = Ticket(message, post)
        self._pool.put(ticket, at_once)
        return ticket, limits


class _Work:
    """A job under way, as its caller sees it.

    It is done ``at_once`` where a job with a server may depend on it: its caller is a host function of such a job, or
    keeps an event loop from working, which may have host functions to call.
    """

    def __init__(self, sandbox: ServedSandbox, job: Job, post: Callable[[dict[str, Any]], None], at_once: bool) -> None:
        self.job = job
        self.types = {kind.__name__: kind for kind in (*_types_in([*job.args, *job.kwargs.values()]), *job.types)}
        self.ticket, self.limits = sandbox._begin(job, post, at_once)

    def call(self, message: dict[str, Any]) -> Any:
        """Call the host function that the candidate's code asks for; what it returns may be awaitable."""
        function = self.job.allow.get(str(message.get("name")))
        if function is None:
            raise NameError(f"no host function {str(message.get('name'))[:100]!r} is offered")
        args, kwargs = decode(message.get("args"), self.types), decode(message.get("kwargs"), self.types)
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            raise TypeError("the arguments are no list or no object")
        return function(*args, **kwargs)

    def answer(self, value: Any) -> dict[str, Any]:
        """What is told of a call that returned."""
        from agentopt.core import Node  # only callers who trace have nodes

        return {"value": encode(value.value if isinstance(value, Node) else value, "what the host function returned")}

    def error(self, exc: Exception) -> dict[str, Any]:
        """What is told of a call that failed.

        Raises:
            BudgetExhausted, StoreError, LLMError: those are the run's or the world's, not the candidate's.
        """
        if isinstance(exc, _OURS) and not isinstance(exc, UnusableAnswer):
            raise exc
        kinds = [kind.__name__ for kind in type(exc).__mro__ if kind.__module__ == "builtins"]
        kind = kinds[0] if kinds[0] != "Exception" else type(exc).__name__
        return {"error": {"type": kind, "message": str(exc)[:_TEXT]}}

    def result(self, message: dict[str, Any]) -> Result:
        """The end."""
        return told.result(message, self.job.source, dataclasses.asdict(self.limits), self.types)


@contextlib.contextmanager
def _hosting() -> Iterator[None]:
    """Within the block a host function is called."""
    token = _HOSTING.set(True)
    try:
        yield
    finally:
        _HOSTING.reset(token)


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _sent(value: Any, where: str) -> Any:
    try:
        return encode(value, where)
    except Uncarriable as exc:
        raise UsageError(f"{exc}; pass its data, or offer what it does as a host function (allow=...)") from None


def _types_in(values: Iterable[Any]) -> list[type]:
    """Types of the dataclasses, named tuples and enum members in some arguments: they may come back."""
    found: dict[type, None] = {}
    todo, seen = list(values), 0
    while todo and seen < _MOST:
        value, seen = todo.pop(), seen + 1
        if isinstance(value, enum.Enum) or (isinstance(value, tuple) and hasattr(value, "_fields")):
            found[type(value)] = None
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found[type(value)] = None
            todo += [getattr(value, field.name) for field in dataclasses.fields(value)]
        elif isinstance(value, dict):
            todo += [*value, *value.values()]
        elif isinstance(value, list | tuple | set | frozenset):
            todo += value
    return list(found)
