"""Where a run executes code that models wrote: in a sandbox, baseline and candidates alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from agentopt.core import Parameter
from agentopt.evaluate.programs import (
    check_packages,
    needs_runner,
    preloads,
    program_seconds,
    runner_modules,
    use_runner,
)
from agentopt.evaluate.sandboxed import LIMITS as PROGRAM_LIMITS
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.evaluate.scoring import Scorer
from agentopt.run.config import RunConfig
from agentopt.sandbox import Limits, open_sandbox
from agentopt.sandbox.execution import SandboxExec, modules_of
from agentopt.sandbox.served import ServedSandbox
from agentopt.store import Store

if TYPE_CHECKING:
    from agentopt.run.setup import Plan

__all__ = ["code_place", "code_sandbox", "note_isolation", "program_place", "program_sandbox", "runner_over"]


def code_sandbox(
    trained: Iterable[Parameter[Any]], seconds: float, *, backend: str = "auto", weak: bool = False
) -> ServedSandbox:
    """A sandbox that has imported what these parameters' functions need, and ends a call after so many seconds.

    Raises:
        UsageError: the isolation is not to be had, or a function needs what cannot come along.
    """
    return open_sandbox(backend, preload=modules_of(trained), limits=Limits(wall=seconds, cpu=seconds), weak=weak)


@contextmanager
def code_place(plan: Plan, store: Store | None = None) -> Iterator[None]:
    """A sandbox for as long as a run works, if the run executes code: trained functions, or programs that are answers.

    What isolation it gives is written into ``store``.

    Raises:
        UsageError: the isolation is not to be had, or a function needs what cannot come along.
        MissingDependency: what the scorer or the programs need is not installed.
    """
    config, trained = plan.config, [p for p in plan.target.parameters.values() if p.kind == "code"]
    with ExitStack() as stack:
        if trained:
            opened = code_sandbox(
                trained, config.code_timeout, backend=config.sandbox, weak=config.allow_weak_sandbox
            )  # fmt: skip
            sandbox = stack.enter_context(opened)
            note_isolation(sandbox, store)
            stack.enter_context(SandboxExec(sandbox, [p.name for p in trained]))
        stack.enter_context(program_place(config, plan.task.scorer, store))
        yield


@contextmanager
def program_place(config: RunConfig, scorer: Scorer, store: Store | None = None) -> Iterator[None]:
    """A sandbox for programs that are answers, where a scorer executes them. Raises as ``code_place`` does."""
    with ExitStack() as stack:
        if needs_runner(scorer):
            sandbox = stack.enter_context(program_sandbox(config, scorer))
            note_isolation(sandbox, store)
            stack.enter_context(use_runner(runner_over(sandbox, scorer)))
        yield


def program_sandbox(config: RunConfig, scorer: Scorer) -> ServedSandbox:
    """A sandbox with what the programs of a scorer need. Raises as ``code_place`` does."""
    check_packages(scorer)
    return open_sandbox(
        config.sandbox, require=runner_modules(scorer), preload=preloads(scorer),
        limits=PROGRAM_LIMITS, weak=config.allow_weak_sandbox,
    )  # fmt: skip


def runner_over(sandbox: ServedSandbox, scorer: Scorer) -> SandboxRunner:
    """What runs programs there, with the seconds of the scorer."""
    return SandboxRunner(sandbox, seconds=program_seconds(scorer))


def note_isolation(sandbox: ServedSandbox, store: Store | None) -> None:
    """Write down what stands between the code and this machine."""
    if store is None:
        return
    store.append_now("sandbox", sandbox.isolation.record())
    if sandbox.isolation.weak:
        text = f"the code of candidates is run in weak isolation: {sandbox.isolation}"
        store.append_now("warning", {"text": text})
