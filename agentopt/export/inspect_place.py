"""Where the programs of a task of inspect-ai run: one sandbox for all its samples, their agents and their scorer."""

from __future__ import annotations

import functools
import threading
import weakref
from asyncio import wrap_future
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from typing import Any

from agentopt._aio import in_thread
from agentopt.evaluate.programs import needs_runner, use_runner
from agentopt.evaluate.scoring import Scorer
from agentopt.export.inspect_log import library
from agentopt.run.codeplace import program_sandbox, runner_over
from agentopt.run.config import RunConfig
from agentopt.sandbox.served import ServedSandbox

__all__ = ["TaskPlace"]

_PLACES: weakref.WeakSet[TaskPlace] = weakref.WeakSet()


class TaskPlace:
    """A sandbox that is opened when a sample first asks for it, in a thread, so that other samples go on meanwhile.

    Samples of any event loop may be in it. It is closed when inspect says that the task has ended and no sample is in
    it (the task may be asked of several models at once); of a task that breaks off, with the task itself or with the
    process. Who asks after that opens it anew.

    Args:
        name: how inspect calls the task.
        config: which isolation.
        scorer: what its programs need, and how long they may take; one that runs none has no sandbox.
    """

    def __init__(self, name: str, config: RunConfig, scorer: Scorer) -> None:
        self.name = name
        self._config, self._scorer = config, scorer
        self._lock = threading.Lock()
        self._opening: Future[ServedSandbox] | None = None
        self._inside = 0

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[None]:
        """Within the block, programs run in the sandbox of the task.

        Raises:
            UsageError: the isolation is not to be had.
            MissingDependency: a module that the scorer needs is not installed.
        """
        if not needs_runner(self._scorer):
            yield
            return
        opening = self._enter()
        try:
            with use_runner(runner_over(await wrap_future(opening), self._scorer)):
                yield
        finally:
            with self._lock:
                self._inside -= 1

    def _enter(self) -> Future[ServedSandbox]:
        """Come in; the first one has the sandbox opened, and so has the next one where that failed."""
        with self._lock:
            self._inside += 1
            if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
                self._opening = Future()
                self._opening.set_running_or_notify_cancel()  # from here on nobody who stops waiting cancels it
                work = functools.partial(_open, self._opening, self._config, self._scorer)
                threading.Thread(target=work, name="agentopt-open", daemon=True).start()
                _PLACES.add(self)
                _closed_by_inspect()
            return self._opening

    def close(self) -> None:
        """Close the sandbox, unless somebody is in it."""
        with self._lock:
            opened = self._opening
            if self._inside or opened is None or not opened.done():
                return
            self._opening = None
        if opened.exception() is None:
            opened.result().close()


def _open(opening: Future[ServedSandbox], config: RunConfig, scorer: Scorer) -> None:
    try:
        opening.set_result(program_sandbox(config, scorer))
    except BaseException as problem:
        opening.set_exception(problem)


@functools.cache
def _closed_by_inspect() -> None:
    """Have inspect tell of the end of each task.

    Inspect prints the hooks that it finds when it starts; this one comes with the first sandbox, and is not printed.
    """
    hooks = library("hooks")

    async def on_task_end(self: Any, data: Any) -> None:
        ended = data.log.eval.task.rpartition("/")[2]
        for place in [place for place in _PLACES if place.name == ended]:
            await in_thread(place.close)

    made = type("AgentoptSandboxes", (hooks.Hooks,), {"on_task_end": on_task_end})
    hooks.hooks(name="agentopt_sandboxes", description="closes the sandboxes of agentopt's tasks")(made)
