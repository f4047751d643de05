"""Programs run against their tests in the sandbox: a job a test."""

from __future__ import annotations

import ast
import asyncio
import atexit
import dataclasses
import secrets
import threading
from collections.abc import Sequence

from agentopt._clock import waiting
from agentopt._code import parsed
from agentopt.errors import MissingDependency, UsageError
from agentopt.evaluate.programs import Checked, ProgramRunner, Verdict, current_runner
from agentopt.sandbox import Job, Limits, Result, Sandbox, open_sandbox

__all__ = ["BUSY", "LIMITS", "OwnSandbox", "SandboxRunner", "lasting", "sandbox_of", "shared_runner", "shown"]

LIMITS = Limits(memory=2 << 30, output=1 << 20)
"""What a test may use, beside its seconds: published tests build large lists, and programs print what they debug."""
BUSY = 10
"""Seconds by the clock for each of processor time: so long a program may wait for processors that others use."""
_END = "agentopt_end_of_test"
_SHOWN = 200  # characters of a value in the text of a failed comparison


def lasting(limits: Limits, seconds: float) -> Limits:
    """Limits with so much processor time, of all threads together, and ten times as much by the clock.

    How busy the machine is says nothing of a program; the clock ends what waits for ever.

    >>> lasting(LIMITS, 5.0).cpu, lasting(LIMITS, 5.0).wall
    (5.0, 50.0)
    """
    return dataclasses.replace(limits, cpu=seconds, wall=BUSY * seconds)


class SandboxRunner:
    """A ``ProgramRunner`` over a sandbox. A program that ends, hangs or floods costs its own test only.

    A test has passed when its source has run to its end, which is told by a word that only the end of it holds: a
    program that exits early, with whatever code, has not passed. What a program could still do is to look for that
    word in its own process; ``docs/sandbox.md`` says what that means.

    Args:
        sandbox: where to run; whoever opened it closes it.
        limits: of each test; the seconds of a call are its processor time, and ten times as much by the clock.
        seconds: what a program of an agent has, where the task says so.

    >>> import asyncio
    >>> tests = ["assert f(1) == 1", "assert f(1) == 2"]
    >>> with open_sandbox(servers=1) as sandbox:
    ...     verdict = asyncio.run(SandboxRunner(sandbox).run("def f(x): return x", tests))
    >>> [(result.status, result.text) for result in verdict.results]
    [('passed', ''), ('failed', 'AssertionError: got 1, expected 2')]
    """

    def __init__(self, sandbox: Sandbox, limits: Limits = LIMITS, seconds: float | None = None) -> None:
        self.sandbox, self.limits, self.seconds = sandbox, limits, seconds

    async def run(self, program: str, tests: Sequence[str], *, setup: str = "", seconds: float = 5.0) -> Verdict:
        """Run a program against tests, each in a process of its own; see ``ProgramRunner``."""
        results = await asyncio.gather(*(self._one(program, test, setup, seconds) for test in tests))
        wall = sum(result.wall for result, _ in results)
        lost = next((result for result, _ in results if result.status == "lost"), None)
        if lost is not None:
            return Verdict(problem=_text(lost) or "the sandbox broke down", seconds=wall)
        return Verdict(results=tuple(_checked(result, word) for result, word in results), seconds=wall)

    async def _one(self, program: str, test: str, setup: str, seconds: float) -> tuple[Result, str]:
        word = secrets.token_hex(16)
        end = f"def {_END}():\n    return {word!r}"
        job = Job(
            source="\n\n".join([program, setup, shown(test), end]),
            entry=_END,
            limits=lasting(self.limits, seconds),
        )
        with waiting():  # it has a limit of its own
            result = await self.sandbox.run(job)
            if result.status == "lost":  # not the program's fault: once more, in another server
                result = await self.sandbox.run(job)
        return result, word


def _checked(result: Result, word: str) -> Checked:
    if result.status == "ok":
        ended = isinstance(result.value, str) and result.value == word
        return Checked(status="passed") if ended else Checked(status="error", text="it ended before the test did")
    if result.status in ("timeout", "cpu"):
        return Checked(status="timeout", text=_text(result))
    failed = result.error is not None and result.error.type == "AssertionError"
    return Checked(status="failed" if failed else "error", text=_text(result))


def _text(result: Result) -> str:
    """The exception's last line."""
    if result.error is None:
        return result.status
    kind, message = result.error.type, result.error.message.strip()
    return f"{kind}: {message}" if kind and message else kind or message


def shown(test: str) -> str:
    """A test that is one comparison for equality, as one that tells what was found in place of what was expected.

    >>> shown("assert f(1) == 2") != "assert f(1) == 2", shown("assert f(1)")
    (True, 'assert f(1)')
    """
    tree = parsed(test)
    body = tree.body if tree else []
    if len(body) != 1 or not isinstance(found := body[0], ast.Assert) or found.msg is not None:
        return test
    compared = found.test
    if not isinstance(compared, ast.Compare) or len(compared.ops) != 1 or not isinstance(compared.ops[0], ast.Eq):
        return test
    got, expected = ast.unparse(compared.left), ast.unparse(compared.comparators[0])
    text = f"f'got {{_got!r:.{_SHOWN}}}, expected {{_expected!r:.{_SHOWN}}}'"
    return f"_got, _expected = ({got}), ({expected})\nif not (_got == _expected): raise AssertionError({text})"


class OwnSandbox:
    """A runner over a sandbox of this process, which is opened with the first program and closed at the end.

    Args:
        limits: of each job, unless it has its own.
        preload: modules that are imported once, before any job, where they are there.
        require: modules that have to be there, and are imported as those are.
    """

    def __init__(self, limits: Limits = LIMITS, preload: Sequence[str] = (), require: Sequence[str] = ()) -> None:
        self.limits, self.preload, self.require = limits, preload, require
        self._lock = threading.Lock()
        self._runner: SandboxRunner | None = None

    async def runner(self) -> SandboxRunner:
        """The runner over it.

        Raises:
            UsageError: full isolation is not to be had here.
            MissingDependency: a module that is required is not there.
        """
        with waiting():
            return await asyncio.to_thread(self._opened)

    async def place(self) -> Sandbox:
        """The sandbox of the block that this is called in, where there is one; else this one. Raises as ``runner``."""
        given = current_runner()
        return (given if isinstance(given, SandboxRunner) else await self.runner()).sandbox

    def _opened(self) -> SandboxRunner:
        with self._lock:
            if self._runner is None:
                sandbox = open_sandbox(require=self.require, limits=self.limits, preload=self.preload)
                atexit.register(sandbox.close)
                self._runner = SandboxRunner(sandbox)
            return self._runner

    async def run(self, program: str, tests: Sequence[str], *, setup: str = "", seconds: float = 5.0) -> Verdict:
        """See ``ProgramRunner``; a machine without full isolation is a ``problem``."""
        try:
            runner = await self.runner()
        except (UsageError, MissingDependency) as error:
            return Verdict(problem=str(error))
        return await runner.run(program, tests, setup=setup, seconds=seconds)


_OWN = OwnSandbox()


def shared_runner() -> ProgramRunner:
    """The runner of whoever has plugged in none: the process's own sandbox, with full isolation or not at all."""
    return _OWN


async def sandbox_of(runner: ProgramRunner) -> Sandbox:
    """The sandbox behind a runner, for those who run more than tests in it.

    Raises:
        UsageError: it has none, or full isolation is not to be had here.
    """
    if isinstance(runner, OwnSandbox):
        runner = await runner.runner()
    if not isinstance(runner, SandboxRunner):
        raise UsageError(f"the runner {type(runner).__name__} runs tests only; this scorer needs a SandboxRunner")
    return runner.sandbox
