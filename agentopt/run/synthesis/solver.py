"""Programs that models wrote, run in the sandbox of the run; what was run is in its log and is not run again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agentopt.core.values import digest
from agentopt.errors import StoreError
from agentopt.evaluate.modelling import Solved, solve
from agentopt.evaluate.programs import current_runner
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.run.codeplace import note_isolation
from agentopt.run.config import RunConfig
from agentopt.sandbox import Sandbox, open_sandbox
from agentopt.store import Store

__all__ = ["StoredSolver", "solver_place"]

_KEPT = ("status", "text", "values", "problems", "ran", "seconds")
"""Fields of what came of a program that are written down; its source is in the answer of the call."""


class StoredSolver:
    """Runs programs, several at a time, and remembers in the run's log what came of each.

    Args:
        sandbox: where they run.
        store: the run's log.
        seconds: processor time of a program; by the clock ten times as much.
    """

    def __init__(self, sandbox: Sandbox, store: Store, seconds: float) -> None:
        self._sandbox, self._store, self._seconds = sandbox, store, seconds
        events = store.events("synthesis.solved")
        self._known = {str(e.data["key"]): Solved.model_validate(e.data["solved"]) for e in events}
        self._locks: dict[str, asyncio.Lock] = {}
        self._ran = bool(self._known)
        self.lost: dict[str, str] = {}
        """Programs that could not be run, and why: the world's fault, so that a resumed run tries them again."""

    async def __call__(self, program: str, names: Sequence[str]) -> Solved:
        """What comes of a program that is to print figures with these names.

        What is the world's fault is not written down, so that a resumed run tries it again.
        """
        key = digest([program, list(names), self._seconds])
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key not in self._known:
                solved = await solve(program, names, seconds=self._seconds, sandbox=self._sandbox)
                if solved.ours:
                    self.lost[key] = solved.text
                    return solved
                self.lost.pop(key, None)
                self._ran = True
                kept = solved.model_dump(mode="json", include=set(_KEPT))
                await self._store.append("synthesis.solved", {"key": key, "solved": kept})
                self._known[key] = Solved.model_validate(kept)
            return self._known[key]

    def check(self) -> None:
        """Raise ``StoreError`` when no program could be run at all: the sandbox is broken, not the programs."""
        if self.lost and not self._ran:
            raise StoreError(f"no program could be run ({self.why}): mend that, then `agentopt resume` goes on")

    @property
    def why(self) -> str:
        """Why the last of the lost programs could not be run."""
        return " ".join(next(reversed(self.lost.values()), "").split())


@contextmanager
def solver_place(config: RunConfig, store: Store, seconds: float) -> Iterator[StoredSolver]:
    """A sandbox with the solver imported, for as long as a run works; that of the block, where there is one.

    Raises:
        UsageError: the isolation is not to be had.
        MissingDependency: PySCIPOpt is not installed.
    """
    if isinstance(runner := current_runner(), SandboxRunner):
        yield StoredSolver(runner.sandbox, store, seconds)
        return
    with open_sandbox(config.sandbox, require=["numpy", "pyscipopt"], weak=config.allow_weak_sandbox) as sandbox:
        note_isolation(sandbox, store)
        yield StoredSolver(sandbox, store, seconds)
