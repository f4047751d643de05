"""Programs that are judged by running them against tests, in a place that somebody else provides.

Nothing in this module executes a program. ``ProgramRunner`` is the seam: a run plugs its sandbox in with
``use_runner``; without one, ``agentopt.evaluate.sandboxed`` opens a sandbox of this process.
"""

from __future__ import annotations

import builtins
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol

from agentopt._code import defines, find_code
from agentopt.core.values import Feedback, Frozen
from agentopt.errors import MissingDependency
from agentopt.evaluate.scoring import ScorerError
from agentopt.evaluate.task import Example

__all__ = [
    "NEEDS_RUNNER",
    "PRELOADS",
    "Checked",
    "ProgramRunner",
    "Verdict",
    "check_packages",
    "current_runner",
    "needs_runner",
    "passes",
    "preloads",
    "program_of",
    "runner_modules",
    "use_runner",
]

NEEDS_RUNNER = "needs_program_runner"
"""Attribute of scorers that run programs with the runner of the block."""
PRELOADS = "program_preloads"
"""Attribute of scorers that run programs: the modules that their sandbox imports once, before any program."""
_FUTURE = re.compile(r"(?:\s*from __future__ import [^\n]*\n)+")


class Checked(Frozen):
    """What came of one test."""

    status: Literal["passed", "failed", "error", "timeout"]
    """``failed``: an assertion did not hold; ``error``: something else was raised, in the program or the test."""
    text: str = ""
    """The exception's last line, or what was found in place of what was expected."""


class Verdict(Frozen):
    """What came of running a program against tests."""

    results: tuple[Checked, ...] = ()
    """One for each test, in their order; empty when ``problem`` says why."""
    problem: str = ""
    """Why nothing could be run, by the world's fault and not the program's (no isolation, a broken machine)."""
    seconds: float = 0.0
    """Wall clock of it all."""

    @property
    def passed(self) -> bool:
        """Whether every test passed, and there was one."""
        return bool(self.results) and all(result.status == "passed" for result in self.results)

    @property
    def share(self) -> float | None:
        """The share of tests that passed; None when there were none."""
        return sum(r.status == "passed" for r in self.results) / len(self.results) if self.results else None


class ProgramRunner(Protocol):
    """Runs programs that nobody has read, isolated from this process and machine."""

    async def run(self, program: str, tests: Sequence[str], *, setup: str = "", seconds: float = 5.0) -> Verdict:
        """Execute ``program``, ``setup`` and a test in one namespace, and begin afresh for the next test.

        Args:
            program: Python source, of unknown intent.
            tests: Python source of each test; it passes when nothing is raised.
            setup: Python source that runs after the program and before each test.
            seconds: processor time for each test, program and setup included; by the clock ten times as much.

        Whatever the program does (it does not parse, exits, hangs, floods) is a status of each test and never an
        exception. What the world does (no isolation to be had) is ``Verdict.problem``. Many calls may run at once.
        """
        ...


_runner: ContextVar[ProgramRunner | None] = ContextVar("agentopt_program_runner", default=None)


@contextmanager
def use_runner(runner: ProgramRunner) -> Iterator[None]:
    """Within the block, programs are run by ``runner``."""
    token = _runner.set(runner)
    try:
        yield
    finally:
        _runner.reset(token)


def given_seconds() -> float | None:
    """What a program of the block has whose seconds nobody names: those of the task; None where no task says so."""
    seconds = getattr(_runner.get(), "seconds", None)
    return float(seconds) if seconds else None


def current_runner() -> ProgramRunner:
    """The runner of the block; without one, that of the process's own sandbox."""
    found = _runner.get()
    if found is None:
        from agentopt.evaluate.sandboxed import shared_runner

        return shared_runner()
    return found


def program_of(answer: str, *, entry_point: str = "", prompt: str = "") -> str:
    """The program in a model's answer: its code block, or all of it, as something that can be run.

    A bare body is put below the prompt's signature; what the prompt has before the function (imports, helpers) is put
    before a program that left it out.

    >>> program_of("    return 2 * x", entry_point="f", prompt="def f(x):\\n")
    'def f(x):\\n    return 2 * x\\n'
    >>> program_of("def f(x): return sqrt(x)", entry_point="f", prompt="from math import sqrt\\n\\ndef f(x):\\n")
    'from math import sqrt\\n\\ndef f(x): return sqrt(x)\\n'
    """
    code = find_code(answer)
    whole = answer if code is None else code
    if not entry_point or not prompt:
        return whole
    if not defines(whole, entry_point):
        joined = prompt.rstrip("\n") + "\n" + whole.strip("\n") + "\n"
        return joined if defines(joined, entry_point) else whole
    head = re.split(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", prompt, maxsplit=1, flags=re.MULTILINE)[0]
    if not head.strip() or whole.startswith(head.strip()):
        return whole
    first = _FUTURE.match(whole)  # stays the first statement, or the program would be none
    before = first[0] if first else ""
    return f"{before}{head.strip()}\n\n{whole[len(before) :]}"


def passes(runner: ProgramRunner | None = None) -> Callable[[Example, Any], Any]:
    """A scorer of programs: 1 when every test of the example passes, else 0, with the share of passed tests as a part.

    An example has ``entry_point`` in its target and ``tests``, ``setup``, ``seconds`` and ``prompt`` in its ``meta``,
    where no optimizer sees them. The feedback tells of no hidden test: it counts them, and says how the program
    failed, of an exception the type alone, where it is one of Python's own; what it says is the program's choice.

    Args:
        runner: who runs the programs; None takes the runner of the block, see ``current_runner``.
    """

    async def passes_tests(example: Example, output: Any) -> Feedback:
        meta: dict[str, Any] = dict(example.meta)
        target: Any = example.target or {}
        if not isinstance(output, str):
            return Feedback(score=0.0, text=f"a program is a text, not {type(output).__name__}")
        program = program_of(output, entry_point=target.get("entry_point", ""), prompt=meta.get("prompt", ""))
        verdict = await (runner or current_runner()).run(
            program, meta["tests"], setup=meta.get("setup", ""), seconds=meta.get("seconds", 5.0)
        )
        if verdict.problem or not verdict.results:
            return ScorerError(text=f"the program could not be run: {verdict.problem or 'no test was given'}")
        told = "all tests pass" if verdict.passed else _hidden(verdict)
        return Feedback(score=float(verdict.passed), text=told, parts={"passed": verdict.share or 0.0})

    if runner is None:
        setattr(passes_tests, NEEDS_RUNNER, True)
    return passes_tests


def needs_runner(scorer: Callable[..., Any]) -> bool:
    """Whether a scorer runs programs with the runner of the block, which a run opens before anything is paid."""
    return bool(getattr(scorer, NEEDS_RUNNER, False))


def preloads(scorer: Callable[..., Any]) -> tuple[str, ...]:
    """The modules that the programs of a scorer are likely to import; the sandbox of a run has them ready."""
    return tuple(getattr(scorer, PRELOADS, ()))


def check_packages(scorer: Callable[..., Any]) -> None:
    """Check that what the programs of a scorer are told they may use is installed: its ``program_packages``, with the
    requirement that brings each.

    Raises:
        MissingDependency: something is not; an answer that uses it could not be judged.
    """
    promised: Mapping[str, str] = getattr(scorer, "program_packages", {})
    if missing := [name for name in promised if importlib.util.find_spec(name) is None]:
        brings = " ".join(f"'{needed}'" for needed in dict.fromkeys(promised[name] for name in missing))
        raise MissingDependency(
            f"programs are told that they may use {', '.join(missing)}, not installed here: "
            f"`pip install {brings}` first"
        )


def program_seconds(scorer: Callable[..., Any]) -> float | None:
    """The processor time that a scorer gives a program, where it says so; agents that run programs give as much."""
    seconds = getattr(scorer, "program_seconds", None)
    return float(seconds) if seconds else None


def runner_modules(scorer: Callable[..., Any]) -> tuple[str, ...]:
    """The modules that a scorer needs in the sandbox of the run: its attribute ``runner_modules``."""
    return tuple(getattr(scorer, "runner_modules", ()))


def _hidden(verdict: Verdict) -> str:
    """How a program failed, without the tests that it failed."""
    failed = [result for result in verdict.results if result.status != "passed"]
    kinds = {"failed": "a wrong result", "timeout": "out of time", "error": "an error"}
    first = failed[0]
    kind = first.text.partition(":")[0]
    said = f" ({kind})" if first.status == "error" and _known(kind) else ""
    return f"{len(failed)} of {len(verdict.results)} tests fail; the first with {kinds[first.status]}{said}"


def _known(kind: str) -> bool:
    """Whether it names an exception of Python's own: messages and names of others a program can make of a test."""
    found = getattr(builtins, kind, None)
    return isinstance(found, type) and issubclass(found, BaseException)
